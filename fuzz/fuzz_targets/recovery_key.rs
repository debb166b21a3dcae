#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    keystead_fuzz::recovery_key(data);
});
