//! No bytes of a certificate crash what reads them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| _engine::fuzzing::certificates::certificate(data));
