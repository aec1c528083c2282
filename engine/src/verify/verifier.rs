//! Is this chain good enough for what the settings ask?
//!
//! rustls calls a verifier within the call that processes the peer's flight, on the same thread; the
//! evidence of a refusal is left in a thread-local slot, where `connection.rs` picks it up.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, UnixTime};
use rustls::{CertificateError, Error, OtherError};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};

use crate::clock::now;
use crate::verify::budget::{self, Budget};
use crate::verify::callback::{self, Judged};
use crate::verify::candidates::{Candidates, straight};
use crate::verify::crl_signers::RevocationCheck;
use crate::verify::ocsp::{StapleCheck, must_staple};
use crate::verify::path_checks::PathChecks;
use crate::verify::peer_policy::Conditions;
use crate::verify::rejection::{Asked, Rejection};
use crate::verify::search::Search;
use crate::verify::signature_cache::Meter;
use crate::verify::trust::Trust;
use crate::verify::types::{Path, RevocationPolicy, Role};

thread_local! {
    static REJECTION: RefCell<Option<Rejection>> = const { RefCell::new(None) };
}

/// The evidence of the refusal that the last call on this thread ended with.
pub fn take_rejection() -> Option<Rejection> {
    REJECTION.take()
}

/// Leaves the evidence of a refusal.
fn refuse(rejection: Rejection) {
    REJECTION.set(Some(rejection));
}

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
    /// Ask the connection's callback whether it accepts the peer, too.
    pub decides: bool,
    /// A session is judged as of the time when it is taken up, not of the time when it began.
    pub reverify: bool,
    /// Seconds since the last handshake in full for which a session is resumed.
    pub max_resumption_age: u32,
    pub algorithms: WebPkiSupportedAlgorithms,
}

impl PeerVerifier {
    /// The same judgement of a chain that was shown `then`, in the last handshake in full, before its session
    /// is resumed.
    pub fn still_good(
        &self,
        role: Role,
        chain: Vec<CertificateDer<'static>>,
        name: Option<&ServerName<'_>>,
        then: UnixTime,
    ) -> Result<Option<Judged>, Error> {
        let now = now().map_err(|_| Error::FailedToGetCurrentTime)?;
        if !may_resume(then, now, self.max_resumption_age) {
            return Err(Error::General("the session is too old, or from the future".to_owned()));
        }
        let at = if self.reverify { now } else { then };
        match chain.split_first() {
            // A session brings no response along.
            Some((end_entity, _)) if self.needs_staple(role, end_entity) => {
                Err(CertificateError::InvalidOcspResponse.into())
            }
            Some((end_entity, intermediates)) => {
                let name = if self.check_name { name } else { None };
                let path = self.judge(role, end_entity, intermediates, name, at)?;
                Ok(Some(Judged { chain, path, at, name: name.map(in_words), stapled: false }))
            }
            None if self.require => Err(Error::NoCertificatesPresented),
            None => Ok(None),
        }
    }

    /// What is above the peer's own certificate in the path that convinces us at `now`, or the refusal.
    pub fn verdict(
        &self,
        role: Role,
        (end_entity, intermediates): (&CertificateDer<'_>, &[CertificateDer<'_>]),
        name: Option<&ServerName<'_>>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<Path, Box<Rejection>> {
        take_rejection();
        let judged = self.judge(role, end_entity, intermediates, name, now).and_then(|path| {
            let path = path.unwrap_or_default();
            self.judge_staple(role, (end_entity, intermediates), &path, ocsp_response, name, now)
                .map(|()| path)
        });
        judged.map_err(|error| {
            Box::new(take_rejection().unwrap_or_else(|| Rejection::new("other", error.to_string())))
        })
    }

    /// Whether a server with this certificate is refused without a good OCSP response.
    fn needs_staple(&self, role: Role, end_entity: &[u8]) -> bool {
        self.validate && role == Role::Server && (self.require_ocsp || must_staple(end_entity))
    }

    /// The last check of a chain that is good otherwise. `response`: empty where none came.
    pub fn judge_staple(
        &self,
        role: Role,
        (end_entity, intermediates): (&CertificateDer<'_>, &[CertificateDer<'_>]),
        above: &[CertificateDer<'static>],
        response: &[u8],
        name: Option<&ServerName<'_>>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let required = self.needs_staple(role, end_entity);
        if !self.validate || response.is_empty() && !required {
            return Ok(());
        }
        let (trust, revocation) = (&*self.trust, self.revocation);
        let check = StapleCheck { trust, revocation, required, end_entity, sent: intermediates, above, now };
        check.run(response).map_err(|mut rejection| {
            rejection.chain =
                std::iter::once(end_entity).chain(intermediates).map(|der| der.to_vec()).collect();
            rejection.time.get_or_insert(now.as_secs());
            rejection.path = above.iter().map(|der| der.to_vec()).collect();
            rejection.asked = Asked { ocsp: true, ..self.asked(role, name.map(in_words)) };
            let error = match rejection.kind {
                "ocsp_revoked" => CertificateError::Revoked,
                _ => CertificateError::InvalidOcspResponse,
            };
            refuse(*rejection);
            Error::InvalidCertificate(error)
        })
    }

    pub fn judge(
        &self,
        role: Role,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: Option<&ServerName<'_>>,
        now: UnixTime,
    ) -> Result<Option<Path>, Error> {
        let path = match self.validate {
            true => self.judge_path(role, end_entity, intermediates, now).and_then(|path| {
                name.map_or(Ok(()), |name| judge_name(end_entity, name, now))
                    .map_err(|refusal| on_path(refusal, &path))?;
                Ok(Some(path))
            }),
            false => Ok(None),
        };
        path.and_then(|path| match self.conditions.check(end_entity, path.as_deref()) {
            Ok(()) => Ok(path),
            Err(refusal) => Err(on_path(refusal, path.as_deref().unwrap_or_default())),
        })
        .map_err(|refusal| {
            let (mut rejection, error) = *refusal;
            rejection.chain =
                std::iter::once(end_entity).chain(intermediates).map(|der| der.to_vec()).collect();
            rejection.time.get_or_insert(now.as_secs());
            rejection.asked = self.asked(role, name.map(in_words));
            REJECTION.set(Some(rejection));
            Error::InvalidCertificate(error)
        })
    }

    /// What `judge` asks, for who reads its answer.
    pub fn asked(&self, role: Role, name: Option<String>) -> Asked {
        Asked {
            purpose: role.word(),
            name,
            revocation: self.revocation.of.word(),
            strict: self.strict,
            allowed: self.conditions.allowed_texts(),
            pinned: self.conditions.pinned_texts(),
            ocsp: self.require_ocsp && role == Role::Server,
            trust: Some(self.trust.clone()),
        }
    }

    fn judge_path(
        &self,
        role: Role,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Path, Refusal> {
        let rest = PathChecks::new(&self.trust, end_entity, role, self.strict, now);
        let refused = |error| rest.kind_of(&error).map_or_else(|| refusal(error, now), further_refusal);
        let budget = Budget::new(budget::PATH);
        let meter = Meter::new(&budget);
        let metered = meter.algorithms();
        let algorithms: Vec<&dyn SignatureVerificationAlgorithm> =
            metered.iter().map(|each| each as _).collect();
        if let Some(itself) = self.trust.by_itself.get(end_entity.as_ref()) {
            rest.check_alone(itself).map_err(refused)?;
            RevocationCheck::new(&self.trust, self.revocation, (&algorithms, &budget), intermediates, now)
                .judge_itself(end_entity)
                .and_then(|numbered| rest.check_numbers(numbered))
                .map_err(refused)?;
            return Ok(Vec::new());
        }
        let certificate = EndEntityCert::try_from(end_entity).map_err(|error| refusal(error, now))?;
        let revocation =
            RevocationCheck::new(&self.trust, self.revocation, (&algorithms, &budget), intermediates, now);
        let judge = |above: &[CertificateDer<'_>], anchor: Option<usize>| {
            self.judge_candidate(&certificate, above, anchor, (role, now), &revocation, &algorithms, &rest)
        };
        if let Some((above, anchor)) = straight(end_entity, intermediates, &self.trust, &budget)
            && let Ok(path) = judge(above, Some(anchor))
        {
            return Ok(path);
        }
        let read = EndEntityCert::try_from(end_entity).map_err(|error| refusal(error, now))?;
        Candidates::of(end_entity, read, intermediates, &self.trust, (role, now), &budget)
            .and_then(|candidates| Search::new(candidates, &self.trust, &algorithms, &budget, &judge).run())
            .map_err(|_| too_complex())?
            .map_err(refused)
    }

    /// webpki's word on one path: `above` the peer's certificate, up to one anchor.
    #[expect(clippy::too_many_arguments, reason = "webpki's own, and what it leaves open")]
    fn judge_candidate(
        &self,
        certificate: &EndEntityCert<'_>,
        above: &[CertificateDer<'_>],
        anchor: Option<usize>,
        (role, now): (Role, UnixTime),
        revocation: &RevocationCheck<'_>,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
        rest: &PathChecks<'_>,
    ) -> Result<Path, webpki::Error> {
        let usage = match role {
            Role::Server => KeyUsage::server_auth(),
            Role::Client => KeyUsage::client_auth(),
        };
        let trust = &self.trust;
        let unrevoked = |path: &VerifiedPath<'_>| {
            let numbered = revocation.judge_path(path)?;
            rest.check_numbers(numbered)
        };
        let anchors = anchor.and_then(|index| trust.anchors.get(index)).map_or(&[][..], std::slice::from_ref);
        let further = |path: &VerifiedPath<'_>| rest.check(path).and_then(|()| unrevoked(path));
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

    /// Whether the program accepts the peer, too.
    pub fn ask(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        callback::ask(certificate).map_err(|mut rejection| {
            let judged = callback::judged();
            let (name, stapled) =
                judged.as_ref().map_or((None, false), |judged| (judged.name.clone(), judged.stapled));
            rejection.asked = self.asked(self.peer, name);
            rejection.asked.ocsp |= stapled;
            if let Some(judged) = judged {
                rejection.chain = judged.chain.iter().map(|der| der.to_vec()).collect();
                rejection.time.get_or_insert(judged.at.as_secs());
                rejection.path = judged.path.unwrap_or_default().iter().map(|der| der.to_vec()).collect();
            }
            REJECTION.set(Some(*rejection));
            CertificateError::ApplicationVerificationFailure.into()
        })
    }
}

/// Whether a session whose peers proved their keys at `since` may be resumed `now`: before it is `max_age`
/// seconds old. One from the future may not: some clock was wrong, and nobody knows how old it is.
pub fn may_resume(since: UnixTime, now: UnixTime, max_age: u32) -> bool {
    now.as_secs().checked_sub(since.as_secs()).is_some_and(|age| age < u64::from(max_age))
}

pub fn in_words(name: &ServerName<'_>) -> String {
    name.to_str().into_owned()
}

fn judge_name(end_entity: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> Result<(), Refusal> {
    EndEntityCert::try_from(end_entity)
        .and_then(|certificate| certificate.verify_is_valid_for_subject_name(name))
        .map_err(|error| refusal(error, now))
}

/// A refusal of a path that leads to an anchor, for another reason.
fn on_path(mut refusal: Refusal, path: &[CertificateDer<'_>]) -> Refusal {
    refusal.0.path = path.iter().map(|der| der.to_vec()).collect();
    refusal
}

/// The evidence that a user gets, and the error from which rustls makes the alert.
type Refusal = Box<(Rejection, CertificateError)>;

fn refusal(error: webpki::Error, now: UnixTime) -> Refusal {
    Box::new(told_apart(error, now))
}

/// The search for a path ended before it came to an answer.
fn too_complex() -> Refusal {
    let detail = "the search for a path would take too much work";
    Box::new(other("too_complex", detail.to_owned(), webpki::Error::MaximumPathBuildCallsExceeded))
}

/// What webpki does not ask and `PathChecks` does.
fn further_refusal(kind: &'static str) -> Refusal {
    let error = match kind {
        "purpose" | "key_usage" => CertificateError::InvalidPurpose,
        "leaf_as_ca" => CertificateError::UnknownIssuer,
        _ => CertificateError::BadEncoding,
    };
    Box::new((Rejection::new(kind, "it does not keep to RFC 5280 (VERIFY_X509_STRICT)"), error))
}

/// One webpki error as the evidence that a user gets and the error from which rustls makes the alert.
fn told_apart(error: webpki::Error, now: UnixTime) -> (Rejection, CertificateError) {
    use webpki::Error as Web;
    let detail = error.to_string();
    match error {
        Web::CertExpired { time, not_after } => {
            (Rejection::new("expired", detail).at(time, not_after), CertificateError::Expired)
        }
        Web::CertNotValidYet { time, not_before } => {
            (Rejection::new("not_yet_valid", detail).at(time, not_before), CertificateError::NotValidYet)
        }
        Web::InvalidCertValidity => {
            (Rejection::new("expired", detail).at(now, now), CertificateError::Expired)
        }
        Web::CertNotValidForName(context) => {
            let mut rejection = Rejection::new("name", detail);
            rejection.expected = Some(context.expected.to_str().into_owned());
            rejection.presented = context.presented;
            (rejection, CertificateError::NotValidForName)
        }
        Web::UnknownIssuer => (Rejection::new("unknown_issuer", detail), CertificateError::UnknownIssuer),
        Web::CertRevoked => (Rejection::new("revoked", detail), CertificateError::Revoked),
        Web::UnknownRevocationStatus => {
            (Rejection::new("revocation_unknown", detail), CertificateError::UnknownRevocationStatus)
        }
        Web::InvalidCrlSignatureForPublicKey
        | Web::UnsupportedCrlSignatureAlgorithmContext(_)
        | Web::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_) => {
            (Rejection::new("revocation_list_signature", detail), CertificateError::UnknownRevocationStatus)
        }
        Web::IssuerNotCrlSigner => {
            (Rejection::new("list_signer", detail), CertificateError::UnknownRevocationStatus)
        }
        Web::CrlExpired { time, next_update } => {
            let rejection = Rejection::new("revocation_list_expired", detail).at(time, next_update);
            (rejection, CertificateError::ExpiredRevocationList)
        }
        Web::InvalidSignatureForPublicKey | Web::SignatureAlgorithmMismatch => {
            (Rejection::new("signature", detail), CertificateError::BadSignature)
        }
        Web::UnsupportedSignatureAlgorithmContext(_)
        | Web::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            (Rejection::new("algorithm", detail), CertificateError::BadSignature)
        }
        Web::RequiredEkuNotFoundContext(_) | Web::EmptyEkuExtension => {
            (Rejection::new("purpose", detail), CertificateError::InvalidPurpose)
        }
        Web::CaUsedAsEndEntity => (Rejection::new("ca_as_leaf", detail), CertificateError::InvalidPurpose),
        Web::EndEntityUsedAsCa => (Rejection::new("leaf_as_ca", detail), CertificateError::UnknownIssuer),
        Web::PathLenConstraintViolated | Web::MaximumPathDepthExceeded => {
            (Rejection::new("path_length", detail), CertificateError::UnknownIssuer)
        }
        Web::NameConstraintViolation => other("name_constraint", detail, error),
        Web::UnsupportedCriticalExtension => {
            (Rejection::new("critical_extension", detail), CertificateError::UnhandledCriticalExtension)
        }
        Web::BadDer | Web::BadDerTime | Web::TrailingData(_) | Web::MalformedExtensions => {
            (Rejection::new("encoding", detail), CertificateError::BadEncoding)
        }
        Web::MaximumSignatureChecksExceeded
        | Web::MaximumPathBuildCallsExceeded
        | Web::MaximumNameConstraintComparisonsExceeded => other("too_complex", detail, error),
        _ => other("other", detail, error),
    }
}

fn other(kind: &'static str, detail: String, error: webpki::Error) -> (Rejection, CertificateError) {
    (Rejection::new(kind, detail), CertificateError::Other(OtherError(Arc::new(error))))
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
