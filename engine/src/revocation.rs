//! Revocation lists: read once, their signatures verified once under each issuer, serial numbers looked up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::{
    Cert, CertRevocationList, EndEntityCert, Error, ExpirationPolicy, OwnedCertRevocationList,
    RevocationCheckDepth, RevocationOptions, RevocationOptionsBuilder, UnknownStatusPolicy, VerifiedPath,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::failure::Failure;
use crate::signatures::algorithms;
use crate::signed::Signed;
use crate::verifier::{PeerVerifier, Revocation};

/// How far the clocks of an authority and ours may differ, in seconds.
pub const SKEW: u64 = 300;
/// Issuers whose judgement of one list is remembered. More than a list ever has.
const MAX_ISSUERS: usize = 16;

#[derive(Debug)]
pub struct List {
    pub parsed: CertRevocationList<'static>,
    pub der: Vec<u8>,
    /// DER.
    pub issuer: Vec<u8>,
    number: Option<Vec<u8>>,
    /// Has a number that is not critical, as RFC 5280 demands (section 5.2.3).
    pub numbered: bool,
    authority_key: Option<Vec<u8>>,
    this_update: u64,
    next_update: u64,
    /// By the issuer's certificate, DER: whether it signed this list, and may sign lists.
    issuers: Mutex<HashMap<Vec<u8>, Result<(), Error>>>,
}

impl List {
    pub fn read(der: Vec<u8>) -> Result<Self, String> {
        let parsed = OwnedCertRevocationList::from_der(&der).map_err(|why| why.to_string())?;
        let (_, list) = CertificateRevocationList::from_der(&der).map_err(|why| why.to_string())?;
        let seconds = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).unwrap_or(0);
        let authority_key = list.extensions().iter().find_map(|each| match each.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(key) => Some(key.key_identifier.as_ref()?.0.to_vec()),
            _ => None,
        });
        Ok(Self {
            issuer: list.issuer().as_raw().to_vec(),
            number: list.crl_number().map(|number| number.to_bytes_be()),
            numbered: list.extensions().iter().any(|each| {
                !each.critical && matches!(each.parsed_extension(), ParsedExtension::CRLNumber(_))
            }),
            authority_key,
            this_update: seconds(list.last_update()),
            next_update: list.next_update().map_or(0, seconds),
            parsed: parsed.into(),
            issuers: Mutex::default(),
            der,
        })
    }

    /// Covers a part of what its issuer issued only.
    pub fn scoped(&self) -> bool {
        self.parsed.issuing_distribution_point().is_some()
    }

    pub fn begun(&self, now: UnixTime) -> bool {
        self.this_update <= now.as_secs().saturating_add(SKEW)
    }

    pub fn this_update(&self) -> u64 {
        self.this_update
    }

    /// Whether `issuer` (its certificate, DER) signed this list, and may sign lists.
    fn signed_by(
        &self,
        issuer: &[u8],
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> Result<(), Error> {
        if let Some(known) = self.issuers.lock().unwrap_or_else(PoisonError::into_inner).get(issuer) {
            return known.clone();
        }
        let judged = self.judge_issuer(issuer, algorithms);
        let mut issuers = self.issuers.lock().unwrap_or_else(PoisonError::into_inner);
        if issuers.len() == MAX_ISSUERS {
            issuers.clear();
        }
        issuers.insert(issuer.to_vec(), judged.clone());
        judged
    }

    fn judge_issuer(
        &self,
        issuer: &[u8],
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> Result<(), Error> {
        let (_, certificate) = X509Certificate::from_der(issuer).map_err(|_| Error::BadDer)?;
        let signed = Signed::read(&self.der).map_err(|_| Error::BadDer)?;
        if !signed.is_of(certificate.public_key().raw, algorithms) {
            return Err(Error::InvalidCrlSignatureForPublicKey);
        }
        match certificate.key_usage() {
            Ok(None) => Ok(()),
            Ok(Some(usage)) if usage.value.crl_sign() => Ok(()),
            _ => Err(Error::IssuerNotCrlSigner),
        }
    }
}

/// Whether `certificate` is revoked, by those of `lists` (all its issuer's, none of them scoped) that `issuer`
/// (its certificate, DER) signed; the newest of them decides. None: no list is there.
fn status(
    certificate: &Cert<'_>,
    issuer: &[u8],
    lists: &[Arc<List>],
    algorithms: &[&dyn SignatureVerificationAlgorithm],
    now: UnixTime,
) -> Option<Result<(), Error>> {
    let mut newest: Option<&List> = None;
    let mut wrong = None;
    for list in lists.iter().filter(|list| list.begun(now)) {
        match list.signed_by(issuer, algorithms) {
            Ok(()) if newest.is_none_or(|known| known.this_update < list.this_update) => newest = Some(list),
            Ok(()) => {}
            Err(error) => wrong = Some(error),
        }
    }
    let Some(list) = newest else { return wrong.map(Err) };
    if now.as_secs() >= list.next_update {
        let next_update = UnixTime::since_unix_epoch(std::time::Duration::from_secs(list.next_update));
        return Some(Err(Error::CrlExpired { time: now, next_update }));
    }
    Some(match list.parsed.find_serial(certificate.serial()) {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(Error::CertRevoked),
        Err(error) => Err(error),
    })
}

impl PeerVerifier {
    /// The lists, where webpki is to look at them: it knows how far one that covers a part of its issuer's
    /// certificates goes.
    pub fn scoped_lists(&self, now: UnixTime) -> Vec<&CertRevocationList<'_>> {
        let lists = &self.trust.lists;
        if self.revocation == Revocation::None || !lists.iter().any(|list| list.scoped()) {
            return Vec::new();
        }
        lists.iter().filter(|list| list.begun(now)).map(|list| &list.parsed).collect()
    }

    /// A list out of date is a refusal: who asks for revocation wants to know.
    pub fn revocation_options<'a>(
        &self,
        crls: &'a [&'a CertRevocationList<'a>],
    ) -> Result<Option<RevocationOptions<'a>>, Error> {
        let Ok(builder) = RevocationOptionsBuilder::new(crls) else { return Ok(None) };
        let depth = match self.revocation {
            Revocation::None => return Ok(None),
            Revocation::Leaf => RevocationCheckDepth::EndEntity,
            Revocation::Chain => RevocationCheckDepth::Chain,
        };
        let policy = if self.accept_unknown { UnknownStatusPolicy::Allow } else { UnknownStatusPolicy::Deny };
        let options = builder
            .with_depth(depth)
            .with_status_policy(policy)
            .with_expiration_policy(ExpirationPolicy::Enforce)
            .build();
        Ok(Some(options))
    }

    /// Looks the certificates of a path up in the lists of their issuers.
    pub fn judge_revocation(&self, path: &VerifiedPath<'_>, now: UnixTime) -> Result<(), Error> {
        let depth = match self.revocation {
            Revocation::None => return Ok(()),
            Revocation::Leaf => 1,
            Revocation::Chain => usize::MAX,
        };
        let trust = &self.trust;
        let end_entity: &Cert<'_> = path.end_entity();
        let anchor = trust.anchors.iter().position(|each| std::ptr::eq(each, path.anchor()));
        let Some(anchor) = anchor.map(|index| trust.anchor_certificates[index].clone()) else {
            return Err(Error::UnknownRevocationStatus);
        };
        let certificates = std::iter::once(end_entity).chain(path.intermediate_certificates());
        let issuers = path.intermediate_certificates().map(|each| each.der()).chain([anchor]);
        certificates
            .zip(issuers)
            .take(depth)
            .try_for_each(|(each, issuer)| self.unrevoked(each, &issuer, now))
    }

    /// Looks a certificate up that is trusted by itself: only one that issued itself has an issuer to ask.
    pub fn judge_own_revocation(&self, itself: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
        if self.revocation == Revocation::None {
            return Ok(());
        }
        match EndEntityCert::try_from(itself) {
            Ok(certificate) if certificate.issuer() == certificate.subject() => {
                self.unrevoked(&certificate, itself, now)
            }
            _ if self.accept_unknown => Ok(()),
            _ => Err(Error::UnknownRevocationStatus),
        }
    }

    /// Whether a certificate is revoked, where a list of its issuer is there.
    pub fn known_status(
        &self,
        certificate: &Cert<'_>,
        issuer: &[u8],
        now: UnixTime,
    ) -> Option<Result<(), Error>> {
        let lists = self.trust.lists_of.get(certificate.issuer()).map_or(&[][..], Vec::as_slice);
        status(certificate, issuer, lists, self.algorithms.all, now)
    }

    fn unrevoked(&self, certificate: &Cert<'_>, issuer: &[u8], now: UnixTime) -> Result<(), Error> {
        match self.known_status(certificate, issuer, now) {
            Some(known) => known,
            None if self.accept_unknown => Ok(()),
            None => Err(Error::UnknownRevocationStatus),
        }
    }
}

/// A revocation list as Python keeps it.
#[pyclass(frozen, module = "veritls._engine")]
pub struct RevocationList(pub Arc<List>);

#[pymethods]
impl RevocationList {
    /// `der`: of the form that webpki takes. Refuses what cannot be read, delta and indirect lists, and those
    /// that are partitioned by reason.
    #[new]
    fn new(py: Python<'_>, der: Vec<u8>) -> PyResult<Self> {
        let list = py.detach(|| List::read(der));
        Ok(Self(Arc::new(list.map_err(|why| Failure::Unusable { what: "revocation list", why })?)))
    }

    /// Whether the subject of a certificate (DER) signed it, and may sign lists.
    fn signed_by(&self, py: Python<'_>, issuer: Vec<u8>) -> bool {
        let algorithms = algorithms();
        py.detach(|| self.0.signed_by(&issuer, algorithms.all).is_ok())
    }

    #[getter]
    fn der<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.der)
    }

    /// The issuer's name, DER.
    #[getter]
    fn issuer<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.issuer)
    }

    /// The authority key identifier, and the issuing distribution point, DER: lists of one issuer that have
    /// both in common follow one another.
    #[getter]
    fn line<'py>(&self, py: Python<'py>) -> (Option<Bound<'py, PyBytes>>, Option<Bound<'py, PyBytes>>) {
        let bytes = |part: &[u8]| PyBytes::new(py, part);
        let scope = self.0.parsed.issuing_distribution_point();
        (self.0.authority_key.as_deref().map(bytes), scope.map(bytes))
    }

    /// The CRL number, as bytes of a big-endian number.
    #[getter]
    fn number<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.0.number.as_deref().map(|number| PyBytes::new(py, number))
    }

    /// thisUpdate and nextUpdate, in seconds since 1970.
    #[getter]
    fn period(&self) -> (u64, u64) {
        (self.0.this_update, self.0.next_update)
    }
}
