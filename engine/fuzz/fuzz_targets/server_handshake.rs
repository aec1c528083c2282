//! A server, whatever a client sends: see `handshake.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| veritls_fuzz::handshake::run(true, data));
