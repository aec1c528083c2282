//! Whether the certificates of a path are revoked, by the CRLs that their issuers signed.
//!
//! A CA may sign its CRLs with another key than its certificates: after a change of keys, or where the key for
//! CRLs is kept apart. Then another certificate of the CA's name holds that key, and it must lead to the same trust
//! anchor (RFC 5280, section 6.3.3 (f)). Such certificates come from the trust set or from the peer, so how many are
//! looked at and how many signatures are computed is bounded. A signer has to be issued by a certificate of the
//! path, or by another such signer: the path itself is verified, so nothing above is asked again.

use std::cell::{Cell, LazyCell, OnceCell};
use std::collections::{HashMap, HashSet};

use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::{Error, VerifiedPath};
use x509_parser::certificate::X509Certificate;

use crate::verify::budget::Budget;
use crate::verify::certificate::{examine, key_usage, outline};
use crate::verify::crl::Crl;
use crate::verify::crl_scope::Points;
use crate::verify::signature_cache::algorithms;
use crate::verify::signed::Signed;
use crate::verify::trust::Trust;
use crate::verify::types::{Revocation, RevocationPolicy};

/// Certificates of a CA's name, besides its own in the path, that are looked at.
const MAX_NAMESAKES: usize = 16;
/// Signatures on them that are computed for one path.
const MAX_SIGNATURES: usize = 24;

/// The revocation check of one path.
pub struct RevocationCheck<'a> {
    trust: &'a Trust,
    policy: RevocationPolicy,
    /// For signatures on what the peer sent, paid for by its budget.
    algorithms: &'a [&'a dyn SignatureVerificationAlgorithm],
    budget: &'a Budget,
    /// The certificates that the peer sent above its own.
    sent: &'a [CertificateDer<'a>],
    now: UnixTime,
    /// Each of `sent` once, by its subject: paths are many, what was sent is the same.
    sent_by_subject: OnceCell<HashMap<Vec<u8>, Vec<Candidate<'a>>>>,
    computed: Cell<usize>,
    /// A bound was reached, and a CRL has no signer yet. webpki does not hand every error on.
    exhausted: Cell<bool>,
}

/// The CRLs that count for one certificate, each with its signer's certificate, DER.
#[derive(Default)]
struct Counted<'a> {
    crls: Vec<(&'a Crl, &'a [u8])>,
    /// Why another one that covers the certificate does not count.
    wrong: Option<Error>,
}

/// A certificate that might sign CRLs: good now, as far as it says itself.
#[derive(Clone)]
struct Candidate<'a> {
    der: &'a [u8],
    /// DER.
    issuer: Vec<u8>,
}

/// Other certificates of a CA's name that may sign its CRLs.
#[derive(Default)]
struct Namesakes<'a> {
    verified: Vec<&'a [u8]>,
    /// Whether a bound was reached before all were looked at.
    exhausted: bool,
}

impl<'a> RevocationCheck<'a> {
    pub fn new(
        trust: &'a Trust,
        policy: RevocationPolicy,
        (algorithms, budget): (&'a [&'a dyn SignatureVerificationAlgorithm], &'a Budget),
        sent: &'a [CertificateDer<'a>],
        now: UnixTime,
    ) -> Self {
        Self {
            trust,
            policy,
            algorithms,
            budget,
            sent,
            now,
            sent_by_subject: OnceCell::new(),
            computed: Cell::new(0),
            exhausted: Cell::new(false),
        }
    }

    /// Whether the check of a path ended at a bound.
    pub fn exhausted(&self) -> bool {
        self.exhausted.get()
    }

    /// Looks the certificates of a verified path up, DER, from the peer's own to the anchor's. Whether all CRLs that
    /// counted bear a number.
    pub fn check<'p>(&'p self, path: &[&'p [u8]]) -> Result<bool, Error> {
        let depth = match self.policy.of {
            Revocation::None => 0,
            Revocation::Leaf => 1,
            Revocation::Chain => usize::MAX,
        };
        let mut numbered = true;
        for below_anchor in (1..path.len()).take(depth) {
            let (certificate, above) = (path[below_anchor - 1], &path[below_anchor..]);
            numbered &= self.unrevoked(certificate, above)?;
        }
        Ok(numbered)
    }

    /// Looks a certificate up that is trusted by itself: only one that issued itself has an issuer to ask.
    pub fn check_itself(&self, itself: &[u8]) -> Result<bool, Error> {
        if self.policy.of == Revocation::None {
            return Ok(true);
        }
        match outline(itself) {
            Ok(certificate) if certificate.issuer().as_raw() == certificate.subject().as_raw() => {
                self.check(&[itself, itself])
            }
            _ if self.policy.accept_unknown => Ok(true),
            _ => Err(Error::UnknownRevocationStatus),
        }
    }

    /// The same of a path that webpki would take.
    pub fn check_verified(&self, path: &VerifiedPath<'_>) -> Result<bool, Error> {
        let trust = self.trust;
        let anchor = trust.anchors.iter().position(|each| std::ptr::eq(each, path.anchor()));
        let anchor = anchor.map(|index| trust.anchor_certificates[index].clone());
        let anchor = anchor.ok_or(Error::UnknownRevocationStatus)?;
        let intermediates = path.intermediate_certificates().map(|each| each.der());
        let whole: Vec<_> =
            std::iter::once(path.end_entity().der()).chain(intermediates).chain([anchor]).collect();
        let whole: Vec<&[u8]> = whole.iter().map(AsRef::as_ref).collect();
        self.check(&whole)
    }

    /// Looks one certificate up. `above`: its issuer's certificate, that one's, up to the anchor's.
    fn unrevoked<'p>(&'p self, certificate: &[u8], above: &[&'p [u8]]) -> Result<bool, Error> {
        let read = outline(certificate).map_err(|_| Error::BadDer)?;
        let counted = self.counted(&read, above, true)?;
        for (crl, signer) in &counted.crls {
            crl.confirm(signer);
        }
        let numbered = counted.crls.iter().all(|(crl, _)| crl.numbered);
        match self.status(&read, counted) {
            Some(known) => known.map(|()| numbered),
            None if self.policy.accept_unknown => Ok(true),
            None => Err(Error::UnknownRevocationStatus),
        }
    }

    /// Whether a certificate is revoked, where a CRL is there that covers it.
    pub fn known<'p>(&'p self, certificate: &[u8], above: &[&'p [u8]]) -> Option<Result<(), Error>> {
        let Ok(read) = outline(certificate) else { return Some(Err(Error::BadDer)) };
        match self.counted(&read, above, true) {
            Ok(counted) => self.status(&read, counted),
            Err(error) => Some(Err(error)),
        }
    }

    /// A CRL that is in time and names the certificate refuses it, whichever key of the CA signed it and however old
    /// the others are; the newest has to be in time.
    fn status(&self, certificate: &X509Certificate<'_>, counted: Counted<'_>) -> Option<Result<(), Error>> {
        let newest = counted.crls.iter().map(|(crl, _)| crl).max_by_key(|crl| crl.this_update);
        let Some(newest) = newest else { return counted.wrong.map(Err) };
        let mut current = counted.crls.iter().filter(|(crl, _)| crl.in_time(self.now).is_ok());
        let unnamed = current.try_for_each(|(crl, _)| crl.check(certificate.raw_serial()));
        Some(unnamed.and_then(|()| newest.in_time(self.now)))
    }

    /// Of each line, and of each key that signed in it, the first CRL that covers the certificate. `namesakes`: not
    /// of the issuer's key alone.
    fn counted<'p>(
        &'p self,
        certificate: &X509Certificate<'_>,
        above: &[&'p [u8]],
        namesakes: bool,
    ) -> Result<Counted<'p>, Error> {
        let issuer = *above.first().ok_or(Error::UnknownRevocationStatus)?;
        let points = LazyCell::new(|| Points::of(certificate));
        let others = OnceCell::new();
        let mut found = Counted::default();
        for line in self.trust.lines_of(certificate.issuer().as_raw()) {
            let before = found.crls.len();
            for crl in line.iter().filter(|crl| crl.begun(self.now) && crl.covers(|| &points)) {
                let signed_by = |signer: &[u8]| crl.signed_by(signer, algorithms());
                let signer = match signed_by(issuer) {
                    Ok(()) => Ok(issuer),
                    Err(error) if !namesakes => Err(error),
                    Err(error) => {
                        let others: &Namesakes<'_> = others.get_or_init(|| self.namesakes(issuer, above));
                        let signer = others.verified.iter().find(|signer| signed_by(signer).is_ok());
                        // Perhaps one that was not looked at signed it, and it names this certificate.
                        if signer.is_none() && others.exhausted {
                            self.exhausted.set(true);
                            return Err(Error::MaximumSignatureChecksExceeded);
                        }
                        signer.copied().ok_or(error)
                    }
                };
                match signer {
                    Ok(signer) if found.crls[before..].iter().all(|(_, known)| *known != signer) => {
                        found.crls.push((crl, signer));
                    }
                    Ok(_) => {}
                    Err(error) => found.wrong = Some(error),
                }
            }
        }
        Ok(found)
    }

    /// Those of the issuer's name in the trust set and among what the peer sent that are issued by a certificate of
    /// the path, directly or by way of one another, and may sign CRLs.
    fn namesakes<'p>(&'p self, issuer: &'p [u8], above: &[&'p [u8]]) -> Namesakes<'p> {
        let mut found = Namesakes::default();
        let Ok(name) = outline(issuer) else { return found };
        let subject = name.subject().as_raw();
        let is_namesake =
            |der: &&[u8]| outline(der).is_ok_and(|certificate| certificate.subject().as_raw() == subject);
        // What is in the path already is verified.
        found.verified = above[1..].iter().copied().filter(is_namesake).collect();
        let trusted = self.trust.of_subject(subject).filter_map(|der| Candidate::read(der, self.now));
        let mut open: Vec<Candidate<'p>> = Vec::new();
        for candidate in trusted.chain(self.sent_of(subject).iter().cloned()) {
            if above.contains(&candidate.der) || open.iter().any(|known| known.der == candidate.der) {
                continue;
            }
            if open.len() == MAX_NAMESAKES {
                found.exhausted = true;
                break;
            }
            open.push(candidate);
        }
        let mut issuers = above.to_vec();
        let mut next = 0;
        while let Some(&issuer) = issuers.get(next) {
            next += 1;
            let Some(key) = may_issue(issuer) else { continue };
            let mut rest = Vec::new();
            for candidate in open {
                match self.issued(&candidate, issuer, &key) {
                    Some(true) => {
                        issuers.push(candidate.der);
                        if may_sign_crls(candidate.der) {
                            found.verified.push(candidate.der);
                        }
                    }
                    Some(false) => rest.push(candidate),
                    None => {
                        found.exhausted = true;
                        return found;
                    }
                }
            }
            open = rest;
        }
        found
    }

    fn sent_of(&self, subject: &[u8]) -> &[Candidate<'a>] {
        let by_subject = self.sent_by_subject.get_or_init(|| {
            let mut found: HashMap<Vec<u8>, Vec<Candidate<'_>>> = HashMap::new();
            let mut seen = HashSet::new();
            for der in self.sent.iter().map(AsRef::as_ref).filter(|der: &&[u8]| seen.insert(*der)) {
                if let (Ok(certificate), Some(candidate)) = (outline(der), Candidate::read(der, self.now)) {
                    found.entry(certificate.subject().as_raw().to_vec()).or_default().push(candidate);
                }
            }
            found
        });
        by_subject.get(subject).map_or(&[], Vec::as_slice)
    }

    /// Whether `issuer` issued a certificate that is not revoked, as far as was asked. None: no more signatures are
    /// computed.
    fn issued(&self, candidate: &Candidate<'_>, issuer: &[u8], key: &Key) -> Option<bool> {
        if candidate.issuer != key.subject {
            return Some(false);
        }
        if self.computed.get() == MAX_SIGNATURES {
            return None;
        }
        self.computed.set(self.computed.get() + 1);
        let Ok(certificate) = outline(candidate.der) else { return Some(false) };
        let right = certificate.signature_algorithm == certificate.tbs_certificate.signature
            && Signed::read(candidate.der).is_ok_and(|signed| signed.is_of(&key.public, self.algorithms));
        // Then it was not computed, and is unknown.
        if self.budget.exhausted() {
            return None;
        }
        Some(right && self.is_unrevoked(&certificate, issuer))
    }

    /// Whether a signer of CRLs is not revoked itself: by CRLs that its own issuer signed, or one key would vouch for
    /// the other in a circle.
    fn is_unrevoked(&self, signer: &X509Certificate<'_>, issuer: &[u8]) -> bool {
        let Ok(counted) = self.counted(signer, &[issuer], false) else { return false };
        match self.status(signer, counted) {
            Some(Ok(())) => true,
            Some(Err(Error::CertRevoked)) => false,
            Some(Err(_)) => self.policy.of != Revocation::Chain,
            None => self.policy.of != Revocation::Chain || self.policy.accept_unknown,
        }
    }
}

impl<'a> Candidate<'a> {
    /// None where it is damaged, out of date, or has a critical extension that means nothing to us.
    fn read(der: &'a [u8], now: UnixTime) -> Option<Self> {
        let examined = examine(der).ok()?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let in_time = (examined.not_before..=examined.not_after).contains(&now);
        let issuer = outline(der).ok()?.issuer().as_raw().to_vec();
        (in_time && !examined.unknown_critical).then_some(Self { der, issuer })
    }
}

/// The name and the key of a CA.
struct Key {
    subject: Vec<u8>,
    public: Vec<u8>,
}

/// Those of a certificate that may sign others.
fn may_issue(der: &[u8]) -> Option<Key> {
    let certificate = outline(der).ok()?;
    let key = Key {
        subject: certificate.subject().as_raw().to_vec(),
        public: certificate.public_key().raw.to_vec(),
    };
    examine(der).is_ok_and(|examined| examined.is_ca).then_some(key)
}

/// By its key usage; without one it has to be a CA's.
fn may_sign_crls(der: &[u8]) -> bool {
    match key_usage(der) {
        Ok(Some(usage)) => usage.crl_sign(),
        Ok(None) => examine(der).is_ok_and(|examined| examined.is_ca),
        Err(_) => false,
    }
}
