//! Runs `narthex_fuzz::uri` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| narthex_fuzz::uri(bytes));
