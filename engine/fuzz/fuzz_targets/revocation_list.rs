//! No bytes of a revocation list crash what reads them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| _engine::fuzzing::revocation_list(data));
