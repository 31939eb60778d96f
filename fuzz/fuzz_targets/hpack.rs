//! Runs `narthex_fuzz::hpack` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| narthex_fuzz::hpack(bytes));
