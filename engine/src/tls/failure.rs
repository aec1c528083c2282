//! Why an operation failed: which kind of failure, and its evidence.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pyo3::PyErr;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible, PeerMisbehaved};

use crate::error::{Forked, NoMemory, NoTime, Thing, Unusable};
use crate::verify::callback::Callback;
use crate::verify::rejection::Rejection;

/// The reasons for which an operation can fail, each with the evidence that the engine has.
#[derive(Clone, Debug)]
pub enum Failure {
    /// Non-blocking: the transport has nothing to read yet.
    WantRead,
    /// Non-blocking: the transport takes nothing more yet.
    WantWrite,
    /// The deadline of the call passed. The connection is intact.
    Timeout,
    /// A signal arrived: let Python's handlers run, then go on.
    Interrupted,
    /// The transport ended without a close_notify.
    UnexpectedEof,
    /// The connection was closed by both sides.
    Closed,
    /// `sni_callback` refused the client's hello; what it raised, where that ends the program.
    HelloRefused(Option<Arc<PyErr>>),
    /// Application data came where only the peer's close_notify may.
    DataAfterClose,
    /// A write was left unfinished, and this one is not its repetition.
    BadWriteRetry,
    /// A callback of this very connection runs: it cannot be used yet.
    CallbackRunning(Callback),
    /// `write` on a MemoryBIO after `write_eof`.
    WriteAfterEof,
    /// Another thread was at work here when the process was forked, and this is the child.
    Forked,
    /// The system call failed with this errno.
    Os(i32),
    /// The peer refused: the alert that it sent (RFC 8446, section 6).
    AlertReceived(u8),
    /// The peer had to send a certificate and sent none.
    NoPeerCertificate,
    /// The peer's certificate was refused.
    Certificate(Box<Rejection>),
    /// What the peer sent is no TLS record: its first bytes, none where they came in mid-connection.
    NotTls(Vec<u8>),
    /// A record was changed on its way, or made without the keys.
    BadRecordMac,
    /// The two sides have no version, suite, group or signature in common: which, as a code of ours.
    Incompatible(&'static str),
    /// The peer broke the protocol: a code of ours, or what rustls says.
    Protocol(String),
    /// Our own certificate, key or setting is unusable: which, and why.
    Unusable { what: Thing, why: String },
    /// The private key does not belong to the certificate.
    KeyMismatch,
    /// There is not enough memory.
    NoMemory,
    /// A defect of the engine itself; the connection is dead.
    Internal(String),
}

impl Failure {
    /// The same for later calls: it keeps nothing of the program's alive.
    pub fn without_cause(&self) -> Self {
        let mut failure = self.clone();
        match &mut failure {
            Self::Certificate(rejection) => rejection.cause = None,
            Self::HelloRefused(cause) => *cause = None,
            _ => {}
        }
        failure
    }
}

impl From<rustix::io::Errno> for Failure {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::Os(errno.raw_os_error())
    }
}

impl From<NoTime> for Failure {
    fn from(_: NoTime) -> Self {
        Self::Unusable { what: Thing::Clock, why: "before_1970".to_owned() }
    }
}

impl From<Forked> for Failure {
    fn from(_: Forked) -> Self {
        Self::Forked
    }
}

impl From<Unusable> for Failure {
    fn from(Unusable { what, why }: Unusable) -> Self {
        Self::Unusable { what, why }
    }
}

impl From<Box<Rejection>> for Failure {
    fn from(rejection: Box<Rejection>) -> Self {
        Self::Certificate(rejection)
    }
}

/// The callback that runs, for which the caller cannot wait.
impl From<Callback> for Failure {
    fn from(callback: Callback) -> Self {
        Self::CallbackRunning(callback)
    }
}

/// What is known of a connection that failed, besides rustls's error.
#[derive(Default)]
pub struct Evidence {
    /// What the verifier left.
    pub rejection: Option<Box<Rejection>>,
    /// This server has no certificate to answer the client's hello with.
    pub no_certificate: bool,
    /// This server's key makes none of the signatures that the client can verify.
    pub no_scheme: bool,
    /// No version is agreed on yet.
    pub early: bool,
    /// The first bytes of what could not be processed.
    pub started_with: Option<[u8; 5]>,
}

/// An error of rustls's, as the caller of the connection needs it.
pub fn failure_of(error: Error, evidence: Evidence) -> Failure {
    let Evidence { rejection, no_certificate, no_scheme, early, started_with } = evidence;
    match error {
        Error::InvalidCertificate(why) => {
            rejection.map_or_else(|| Failure::Protocol(without_proof(&why).to_owned()), Failure::Certificate)
        }
        Error::AlertReceived(alert) => Failure::AlertReceived(alert.into()),
        Error::NoCertificatesPresented => Failure::NoPeerCertificate,
        Error::InvalidMessage(_) if early && started_with.is_some_and(|start| start[0] != 22) => {
            Failure::NotTls(started_with.unwrap_or_default().to_vec())
        }
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        ) => Failure::NotTls(Vec::new()),
        Error::DecryptError => Failure::BadRecordMac,
        Error::FailedToGetCurrentTime => NoTime.into(),
        Error::PeerIncompatible(why) => Failure::Incompatible(incompatibility(&why)),
        Error::General(_) if no_certificate => Failure::Incompatible("no_own_certificate"),
        Error::General(_) if no_scheme => Failure::Incompatible("signature_schemes"),
        other => Failure::Protocol(other.to_string()),
    }
}

/// A certificate error that is no refusal of the verifier's: it is about the peer's signature of the handshake.
fn without_proof(why: &CertificateError) -> &'static str {
    match why {
        CertificateError::BadSignature => "wrong_proof",
        CertificateError::BadEncoding => "unreadable_proof",
        _ => "foreign_proof",
    }
}

/// The alert for an error for which rustls sends none itself; None where the peer ended the connection.
pub fn alert_of(error: &Error, evidence: &Evidence) -> Option<AlertDescription> {
    Some(match error {
        Error::AlertReceived(_) => return None,
        Error::PeerMisbehaved(why) => match why {
            // Messages that are in no place of their own: RFC 8446, sections 5 (change_cipher_spec), 5.1 (between the
            // pieces of a handshake message) and 5.4 (without a content type), and what each is allowed a few times
            // (section 6.2).
            PeerMisbehaved::IllegalMiddleboxChangeCipherSpec
            | PeerMisbehaved::MessageInterleavedWithHandshakeMessage
            | PeerMisbehaved::RejectedEarlyDataInterleavedWithHandshakeMessage
            | PeerMisbehaved::IllegalTlsInnerPlaintext
            | PeerMisbehaved::TooManyEmptyFragments
            | PeerMisbehaved::TooManyKeyUpdateRequests
            | PeerMisbehaved::TooManyRenegotiationRequests
            | PeerMisbehaved::TooManyWarningAlertsReceived => AlertDescription::UnexpectedMessage,
            // RFC 8446, section 4.2.
            PeerMisbehaved::UnsolicitedCertExtension => AlertDescription::UnsupportedExtension,
            // RFC 7627, section 5.3.
            PeerMisbehaved::ResumptionOfferedWithVariedEms => AlertDescription::HandshakeFailure,
            // RFC 8446, section 6.2, as for every field that contradicts another.
            _ => AlertDescription::IllegalParameter,
        },
        // RFC 8446, section 4.
        Error::InappropriateMessage { .. } => AlertDescription::UnexpectedMessage,
        // A server's empty Certificate: RFC 8446, section 4.4.2.4.
        Error::NoCertificatesPresented | Error::InvalidMessage(_) => AlertDescription::DecodeError,
        Error::PeerIncompatible(_) => AlertDescription::HandshakeFailure,
        Error::General(_) if evidence.no_scheme => AlertDescription::HandshakeFailure,
        _ => AlertDescription::InternalError,
    })
}

/// What the two sides have not in common, as a code of ours.
fn incompatibility(why: &PeerIncompatible) -> &'static str {
    match why {
        PeerIncompatible::NoCipherSuitesInCommon => "cipher_suites",
        PeerIncompatible::NoKxGroupsInCommon => "groups",
        PeerIncompatible::NoEcPointFormatsInCommon | PeerIncompatible::UncompressedEcPointsRequired => {
            "point_formats"
        }
        PeerIncompatible::NoSignatureSchemesInCommon
        | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon => "signature_schemes",
        PeerIncompatible::NullCompressionRequired => "compression",
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => "server_version",
        PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::Tls13RequiredForQuic => "client_version",
        PeerIncompatible::IncorrectCertificateTypeExtension
        | PeerIncompatible::UnsolicitedCertificateTypeExtension => "certificate_type",
        PeerIncompatible::ExtendedMasterSecretExtensionRequired => "extended_master_secret",
        PeerIncompatible::EcPointsExtensionRequired
        | PeerIncompatible::KeyShareExtensionRequired
        | PeerIncompatible::NamedGroupsExtensionRequired
        | PeerIncompatible::SignatureAlgorithmsExtensionRequired => "missing_extension",
        _ => "other",
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "unknown panic".to_owned())
}

/// Runs `work`; a panic in it is an error like any other, never an abort and never a BaseException.
pub fn guarded<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| match payload.is::<NoMemory>() {
        true => Err(Failure::NoMemory),
        false => Err(Failure::Internal(panic_text(payload.as_ref()))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_by_an_algorithm_that_is_not_the_keys_is_a_code_and_no_type_of_rustls() {
        let foreign = CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id: vec![1],
            public_key_algorithm_id: vec![2],
        };
        let unknown = CertificateError::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: vec![1],
            supported_algorithms: Vec::new(),
        };
        for why in [foreign, unknown] {
            let failure = failure_of(Error::InvalidCertificate(why), Evidence::default());
            assert!(matches!(failure, Failure::Protocol(why) if why == "foreign_proof"));
        }
    }

    #[test]
    fn a_panic_becomes_an_internal_failure() {
        let outcome: Result<(), Failure> = guarded(|| panic!("broken {}", 7));
        assert!(matches!(outcome, Err(Failure::Internal(text)) if text == "broken 7"));
    }
}
