//! Why a peer's certificate was refused: the kind, and the evidence.

use std::sync::Arc;

use pyo3::PyErr;
use rustls::pki_types::UnixTime;

use crate::verify::trust::Trust;

/// Why a peer's certificate was refused.
#[derive(Clone, Debug, Default)]
pub struct Rejection {
    pub kind: &'static str,
    pub detail: String,
    /// Seconds since 1970: the time of the check, and the bound that it violated.
    pub time: Option<u64>,
    pub bound: Option<u64>,
    /// The name that was wanted and those that the certificate holds.
    pub expected: Option<String>,
    pub presented: Vec<String>,
    /// The chain as the peer sent it, leaf first, DER.
    pub chain: Vec<Vec<u8>>,
    /// What the program's callback raised.
    pub cause: Option<Arc<PyErr>>,
    /// What is above the peer's certificate, up to the anchor's, DER; empty where no good path was found.
    pub path: Vec<Vec<u8>>,
    pub asked: Asked,
}

/// What was demanded of the chain.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Whose certificate it is: "server" or "client".
    pub purpose: &'static str,
    /// The name that it had to be for, where it had to be for one.
    pub name: Option<String>,
    /// Whose revocation had to be known: "none", "leaf" or "chain".
    pub revocation: &'static str,
    pub strict: bool,
    /// The peers and the keys that were allowed, in words; None where any was.
    pub allowed: Option<Vec<String>>,
    pub pinned: Option<Vec<String>>,
    /// Whether an OCSP response came along, or had to.
    pub ocsp: bool,
    pub trust: Option<Arc<Trust>>,
}

impl Rejection {
    pub fn new(kind: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), ..Self::default() }
    }

    pub fn at(mut self, time: UnixTime, bound: UnixTime) -> Self {
        (self.time, self.bound) = (Some(time.as_secs()), Some(bound.as_secs()));
        self
    }
}
