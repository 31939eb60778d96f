//! Runs `narthex_fuzz::request_head` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| narthex_fuzz::request_head(bytes));
