//! Whom to trust: anchors, certificates trusted by themselves, helpers for building paths. All from DER.

use std::collections::HashMap;
use std::sync::Arc;

use pyo3::prelude::*;
use rustls::pki_types::{CertificateDer, TrustAnchor};
use webpki::anchor_from_trusted_cert;

use crate::failure::Failure;

/// What a certificate that is itself trusted may be used for, read when it was loaded.
#[derive(Clone, Debug)]
pub struct Itself {
    pub not_before: u64,
    pub not_after: u64,
    pub for_servers: bool,
    pub for_clients: bool,
}

#[derive(Debug, Default)]
pub struct Trust {
    pub anchors: Vec<TrustAnchor<'static>>,
    pub helpers: Vec<CertificateDer<'static>>,
    pub by_itself: HashMap<Vec<u8>, Itself>,
}

#[pyclass(frozen, module = "veritls._engine")]
pub struct TrustSet(pub Arc<Trust>);

#[pymethods]
impl TrustSet {
    /// `anchors`: certificates that end a path. `helpers`: certificates that may stand within one.
    /// `by_itself`: (DER, not_before, not_after, for_servers, for_clients), times in seconds since 1970.
    #[new]
    fn new(
        anchors: Vec<Vec<u8>>,
        helpers: Vec<Vec<u8>>,
        by_itself: Vec<(Vec<u8>, i64, i64, bool, bool)>,
    ) -> PyResult<Self> {
        let mut trust = Trust::default();
        for der in anchors {
            let der = CertificateDer::from(der);
            let anchor = anchor_from_trusted_cert(&der)
                .map_err(|why| Failure::Unusable { what: "trust anchor", why: why.to_string() })?;
            trust.anchors.push(anchor.to_owned());
        }
        trust.helpers = helpers.into_iter().map(CertificateDer::from).collect();
        let seconds = |time: i64| u64::try_from(time).unwrap_or(0);
        for (der, not_before, not_after, for_servers, for_clients) in by_itself {
            let (not_before, not_after) = (seconds(not_before), seconds(not_after));
            trust.by_itself.insert(der, Itself { not_before, not_after, for_servers, for_clients });
        }
        Ok(Self(Arc::new(trust)))
    }
}

/// The certificates that the operating system trusts, DER, and what could not be read of them, in words.
#[pyfunction]
pub fn system_certificates(py: Python<'_>) -> (Vec<Vec<u8>>, Vec<String>) {
    let found = py.detach(rustls_native_certs::load_native_certs);
    let errors = found.errors.iter().map(ToString::to_string).collect();
    (found.certs.into_iter().map(|der| der.to_vec()).collect(), errors)
}
