//! One's own certificate chain and private key, from DER.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::profile::public_key;

#[pyclass(frozen, module = "veritls._engine")]
pub struct Identity(pub Arc<CertifiedKey>);

#[pymethods]
impl Identity {
    /// `chain`: certificates, DER, own one first. `key`: PKCS#8, DER. Refuses a key of another certificate.
    #[new]
    fn new(chain: Vec<Vec<u8>>, key: Vec<u8>) -> PyResult<Self> {
        let key = Zeroizing::new(key);
        let unusable = |what, why: &dyn std::fmt::Display| Failure::Unusable { what, why: why.to_string() };
        let key = PrivateKeyDer::try_from(key.as_slice()).map_err(|why| unusable("private key", &why))?;
        let key = any_supported_type(&key).map_err(|why| unusable("private key", &why))?;
        let chain: Vec<_> = chain.into_iter().map(CertificateDer::from).collect();
        let own = chain.first().ok_or_else(|| unusable("certificate", &"there is none"))?;
        let certified_key = public_key(own).map_err(|why| unusable("certificate", &why))?;
        match key.public_key() {
            Some(own_key) if own_key.as_ref() == certified_key => {
                Ok(Self(Arc::new(CertifiedKey::new(chain, key))))
            }
            Some(_) => Err(Failure::KeyMismatch.into()),
            None => Err(unusable("private key", &"its public key cannot be told").into()),
        }
    }

    /// The same key with the certificates `above` after its own.
    fn completed(&self, above: Vec<Vec<u8>>) -> Self {
        let mut chain = self.0.cert.clone();
        chain.extend(above.into_iter().map(CertificateDer::from));
        Self(Arc::new(CertifiedKey::new(chain, self.0.key.clone())))
    }

    /// The kind of key: "RSA", "ECDSA", "ED25519".
    #[getter]
    fn algorithm(&self) -> String {
        format!("{:?}", self.0.key.algorithm())
    }

    /// The certificates, DER, own one first.
    #[getter]
    fn chain<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.0.cert.iter().map(|der| PyBytes::new(py, der)).collect()
    }
}
