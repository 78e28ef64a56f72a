//! `cargo +nightly fuzz run profile`: profile files from any bytes.
#![no_main]

#[path = "../bodies/profile.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::profile(data));
