//! Whom to trust: anchors, certificates trusted by themselves, helpers for building paths. All from DER.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use der::{Reader, SliceReader};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustls::pki_types::{CertificateDer, TrustAnchor};
use webpki::{CertRevocationList, OwnedCertRevocationList, anchor_from_trusted_cert};

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
    /// The certificates of the anchors, in the same order.
    pub anchor_certificates: Vec<CertificateDer<'static>>,
    /// Whether a path ended in the anchor, in the same order.
    pub used: Vec<AtomicBool>,
    pub helpers: Vec<CertificateDer<'static>>,
    pub by_itself: HashMap<Vec<u8>, Itself>,
    pub crls: Vec<CertRevocationList<'static>>,
}

#[pyclass(frozen, module = "veritls._engine")]
pub struct TrustSet(pub Arc<Trust>);

#[pymethods]
impl TrustSet {
    /// `anchors`: certificates that end a path. `helpers`: certificates that may stand within one.
    /// `by_itself`: (DER, not_before, not_after, for_servers, for_clients), times in seconds since 1970.
    /// `crls`: revocation lists, DER.
    #[new]
    #[pyo3(signature = (anchors, helpers, by_itself, crls = Vec::new()))]
    fn new(
        anchors: Vec<Vec<u8>>,
        helpers: Vec<Vec<u8>>,
        by_itself: Vec<(Vec<u8>, i64, i64, bool, bool)>,
        crls: Vec<Vec<u8>>,
    ) -> PyResult<Self> {
        let mut trust = Trust::default();
        for der in anchors {
            let der = CertificateDer::from(der);
            let anchor = anchor_from_trusted_cert(&der)
                .map_err(|why| Failure::Unusable { what: "trust anchor", why: why.to_string() })?;
            trust.anchors.push(anchor.to_owned());
            trust.anchor_certificates.push(der);
            trust.used.push(AtomicBool::new(false));
        }
        trust.helpers = helpers.into_iter().map(CertificateDer::from).collect();
        let seconds = |time: i64| u64::try_from(time).unwrap_or(0);
        for (der, not_before, not_after, for_servers, for_clients) in by_itself {
            let (not_before, not_after) = (seconds(not_before), seconds(not_after));
            trust.by_itself.insert(der, Itself { not_before, not_after, for_servers, for_clients });
        }
        for der in crls {
            let crl = OwnedCertRevocationList::from_der(&der)
                .map_err(|why| Failure::Unusable { what: "revocation list", why: why.to_string() })?;
            trust.crls.push(crl.into());
        }
        Ok(Self(Arc::new(trust)))
    }

    /// The anchors in which a path ended so far, DER.
    fn used<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        let anchors = self.0.anchor_certificates.iter().zip(&self.0.used);
        let used = anchors.filter(|(_, used)| used.load(Ordering::Relaxed));
        used.map(|(der, _)| PyBytes::new(py, der)).collect()
    }
}

/// The elements of a string of DER, one after the other.
#[pyfunction]
pub fn split_der(data: &[u8]) -> PyResult<Vec<Vec<u8>>> {
    let unusable = |why: der::Error| Failure::Unusable { what: "DER", why: why.to_string() };
    let mut reader = SliceReader::new(data).map_err(unusable)?;
    let mut elements = Vec::new();
    while !reader.is_finished() {
        elements.push(reader.tlv_bytes().map_err(unusable)?.to_vec());
    }
    Ok(elements)
}

/// The certificates that the operating system trusts, DER, and what could not be read of them, in words.
#[pyfunction]
pub fn system_certificates(py: Python<'_>) -> (Vec<Vec<u8>>, Vec<String>) {
    let found = py.detach(rustls_native_certs::load_native_certs);
    let errors = found.errors.iter().map(ToString::to_string).collect();
    (found.certs.into_iter().map(|der| der.to_vec()).collect(), errors)
}
