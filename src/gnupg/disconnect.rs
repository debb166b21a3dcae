//! What browsers say when a native messaging host's port closes.

use crate::effect::NativeError;

/// What a browser's words mean: of `runtime.lastError` in Chromium, of `port.error` in Firefox, neither translated; empty
/// where it gives none.
#[must_use]
pub fn why_disconnected(words: &str) -> NativeError {
    const MISSING: [&str; 6] = [
        "host not found",
        "host is forbidden",
        "disabled by the system administrator",
        "Invalid native messaging host name",
        "Failed to start native messaging host",
        "No such native application",
    ];
    if MISSING.iter().any(|part| words.contains(part)) {
        NativeError::Missing
    } else if words.contains("exceeds the limit") {
        NativeError::TooLarge
    } else {
        NativeError::Died
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_browser_s_words_are_understood() {
        // Chromium 156 and Firefox ESR 153, as seen; the second and third of Chromium from its program text.
        for (words, expected) in [
            ("Specified native messaging host not found.", NativeError::Missing),
            ("Access to the specified native messaging host is forbidden.", NativeError::Missing),
            ("Access to the native messaging host was disabled by the system administrator.", NativeError::Missing),
            ("Invalid native messaging host name specified.", NativeError::Missing),
            ("Native host has exited.", NativeError::Died),
            ("Error when communicating with the native messaging host.", NativeError::Died),
            ("No such native application com.keystead.gpgme", NativeError::Missing),
            (
                "Native application tried to send a message of 3145728 bytes, which exceeds the limit of 1048576 bytes.",
                NativeError::TooLarge,
            ),
            ("An unexpected error occurred", NativeError::Died),
            ("", NativeError::Died),
        ] {
            assert_eq!(why_disconnected(words), expected, "{words}");
        }
    }
}
