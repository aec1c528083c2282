//! The only caller of webpki: is this chain good enough for what the settings ask?
//!
//! rustls calls a verifier within the call that processes the peer's flight, on the same thread; the
//! evidence of a refusal is left in a thread-local slot, where `connection.rs` picks it up.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, RawPublicKeyEntity, RevocationCheckDepth,
    RevocationOptions, RevocationOptionsBuilder, UnknownStatusPolicy, anchor_from_trusted_cert,
    spki_for_anchor,
};

use crate::failure::Rejection;
use crate::profile::strict;
use crate::trust::Trust;

thread_local! {
    static REJECTION: RefCell<Option<Rejection>> = const { RefCell::new(None) };
    static PATH: RefCell<Option<Path>> = const { RefCell::new(None) };
}

/// What stands above a peer's certificate in the path that convinced us: its issuer, that one's, up to the
/// anchor. Empty where the certificate is trusted by itself.
pub type Path = Vec<CertificateDer<'static>>;

/// The path that the last call on this thread found good.
pub fn take_path() -> Option<Path> {
    PATH.take()
}

/// The evidence of the refusal that the last call on this thread ended with.
pub fn take_rejection() -> Option<Rejection> {
    REJECTION.take()
}

/// What to ask of the peer and what to check of its answer.
#[derive(Debug)]
pub struct PeerVerifier {
    pub trust: Arc<Trust>,
    pub request: bool,
    pub require: bool,
    pub validate: bool,
    pub check_name: bool,
    pub revocation: Revocation,
    /// Hold the path to RFC 5280 where webpki does not.
    pub strict: bool,
    pub algorithms: WebPkiSupportedAlgorithms,
}

/// Whose revocation status must be known, and good.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Revocation {
    None,
    Leaf,
    Chain,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Role {
    Server,
    Client,
}

impl PeerVerifier {
    /// The same judgement of a chain that was shown earlier, before its session is taken up again.
    pub fn still_good(
        &self,
        role: Role,
        chain: &[CertificateDer<'_>],
        name: Option<&ServerName<'_>>,
    ) -> Result<(), Error> {
        match chain.split_first() {
            Some((end_entity, intermediates)) => {
                let name = if self.check_name { name } else { None };
                self.judge(role, end_entity, intermediates, name, UnixTime::now())
            }
            None if self.require => Err(Error::NoCertificatesPresented),
            None => Ok(()),
        }
    }

    fn judge(
        &self,
        role: Role,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: Option<&ServerName<'_>>,
        now: UnixTime,
    ) -> Result<(), Error> {
        if !self.validate {
            return Ok(());
        }
        self.judge_path(role, end_entity, intermediates, now)
            .and_then(|path| {
                name.map_or(Ok(()), |name| judge_name(end_entity, name, now))?;
                PATH.set(Some(path));
                Ok(())
            })
            .map_err(|refusal| {
                let (mut rejection, error) = *refusal;
                rejection.chain =
                    std::iter::once(end_entity).chain(intermediates).map(|der| der.to_vec()).collect();
                REJECTION.set(Some(rejection));
                Error::InvalidCertificate(error)
            })
    }

    fn judge_path(
        &self,
        role: Role,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Path, Refusal> {
        if let Some(itself) = self.trust.by_itself.get(end_entity.as_ref()) {
            let usable = if role == Role::Server { itself.for_servers } else { itself.for_clients };
            let bound = |secs: i64| {
                UnixTime::since_unix_epoch(std::time::Duration::from_secs(secs.max(0).unsigned_abs()))
            };
            let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
            return if seconds > itself.not_after {
                Err(refusal(
                    webpki::Error::CertExpired { time: now, not_after: bound(itself.not_after) },
                    now,
                ))
            } else if seconds < itself.not_before {
                let not_before = bound(itself.not_before);
                Err(refusal(webpki::Error::CertNotValidYet { time: now, not_before }, now))
            } else if !usable {
                Err(Box::new((
                    Rejection::new("purpose", "its extended key usage"),
                    CertificateError::InvalidPurpose,
                )))
            } else if self.revocation != Revocation::None {
                Err(refusal(webpki::Error::UnknownRevocationStatus, now))
            } else {
                Ok(Vec::new())
            };
        }
        let certificate = EndEntityCert::try_from(end_entity).map_err(|error| refusal(error, now))?;
        let usage = match role {
            Role::Server => KeyUsage::server_auth(),
            Role::Client => KeyUsage::client_auth(),
        };
        let trust = &self.trust;
        // Views: the certificates themselves are not copied.
        let helpers: Vec<CertificateDer<'_>> = intermediates
            .iter()
            .chain(&trust.helpers)
            .map(|der| CertificateDer::from(der.as_ref()))
            .collect();
        let crls: Vec<&CertRevocationList<'_>> = trust.crls.iter().collect();
        let revocation = self.revocation_options(&crls).map_err(|error| refusal(error, now))?;
        let verified = certificate
            .verify_for_usage(self.algorithms.all, &trust.anchors, &helpers, now, usage, revocation, None)
            .map_err(|error| refusal(error, now))?;
        let mut path: Path =
            verified.intermediate_certificates().map(|each| each.der().into_owned()).collect();
        let anchor = trust.anchors.iter().position(|each| std::ptr::eq(each, verified.anchor()));
        if let Some(index) = anchor {
            trust.used[index].store(true, Ordering::Relaxed);
            path.push(trust.anchor_certificates[index].clone());
        }
        if self.strict {
            let whole: Vec<_> = std::iter::once(end_entity).chain(&path).collect();
            strict(&whole).map_err(|kind| {
                let detail = "it does not keep to RFC 5280 (VERIFY_X509_STRICT)";
                Box::new((Rejection::new(kind, detail), CertificateError::BadEncoding))
            })?;
        }
        Ok(path)
    }

    /// An unknown status and a list out of date are refusals: who asks for revocation wants to know.
    fn revocation_options<'a>(
        &self,
        crls: &'a [&'a CertRevocationList<'a>],
    ) -> Result<Option<RevocationOptions<'a>>, webpki::Error> {
        let depth = match self.revocation {
            Revocation::None => return Ok(None),
            Revocation::Leaf => RevocationCheckDepth::EndEntity,
            Revocation::Chain => RevocationCheckDepth::Chain,
        };
        let builder =
            RevocationOptionsBuilder::new(crls).map_err(|_| webpki::Error::UnknownRevocationStatus)?;
        let options = builder
            .with_depth(depth)
            .with_status_policy(UnknownStatusPolicy::Deny)
            .with_expiration_policy(ExpirationPolicy::Enforce)
            .build();
        Ok(Some(options))
    }

    fn signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
        tls13: bool,
    ) -> Result<HandshakeSignatureValid, Error> {
        if EndEntityCert::try_from(certificate).err() != Some(webpki::Error::UnsupportedCertVersion) {
            return match tls13 {
                true => verify_tls13_signature(message, certificate, dss, &self.algorithms),
                false => verify_tls12_signature(message, certificate, dss, &self.algorithms),
            };
        }
        // X.509 v1, which webpki reads as a trust anchor only: its key must prove itself all the same.
        let anchor = anchor_from_trusted_cert(certificate).map_err(|_| CertificateError::BadEncoding)?;
        let key = spki_for_anchor(&anchor);
        if tls13 {
            return verify_tls13_signature_with_raw_key(message, &key, dss, &self.algorithms);
        }
        let key = RawPublicKeyEntity::try_from(&key).map_err(|_| CertificateError::BadEncoding)?;
        let mapped = self.algorithms.mapping.iter().find(|(scheme, _)| *scheme == dss.scheme);
        let candidates = mapped.map_or(&[][..], |(_, candidates)| candidates);
        match candidates.iter().any(|alg| key.verify_signature(*alg, message, dss.signature()).is_ok()) {
            true => Ok(HandshakeSignatureValid::assertion()),
            false => Err(CertificateError::BadSignature.into()),
        }
    }
}

fn judge_name(end_entity: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> Result<(), Refusal> {
    EndEntityCert::try_from(end_entity)
        .and_then(|certificate| certificate.verify_is_valid_for_subject_name(name))
        .map_err(|error| refusal(error, now))
}

/// The evidence that a user gets, and the error from which rustls makes the alert.
type Refusal = Box<(Rejection, CertificateError)>;

fn refusal(error: webpki::Error, now: UnixTime) -> Refusal {
    Box::new(told_apart(error, now))
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
        _ => other("other", detail, error),
    }
}

fn other(kind: &'static str, detail: String, error: webpki::Error) -> (Rejection, CertificateError) {
    (Rejection::new(kind, detail), CertificateError::Other(OtherError(Arc::new(error))))
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let name = self.check_name.then_some(server_name);
        self.judge(Role::Server, end_entity, intermediates, name, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, cert, dss, false)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, cert, dss, true)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for PeerVerifier {
    fn offer_client_auth(&self) -> bool {
        self.request
    }

    fn client_auth_mandatory(&self) -> bool {
        self.require
    }

    /// None: as with `ssl`, a client is not told which authorities count.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge(Role::Client, end_entity, intermediates, None, now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, cert, dss, false)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, cert, dss, true)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
