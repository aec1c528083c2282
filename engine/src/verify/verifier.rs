//! Is this chain good enough for what the settings ask?
//!
//! **How a verification runs.** `PeerVerifier` is a policy: one immutable value for all connections of a context, which
//! holds no state of any of them, knows no rustls, and answers with a path or a `Rejection`. Where SPIFFE trust domains
//! have anchors of their own, `trust_for` chooses one domain's set by the ID of the peer's certificate, before anything
//! else; all that follows sees this set alone. `verify` goes
//!
//! 1. for a path: the one that the peer sent, where it stands in order (`candidates::straight`), else a search
//!    (`candidates`, `search`) within a `Budget`. Each path is handed to webpki with its one anchor; webpki asks back,
//!    for a path that holds by its own rules, what it leaves open itself (`path_checks`, `rfc5280`) and about
//!    revocation (`crl_signers`, `crl`). A certificate that is trusted by itself needs no path;
//! 2. then for the name, then for the program's demands (`peer_policy`);
//! 3. on a client, for the stapled OCSP response (`verify_staple`, `ocsp`).
//!
//! Then, once the peer proved its key, the verify callback runs (`callback`), which can only refuse. A session is
//! verified again before it is resumed (`verify_again`).
//!
//! **Who calls, and where the answer goes.** rustls calls a verifier amid the call that processes the peer's flight,
//! and takes from it no more than an error from which it makes the alert. So the evidence cannot travel through
//! rustls: `tls::peer_verifier` leaves it with the connection's `tls::handshake::Handshake`, whence the connection
//! takes it when rustls's error comes back. How the adapter knows the connection stands there.
//!
//! **Locks.** None is held over a verification but the connection's own. What is shared between verifications (the
//! signature cache, what is known of a CRL, which anchors were used) is behind `try_lock` or atomic: a thread that
//! finds it taken does the work anew, as does a process that was forked while another thread held it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustls::pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, UnixTime};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};

use crate::clock::now;
use crate::error::NoTime;
use crate::verify::budget::{self, Budget};
use crate::verify::candidates::{Candidates, straight};
use crate::verify::crl_signers::RevocationCheck;
use crate::verify::ocsp::{StapleCheck, must_staple};
use crate::verify::path_checks::PathChecks;
use crate::verify::peer_policy::{Conditions, MAX_PRESENTED};
use crate::verify::rejection::{Demanded, Kind, Rejection};
use crate::verify::search::Search;
use crate::verify::signature_cache::Meter;
use crate::verify::spiffe;
use crate::verify::trust::Trust;
use crate::verify::types::{Path, RevocationPolicy, Role, SentChain, Verified};
use crate::verify::webpki_errors::rejected;

/// What to ask of the peer and what to check of its answer.
#[derive(Debug)]
pub struct PeerVerifier {
    pub trust: Arc<Trust>,
    pub request: bool,
    pub require: bool,
    pub validate: bool,
    /// Whose certificates a handshake brings.
    pub peer: Role,
    pub check_name: bool,
    pub revocation: RevocationPolicy,
    /// A server without a good OCSP response is refused.
    pub require_ocsp: bool,
    /// Hold the path to RFC 5280 where webpki does not.
    pub strict: bool,
    pub conditions: Conditions,
    /// The connection's verify callback has to accept the peer, too.
    pub verify_callback: bool,
    /// A session is verified as of the time when it is resumed, not of the time when it began.
    pub reverify: bool,
    /// Seconds since the last handshake in full for which a session is resumed.
    pub max_resumption_age: u32,
}

/// Why a session is not resumed.
#[derive(Debug)]
pub enum NotResumed {
    NoTime,
    /// It is too old, or from the future.
    Age,
    /// Its peer sent no certificate, and one is required.
    NoCertificate,
    /// Its server needs an OCSP response. A session brings none along.
    NoStaple,
    Rejected(Box<Rejection>),
}

impl From<NoTime> for NotResumed {
    fn from(_: NoTime) -> Self {
        Self::NoTime
    }
}

impl PeerVerifier {
    /// What is above the peer's own certificate in the verified path at `at`; None where chains are not validated.
    pub fn verify(
        &self,
        role: Role,
        chain: SentChain<'_>,
        name: Option<&ServerName<'_>>,
        at: UnixTime,
    ) -> Result<Option<Path>, Box<Rejection>> {
        self.verify_against(role, chain, name, at).map(|(path, _)| path)
    }

    /// The same, with the trust that counted.
    fn verify_against(
        &self,
        role: Role,
        chain: SentChain<'_>,
        name: Option<&ServerName<'_>>,
        at: UnixTime,
    ) -> Result<(Option<Path>, &Arc<Trust>), Box<Rejection>> {
        let demanded = |trust| self.demanded(trust, role, name.map(in_words));
        // What is not validated leads to no anchor, whatever ID it holds.
        let trust = if self.validate { self.trust_for(chain.own) } else { Ok(&self.trust) };
        let trust = trust.map_err(|rejection| rejection.of(chain, at, demanded(&self.trust)))?;
        let path = match self.validate {
            true => self.verify_path(trust, role, chain, at).and_then(|path| {
                name.map_or(Ok(()), |name| verify_name(chain.own, name, at))
                    .map_err(|rejection| rejection.on_path(&path))?;
                Ok(Some(path))
            }),
            false => Ok(None),
        };
        path.and_then(|path| match self.conditions.check(chain.own, path.as_deref()) {
            Ok(()) => Ok((path, trust)),
            Err(rejection) => Err(rejection.on_path(path.as_deref().unwrap_or_default())),
        })
        .map_err(|rejection| rejection.of(chain, at, demanded(trust)))
    }

    /// The anchors that count for a peer: where trust domains have their own, those of the domain of its one SPIFFE
    /// ID, and no others.
    fn trust_for(&self, own: &CertificateDer<'_>) -> Result<&Arc<Trust>, Box<Rejection>> {
        let Some(domains) = self.trust.domains() else { return Ok(&self.trust) };
        let found = spiffe::with_id(own, |id| {
            domains.get(id.trust_domain).ok_or_else(|| {
                let mut rejection = Rejection::new(Kind::TrustDomain, "");
                rejection.presented = vec![id.text.to_owned()];
                let mut known: Vec<_> = domains.keys().cloned().collect();
                known.sort();
                known.truncate(MAX_PRESENTED);
                rejection.wanted = known;
                rejection
            })
        });
        found.unwrap_or_else(|fault| Err(Rejection::new(Kind::SpiffeId, fault)))
    }

    /// The same of a server, with the OCSP response that it stapled; empty where none came.
    pub fn verify_stapled(
        &self,
        role: Role,
        chain: SentChain<'_>,
        name: Option<&ServerName<'_>>,
        response: &[u8],
        at: UnixTime,
    ) -> Result<Option<Path>, Box<Rejection>> {
        let (path, trust) = self.verify_against(role, chain, name, at)?;
        if let Some(path) = &path {
            self.verify_staple(trust, role, chain, path, response, name, at)?;
        }
        Ok(path)
    }

    /// The same verification of a session's chain, which was sent `then`, in the last handshake in full, before the
    /// session is resumed. None where its peer showed no certificate.
    pub fn verify_again(
        &self,
        role: Role,
        chain: Vec<CertificateDer<'static>>,
        name: Option<&ServerName<'_>>,
        then: UnixTime,
    ) -> Result<Option<Verified>, NotResumed> {
        let now = now()?;
        if !may_resume(then, now, self.max_resumption_age) {
            return Err(NotResumed::Age);
        }
        let at = if self.reverify { now } else { then };
        match SentChain::of(&chain) {
            Some(sent) if self.needs_staple(role, sent.own) => Err(NotResumed::NoStaple),
            Some(sent) => {
                let name = if self.check_name { name } else { None };
                let path = self.verify(role, sent, name, at).map_err(NotResumed::Rejected)?;
                Ok(Some(Verified { chain, path, at, name: name.map(in_words), stapled: false }))
            }
            None if self.require => Err(NotResumed::NoCertificate),
            None => Ok(None),
        }
    }

    /// What is demanded of a chain, and the trust that counts for it, for the evidence of a refusal.
    fn demanded(&self, trust: &Arc<Trust>, purpose: Role, name: Option<String>) -> Demanded {
        Demanded {
            purpose,
            name,
            revocation: self.revocation.of,
            strict: self.strict,
            allowed: self.conditions.allowed_texts(),
            pinned: self.conditions.pinned_texts(),
            ocsp: self.require_ocsp && purpose == Role::Server,
            trust: Some(trust.clone()),
        }
    }

    /// A refusal of what was verified already, with what was demanded of it.
    pub fn refused_once_verified(
        &self,
        rejection: Box<Rejection>,
        verified: Option<&Verified>,
    ) -> Box<Rejection> {
        let own = verified.and_then(|verified| verified.chain.first());
        let trust = own.and_then(|own| self.trust_for(own).ok()).unwrap_or(&self.trust);
        let name = verified.and_then(|verified| verified.name.clone());
        let mut demanded = self.demanded(trust, self.peer, name);
        demanded.ocsp |= verified.is_some_and(|verified| verified.stapled);
        match verified.and_then(|verified| Some((verified, SentChain::of(&verified.chain)?))) {
            Some((verified, chain)) => {
                let path = verified.path.as_deref().unwrap_or_default();
                rejection.on_path(path).of(chain, verified.at, demanded)
            }
            None => Box::new(Rejection { demanded, ..*rejection }),
        }
    }

    /// Whether a server with this certificate is refused without a good OCSP response.
    fn needs_staple(&self, role: Role, own: &[u8]) -> bool {
        self.validate && role == Role::Server && (self.require_ocsp || must_staple(own))
    }

    /// The last check of a chain that is good otherwise.
    #[expect(clippy::too_many_arguments, reason = "what was verified, and against what")]
    fn verify_staple(
        &self,
        trust: &Arc<Trust>,
        role: Role,
        chain: SentChain<'_>,
        above: &[CertificateDer<'static>],
        response: &[u8],
        name: Option<&ServerName<'_>>,
        now: UnixTime,
    ) -> Result<(), Box<Rejection>> {
        let required = self.needs_staple(role, chain.own);
        if response.is_empty() && !required {
            return Ok(());
        }
        let staple = StapleCheck { trust, revocation: self.revocation, required, chain, above, now };
        staple.run(response).map_err(|rejection| {
            let demanded = self.demanded(trust, role, name.map(in_words));
            let demanded = Demanded { ocsp: true, ..demanded };
            rejection.on_path(above).of(chain, now, demanded)
        })
    }

    fn verify_path(
        &self,
        trust: &Trust,
        role: Role,
        SentChain { own: end_entity, above: intermediates }: SentChain<'_>,
        now: UnixTime,
    ) -> Result<Path, Box<Rejection>> {
        let checks = PathChecks::new(trust, end_entity, role, self.strict, now);
        let refused = |error| checks.kind_of(&error).map_or_else(|| rejected(error, now), further_rejection);
        let budget = Budget::new(budget::PATH);
        let meter = Meter::new(&budget);
        let metered = meter.algorithms();
        let algorithms: Vec<&dyn SignatureVerificationAlgorithm> =
            metered.iter().map(|each| each as _).collect();
        if let Some(itself) = trust.by_itself.get(end_entity.as_ref()) {
            checks.check_alone(itself).map_err(refused)?;
            RevocationCheck::new(trust, self.revocation, (&algorithms, &budget), intermediates, now)
                .check_itself(end_entity)
                .and_then(|numbered| checks.check_numbers(numbered))
                .map_err(refused)?;
            return Ok(Vec::new());
        }
        let certificate = EndEntityCert::try_from(end_entity).map_err(|error| rejected(error, now))?;
        let revocation =
            RevocationCheck::new(trust, self.revocation, (&algorithms, &budget), intermediates, now);
        let verify = |above: &[CertificateDer<'_>], anchor: Option<usize>| {
            self.verify_candidate(
                trust,
                &certificate,
                above,
                anchor,
                (role, now),
                &revocation,
                &algorithms,
                &checks,
            )
        };
        let first = straight(end_entity, intermediates, trust, &budget);
        if let Some(Ok(path)) = first.map(|(above, anchor)| verify(above, Some(anchor))) {
            return Ok(path);
        }
        let read = EndEntityCert::try_from(end_entity).map_err(|error| rejected(error, now))?;
        Candidates::of(end_entity, read, intermediates, trust, (role, now), &budget)
            .and_then(|candidates| Search::new(candidates, trust, &algorithms, &budget, &verify).run())
            .map_err(|_| too_complex())?
            .map_err(refused)
    }

    /// What webpki, the path checks and revocation say of one path: `above` the peer's certificate, up to one anchor.
    #[expect(clippy::too_many_arguments, reason = "webpki's own, and what it leaves open")]
    fn verify_candidate(
        &self,
        trust: &Trust,
        certificate: &EndEntityCert<'_>,
        above: &[CertificateDer<'_>],
        anchor: Option<usize>,
        (role, now): (Role, UnixTime),
        revocation: &RevocationCheck<'_>,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
        checks: &PathChecks<'_>,
    ) -> Result<Path, webpki::Error> {
        let usage = match role {
            Role::Server => KeyUsage::server_auth(),
            Role::Client => KeyUsage::client_auth(),
        };
        let unrevoked = |path: &VerifiedPath<'_>| {
            let numbered = revocation.check_verified(path)?;
            checks.check_numbers(numbered)
        };
        let anchors = anchor.and_then(|index| trust.anchors.get(index)).map_or(&[][..], std::slice::from_ref);
        let further = |path: &VerifiedPath<'_>| checks.check(path).and_then(|()| unrevoked(path));
        let verified = certificate
            .verify_for_usage(algorithms, anchors, above, now, usage, None, Some(&further))
            .map_err(|error| match revocation.exhausted() {
                true => webpki::Error::MaximumSignatureChecksExceeded,
                false => error,
            })?;
        let mut path: Path =
            verified.intermediate_certificates().map(|each| each.der().into_owned()).collect();
        if let Some(index) = anchor {
            trust.used[index].store(true, Ordering::Relaxed);
            path.push(trust.anchor_certificates[index].clone());
        }
        Ok(path)
    }
}

/// Whether a session whose peers proved their keys at `since` may be resumed `now`: before it is `max_age`
/// seconds old. One from the future may not: some clock was wrong, and its age is unknown.
pub fn may_resume(since: UnixTime, now: UnixTime, max_age: u32) -> bool {
    now.as_secs().checked_sub(since.as_secs()).is_some_and(|age| age < u64::from(max_age))
}

pub fn in_words(name: &ServerName<'_>) -> String {
    name.to_str().into_owned()
}

fn verify_name(own: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> Result<(), Box<Rejection>> {
    let certificate = EndEntityCert::try_from(own).map_err(|error| rejected(error, now))?;
    certificate.verify_is_valid_for_subject_name(name).map_err(|error| {
        let holds_names =
            matches!(&error, webpki::Error::CertNotValidForName(context) if !context.presented.is_empty());
        let mut rejection = rejected(error, now);
        rejection.presented =
            certificate.valid_dns_names().take(MAX_PRESENTED).map(ToOwned::to_owned).collect();
        if holds_names && rejection.presented.is_empty() {
            rejection.presented.push("other".to_owned());
        }
        rejection
    })
}

/// The search for a path ended before it came to an answer.
fn too_complex() -> Box<Rejection> {
    Rejection::new(Kind::TooComplex, "")
}

/// What webpki does not ask and `PathChecks` does.
fn further_rejection(kind: Kind) -> Box<Rejection> {
    Rejection::new(kind, "")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_session_is_resumed_before_it_is_as_old_as_allowed_and_never_from_the_future() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        assert!(may_resume(at(1000), at(1000), 1));
        assert!(may_resume(at(1000), at(1059), 60));
        assert!(!may_resume(at(1000), at(1060), 60));
        assert!(!may_resume(at(1000), at(1000), 0));
        assert!(!may_resume(at(1001), at(1000), 60));
        assert!(!may_resume(at(u64::MAX), at(1000), u32::MAX));
        assert!(!may_resume(at(0), at(u64::MAX), u32::MAX));
    }
}
