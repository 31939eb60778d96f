//! Runs `narthex_fuzz::router` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| narthex_fuzz::router(bytes));
