//! No bytes of a CRL crash what reads them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| _engine::fuzzing::certificates::crl(data));
