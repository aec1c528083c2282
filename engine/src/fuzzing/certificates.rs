//! Certificates, CRLs and OCSP responses.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime};

use crate::verify::budget;
use crate::verify::certificate;
use crate::verify::crl::Crl;
use crate::verify::ocsp;
use crate::verify::peer_policy::Conditions;
use crate::verify::rfc5280::strict;
use crate::verify::signature_cache::algorithms;
use crate::verify::spiffe;
use crate::verify::trust::Trust;
use crate::verify::types::{Revocation, RevocationPolicy, Role, SentChain};
use crate::verify::verifier::PeerVerifier;

/// Everything that is parsed of a single certificate, from a string of them or from one.
pub fn certificate(data: &[u8]) {
    for der in certificate::split(data).unwrap_or_default() {
        assert!(certificate::read(der).is_ok(), "split and read disagree");
    }
    let _ = certificate::subject_and_issuer(data);
    let _ = certificate::public_key(data);
    let _ = strict(&[&CertificateDer::from(data)]);
    let trusted = Trust::of(vec![data.to_vec()], true);
    assert!(trusted.is_err() || certificate::examine(data).is_ok(), "trusted and not examined");
    let bundles = HashMap::from([("a.example".to_owned(), vec![data.to_vec()])]);
    let bundled = Trust::of_domains(bundles);
    assert!(
        bundled.is_err() || spiffe::with_id(data, |_| ()).is_err(),
        "an anchor of a trust domain with an ID"
    );
}

/// The pieces of a string of DER, one after the other; what follows the last of them is one, too. Not by a
/// parser of certificates: what it would refuse has to reach the verifier.
pub fn split(mut data: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    loop {
        let end = match data {
            [0x30, 0x82, high, low, ..] => 4 + usize::from(*high) * 256 + usize::from(*low),
            [0x30, 0x81, low, ..] => 3 + usize::from(*low),
            _ => break,
        };
        let Some(piece) = data.get(..end) else { break };
        pieces.push(piece);
        data = &data[end..];
    }
    if !data.is_empty() {
        pieces.push(data);
    }
    pieces
}

/// A CRL, as a trust set takes it.
pub fn crl(data: &[u8]) {
    let _ = Crl::read(data.to_vec());
}

/// What was signed in a response that clears `certificate` at `seconds` since 1970; None where it does not. All DER.
pub fn clears(response: &[u8], certificate: &[u8], issuer: &[u8], seconds: u64) -> Option<Vec<u8>> {
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    ocsp::check(response, certificate, Some(issuer), algorithms(), now).ok()?;
    ocsp::signed_part(response)
}

/// Whether a server that sends `chain`, its own certificate first, is trusted at `seconds` since 1970 where `anchor` is
/// the trust anchor. All DER.
pub fn is_trusted(anchor: &[u8], chain: &[&[u8]], seconds: u64, strict: bool) -> bool {
    let Ok(trust) = Trust::of(vec![anchor.to_vec()], true) else { return false };
    let verifier = PeerVerifier {
        trust: Arc::new(trust),
        request: true,
        require: true,
        validate: true,
        peer: Role::Server,
        check_name: false,
        revocation: RevocationPolicy { of: Revocation::None, accept_unknown: false },
        require_ocsp: false,
        strict,
        conditions: Conditions::default(),
        verify_callback: false,
        reverify: false,
        max_resumption_age: 0,
    };
    let chain: Vec<_> = chain.iter().map(|der| CertificateDer::from(*der)).collect();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let Some(chain) = SentChain::of(&chain) else { return false };
    verifier.verify(Role::Server, chain, None, now).is_ok()
}

/// The units of work that one verification may take, with finding out why it failed.
pub const MOST_WORK: u64 = budget::PATH + budget::REASON;

/// The units that verifications took on this thread since this was asked last.
pub fn spent() -> u64 {
    budget::take_spent()
}
