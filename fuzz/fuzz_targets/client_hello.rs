//! Runs `narthex_fuzz::client_hello` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| narthex_fuzz::client_hello(bytes));
