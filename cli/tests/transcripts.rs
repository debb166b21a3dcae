//! What the command answers: `tests/cmd/*.trycmd`. After a change on purpose: `TRYCMD=overwrite cargo test`.

#[test]
fn transcripts() {
    trycmd::TestCases::new().case("tests/cmd/*.trycmd");
}
