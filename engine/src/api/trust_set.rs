//! Trust anchors, intermediates and CRLs, as Python holds them.

use std::cell::LazyCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::api::crl::Crl;
use crate::error::{Thing, Unusable};
use crate::verify::certificate::outline;
use crate::verify::crl_scope::Points;
use crate::verify::trust::Trust;

#[derive(Clone, Debug)]
#[pyclass(frozen, module = "veritls._engine")]
pub struct TrustSet(pub Arc<Trust>);

#[pymethods]
impl TrustSet {
    /// What `certificates` (DER) and the CRLs `crls` make; of CRLs that follow one another the first
    /// that is signed as it should be counts. Refuses what cannot be read. `unread`: what the program could not
    /// read, for the explanation of a refusal. `intermediates` (DER) help to build paths and are never trusted.
    /// `bundles`: the anchors of each SPIFFE trust domain; then `certificates` count for nobody.
    #[new]
    #[pyo3(signature = (
        certificates, crls, partial_chain, unread = Vec::new(), intermediates = Vec::new(), bundles = None
    ))]
    fn new(
        certificates: Vec<Vec<u8>>,
        crls: Vec<PyRef<'_, Crl>>,
        partial_chain: bool,
        unread: Vec<String>,
        intermediates: Vec<Vec<u8>>,
        bundles: Option<HashMap<String, Vec<Vec<u8>>>>,
    ) -> PyResult<Self> {
        let trust = match bundles {
            None => Trust::of(certificates, partial_chain)?,
            Some(bundles) => Trust::of_domains(bundles)?,
        };
        let mut trust = trust.helped_by(intermediates)?;
        trust.unread = unread;
        let crls: Vec<_> = crls.iter().map(|crl| crl.0.clone()).collect();
        trust.add_crls(&crls);
        Ok(Self(Arc::new(trust)))
    }

    /// With the same certificates, which are not read anew, and with its own note of those that paths ended in; without
    /// CRLs.
    fn fresh(&self) -> Self {
        let mut trust = self.0.fresh();
        trust.unread.clone_from(&self.0.unread);
        Self(Arc::new(trust))
    }

    /// The certificates of that subject (DER with its header), each with whether it is an anchor.
    fn by_subject<'py>(&self, py: Python<'py>, subject: &[u8]) -> Vec<(Bound<'py, PyBytes>, bool)> {
        let found = self.0.indices(subject).into_iter();
        found
            .filter_map(|index| Some((index, self.0.certificate(index)?)))
            .map(|(index, der)| (PyBytes::new(py, der), index < self.0.anchors.len()))
            .collect()
    }

    /// Whether a certificate (DER) only helps to build paths.
    fn helps(&self, der: &[u8]) -> bool {
        self.0.helps(der)
    }

    /// How many anchors there are.
    #[getter]
    fn anchors(&self) -> usize {
        self.0.anchors.len()
    }

    /// Whether the anchors depend on the trust domain of the peer's SPIFFE ID.
    #[getter]
    fn by_trust_domain(&self) -> bool {
        self.0.domains().is_some() || self.0.domain.is_some()
    }

    /// The trust domain for whose peers these are the anchors; None where they are for all.
    #[getter]
    fn trust_domain(&self) -> Option<String> {
        self.0.domain.clone()
    }

    #[getter]
    fn unread(&self) -> Vec<String> {
        self.0.unread.clone()
    }

    /// Whether a CRL of the issuer of a certificate (DER) is here, and since when it has it as revoked, in
    /// seconds since 1970; the latter by CRLs only that counted for a verified path. Raises for what cannot be
    /// read.
    fn listed(&self, der: &[u8]) -> PyResult<(bool, Option<u64>)> {
        let certificate = outline(der).map_err(|why| Unusable::new(Thing::Certificate, why))?;
        let points = LazyCell::new(|| Points::of(&certificate));
        let lines = self.0.lines_of(certificate.issuer().as_raw());
        let mut counted = lines.iter().flatten().filter(|crl| crl.confirmed() && crl.covers(|| &points));
        let since = counted.find_map(|crl| crl.revoked_since(certificate.raw_serial()));
        Ok((!lines.is_empty(), since))
    }

    /// The anchors in which a path ended so far, DER.
    fn used<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        let anchors = self.0.anchor_certificates.iter().zip(&self.0.used);
        let used = anchors.filter(|(_, used)| used.load(Ordering::Relaxed));
        used.map(|(der, _)| PyBytes::new(py, der)).collect()
    }
}
