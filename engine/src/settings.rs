//! What a context froze into: a rustls configuration for one side. Shared by any number of connections.

use std::sync::Arc;

use pyo3::prelude::*;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ServerConfig, SignatureScheme, SupportedProtocolVersion};

use crate::failure::Failure;
use crate::identity::Identity;
use crate::trust::TrustSet;
use crate::verifier::PeerVerifier;

#[derive(Clone)]
pub enum Config {
    Client(Arc<ClientConfig>),
    Server(Arc<ServerConfig>),
}

#[pyclass(frozen, module = "veritls._engine")]
pub struct Settings {
    pub config: Config,
    /// A certificate that the peer sent was validated, or there is no connection.
    pub validate: bool,
}

/// No certificate was loaded: a client offers none, a server cannot go on.
#[derive(Debug)]
struct NoIdentity;

impl ResolvesClientCert for NoIdentity {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }
    fn has_certs(&self) -> bool {
        false
    }
}

impl ResolvesServerCert for NoIdentity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

/// Whether a certificate can be for `name`: a DNS name in its ASCII form, or an address.
#[pyfunction]
pub fn is_server_name(name: &str) -> bool {
    ServerName::try_from(name).is_ok()
}

fn versions(tls12: bool, tls13: bool) -> Vec<&'static SupportedProtocolVersion> {
    let mut versions = Vec::new();
    if tls13 {
        versions.push(&TLS13);
    }
    if tls12 {
        versions.push(&TLS12);
    }
    versions
}

#[pymethods]
impl Settings {
    /// `request`, `require`, `validate`, `check_name`: what to do about the peer's certificate.
    /// Sessions are never resumed: each connection decides afresh.
    #[new]
    #[pyo3(signature = (*, server_side, tls12, tls13, alpn, identity, trust, request, require, validate, check_name))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        server_side: bool,
        tls12: bool,
        tls13: bool,
        alpn: Vec<Vec<u8>>,
        identity: Option<&Identity>,
        trust: &TrustSet,
        request: bool,
        require: bool,
        validate: bool,
        check_name: bool,
    ) -> PyResult<Self> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Arc::new(PeerVerifier {
            trust: trust.0.clone(),
            request,
            require,
            validate,
            check_name,
            algorithms: provider.signature_verification_algorithms,
        });
        let unusable = |why: rustls::Error| Failure::Unusable { what: "versions", why: why.to_string() };
        let single = identity.map(|identity| Arc::new(SingleCertAndKey::from(identity.0.clone())));
        let config = if server_side {
            let builder = ServerConfig::builder_with_provider(provider)
                .with_protocol_versions(&versions(tls12, tls13))
                .map_err(unusable)?
                .with_client_cert_verifier(verifier);
            let mut config = match single {
                Some(single) => builder.with_cert_resolver(single),
                None => builder.with_cert_resolver(Arc::new(NoIdentity)),
            };
            config.alpn_protocols = alpn;
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
            Config::Server(Arc::new(config))
        } else {
            let builder = ClientConfig::builder_with_provider(provider)
                .with_protocol_versions(&versions(tls12, tls13))
                .map_err(unusable)?
                .dangerous()
                .with_custom_certificate_verifier(verifier);
            let mut config = match single {
                Some(single) => builder.with_client_cert_resolver(single),
                None => builder.with_client_cert_resolver(Arc::new(NoIdentity)),
            };
            config.alpn_protocols = alpn;
            config.resumption = Resumption::disabled();
            Config::Client(Arc::new(config))
        };
        Ok(Self { config, validate })
    }
}
