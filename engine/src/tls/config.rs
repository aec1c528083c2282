//! What a context froze into: a rustls configuration for one side. Shared by any number of connections.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::{ALL_KX_GROUPS, default_provider};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, KeyLog, NoKeyLog, ServerConfig, SupportedProtocolVersion};

use crate::clock::{Clock, now};
use crate::tls::client_hello::OwnCertificates;
use crate::tls::connection::Side;
use crate::tls::failure::{Failure, guarded};
use crate::tls::fingerprint::{Fingerprint, fingerprint};
use crate::tls::own_identity::{Identity, OwnIdentities};
use crate::tls::ticket_keys::{Secret, TicketKeys};
use crate::tls::tickets::Tickets;
use crate::verify::peer_policy::{Conditions, Matcher, Pin};
use crate::verify::signature_cache::algorithms;
use crate::verify::trust::TrustSet;
use crate::verify::verifier::{PeerVerifier, Revocation, Role};

#[derive(Clone)]
pub enum Config {
    Client(Arc<ClientConfig>),
    Server(Arc<ServerConfig>),
}

#[pyclass(frozen, module = "veritls._engine")]
pub struct Settings {
    pub config: Config,
    pub verifier: Arc<PeerVerifier>,
    pub counters: Arc<Counters>,
    /// A server's.
    fingerprint: Option<Fingerprint>,
}

/// How many handshakes the connections of one context began, finished and resumed, by side.
#[derive(Default)]
pub struct Counters {
    connect: [AtomicU64; 3],
    accept: [AtomicU64; 3],
}

impl Counters {
    fn of(&self, side: &Side) -> &[AtomicU64; 3] {
        match side {
            Side::Client(_) => &self.connect,
            Side::Server(_) => &self.accept,
        }
    }

    pub fn begun(&self, side: &Side) {
        self.of(side)[0].fetch_add(1, Ordering::Relaxed);
    }

    pub fn established(&self, side: &Side, resumed: bool) {
        self.of(side)[1].fetch_add(1, Ordering::Relaxed);
        self.of(side)[2].fetch_add(resumed.into(), Ordering::Relaxed);
    }
}

/// Counters that outlive a change of settings.
#[pyclass(frozen, module = "veritls._engine")]
pub struct Statistics(Arc<Counters>);

#[pymethods]
impl Statistics {
    #[new]
    fn new() -> Self {
        Self(Arc::default())
    }

    /// Handshakes as a client, then as a server: begun, finished, finished by resumption.
    fn read(&self) -> [[u64; 3]; 2] {
        [&self.0.connect, &self.0.accept]
            .map(|side| side.each_ref().map(|count| count.load(Ordering::Relaxed)))
    }
}

/// Secrets in the format of NSS, for tools that decrypt captured traffic. Appended to a file, each line by one system
/// call: no lock is held meanwhile, which a forked child would wait for.
#[derive(Debug)]
struct KeyLogFile(File);

impl KeyLog for KeyLogFile {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let line = format!("{label} {} {}\n", hex(client_random), hex(secret));
        // A diagnosis that cannot be written must not end the connection.
        let _ = (&self.0).write_all(line.as_bytes());
    }
}

/// The key exchange groups that exist here, by their IANA numbers, best first.
#[pyfunction]
pub fn key_exchange_groups() -> Vec<u16> {
    default_provider().kx_groups.iter().map(|group| group.name().into()).collect()
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

/// What both sides are made of.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Recipe {
    pub server_side: bool,
    pub tls12: bool,
    pub tls13: bool,
    pub alpn: Vec<Vec<u8>>,
    /// Cipher suites and groups by their IANA numbers, best first; those that do not exist here are left out.
    pub suites: Vec<u16>,
    pub groups: Vec<u16>,
    /// A server's own order of suites counts, not the client's.
    pub own_order: bool,
    /// TLS 1.3 tickets that a server sends after a handshake; none in either version where it is None.
    pub tickets: Option<usize>,
    pub keylog: Option<PathBuf>,
}

/// What to ask of the peer, and how to judge its certificate.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Demands {
    pub request: bool,
    pub require: bool,
    pub validate: bool,
    pub check_name: bool,
    /// "none", "leaf" or "chain": whose revocation must be known.
    pub revocation: String,
    /// Whether one whose revocation nobody knows is good enough.
    pub accept_unknown: bool,
    pub require_ocsp: bool,
    pub strict: bool,
    /// Kinds and patterns of names; of several lists each must be satisfied.
    pub allowed: Vec<Vec<(String, String)>>,
    /// SHA-256 of public keys; the same.
    pub pinned: Vec<Vec<Pin>>,
    pub decides: bool,
    pub reverify: bool,
    /// Seconds since the last handshake in full; 0 is no resumption.
    pub max_resumption_age: u32,
}

fn conditions(demands: &Demands) -> Result<Conditions, Failure> {
    let matcher = |(kind, value): &(String, String)| {
        Matcher::new(kind, value).map_err(|why| unusable("allowed_peers", format!("{value:?}: {why}")))
    };
    let list = |list: &Vec<(String, String)>| list.iter().map(matcher).collect();
    let allowed = demands.allowed.iter().map(list).collect::<Result<_, Failure>>()?;
    let pinned = demands.pinned.iter().map(|pins| pins.iter().copied().collect()).collect();
    Ok(Conditions { allowed, pinned })
}

fn unusable(what: &'static str, why: impl std::fmt::Display) -> Failure {
    Failure::Unusable { what, why: why.to_string() }
}

#[pymethods]
impl Settings {
    /// `ticket_secret`: of the context; what tickets are sealed with is derived from it and the fingerprint.
    /// `policy_token`: changes with each callback.
    #[new]
    fn new(
        recipe: Recipe,
        demands: Demands,
        identities: Vec<PyRef<'_, Identity>>,
        trust: &TrustSet,
        statistics: &Statistics,
        ticket_secret: [u8; 32],
        policy_token: &[u8],
    ) -> PyResult<Self> {
        let ticket_secret = Secret::new(ticket_secret);
        let mut provider = default_provider();
        let place = |number: u16, order: &[u16]| order.iter().position(|each| *each == number);
        let suite = |suite: &rustls::SupportedCipherSuite| u16::from(suite.suite());
        provider.cipher_suites.retain(|each| place(suite(each), &recipe.suites).is_some());
        provider.cipher_suites.sort_by_key(|each| place(suite(each), &recipe.suites));
        provider.kx_groups = recipe
            .groups
            .iter()
            .filter_map(|number| {
                ALL_KX_GROUPS.iter().find(|group| u16::from(group.name()) == *number).copied()
            })
            .collect();
        let provider = Arc::new(provider);
        let identities: Vec<_> = identities.iter().map(|identity| identity.0.clone()).collect();
        let fingerprint =
            recipe.server_side.then(|| fingerprint(&recipe, &demands, &identities, &trust.0, policy_token));
        let verifier = Arc::new(PeerVerifier {
            trust: trust.0.clone(),
            request: demands.request,
            require: demands.require,
            validate: demands.validate,
            peer: if recipe.server_side { Role::Client } else { Role::Server },
            check_name: demands.check_name,
            revocation: match demands.revocation.as_str() {
                "leaf" => Revocation::Leaf,
                "chain" => Revocation::Chain,
                _ => Revocation::None,
            },
            accept_unknown: demands.accept_unknown,
            require_ocsp: demands.require_ocsp,
            strict: demands.strict,
            conditions: conditions(&demands)?,
            decides: demands.decides,
            reverify: demands.reverify,
            max_resumption_age: demands.max_resumption_age,
            algorithms: algorithms(),
        });
        let key_log: Arc<dyn KeyLog> = match &recipe.keylog {
            None => Arc::new(NoKeyLog {}),
            Some(path) => {
                let file = File::options().append(true).create(true).mode(0o600).open(path);
                Arc::new(KeyLogFile(file.map_err(|why| unusable("keylog_filename", why))?))
            }
        };
        let versions = versions(recipe.tls12, recipe.tls13);
        let wrong = |why: rustls::Error| unusable("versions, ciphers and groups", why);
        let config = if recipe.server_side {
            let mut config = ServerConfig::builder_with_details(provider, Arc::new(Clock))
                .with_protocol_versions(&versions)
                .map_err(wrong)?
                .with_client_cert_verifier(verifier.clone())
                .with_cert_resolver(Arc::new(OwnCertificates::new(identities)));
            config.alpn_protocols = recipe.alpn;
            config.ignore_client_order = recipe.own_order;
            config.key_log = key_log;
            config.session_storage = Arc::new(NoServerSessionStorage {});
            // For `fatal_alert`.
            config.enable_secret_extraction = demands.decides;
            let tickets = recipe.tickets.filter(|_| demands.max_resumption_age > 0);
            config.send_tls13_tickets = tickets.unwrap_or(0);
            if let Some(fingerprint) = fingerprint.filter(|_| tickets.is_some()) {
                // No ticket outlives a change of the settings.
                let keys = TicketKeys::new(ticket_secret, fingerprint);
                config.ticketer = Arc::new(Tickets { keys, verifier: verifier.clone() });
            }
            Config::Server(Arc::new(config))
        } else {
            let mut config = ClientConfig::builder_with_details(provider, Arc::new(Clock))
                .with_protocol_versions(&versions)
                .map_err(wrong)?
                .dangerous()
                .with_custom_certificate_verifier(verifier.clone())
                .with_client_cert_resolver(Arc::new(OwnIdentities::new(identities)));
            config.alpn_protocols = recipe.alpn;
            config.key_log = key_log;
            config.enable_secret_extraction = demands.decides;
            // A store of its own comes with each connection.
            config.resumption = Resumption::disabled();
            Config::Client(Arc::new(config))
        };
        Ok(Self { config, verifier, counters: statistics.0.clone(), fingerprint })
    }

    /// A server's: what a session of another process must have in common with these settings.
    #[getter]
    fn fingerprint<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.fingerprint.map(|fingerprint| PyBytes::new(py, &fingerprint))
    }

    /// Judges a chain (DER, the peer's own certificate first) as a handshake would that demands one, now or
    /// at a second of the epoch. `name`: to be checked too. `ocsp_response`: what its server stapled. Returns
    /// what stands above it in the path.
    #[pyo3(signature = (chain, of_server, name = None, at = None, ocsp_response = None))]
    fn verify<'py>(
        &self,
        py: Python<'py>,
        chain: Vec<Vec<u8>>,
        of_server: bool,
        name: Option<&str>,
        at: Option<u64>,
        ocsp_response: Option<Vec<u8>>,
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let name = name
            .map(|name| ServerName::try_from(name).map_err(|why| unusable("server_hostname", why)))
            .transpose()?;
        let role = if of_server { Role::Server } else { Role::Client };
        let at = match at {
            Some(at) => UnixTime::since_unix_epoch(Duration::from_secs(at)),
            None => now().map_err(Failure::from)?,
        };
        let chain: Vec<_> = chain.into_iter().map(CertificateDer::from).collect();
        let response = ocsp_response.unwrap_or_default();
        let path =
            py.detach(|| guarded(|| self.verifier.verdict(role, &chain, name.as_ref(), &response, at)))?;
        Ok(path.iter().map(|der| PyBytes::new(py, der)).collect())
    }
}
