//! Whom to trust: anchors, certificates trusted by themselves, helpers for building paths. All from DER.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use der::Decode;
use der::asn1::AnyRef;
use rustls::pki_types::{CertificateDer, TrustAnchor};
use webpki::anchor_from_trusted_cert;

use crate::error::{Thing, Unusable};
use crate::verify::certificate::{self, Examined, examine};
use crate::verify::crl::List;

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

    pub fn certificate(&self, index: usize) -> Option<&CertificateDer<'static>> {
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

    pub fn indices(&self, subject: &[u8]) -> &[usize] {
        self.by_subject.get(subject).map_or(&[], Vec::as_slice)
    }

    /// Puts CRLs in: those that follow one another in one line.
    pub fn add_lists(&mut self, lists: impl IntoIterator<Item = Arc<List>>) {
        for list in lists {
            let lines = self.lines.entry(list.issuer.clone()).or_default();
            match lines.iter_mut().find(|line| line.first().is_some_and(|first| list.follows(first))) {
                Some(line) => line.push(list),
                None => lines.push(vec![list]),
            }
        }
    }

    /// A self-issued certificate ends a path and is trusted by itself; with `partial_chain` any is. Others
    /// may stand within a path. All DER.
    pub fn of(certificates: Vec<Vec<u8>>, partial_chain: bool) -> Result<Self, Unusable> {
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
                trust.helpers_of.entry(subject).or_default().push(trust.helpers.len());
                trust.helpers.push(certificate);
                continue;
            }
            let anchor = anchor_from_trusted_cert(&certificate)
                .map_err(|why| Unusable::new(Thing::TrustAnchor, why))?
                .to_owned();
            trust.anchors_of.entry(anchor.subject.to_vec()).or_default().push(trust.anchors.len());
            trust.by_itself.insert(certificate.to_vec(), examined);
            trust.anchors.push(anchor);
            trust.anchor_certificates.push(certificate);
            trust.used.push(AtomicBool::new(false));
        }
        // Not when it is first asked for: a process forked meanwhile would wait for ever.
        for (index, der) in trust.anchor_certificates.iter().chain(&trust.helpers).enumerate() {
            let read = certificate::outline(der).map_err(|why| Unusable::new(Thing::Certificate, why))?;
            trust.by_subject.entry(read.subject().as_raw().to_vec()).or_default().push(index);
        }
        Ok(trust)
    }
}
