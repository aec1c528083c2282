//! The verifier as rustls asks for it.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use webpki::{EndEntityCert, RawPublicKeyEntity, anchor_from_trusted_cert, spki_for_anchor};

use crate::verify::callback;
use crate::verify::types::Role;
use crate::verify::verifier::{PeerVerifier, in_words};

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let name = self.check_name.then_some(server_name);
        let path = self.judge(Role::Server, end_entity, intermediates, name, now)?;
        if let Some(path) = &path {
            self.judge_staple(Role::Server, (end_entity, intermediates), path, ocsp_response, name, now)?;
        }
        let stapled = path.is_some() && !ocsp_response.is_empty();
        callback::set_judged(end_entity, intermediates, path, now, name.map(in_words), stapled);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        check_signature(self, message, cert, dss, false)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        check_signature(self, message, cert, dss, true)
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
        let path = self.judge(Role::Client, end_entity, intermediates, None, now)?;
        callback::set_judged(end_entity, intermediates, path, now, None, false);
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        check_signature(self, message, cert, dss, false)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        check_signature(self, message, cert, dss, true)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The peer proved that it holds the certificate's key: now the program may have its say.
fn check_signature(
    verifier: &PeerVerifier,
    message: &[u8],
    certificate: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
    tls13: bool,
) -> Result<HandshakeSignatureValid, Error> {
    let valid = signature_alone(verifier, message, certificate, dss, tls13)?;
    callback::note_schemes(|schemes| schemes.peer = Some(dss.scheme.into()));
    if verifier.decides {
        verifier.ask(certificate)?;
    }
    Ok(valid)
}

fn signature_alone(
    verifier: &PeerVerifier,
    message: &[u8],
    certificate: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
    tls13: bool,
) -> Result<HandshakeSignatureValid, Error> {
    let key_only = matches!(
        EndEntityCert::try_from(certificate).err(),
        Some(webpki::Error::UnsupportedCertVersion | webpki::Error::UnsupportedCriticalExtension)
    );
    if !key_only {
        return match tls13 {
            true => verify_tls13_signature(message, certificate, dss, &verifier.algorithms),
            false => verify_tls12_signature(message, certificate, dss, &verifier.algorithms),
        };
    }
    // X.509 v1, or an extension that refuses it wherever it is validated: webpki reads both as a trust anchor
    // only, and the key must prove itself all the same.
    let anchor = anchor_from_trusted_cert(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let key = spki_for_anchor(&anchor);
    if tls13 {
        return verify_tls13_signature_with_raw_key(message, &key, dss, &verifier.algorithms);
    }
    let key = RawPublicKeyEntity::try_from(&key).map_err(|_| CertificateError::BadEncoding)?;
    let mapped = verifier.algorithms.mapping.iter().find(|(scheme, _)| *scheme == dss.scheme);
    let candidates = mapped.map_or(&[][..], |(_, candidates)| candidates);
    match candidates.iter().any(|alg| key.verify_signature(*alg, message, dss.signature()).is_ok()) {
        true => Ok(HandshakeSignatureValid::assertion()),
        false => Err(CertificateError::BadSignature.into()),
    }
}
