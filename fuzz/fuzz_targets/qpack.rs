//! Runs `narthex_fuzz::qpack` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| narthex_fuzz::qpack(bytes));
