//! Runs `narthex_fuzz::yaml` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| narthex_fuzz::yaml(bytes));
