//! With which signature algorithms the two ends of a handshake prove that they hold their keys.
//!
//! rustls does not tell. The peer's is in the signature that the verifier is asked about; our own is that of
//! the signer that our key gives out, noted when it signs.

use std::sync::Arc;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::sign::{Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};

use crate::tls::handshake::current;

/// A key that notes with which scheme it signs.
#[derive(Debug)]
pub struct Noting(pub Arc<dyn SigningKey>);

#[derive(Debug)]
struct NotingSigner(Box<dyn Signer>);

impl SigningKey for Noting {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        Some(Box::new(NotingSigner(self.0.choose_scheme(offered)?)))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        self.0.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }
}

impl Signer for NotingSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        current()?.note_schemes(|schemes| schemes.own = Some(self.0.scheme().into()));
        self.0.sign(message)
    }

    fn scheme(&self) -> SignatureScheme {
        self.0.scheme()
    }
}

/// The algorithms with which a peer may sign a handshake, best first.
pub fn algorithms() -> WebPkiSupportedAlgorithms {
    default_provider().signature_verification_algorithms
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::signature_cache;

    #[test]
    fn certificates_may_be_signed_with_what_handshakes_may_and_no_handshake_is_cached() {
        let (of_handshakes, of_certificates) = (algorithms().all, signature_cache::algorithms());
        assert_eq!(of_handshakes.len(), of_certificates.len());
        for (plain, caching) in of_handshakes.iter().zip(of_certificates) {
            assert_eq!(plain.public_key_alg_id().as_ref(), caching.public_key_alg_id().as_ref());
            assert_eq!(plain.signature_alg_id().as_ref(), caching.signature_alg_id().as_ref());
            assert!(format!("{caching:?}").starts_with("Remembering"));
            assert!(!format!("{plain:?}").starts_with("Remembering"));
        }
    }
}
