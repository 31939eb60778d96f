//! Runs `narthex_fuzz::flows` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| narthex_fuzz::flows(bytes));
