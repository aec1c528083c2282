//! No bytes of an OCSP response crash what reads them, and none clear a certificate but those that the seeds'
//! CA signed, or its delegate.
#![no_main]

use std::sync::LazyLock;

use _engine::fuzzing::certificates::clears;

const ISSUER: &[u8] = include_bytes!("../seeds/certificate/ocsp-issuer");
const LEAF: &[u8] = include_bytes!("../seeds/certificate/ocsp-leaf");
const GOOD: [&[u8]; 3] = [
    include_bytes!("../seeds/ocsp_response/good"),
    include_bytes!("../seeds/ocsp_response/by-name"),
    include_bytes!("../seeds/ocsp_response/delegate"),
];
const SECONDS: u64 = 1_800_000_000;

fn signed(response: &[u8]) -> Option<Vec<u8>> {
    clears(response, LEAF, ISSUER, SECONDS)
}

static SIGNED: LazyLock<[Vec<u8>; 3]> =
    LazyLock::new(|| GOOD.map(|seed| signed(seed).expect("a seed is good")));

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some(found) = signed(data) {
        assert!(SIGNED.contains(&found), "a response that no CA signed clears a certificate");
    }
});
