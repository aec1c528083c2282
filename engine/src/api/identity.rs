//! One's own certificates and private keys, as Python holds them.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::tls::own_identity::{self, Own};

/// Whether a private key (PKCS#8, SEC 1 or PKCS#1, DER) is one that can sign here.
#[pyfunction]
pub fn is_private_key(der: &[u8]) -> bool {
    own_identity::is_private_key(der)
}

#[pyclass(frozen, module = "veritls._engine")]
pub struct Identity(pub Arc<Own>);

#[pymethods]
impl Identity {
    /// `chain`: certificates, DER, own one first. `key`: PKCS#8, DER. Refuses a key of another certificate.
    #[new]
    fn new(chain: Vec<Vec<u8>>, key: Vec<u8>) -> PyResult<Self> {
        Ok(Self(Arc::new(Own::new(chain, key)?)))
    }

    /// The same key and OCSP response with the certificates `above` after its own.
    fn completed(&self, above: Vec<Vec<u8>>) -> Self {
        Self(Arc::new(self.0.completed(above)))
    }

    /// The same certificates and key, with an OCSP response of their own: none yet.
    fn apart(&self) -> Self {
        Self(Arc::new(self.0.apart()))
    }

    /// Sends `response` (an OCSP response, DER) along from now on, up to the second `until` of the epoch; None
    /// sends none. It is not looked at here.
    fn staple(&self, response: Option<Vec<u8>>, until: u64) {
        self.0.staple(response, until);
    }

    /// The kind of key: "RSA", "ECDSA", "ED25519".
    #[getter]
    fn algorithm(&self) -> String {
        self.0.key_kind()
    }

    /// The certificates, DER, own one first.
    #[getter]
    fn chain<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.0.bare().cert.iter().map(|der| PyBytes::new(py, der)).collect()
    }
}
