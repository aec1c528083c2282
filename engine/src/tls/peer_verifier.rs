//! The verifier as rustls asks for it: a policy, shared by all connections of a context. What it finds out is noted
//! with the handshake for which it is asked.

use std::sync::Arc;

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

use crate::tls::handshake::{Handshake, current};
use crate::tls::signature_schemes::algorithms;
use crate::verify::certificate::may_sign;
use crate::verify::peer_key::{key_of_anchor, signed_with};
use crate::verify::rejection::{Kind, Rejection};
use crate::verify::types::{Role, SentChain, Verified};
use crate::verify::verifier::{PeerVerifier, in_words};

#[derive(Debug)]
pub struct RustlsVerifier {
    policy: Arc<PeerVerifier>,
    /// Those that a peer may sign a handshake with.
    algorithms: WebPkiSupportedAlgorithms,
}

/// The error from which rustls makes the alert of a refusal.
pub fn error_of(kind: Kind) -> CertificateError {
    match kind {
        Kind::Expired => CertificateError::Expired,
        Kind::NotYetValid => CertificateError::NotValidYet,
        Kind::Name => CertificateError::NotValidForName,
        Kind::UnknownIssuer | Kind::LeafAsCa | Kind::PathLength | Kind::TrustDomain => {
            CertificateError::UnknownIssuer
        }
        Kind::Revoked | Kind::OcspRevoked => CertificateError::Revoked,
        Kind::RevocationUnknown | Kind::CrlSignature | Kind::CrlSigner => {
            CertificateError::UnknownRevocationStatus
        }
        Kind::CrlExpired => CertificateError::ExpiredRevocationList,
        Kind::Signature | Kind::Algorithm => CertificateError::BadSignature,
        Kind::Purpose | Kind::KeyUsage | Kind::CaAsLeaf => CertificateError::InvalidPurpose,
        Kind::CriticalExtension => CertificateError::UnhandledCriticalExtension,
        Kind::SpiffeId | Kind::NotAllowed | Kind::NotPinned | Kind::Callback => {
            CertificateError::ApplicationVerificationFailure
        }
        Kind::OcspMissing
        | Kind::OcspInvalid
        | Kind::OcspForeign
        | Kind::OcspSignature
        | Kind::OcspExpired
        | Kind::OcspNotYetValid
        | Kind::OcspUnknown => CertificateError::InvalidOcspResponse,
        Kind::NameConstraint | Kind::NoExplicitPolicy | Kind::TooComplex | Kind::Other => {
            CertificateError::Other(OtherError(Arc::new(Unnamed)))
        }
        // And what departs from RFC 5280.
        Kind::Encoding
        | Kind::StrictAlgorithmsDiffer
        | Kind::StrictAuthorityKey
        | Kind::StrictAuthorityKeyCritical
        | Kind::StrictAuthorityKeyIncomplete
        | Kind::StrictAuthorityKeyMismatch
        | Kind::StrictAuthorityKeyMissing
        | Kind::StrictAuthoritySerialMismatch
        | Kind::StrictCaWithoutKeyUsage
        | Kind::StrictConstraintsNotCritical
        | Kind::StrictCriticality
        | Kind::StrictExtensionInvalid
        | Kind::StrictExtensionsNeedV3
        | Kind::StrictIssuerEmpty
        | Kind::StrictKey
        | Kind::StrictKeyUsageEmpty
        | Kind::StrictCrlNumber
        | Kind::StrictNameConstraintForm
        | Kind::StrictNameConstraintsEmpty
        | Kind::StrictNameConstraintsForNonCa
        | Kind::StrictNameForm
        | Kind::StrictNamesEmpty
        | Kind::StrictNamesNotCritical
        | Kind::StrictPathLengthForNonCa
        | Kind::StrictPathLengthWithoutSigning
        | Kind::StrictSerialNumber
        | Kind::StrictSigningForNonCa
        | Kind::StrictSubjectEmpty
        | Kind::StrictSubjectKeyCritical
        | Kind::StrictSubjectKeyMissing => CertificateError::BadEncoding,
    }
}

fn is_rsa(scheme: SignatureScheme) -> bool {
    matches!(
        scheme,
        SignatureScheme::RSA_PKCS1_SHA1
            | SignatureScheme::RSA_PKCS1_SHA256
            | SignatureScheme::RSA_PKCS1_SHA384
            | SignatureScheme::RSA_PKCS1_SHA512
            | SignatureScheme::RSA_PSS_SHA256
            | SignatureScheme::RSA_PSS_SHA384
            | SignatureScheme::RSA_PSS_SHA512
    )
}

/// A kind of refusal for which rustls has no error.
#[derive(Debug)]
struct Unnamed;

impl std::fmt::Display for Unnamed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("refused")
    }
}

impl std::error::Error for Unnamed {}

fn refuse(handshake: &Handshake, rejection: Box<Rejection>) -> Error {
    let error = error_of(rejection.kind);
    handshake.keep_rejection(rejection);
    Error::InvalidCertificate(error)
}

impl RustlsVerifier {
    pub fn new(policy: Arc<PeerVerifier>) -> Self {
        Self { policy, algorithms: algorithms() }
    }

    fn verify(
        &self,
        role: Role,
        chain: SentChain<'_>,
        name: Option<&ServerName<'_>>,
        response: &[u8],
        at: UnixTime,
    ) -> Result<(), Error> {
        let handshake = current()?;
        let path = self
            .policy
            .verify_stapled(role, chain, name, response, at)
            .map_err(|rejection| refuse(&handshake, rejection))?;
        let stapled = path.is_some() && !response.is_empty();
        let chain = chain.certificates().map(|der| der.clone().into_owned()).collect();
        handshake.keep_verified(Verified { chain, path, at, name: name.map(in_words), stapled });
        Ok(())
    }

    /// Whether a server's key may sign a handshake of TLS 1.2 (RFC 5246, section 7.4.2). As with `ssl`, an RSA key may
    /// whatever its certificate says.
    fn may_sign(&self, certificate: &CertificateDer<'_>, scheme: SignatureScheme) -> bool {
        let demanded = self.policy.validate && self.policy.peer == Role::Server && !is_rsa(scheme);
        !demanded || may_sign(certificate)
    }

    /// The peer proved that it holds the certificate's key: that may sign, and now the verify callback runs.
    fn verify_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
        tls13: bool,
    ) -> Result<HandshakeSignatureValid, Error> {
        let valid = verify_signature(&self.algorithms, message, certificate, dss, tls13)?;
        let handshake = current()?;
        handshake.note_schemes(|schemes| schemes.peer = Some(dss.scheme.into()));
        if !tls13 && !self.may_sign(certificate, dss.scheme) {
            let verified = handshake.verified();
            let rejection = Rejection::new(Kind::KeyUsage, "");
            let rejection = self.policy.refused_once_verified(rejection, verified.as_ref());
            return Err(refuse(&handshake, rejection));
        }
        if self.policy.verify_callback {
            let verified = handshake.verified();
            handshake
                .ask(&self.policy, verified.as_ref(), certificate)
                .map_err(|rejection| refuse(&handshake, rejection))?;
        }
        Ok(valid)
    }
}

impl ServerCertVerifier for RustlsVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let name = self.policy.check_name.then_some(server_name);
        let chain = SentChain { own: end_entity, above: intermediates };
        self.verify(Role::Server, chain, name, ocsp_response, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(message, cert, dss, false)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(message, cert, dss, true)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for RustlsVerifier {
    fn offer_client_auth(&self) -> bool {
        self.policy.request
    }

    fn client_auth_mandatory(&self) -> bool {
        self.policy.require
    }

    /// None: as with `ssl`, a client is not told which CAs count.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let chain = SentChain { own: end_entity, above: intermediates };
        self.verify(Role::Client, chain, None, &[], now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(message, cert, dss, false)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(message, cert, dss, true)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn verify_signature(
    algorithms: &WebPkiSupportedAlgorithms,
    message: &[u8],
    certificate: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
    tls13: bool,
) -> Result<HandshakeSignatureValid, Error> {
    let key = match key_of_anchor(certificate).map_err(|_| CertificateError::BadEncoding)? {
        None if tls13 => return verify_tls13_signature(message, certificate, dss, algorithms),
        None => return verify_tls12_signature(message, certificate, dss, algorithms),
        Some(key) => key,
    };
    if tls13 {
        return verify_tls13_signature_with_raw_key(message, &key, dss, algorithms);
    }
    let mapped = algorithms.mapping.iter().find(|(scheme, _)| *scheme == dss.scheme);
    let candidates = mapped.map_or(&[][..], |(_, candidates)| candidates);
    match signed_with(&key, candidates, message, dss.signature()) {
        Err(_) => Err(CertificateError::BadEncoding.into()),
        Ok(true) => Ok(HandshakeSignatureValid::assertion()),
        Ok(false) => Err(CertificateError::BadSignature.into()),
    }
}
