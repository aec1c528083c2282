//! A client, whatever a server sends: see `handshake.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| veritls_fuzz::handshake::run(false, data));
