//! What a context trusts: anchors, certificates trusted by themselves; intermediates for building paths. All from DER.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use der::Decode;
use der::asn1::AnyRef;
use rustls::pki_types::{CertificateDer, TrustAnchor};
use webpki::anchor_from_trusted_cert;

use crate::error::{Thing, Unusable};
use crate::verify::certificate::{self, Examined, examine};
use crate::verify::crl::Crl;

/// The certificates, which others may share, and what belongs to one set.
#[derive(Debug, Default)]
pub struct Trust {
    certificates: Arc<Certificates>,
    /// Whether a path ended in the anchor, in the order of `anchors`.
    pub used: Vec<AtomicBool>,
    /// By their issuer (DER): the CRLs that follow one another, each line in the order in which they are tried.
    lines: HashMap<Vec<u8>, Vec<Vec<Arc<Crl>>>>,
    /// What could not be read of the system's trust, in words.
    pub unread: Vec<String>,
}

impl Deref for Trust {
    type Target = Certificates;

    fn deref(&self) -> &Certificates {
        &self.certificates
    }
}

#[derive(Debug, Default)]
pub struct Certificates {
    pub anchors: Vec<TrustAnchor<'static>>,
    /// The certificates of the anchors, in the same order.
    pub anchor_certificates: Vec<CertificateDer<'static>>,
    pub intermediates: Vec<CertificateDer<'static>>,
    pub by_itself: HashMap<Vec<u8>, Examined>,
    /// Indices into the anchors and the intermediates, by subject as webpki tells it (DER without its header).
    anchors_of: HashMap<Vec<u8>, Vec<usize>>,
    intermediates_of: HashMap<Vec<u8>, Vec<usize>>,
    /// Indices into the anchors, then the intermediates, by subject (DER).
    by_subject: HashMap<Vec<u8>, Vec<usize>>,
}

impl Certificates {
    /// The anchors of that subject, DER without its header.
    pub fn anchors_of(&self, subject: &[u8]) -> &[usize] {
        self.anchors_of.get(subject).map_or(&[], Vec::as_slice)
    }

    /// The intermediates of that subject, DER without its header.
    pub fn intermediates_of(&self, subject: &[u8]) -> &[usize] {
        self.intermediates_of.get(subject).map_or(&[], Vec::as_slice)
    }

    /// How many subtrees the name constraints of an anchor have.
    pub fn constraints_of(&self, anchor: usize) -> usize {
        let certificate = self.anchor_certificates.get(anchor);
        certificate.and_then(|der| self.by_itself.get(der.as_ref())).map_or(0, |found| found.constraints)
    }

    /// The certificates of the anchors, then the intermediates.
    pub fn certificates(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.anchor_certificates.iter().chain(&self.intermediates)
    }

    pub fn certificate(&self, index: usize) -> Option<&CertificateDer<'static>> {
        self.certificates().nth(index)
    }

    /// The certificates of a subject (DER), anchors first, DER.
    pub fn of_subject(&self, subject: &[u8]) -> impl Iterator<Item = &[u8]> {
        self.indices(subject).iter().filter_map(|index| self.certificate(*index)).map(AsRef::as_ref)
    }

    pub fn indices(&self, subject: &[u8]) -> &[usize] {
        self.by_subject.get(subject).map_or(&[], Vec::as_slice)
    }

    fn of(certificates: Vec<Vec<u8>>, partial_chain: bool) -> Result<Self, Unusable> {
        let mut trust = Self::default();
        for der in certificates {
            let examined = examine(&der).map_err(|why| Unusable::new(Thing::Certificate, why))?;
            let certificate = CertificateDer::from(der);
            if !(examined.self_issued || partial_chain) {
                let subject = certificate::subject_and_issuer(&certificate)
                    .map_err(|why| Unusable::new(Thing::Certificate, why))?
                    .0;
                let subject = AnyRef::from_der(&subject).map(|name| name.value().to_vec());
                let subject = subject.map_err(|why| Unusable::new(Thing::Certificate, why))?;
                trust.intermediates_of.entry(subject).or_default().push(trust.intermediates.len());
                trust.intermediates.push(certificate);
                continue;
            }
            let anchor = anchor_from_trusted_cert(&certificate)
                .map_err(|why| Unusable::new(Thing::TrustAnchor, why))?
                .to_owned();
            trust.anchors_of.entry(anchor.subject.to_vec()).or_default().push(trust.anchors.len());
            trust.by_itself.insert(certificate.to_vec(), examined);
            trust.anchors.push(anchor);
            trust.anchor_certificates.push(certificate);
        }
        // Not when it is first asked for: a process forked meanwhile would wait for ever.
        for (index, der) in trust.anchor_certificates.iter().chain(&trust.intermediates).enumerate() {
            let read = certificate::outline(der).map_err(|why| Unusable::new(Thing::Certificate, why))?;
            trust.by_subject.entry(read.subject().as_raw().to_vec()).or_default().push(index);
        }
        Ok(trust)
    }
}

impl Trust {
    /// A self-issued certificate ends a path and is trusted by itself; with `partial_chain` any is. Others
    /// may stand within a path. All DER.
    pub fn of(certificates: Vec<Vec<u8>>, partial_chain: bool) -> Result<Self, Unusable> {
        Ok(Self::with(Arc::new(Certificates::of(certificates, partial_chain)?)))
    }

    /// With the same certificates, of which no path has used one; without CRLs.
    pub fn fresh(&self) -> Self {
        Self::with(Arc::clone(&self.certificates))
    }

    fn with(certificates: Arc<Certificates>) -> Self {
        let used = certificates.anchors.iter().map(|_| AtomicBool::new(false)).collect();
        Self { certificates, used, ..Self::default() }
    }

    /// The CRLs of an issuer (DER), line by line.
    pub fn lines_of(&self, issuer: &[u8]) -> &[Vec<Arc<Crl>>] {
        self.lines.get(issuer).map_or(&[], Vec::as_slice)
    }

    /// All CRLs.
    pub fn crls(&self) -> impl Iterator<Item = &Arc<Crl>> {
        self.lines.values().flatten().flatten()
    }

    /// Puts CRLs in: those that follow one another in one line.
    pub fn add_crls(&mut self, crls: impl IntoIterator<Item = Arc<Crl>>) {
        for crl in crls {
            let lines = self.lines.entry(crl.issuer.clone()).or_default();
            match lines.iter_mut().find(|line| line.first().is_some_and(|first| crl.follows(first))) {
                Some(line) => line.push(crl),
                None => lines.push(vec![crl]),
            }
        }
    }
}
