//! Whom to trust: anchors, certificates trusted by themselves, helpers for building paths. All from DER.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustls::pki_types::{CertificateDer, TrustAnchor};
use webpki::anchor_from_trusted_cert;

use crate::failure::Failure;
use crate::fingerprint::{Fingerprint, trust_fingerprint};
use crate::profile::{self, Examined, examine, split};
use crate::revocation::{List, RevocationList};

#[derive(Debug, Default)]
pub struct Trust {
    pub anchors: Vec<TrustAnchor<'static>>,
    /// The certificates of the anchors, in the same order.
    pub anchor_certificates: Vec<CertificateDer<'static>>,
    /// Whether a path ended in the anchor, in the same order.
    pub used: Vec<AtomicBool>,
    pub helpers: Vec<CertificateDer<'static>>,
    pub by_itself: HashMap<Vec<u8>, Examined>,
    /// Newest first.
    pub lists: Vec<Arc<List>>,
    /// By their issuer, as webpki tells it (DER without its header); without those that are scoped.
    pub lists_of: HashMap<Vec<u8>, Vec<Arc<List>>>,
    /// The issuers, DER, of lists without the number that RFC 5280 demands.
    pub unnumbered: HashSet<Vec<u8>>,
    /// What could not be read of the system's trust, in words.
    pub unread: Vec<String>,
    /// Indices into the anchors, then the helpers, by subject (DER); made for the first refusal.
    by_subject: OnceLock<HashMap<Vec<u8>, Vec<usize>>>,
    /// Of all this, made for the first server.
    digest: OnceLock<Fingerprint>,
}

impl Trust {
    fn certificate(&self, index: usize) -> Option<&CertificateDer<'static>> {
        self.anchor_certificates.iter().chain(&self.helpers).nth(index)
    }

    pub fn digest(&self) -> &Fingerprint {
        self.digest.get_or_init(|| trust_fingerprint(self))
    }

    fn indices(&self, subject: &[u8]) -> &[usize] {
        let by_subject = self.by_subject.get_or_init(|| {
            let mut indices: HashMap<_, Vec<_>> = HashMap::new();
            for (index, der) in self.anchor_certificates.iter().chain(&self.helpers).enumerate() {
                if let Ok((subject, _)) = profile::names(der) {
                    indices.entry(subject).or_default().push(index);
                }
            }
            indices
        });
        by_subject.get(subject).map_or(&[], Vec::as_slice)
    }

    /// A self-issued certificate ends a path and is trusted by itself; with `partial_chain` any is. Others
    /// may stand within a path. All DER.
    pub fn of(certificates: Vec<Vec<u8>>, partial_chain: bool) -> Result<Self, Failure> {
        let mut trust = Self::default();
        for der in certificates {
            let examined = examine(&der).map_err(|why| unusable("certificate", why))?;
            let certificate = CertificateDer::from(der);
            if !(examined.self_issued || partial_chain) {
                trust.helpers.push(certificate);
                continue;
            }
            let anchor = anchor_from_trusted_cert(&certificate)
                .map_err(|why| unusable("trust anchor", why.to_string()))?
                .to_owned();
            trust.by_itself.insert(certificate.to_vec(), examined);
            trust.anchors.push(anchor);
            trust.anchor_certificates.push(certificate);
            trust.used.push(AtomicBool::new(false));
        }
        Ok(trust)
    }
}

fn unusable(what: &'static str, why: String) -> Failure {
    Failure::Unusable { what, why }
}

#[derive(Clone, Debug)]
#[pyclass(frozen, module = "veritls._engine")]
pub struct TrustSet(pub Arc<Trust>);

#[pymethods]
impl TrustSet {
    /// What `certificates` (DER) and the revocation lists `crls` make. Refuses what cannot be read. `unread`: what
    /// the program could not read, for who explains a refusal.
    #[new]
    #[pyo3(signature = (certificates, crls, partial_chain, unread = Vec::new()))]
    fn new(
        certificates: Vec<Vec<u8>>,
        crls: Vec<PyRef<'_, RevocationList>>,
        partial_chain: bool,
        unread: Vec<String>,
    ) -> PyResult<Self> {
        let mut trust = Trust::of(certificates, partial_chain)?;
        trust.unread = unread;
        trust.lists = crls.iter().map(|list| list.0.clone()).collect();
        trust.lists.sort_by_key(|list| Reverse(list.this_update()));
        let unnumbered = trust.lists.iter().filter(|list| !list.numbered);
        trust.unnumbered = unnumbered.map(|list| list.issuer.clone()).collect();
        for list in trust.lists.iter().filter(|list| !list.scoped()) {
            trust.lists_of.entry(list.parsed.issuer().to_vec()).or_default().push(list.clone());
        }
        Ok(Self(Arc::new(trust)))
    }

    /// The certificates of that subject (DER with its header), each with whether it is an anchor.
    fn by_subject<'py>(&self, py: Python<'py>, subject: &[u8]) -> Vec<(Bound<'py, PyBytes>, bool)> {
        let found = self.0.indices(subject).iter();
        found
            .filter_map(|index| Some((*index, self.0.certificate(*index)?)))
            .map(|(index, der)| (PyBytes::new(py, der), index < self.0.anchors.len()))
            .collect()
    }

    /// How many anchors there are.
    #[getter]
    fn anchors(&self) -> usize {
        self.0.anchors.len()
    }

    #[getter]
    fn unread(&self) -> Vec<String> {
        self.0.unread.clone()
    }

    /// Whether a list of the issuer of a certificate (DER) is here, and since when it has it as revoked, in
    /// seconds since 1970. Whether the list counts is not looked at. Raises for what cannot be read.
    fn listed(&self, der: &[u8]) -> PyResult<(bool, Option<u64>)> {
        let certificate = CertificateDer::from(der);
        let unreadable = |why: webpki::Error| Failure::Unusable { what: "certificate", why: why.to_string() };
        let certificate = webpki::EndEntityCert::try_from(&certificate).map_err(unreadable)?;
        let lists = self.0.lists.iter().filter(|list| list.parsed.issuer() == certificate.issuer());
        let mut lists = lists.peekable();
        let found = lists.peek().is_some();
        let entry = lists.find_map(|list| list.parsed.find_serial(certificate.serial()).ok().flatten());
        Ok((found, entry.map(|entry| entry.revocation_date.as_secs())))
    }

    /// The anchors in which a path ended so far, DER.
    fn used<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        let anchors = self.0.anchor_certificates.iter().zip(&self.0.used);
        let used = anchors.filter(|(_, used)| used.load(Ordering::Relaxed));
        used.map(|(der, _)| PyBytes::new(py, der)).collect()
    }
}

/// The certificates of a string of DER, one after the other.
#[pyfunction]
pub fn split_certificates<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    let found = split(data).map_err(|why| Failure::Unusable { what: "certificate", why })?;
    Ok(found.into_iter().map(|der| PyBytes::new(py, der)).collect())
}

/// Subject and issuer of a certificate, DER. Raises for what cannot be read.
#[pyfunction]
pub fn names<'py>(py: Python<'py>, der: &[u8]) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
    let (subject, issuer) =
        profile::names(der).map_err(|why| Failure::Unusable { what: "certificate", why })?;
    Ok((PyBytes::new(py, &subject), PyBytes::new(py, &issuer)))
}

/// Whether a certificate may sign others. Raises for what cannot be read.
#[pyfunction]
pub fn is_authority(der: &[u8]) -> PyResult<bool> {
    let examined = examine(der).map_err(|why| Failure::Unusable { what: "certificate", why })?;
    Ok(examined.authority)
}

/// The certificates that the operating system trusts, DER, and what could not be read of them, in words.
#[pyfunction]
pub fn system_certificates(py: Python<'_>) -> (Vec<Vec<u8>>, Vec<String>) {
    let found = py.detach(rustls_native_certs::load_native_certs);
    let errors = found.errors.iter().map(ToString::to_string).collect();
    (found.certs.into_iter().map(|der| der.to_vec()).collect(), errors)
}
