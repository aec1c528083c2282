//! CRLs: read once, their signatures verified once under each issuer, serial numbers looked up.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use rustls::pki_types::{SignatureVerificationAlgorithm, UnixTime};
use webpki::{CertRevocationList, Error, OwnedCertRevocationList};
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry::OID_X509_EXT_ISSUER_DISTRIBUTION_POINT;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::verify::certificate::read;
use crate::verify::crl_scope::{Points, Scope};
use crate::verify::signed::Signed;

/// How far the clocks of a CA and ours may differ, in seconds.
pub const SKEW: u64 = 300;
/// Issuers of one CRL whose check is cached. More than a CRL ever has.
const MAX_ISSUERS: usize = 16;

#[derive(Debug)]
pub struct Crl {
    parsed: CertRevocationList<'static>,
    pub der: Vec<u8>,
    /// DER.
    pub issuer: Vec<u8>,
    pub number: Option<Vec<u8>>,
    /// Has a number that is not critical, as RFC 5280 demands (section 5.2.3).
    pub numbered: bool,
    pub authority_key: Option<Vec<u8>>,
    /// None: it covers all that its issuer issued.
    scope: Option<Scope>,
    pub this_update: u64,
    pub next_update: u64,
    known: Mutex<Known>,
}

/// What was found out about a CRL.
#[derive(Debug, Default)]
struct Known {
    /// By the issuer's certificate, DER: whether it signed the CRL, and may sign CRLs.
    issuers: HashMap<Vec<u8>, Result<(), Error>>,
    /// The first certificate, DER, that signed the CRL and that a verified path led to.
    signer: Option<Vec<u8>>,
}

impl Crl {
    pub fn read(der: Vec<u8>) -> Result<Self, String> {
        let parsed = OwnedCertRevocationList::from_der(&der).map_err(|why| why.to_string())?;
        let (_, crl) = CertificateRevocationList::from_der(&der).map_err(|why| why.to_string())?;
        let seconds = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).unwrap_or(0);
        let authority_key = crl.extensions().iter().find_map(|each| match each.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(key) => Some(key.key_identifier.as_ref()?.0.to_vec()),
            _ => None,
        });
        let scope =
            match crl.extensions().iter().find(|each| each.oid == OID_X509_EXT_ISSUER_DISTRIBUTION_POINT) {
                None => None,
                Some(extension) => match extension.parsed_extension() {
                    ParsedExtension::IssuingDistributionPoint(point) => Some(Scope::of(point)),
                    _ => return Err("issuing_distribution_point".to_owned()),
                },
            };
        Ok(Self {
            issuer: crl.issuer().as_raw().to_vec(),
            number: crl.crl_number().map(|number| number.to_bytes_be()),
            numbered: crl.extensions().iter().any(|each| {
                !each.critical && matches!(each.parsed_extension(), ParsedExtension::CRLNumber(_))
            }),
            authority_key,
            scope,
            this_update: seconds(crl.last_update()),
            next_update: crl.next_update().map_or(0, seconds),
            parsed: parsed.into(),
            known: Mutex::default(),
            der,
        })
    }

    /// Whether it is to have a certificate of its issuer, if that was revoked.
    pub fn covers<'a>(&self, points: impl FnOnce() -> &'a Points) -> bool {
        self.scope.as_ref().is_none_or(|scope| scope.covers(points()))
    }

    /// Whether both follow one another: of one key and one distribution point, as far as they say so.
    pub fn follows(&self, other: &Self) -> bool {
        let scopes = [self, other].map(Self::distribution_point);
        self.authority_key == other.authority_key && scopes[0] == scopes[1]
    }

    pub fn begun(&self, now: UnixTime) -> bool {
        self.this_update <= now.as_secs().saturating_add(SKEW)
    }

    /// A CRL out of date is a refusal: a context that checks revocation needs to know.
    pub fn in_time(&self, now: UnixTime) -> Result<(), Error> {
        if now.as_secs() < self.next_update {
            return Ok(());
        }
        let next_update = UnixTime::since_unix_epoch(Duration::from_secs(self.next_update));
        Err(Error::CrlExpired { time: now, next_update })
    }

    /// `CertRevoked` where it names the certificate with that serial number.
    pub fn check(&self, serial: &[u8]) -> Result<(), Error> {
        match self.parsed.find_serial(serial)? {
            None => Ok(()),
            Some(_) => Err(Error::CertRevoked),
        }
    }

    /// When the certificate with that serial number was revoked, in seconds since 1970.
    pub fn revoked_since(&self, serial: &[u8]) -> Option<u64> {
        let entry = self.parsed.find_serial(serial).ok().flatten();
        entry.map(|entry| entry.revocation_date.as_secs())
    }

    // No thread waits here: one that finds it taken checks anew, and a process that was forked just then could never
    // wait.
    fn known(&self) -> Option<MutexGuard<'_, Known>> {
        match self.known.try_lock() {
            Ok(known) => Some(known),
            Err(TryLockError::Poisoned(known)) => Some(known.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Keeps that a verified path led to `signer` (DER), which signed this CRL.
    pub fn confirm(&self, signer: &[u8]) {
        if let Some(mut known) = self.known() {
            known.signer.get_or_insert_with(|| signer.to_vec());
        }
    }

    pub fn signer(&self) -> Option<Vec<u8>> {
        self.known()?.signer.clone()
    }

    /// Its issuing distribution point, DER.
    pub fn distribution_point(&self) -> Option<&[u8]> {
        self.parsed.issuing_distribution_point()
    }

    pub fn confirmed(&self) -> bool {
        self.known().is_some_and(|known| known.signer.is_some())
    }

    /// Whether `issuer` (its certificate, DER) signed this CRL, and may sign CRLs.
    pub fn signed_by(
        &self,
        issuer: &[u8],
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> Result<(), Error> {
        if let Some(checked) = self.known().and_then(|known| known.issuers.get(issuer).cloned()) {
            return checked;
        }
        let checked = self.check_issuer(issuer, algorithms);
        if let Some(mut known) = self.known() {
            if known.issuers.len() == MAX_ISSUERS {
                known.issuers.clear();
            }
            known.issuers.insert(issuer.to_vec(), checked.clone());
        }
        checked
    }

    fn check_issuer(
        &self,
        issuer: &[u8],
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> Result<(), Error> {
        let certificate = read(issuer).map_err(|_| Error::BadDer)?;
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
