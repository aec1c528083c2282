//! Own certificates and keys, from DER.

use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::pki_types::SubjectPublicKeyInfoDer;

use crate::tls::handshake::Handshake;
use crate::tls::own_identity::{Own, is_private_key};
use crate::tls::signature_schemes::algorithms;
use crate::verify::certificate::public_key;
use crate::verify::peer_key::signed_with;

const MESSAGE: &[u8] = b"message";
const SCHEMES: [SignatureScheme; 6] = [
    SignatureScheme::ED25519,
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PKCS1_SHA256,
];

/// Whether an identity of this chain and key is taken. Panics where one is whose key makes no signature that the
/// certificate's verifies.
pub fn identity(chain: Vec<Vec<u8>>, key: &[u8]) -> bool {
    let loads = is_private_key(key);
    let first = chain.first().cloned();
    let Ok(own) = Own::new(chain, key.to_vec()) else { return false };
    assert!(loads, "a key is used that is none");
    let certified = first.and_then(|der| public_key(&der).ok()).expect("a certificate with a key");
    let signing = &own.bare().key;
    let signer = signing.choose_scheme(&SCHEMES).expect("a scheme");
    let signature = Arc::new(Handshake::default()).run(|| signer.sign(MESSAGE)).expect("a signature");
    let certified = SubjectPublicKeyInfoDer::from(certified);
    let verified = signed_with(&certified, algorithms().all, MESSAGE, &signature);
    assert_eq!(verified, Ok(true), "the key is not the certificate's");
    true
}
