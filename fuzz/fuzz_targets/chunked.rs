//! Runs `narthex_fuzz::chunked` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| narthex_fuzz::chunked(bytes));
