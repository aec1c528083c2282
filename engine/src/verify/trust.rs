//! Whom to trust: anchors, certificates trusted by themselves, helpers for building paths. All from DER.

use std::cell::LazyCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use der::Decode;
use der::asn1::AnyRef;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustls::pki_types::{CertificateDer, TrustAnchor};
use webpki::anchor_from_trusted_cert;

use crate::tls::failure::Failure;
use crate::verify::certificate::{self, Examined, examine, outline, split};
use crate::verify::crl::{List, RevocationList};
use crate::verify::crl_scope::Points;

#[derive(Debug, Default)]
pub struct Trust {
    pub anchors: Vec<TrustAnchor<'static>>,
    /// The certificates of the anchors, in the same order.
    pub anchor_certificates: Vec<CertificateDer<'static>>,
    /// Whether a path ended in the anchor, in the same order.
    pub used: Vec<AtomicBool>,
    pub helpers: Vec<CertificateDer<'static>>,
    pub by_itself: HashMap<Vec<u8>, Examined>,
    /// By their issuer (DER): the CRLs that follow one another, each line in the order in which they are tried.
    lines: HashMap<Vec<u8>, Vec<Vec<Arc<List>>>>,
    /// Indices into the anchors and the helpers, by subject as webpki tells it (DER without its header).
    anchors_of: HashMap<Vec<u8>, Vec<usize>>,
    helpers_of: HashMap<Vec<u8>, Vec<usize>>,
    /// Indices into the anchors, then the helpers, by subject (DER).
    by_subject: HashMap<Vec<u8>, Vec<usize>>,
    /// What could not be read of the system's trust, in words.
    pub unread: Vec<String>,
}

impl Trust {
    /// The anchors of that subject, DER without its header.
    pub fn anchors_of(&self, subject: &[u8]) -> &[usize] {
        self.anchors_of.get(subject).map_or(&[], Vec::as_slice)
    }

    /// The helpers of that subject, DER without its header.
    pub fn helpers_of(&self, subject: &[u8]) -> &[usize] {
        self.helpers_of.get(subject).map_or(&[], Vec::as_slice)
    }

    /// How many subtrees the name constraints of an anchor have.
    pub fn constraints_of(&self, anchor: usize) -> usize {
        let certificate = self.anchor_certificates.get(anchor);
        certificate.and_then(|der| self.by_itself.get(der.as_ref())).map_or(0, |found| found.constraints)
    }

    fn certificate(&self, index: usize) -> Option<&CertificateDer<'static>> {
        self.anchor_certificates.iter().chain(&self.helpers).nth(index)
    }

    /// The CRLs of an issuer (DER), line by line.
    pub fn lines_of(&self, issuer: &[u8]) -> &[Vec<Arc<List>>] {
        self.lines.get(issuer).map_or(&[], Vec::as_slice)
    }

    /// All CRLs.
    pub fn lists(&self) -> impl Iterator<Item = &Arc<List>> {
        self.lines.values().flatten().flatten()
    }

    /// The certificates of a subject (DER), anchors first, DER.
    pub fn of_subject(&self, subject: &[u8]) -> impl Iterator<Item = &[u8]> {
        self.indices(subject).iter().filter_map(|index| self.certificate(*index)).map(AsRef::as_ref)
    }

    fn indices(&self, subject: &[u8]) -> &[usize] {
        self.by_subject.get(subject).map_or(&[], Vec::as_slice)
    }

    /// A self-issued certificate ends a path and is trusted by itself; with `partial_chain` any is. Others
    /// may stand within a path. All DER.
    pub fn of(certificates: Vec<Vec<u8>>, partial_chain: bool) -> Result<Self, Failure> {
        let mut trust = Self::default();
        for der in certificates {
            let examined = examine(&der).map_err(|why| unusable("certificate", why))?;
            let certificate = CertificateDer::from(der);
            if !(examined.self_issued || partial_chain) {
                let subject = certificate::names(&certificate).map_err(|why| unusable("certificate", why))?.0;
                let subject = AnyRef::from_der(&subject).map(|name| name.value().to_vec());
                let subject = subject.map_err(|why| unusable("certificate", why.to_string()))?;
                trust.helpers_of.entry(subject).or_default().push(trust.helpers.len());
                trust.helpers.push(certificate);
                continue;
            }
            let anchor = anchor_from_trusted_cert(&certificate)
                .map_err(|why| unusable("trust anchor", why.to_string()))?
                .to_owned();
            trust.anchors_of.entry(anchor.subject.to_vec()).or_default().push(trust.anchors.len());
            trust.by_itself.insert(certificate.to_vec(), examined);
            trust.anchors.push(anchor);
            trust.anchor_certificates.push(certificate);
            trust.used.push(AtomicBool::new(false));
        }
        // Not when it is first asked for: a process forked meanwhile would wait for ever.
        for (index, der) in trust.anchor_certificates.iter().chain(&trust.helpers).enumerate() {
            let read = certificate::outline(der).map_err(|why| unusable("certificate", why))?;
            trust.by_subject.entry(read.subject().as_raw().to_vec()).or_default().push(index);
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
    /// What `certificates` (DER) and the revocation lists `crls` make; of lists that follow one another the first
    /// that is signed as it should be counts. Refuses what cannot be read. `unread`: what the program could not
    /// read, for who explains a refusal.
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
        for list in crls.iter().map(|list| &list.0) {
            let lines = trust.lines.entry(list.issuer.clone()).or_default();
            match lines.iter_mut().find(|line| line.first().is_some_and(|first| list.follows(first))) {
                Some(line) => line.push(list.clone()),
                None => lines.push(vec![list.clone()]),
            }
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
    /// seconds since 1970; the latter by lists only that counted for a verified path. Raises for what cannot be
    /// read.
    fn listed(&self, der: &[u8]) -> PyResult<(bool, Option<u64>)> {
        let certificate =
            certificate::outline(der).map_err(|why| Failure::Unusable { what: "certificate", why })?;
        let points = LazyCell::new(|| Points::of(&certificate));
        let lines = self.0.lines_of(certificate.issuer().as_raw());
        let mut counted = lines.iter().flatten().filter(|list| list.confirmed() && list.covers(|| &points));
        let since = counted.find_map(|list| list.revoked_since(certificate.raw_serial()));
        Ok((!lines.is_empty(), since))
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
        certificate::names(der).map_err(|why| Failure::Unusable { what: "certificate", why })?;
    Ok((PyBytes::new(py, &subject), PyBytes::new(py, &issuer)))
}

/// How many elements of DER a certificate holds: what reading it costs.
#[pyfunction]
pub fn elements(der: &[u8]) -> usize {
    certificate::elements(der)
}

/// The first `most` names of a certificate, as text, and how many it holds. Raises for what cannot be read.
#[pyfunction]
pub fn alternative_names(der: &[u8], most: usize) -> PyResult<(Vec<String>, usize)> {
    let names = certificate::alternative_names(der, most);
    Ok(names.map_err(|why| Failure::Unusable { what: "certificate", why })?)
}

/// Whether a certificate may sign others. Raises for what cannot be read.
#[pyfunction]
pub fn is_authority(der: &[u8]) -> PyResult<bool> {
    let examined = examine(der).map_err(|why| Failure::Unusable { what: "certificate", why })?;
    Ok(examined.authority)
}

/// Whether the serial number of a certificate (DER) is 0 or less, which RFC 5280, section 4.1.2.2, forbids.
#[pyfunction]
pub fn has_odd_serial(der: &[u8]) -> bool {
    outline(der).is_ok_and(|certificate| {
        let serial = certificate.raw_serial();
        serial.iter().all(|byte| *byte == 0) || serial[0] & 0x80 != 0
    })
}

/// The certificates that the operating system trusts, DER, and what could not be read of them, in words.
#[pyfunction]
pub fn system_certificates(py: Python<'_>) -> (Vec<Vec<u8>>, Vec<String>) {
    let found = py.detach(rustls_native_certs::load_native_certs);
    let errors = found.errors.iter().map(ToString::to_string).collect();
    (found.certs.into_iter().map(|der| der.to_vec()).collect(), errors)
}
