//! One's own certificate chain and private key, from DER, and the OCSP response that goes with them.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::SignatureAlgorithm;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use zeroize::Zeroizing;

use crate::clock::now;
use crate::error::{Thing, Unusable};
use crate::tls::failure::Failure;
use crate::tls::signature_schemes::Noting;
use crate::verify::certificate::public_key;

/// A stapled OCSP response, and until when it may be sent, in seconds since 1970.
#[derive(Debug)]
struct Response {
    der: Vec<u8>,
    until: u64,
}

/// Shared by an identity and those completed from it, so that a renewed response reaches connections whose
/// settings were made before. Without a lock, which a process that is forked meanwhile could never take.
type Staple = ArcSwapOption<Response>;

#[derive(Debug)]
pub struct Own {
    bare: Arc<CertifiedKey>,
    staple: Arc<Staple>,
    /// The last response with the certificate and key that it was put together with.
    stapled: ArcSwapOption<(Arc<Response>, Arc<CertifiedKey>)>,
}

impl Own {
    /// `chain`: certificates, DER, own one first. `key`: PKCS#8, DER. Refuses a key of another certificate.
    pub fn new(chain: Vec<Vec<u8>>, key: Vec<u8>) -> Result<Self, Failure> {
        let key = Zeroizing::new(key);
        let key =
            PrivateKeyDer::try_from(key.as_slice()).map_err(|why| Unusable::new(Thing::PrivateKey, why))?;
        let key = any_supported_type(&key).map_err(|why| Unusable::new(Thing::PrivateKey, why))?;
        let key: Arc<dyn SigningKey> = Arc::new(Noting(key));
        let chain: Vec<_> = chain.into_iter().map(CertificateDer::from).collect();
        let own = chain.first().ok_or_else(|| Unusable::new(Thing::Certificate, "none"))?;
        let certified_key = public_key(own).map_err(|why| Unusable::new(Thing::Certificate, why))?;
        match key.public_key() {
            Some(own_key) if own_key.as_ref() == certified_key => {
                Ok(Self::with(CertifiedKey::new(chain, key), Arc::default()))
            }
            Some(_) => Err(Failure::KeyMismatch),
            None => Err(Unusable::new(Thing::PrivateKey, "no_public_key").into()),
        }
    }

    /// The same key and OCSP response with the certificates `above` after its own.
    pub fn completed(&self, above: Vec<Vec<u8>>) -> Self {
        let mut own = CertifiedKey::clone(&self.bare);
        own.cert.extend(above.into_iter().map(CertificateDer::from));
        Self::with(own, self.staple.clone())
    }

    /// The same certificates and key, with an OCSP response of their own: none yet.
    pub fn apart(&self) -> Self {
        Self::with(CertifiedKey::clone(&self.bare), Arc::default())
    }

    /// Sends `response` (an OCSP response, DER) along from now on, up to the second `until` of the epoch; None
    /// sends none. It is not looked at here.
    pub fn staple(&self, response: Option<Vec<u8>>, until: u64) {
        self.staple.store(response.map(|der| Arc::new(Response { der, until })));
    }

    fn with(bare: CertifiedKey, staple: Arc<Staple>) -> Self {
        Self { bare: Arc::new(bare), staple, stapled: ArcSwapOption::empty() }
    }

    /// The kind of key, as Python knows it.
    pub fn key_kind(&self) -> String {
        match self.bare.key.algorithm() {
            SignatureAlgorithm::RSA => "RSA".to_owned(),
            SignatureAlgorithm::ECDSA => "ECDSA".to_owned(),
            SignatureAlgorithm::ED25519 => "ED25519".to_owned(),
            other => format!("signature algorithm {}", u8::from(other)),
        }
    }

    /// Without an OCSP response.
    pub fn bare(&self) -> &Arc<CertifiedKey> {
        &self.bare
    }

    /// What a handshake is to send now: with the OCSP response, while that is good.
    pub fn current(&self) -> Arc<CertifiedKey> {
        let Some(response) =
            self.staple.load_full().filter(|response| now().is_ok_and(|now| now.as_secs() <= response.until))
        else {
            return self.bare.clone();
        };
        let last = self.stapled.load();
        if let Some(last) = last.as_deref().filter(|last| Arc::ptr_eq(&last.0, &response)) {
            return last.1.clone();
        }
        let mut own = CertifiedKey::clone(&self.bare);
        own.ocsp = Some(response.der.clone());
        let own = Arc::new(own);
        self.stapled.store(Some(Arc::new((response, own.clone()))));
        own
    }
}

/// Whether a private key (PKCS#8, SEC 1 or PKCS#1, DER) is one that can sign here.
pub fn is_private_key(der: &[u8]) -> bool {
    PrivateKeyDer::try_from(der).is_ok_and(|key| any_supported_type(&key).is_ok())
}
