//! With which signature algorithms the two ends of a handshake prove that they hold their keys.
//!
//! rustls does not tell. The peer's is in the signature that the verifier is asked about; our own is that of
//! the signer that our key gives out, noted when it signs.

use std::sync::Arc;

use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::sign::{Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};

use crate::verify::callback;

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
        callback::note_schemes(|schemes| schemes.own = Some(self.0.scheme().into()));
        self.0.sign(message)
    }

    fn scheme(&self) -> SignatureScheme {
        self.0.scheme()
    }
}
