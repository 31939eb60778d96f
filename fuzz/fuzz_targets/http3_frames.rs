//! Runs `narthex_fuzz::http3_frames` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| narthex_fuzz::http3_frames(bytes));
