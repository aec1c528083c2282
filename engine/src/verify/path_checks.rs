//! What webpki leaves open about a path that it would take: the usages of the keys in it, the anchor's own
//! certificate, the policy that a CA demands and, under VERIFY_X509_STRICT, the profile. A path refused here
//! sends webpki to the next one.

use std::cell::Cell;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, Error, VerifiedPath};

use crate::verify::certificate::{Examined, key_usage, read};
use crate::verify::policies::explicit_where_demanded;
use crate::verify::rejection::Kind;
use crate::verify::rfc5280::strict;
use crate::verify::trust::Trust;
use crate::verify::types::Role;

/// The refusal that says no more than that it is one: webpki has no kind of error for what is found here.
const REFUSED: Error = Error::CertDistrusted;

/// The questions that webpki does not ask, for one peer.
pub struct PathChecks<'a> {
    trust: &'a Trust,
    end_entity: &'a CertificateDer<'a>,
    role: Role,
    strict: bool,
    now: UnixTime,
    found: Cell<Option<Kind>>,
}

/// Why a path is refused: in webpki's words, or the kind of it.
enum Fault {
    Webpki(Error),
    Kind(Kind),
}

impl<'a> PathChecks<'a> {
    pub fn new(
        trust: &'a Trust,
        end_entity: &'a CertificateDer<'a>,
        role: Role,
        strict: bool,
        now: UnixTime,
    ) -> Self {
        Self { trust, end_entity, role, strict, now, found: Cell::new(None) }
    }

    /// For webpki, which asks it about each path that holds by its own rules.
    pub fn check(&self, path: &VerifiedPath<'_>) -> Result<(), Error> {
        let found = self.trust.anchors.iter().position(|each| std::ptr::eq(each, path.anchor()));
        let certificate =
            found.map(|index| &self.trust.anchor_certificates[index]).ok_or(Error::UnknownIssuer)?;
        let anchor = self.trust.by_itself.get(certificate.as_ref()).ok_or(Error::UnknownIssuer)?;
        let intermediates: Vec<_> = path.intermediate_certificates().map(|each| each.der()).collect();
        self.noted(
            self.check_usages(&intermediates)
                .and_then(|()| self.check_anchor(anchor, &intermediates))
                .and_then(|()| self.check_policies(&intermediates)),
        )?;
        if !self.strict {
            return Ok(());
        }
        let whole: Vec<_> =
            std::iter::once(self.end_entity).chain(&intermediates).chain([certificate]).collect();
        self.noted(strict(&whole).map_err(Fault::Kind))
    }

    /// Whether the CRLs that counted for it bear a number, as the profile demands (RFC 5280, section 5.2.3).
    pub fn check_numbers(&self, numbered: bool) -> Result<(), Error> {
        self.noted(refuse_unless(numbered || !self.strict, Fault::Kind(Kind::StrictCrlNumber)))
    }

    /// For a certificate that is trusted by itself.
    pub fn check_alone(&self, itself: &Examined) -> Result<(), Error> {
        match EndEntityCert::try_from(self.end_entity) {
            // Version 1 has no extensions, and is read as an anchor wherever it proves its key.
            Ok(_) | Err(Error::UnsupportedCertVersion) => {}
            Err(error) => return Err(error),
        }
        let purpose = self.purpose(itself).and_then(|()| self.check_usages(&[]));
        self.noted(in_time(itself, self.now).and(purpose))?;
        let profile = if self.strict { strict(&[self.end_entity]) } else { Ok(()) };
        self.noted(profile.map_err(Fault::Kind))
    }

    /// The kind of a refusal that webpki handed back, if it began here.
    pub fn kind_of(&self, error: &Error) -> Option<Kind> {
        if *error == REFUSED { self.found.get() } else { None }
    }

    fn noted(&self, outcome: Result<(), Fault>) -> Result<(), Error> {
        outcome.map_err(|fault| match fault {
            Fault::Webpki(error) => error,
            Fault::Kind(kind) => {
                self.found.set(Some(kind));
                REFUSED
            }
        })
    }

    fn purpose(&self, certificate: &Examined) -> Result<(), Fault> {
        let usable = match self.role {
            Role::Server => certificate.for_servers,
            Role::Client => certificate.for_clients,
        };
        refuse_unless(usable, Fault::Kind(Kind::Purpose))
    }

    /// A peer's key may do what TLS needs of it, a CA's may sign certificates, where they say so
    /// (RFC 5280, section 4.2.1.3).
    fn check_usages(&self, intermediates: &[CertificateDer<'_>]) -> Result<(), Fault> {
        let usage_of = |der| key_usage(der).map_err(|_| Fault::Kind(Kind::Encoding));
        if let Some(usage) = usage_of(self.end_entity)? {
            let signs = usage.digital_signature() || usage.key_agreement();
            let fits = signs || (self.role == Role::Server && usage.key_encipherment());
            refuse_unless(fits, Fault::Kind(Kind::KeyUsage))?;
        }
        for der in intermediates {
            let signs = usage_of(der)?.is_none_or(|usage| usage.key_cert_sign());
            refuse_unless(signs, Fault::Webpki(Error::EndEntityUsedAsCa))?;
        }
        Ok(())
    }

    /// Whether the path has a policy where a CA of it demands one.
    fn check_policies(&self, intermediates: &[CertificateDer<'_>]) -> Result<(), Fault> {
        let above = intermediates.iter().rev().map(AsRef::as_ref);
        let path: Vec<&[u8]> = above.chain([self.end_entity.as_ref()]).collect();
        let explicit = explicit_where_demanded(&path).map_err(|_| Fault::Kind(Kind::Encoding))?;
        refuse_unless(explicit, Fault::Kind(Kind::NoExplicitPolicy))
    }

    /// The anchor's certificate is held to what any other CA's is; to webpki an anchor is a name and a
    /// key.
    fn check_anchor(&self, anchor: &Examined, below: &[CertificateDer<'_>]) -> Result<(), Fault> {
        in_time(anchor, self.now)?;
        refuse_unless(!anchor.unknown_critical, Fault::Webpki(Error::UnsupportedCriticalExtension))?;
        refuse_unless(anchor.is_ca, Fault::Webpki(Error::EndEntityUsedAsCa))?;
        self.purpose(anchor)?;
        if let Some(most) = anchor.path_length {
            let counted = below.iter().filter(|der| !is_self_issued(der)).count();
            let fits = u32::try_from(counted).is_ok_and(|counted| counted <= most);
            refuse_unless(fits, Fault::Webpki(Error::PathLenConstraintViolated))?;
        }
        Ok(())
    }
}

fn refuse_unless(right: bool, fault: Fault) -> Result<(), Fault> {
    if right { Ok(()) } else { Err(fault) }
}

fn is_self_issued(der: &CertificateDer<'_>) -> bool {
    read(der).is_ok_and(|certificate| certificate.subject().as_raw() == certificate.issuer().as_raw())
}

fn in_time(certificate: &Examined, now: UnixTime) -> Result<(), Fault> {
    let moment =
        |seconds: i64| UnixTime::since_unix_epoch(Duration::from_secs(seconds.max(0).unsigned_abs()));
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if seconds > certificate.not_after {
        let not_after = moment(certificate.not_after);
        return Err(Fault::Webpki(Error::CertExpired { time: now, not_after }));
    }
    let not_before = moment(certificate.not_before);
    refuse_unless(
        seconds >= certificate.not_before,
        Fault::Webpki(Error::CertNotValidYet { time: now, not_before }),
    )
}
