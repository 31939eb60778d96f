//! Runs `narthex_fuzz::http2_head` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| narthex_fuzz::http2_head(bytes));
