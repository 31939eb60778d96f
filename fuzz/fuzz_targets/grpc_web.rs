//! Runs `narthex_fuzz::grpc_web` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| narthex_fuzz::grpc_web(bytes));
