//! What a context trusts: anchors, certificates trusted by themselves, for all peers or by SPIFFE trust domain;
//! intermediates for building paths. All from DER.

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
use crate::verify::spiffe::is_trust_domain;

/// CRLs that follow one another.
type Line = Vec<Arc<Crl>>;

/// The certificates, which others may share, and what belongs to one set.
#[derive(Debug, Default)]
pub struct Trust {
    certificates: Arc<Certificates>,
    /// What helps to build paths and is never trusted.
    helping: Arc<Intermediates>,
    /// Whether a path ended in the anchor, in the order of `anchors`.
    pub used: Vec<AtomicBool>,
    /// By their issuer (DER), each line in the order in which its CRLs are tried.
    lines: Arc<HashMap<Vec<u8>, Vec<Line>>>,
    /// What could not be read of the system's trust, in words.
    pub unread: Vec<String>,
    /// What counts for peers of each SPIFFE trust domain. This set has no anchor then: one that is used by mistake
    /// trusts nobody.
    domains: Option<HashMap<String, Arc<Trust>>>,
    /// The one SPIFFE trust domain for whose peers this set counts; None where it is for all.
    pub domain: Option<String>,
}

impl Deref for Trust {
    type Target = Certificates;

    fn deref(&self) -> &Certificates {
        &self.certificates
    }
}

/// Certificates that end no path.
#[derive(Debug, Default)]
pub struct Intermediates {
    certificates: Vec<CertificateDer<'static>>,
    /// Indices, by subject as webpki tells it (DER without its header).
    of: HashMap<Vec<u8>, Vec<usize>>,
    /// The same by subject (DER).
    by_subject: HashMap<Vec<u8>, Vec<usize>>,
}

impl Intermediates {
    fn of(certificates: Vec<Vec<u8>>) -> Result<Self, Unusable> {
        let mut found = Self::default();
        for der in certificates {
            examine(&der).map_err(unusable)?;
            found.add(CertificateDer::from(der))?;
        }
        Ok(found)
    }

    fn add(&mut self, certificate: CertificateDer<'static>) -> Result<(), Unusable> {
        let subject = subject_of(&certificate)?;
        let bare = AnyRef::from_der(&subject).map(|name| name.value().to_vec()).map_err(unusable)?;
        let index = self.certificates.len();
        self.of.entry(bare).or_default().push(index);
        self.by_subject.entry(subject).or_default().push(index);
        self.certificates.push(certificate);
        Ok(())
    }
}

#[derive(Debug, Default)]
pub struct Certificates {
    pub anchors: Vec<TrustAnchor<'static>>,
    /// The certificates of the anchors, in the same order.
    pub anchor_certificates: Vec<CertificateDer<'static>>,
    /// Those of the trust set that are no anchors.
    between: Intermediates,
    pub by_itself: HashMap<Vec<u8>, Examined>,
    /// Indices into the anchors, by subject as webpki tells it (DER without its header).
    anchors_of: HashMap<Vec<u8>, Vec<usize>>,
    /// The same by subject (DER).
    by_subject: HashMap<Vec<u8>, Vec<usize>>,
}

fn unusable(why: impl ToString) -> Unusable {
    Unusable::new(Thing::Certificate, why)
}

fn subject_of(der: &[u8]) -> Result<Vec<u8>, Unusable> {
    Ok(certificate::outline(der).map_err(unusable)?.subject().as_raw().to_vec())
}

impl Certificates {
    /// The anchors of that subject, DER without its header.
    pub fn anchors_of(&self, subject: &[u8]) -> &[usize] {
        self.anchors_of.get(subject).map_or(&[], Vec::as_slice)
    }

    /// How many subtrees the name constraints of an anchor have.
    pub fn constraints_of(&self, anchor: usize) -> usize {
        let certificate = self.anchor_certificates.get(anchor);
        certificate.and_then(|der| self.by_itself.get(der.as_ref())).map_or(0, |found| found.constraints)
    }

    fn of(certificates: Vec<Vec<u8>>, partial_chain: bool) -> Result<Self, Unusable> {
        let mut trust = Self::default();
        for der in certificates {
            let examined = examine(&der).map_err(unusable)?;
            let certificate = CertificateDer::from(der);
            if !(examined.self_issued || partial_chain) {
                trust.between.add(certificate)?;
                continue;
            }
            let anchor = anchor_from_trusted_cert(&certificate)
                .map_err(|why| Unusable::new(Thing::TrustAnchor, why))?
                .to_owned();
            let index = trust.anchors.len();
            trust.anchors_of.entry(anchor.subject.to_vec()).or_default().push(index);
            // Not when it is first asked for: a process forked meanwhile would wait for ever.
            trust.by_subject.entry(subject_of(&certificate)?).or_default().push(index);
            trust.by_itself.insert(certificate.to_vec(), examined);
            trust.anchors.push(anchor);
            trust.anchor_certificates.push(certificate);
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

    /// What counts for peers of each trust domain: its anchors, which must be CAs. All DER.
    pub fn of_domains(bundles: HashMap<String, Vec<Vec<u8>>>) -> Result<Self, Unusable> {
        let mut domains = HashMap::new();
        for (domain, bundle) in bundles {
            if !is_trust_domain(&domain) {
                return Err(Unusable::new(Thing::TrustAnchor, "not_a_trust_domain"));
            }
            let certificates = Certificates::of(bundle, true)?;
            if !certificates.by_itself.values().all(|examined| examined.is_ca) {
                return Err(Unusable::new(Thing::TrustAnchor, "not_a_ca"));
            }
            let trust = Self { domain: Some(domain.clone()), ..Self::with(Arc::new(certificates)) };
            domains.insert(domain, Arc::new(trust));
        }
        Ok(Self { domains: Some(domains), ..Self::default() })
    }

    /// With certificates that help to build paths (DER), here and for each trust domain.
    pub fn helped_by(mut self, intermediates: Vec<Vec<u8>>) -> Result<Self, Unusable> {
        if !intermediates.is_empty() {
            let helping = Arc::new(Intermediates::of(intermediates)?);
            self.each(&mut |trust| trust.helping = Arc::clone(&helping));
        }
        Ok(self)
    }

    /// Changes this set and those of the trust domains, which nobody else has yet.
    fn each(&mut self, change: &mut dyn FnMut(&mut Self)) {
        change(self);
        for trust in self.domains.iter_mut().flat_map(HashMap::values_mut) {
            Arc::get_mut(trust).into_iter().for_each(&mut *change);
        }
    }

    /// With the same certificates, of which no path has used one; without CRLs.
    pub fn fresh(&self) -> Self {
        Self { helping: Arc::clone(&self.helping), ..Self::with(Arc::clone(&self.certificates)) }
    }

    fn with(certificates: Arc<Certificates>) -> Self {
        let used = certificates.anchors.iter().map(|_| AtomicBool::new(false)).collect();
        Self { certificates, used, ..Self::default() }
    }

    /// What counts for peers of each SPIFFE trust domain; None where the anchors here count for all peers.
    pub fn domains(&self) -> Option<&HashMap<String, Arc<Self>>> {
        self.domains.as_ref()
    }

    /// Those of that subject (DER without its header) that end no path, by index.
    pub fn intermediates_of(&self, subject: &[u8]) -> impl Iterator<Item = usize> {
        let of = |those: &Intermediates| those.of.get(subject).cloned().unwrap_or_default();
        let first = self.certificates.between.certificates.len();
        of(&self.certificates.between)
            .into_iter()
            .chain(of(&self.helping).into_iter().map(move |index| first + index))
    }

    /// One that ends no path.
    pub fn intermediate(&self, index: usize) -> &CertificateDer<'static> {
        let between = &self.certificates.between.certificates;
        between.get(index).unwrap_or_else(|| &self.helping.certificates[index - between.len()])
    }

    /// Those of the trust set that are no anchors, and those that only help, in two lists.
    pub fn intermediates(&self) -> [&[CertificateDer<'static>]; 2] {
        [&self.certificates.between.certificates, &self.helping.certificates]
    }

    /// Whether a certificate only helps to build paths.
    pub fn helps(&self, der: &[u8]) -> bool {
        let [_, helping] = self.intermediates();
        !self.by_itself.contains_key(der) && helping.iter().any(|each| each.as_ref() == der)
    }

    /// The certificates of the anchors, then those that end no path.
    pub fn certificates(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        let [between, helping] = self.intermediates();
        self.anchor_certificates.iter().chain(between).chain(helping)
    }

    pub fn certificate(&self, index: usize) -> Option<&CertificateDer<'static>> {
        self.certificates().nth(index)
    }

    /// The certificates of a subject (DER), anchors first, DER.
    pub fn of_subject(&self, subject: &[u8]) -> impl Iterator<Item = &[u8]> {
        self.indices(subject).into_iter().filter_map(|index| self.certificate(index)).map(AsRef::as_ref)
    }

    /// The same by index into `certificates`.
    pub fn indices(&self, subject: &[u8]) -> Vec<usize> {
        let anchors = self.certificates.by_subject.get(subject);
        let mut found = anchors.cloned().unwrap_or_default();
        let mut first = self.anchors.len();
        for those in [&self.certificates.between, &*self.helping] {
            found.extend(those.by_subject.get(subject).into_iter().flatten().map(|index| first + index));
            first += those.certificates.len();
        }
        found
    }

    /// The CRLs of an issuer (DER), line by line.
    pub fn lines_of(&self, issuer: &[u8]) -> &[Line] {
        self.lines.get(issuer).map_or(&[], Vec::as_slice)
    }

    /// All CRLs.
    pub fn crls(&self) -> impl Iterator<Item = &Arc<Crl>> {
        self.lines.values().flatten().flatten()
    }

    /// Puts CRLs in, here and for each trust domain: those that follow one another in one line.
    pub fn add_crls(&mut self, crls: &[Arc<Crl>]) {
        let mut by_issuer = HashMap::clone(&self.lines);
        for crl in crls {
            let lines = by_issuer.entry(crl.issuer.clone()).or_default();
            match lines.iter_mut().find(|line| line.first().is_some_and(|first| crl.follows(first))) {
                Some(line) => line.push(crl.clone()),
                None => lines.push(vec![crl.clone()]),
            }
        }
        let lines = Arc::new(by_issuer);
        self.each(&mut |trust| trust.lines = Arc::clone(&lines));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANCHOR: &[u8] = include_bytes!("../../fuzz/seeds/certificate/anchor");
    const LEAF: &[u8] = include_bytes!("../../fuzz/seeds/certificate/below");

    fn bundles(domain: &str, der: &[u8]) -> HashMap<String, Vec<Vec<u8>>> {
        HashMap::from([(domain.to_owned(), vec![der.to_vec()])])
    }

    #[test]
    fn with_trust_domains_the_set_itself_has_no_anchor() {
        let trust = Trust::of_domains(bundles("a.example", ANCHOR)).expect("a set");
        assert!(trust.anchors.is_empty() && trust.by_itself.is_empty());
        let domains = trust.domains().expect("domains");
        let of_a = domains.get("a.example").expect("a domain");
        assert_eq!((of_a.anchors.len(), of_a.domain.as_deref()), (1, Some("a.example")));
        assert!(of_a.domains().is_none());
    }

    #[test]
    fn an_empty_map_is_a_map() {
        let trust = Trust::of_domains(HashMap::new()).expect("a set");
        assert!(trust.domains().is_some_and(HashMap::is_empty));
    }

    #[test]
    fn a_bundle_of_a_leaf_or_of_no_trust_domain_is_refused() {
        assert!(Trust::of_domains(bundles("a.example", LEAF)).is_err());
        for domain in ["", "A.example", "a.example/", "spiffe://a.example", "a:1"] {
            assert!(Trust::of_domains(bundles(domain, ANCHOR)).is_err(), "{domain}");
        }
    }

    #[test]
    fn intermediates_are_found_after_the_trust_set_s_own_and_are_no_anchors() {
        for partial_chain in [false, true] {
            let trust = Trust::of(vec![ANCHOR.to_vec()], partial_chain).expect("a set");
            let trust = trust.helped_by(vec![ANCHOR.to_vec(), LEAF.to_vec()]).expect("a set");
            assert_eq!(trust.anchors.len(), 1);
            assert!(!trust.by_itself.contains_key(LEAF));
            let subject = subject_of(ANCHOR).expect("a name");
            assert_eq!(trust.indices(&subject), [0, 1]);
            assert_eq!(trust.certificates().count(), 3);
            assert_eq!(trust.certificate(2).map(AsRef::as_ref), Some(LEAF));
            assert!(trust.helps(LEAF) && !trust.helps(ANCHOR));
        }
    }

    #[test]
    fn every_trust_domain_has_the_intermediates_and_the_crls() {
        let trust = Trust::of_domains(bundles("a.example", ANCHOR)).expect("a set");
        let trust = trust.helped_by(vec![LEAF.to_vec()]).expect("a set");
        for each in trust.domains().expect("domains").values().map(Arc::as_ref).chain([&trust]) {
            assert!(each.helps(LEAF));
        }
    }
}
