//! No chain crashes the verifier, and none is trusted whose first certificate is not one that the CA of the
//! seeds signed. The input is a string of DER certificates, the peer's own first.
#![no_main]

use _engine::fuzzing::certificates::{is_trusted, split};

const ANCHOR: &[u8] = include_bytes!("../seeds/certificate/anchor");
const LEAVES: [&[u8]; 3] = [
    include_bytes!("../seeds/chain/leaf"),
    include_bytes!("../seeds/certificate/below"),
    include_bytes!("../seeds/certificate/rich"),
];
const SECONDS: u64 = 1_800_000_000;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let chain = split(data);
    for strict in [false, true] {
        if is_trusted(ANCHOR, &chain, SECONDS, strict) {
            assert!(LEAVES.contains(&chain[0]), "a certificate that no CA signed is trusted");
        }
    }
});
