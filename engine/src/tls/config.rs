//! What a context froze into: a rustls configuration for one side. Shared by any number of connections.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::{ALL_KX_GROUPS, default_provider};
use rustls::pki_types::UnixTime;
use rustls::server::NoServerSessionStorage;
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, KeyLog, NoKeyLog, ServerConfig, SupportedProtocolVersion};

use crate::clock::now;
use crate::error::{Thing, Unusable};
use crate::tls::fatal_alert::cipher_suites;
use crate::tls::fingerprint::fingerprint;
use crate::tls::keyring::Keyring;
use crate::tls::own_identity::Own;
use crate::tls::peer_verifier::RustlsVerifier;
use crate::tls::recipe::{Demands, Recipe};
use crate::tls::resolvers::{OwnCertificates, OwnIdentities};
use crate::tls::side::Side;
use crate::tls::ticket_keys::Fingerprint;
use crate::tls::tickets::Tickets;
use crate::verify::peer_policy::{Conditions, Matcher};
use crate::verify::trust::Trust;
use crate::verify::types::{Revocation, RevocationPolicy, Role};
use crate::verify::verifier::PeerVerifier;

#[derive(Clone)]
pub enum RustlsConfig {
    Client(Arc<ClientConfig>),
    Server(Arc<ServerConfig>),
}

pub struct Config {
    pub rustls: RustlsConfig,
    pub verifier: Arc<PeerVerifier>,
    pub counters: Arc<Counters>,
    /// A client's: whether it takes tickets with TLS 1.2.
    pub takes_tickets: bool,
    /// A server's: what a session of another process must have in common with this configuration.
    pub fingerprint: Option<Fingerprint>,
}

/// How many handshakes the connections of one context began, finished and resumed, by side.
#[derive(Default)]
pub struct Counters {
    connect: [AtomicU64; 3],
    accept: [AtomicU64; 3],
}

impl Counters {
    /// Handshakes as a client, then as a server: begun, finished, finished by resumption.
    pub fn read(&self) -> [[u64; 3]; 2] {
        [&self.connect, &self.accept].map(|side| side.each_ref().map(|count| count.load(Ordering::Relaxed)))
    }

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
pub fn key_exchange_groups() -> Vec<u16> {
    default_provider().kx_groups.iter().map(|group| group.name().into()).collect()
}

/// What time it is, for rustls.
#[derive(Debug)]
struct Clock;

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        now().ok()
    }
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

fn conditions(demands: &Demands) -> Result<Conditions, Unusable> {
    let matcher = |(kind, value): &(String, String)| {
        Matcher::new(kind, value)
            .map_err(|why| Unusable::new(Thing::AllowedPeers, format!("{value:?}: {why}")))
    };
    let list = |list: &Vec<(String, String)>| list.iter().map(matcher).collect();
    let allowed = demands.allowed.iter().map(list).collect::<Result<_, Unusable>>()?;
    let pinned = demands.pinned.iter().map(|pins| pins.iter().copied().collect()).collect();
    Ok(Conditions { allowed, pinned })
}

/// A client that knows its servers by SPIFFE IDs has to say which of them it means: any workload of a trust domain could
/// take the server's place. Python says so first.
fn refuse_any_workload(recipe: &Recipe, demands: &Demands, trust: &Trust) -> Result<(), Unusable> {
    let names_its_servers = demands.validate && !demands.allowed.is_empty() && !demands.check_name;
    match trust.domains() {
        Some(_) if !recipe.server_side && !names_its_servers => {
            Err(Unusable::new(Thing::AllowedPeers, "any_workload"))
        }
        _ => Ok(()),
    }
}

impl Config {
    /// `keyring`: what tickets are sealed with is derived from its secrets and the fingerprint.
    /// `policy_token`: changes with each callback.
    pub fn new(
        recipe: Recipe,
        demands: &Demands,
        identities: Vec<Arc<Own>>,
        trust: Arc<Trust>,
        counters: Arc<Counters>,
        keyring: Arc<Keyring>,
        policy_token: &[u8],
    ) -> Result<Self, Unusable> {
        refuse_any_workload(&recipe, demands, &trust)?;
        let mut provider = default_provider();
        provider.cipher_suites = cipher_suites().to_vec();
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
        let fingerprint =
            recipe.server_side.then(|| fingerprint(&recipe, demands, &identities, &trust, policy_token));
        let verifier = Arc::new(PeerVerifier {
            trust,
            request: demands.request,
            require: demands.require,
            validate: demands.validate,
            peer: if recipe.server_side { Role::Client } else { Role::Server },
            check_name: demands.check_name,
            revocation: RevocationPolicy {
                of: match demands.revocation.as_str() {
                    "leaf" => Revocation::Leaf,
                    "chain" => Revocation::Chain,
                    _ => Revocation::None,
                },
                accept_unknown: demands.accept_unknown,
            },
            require_ocsp: demands.require_ocsp,
            strict: demands.strict,
            conditions: conditions(demands)?,
            verify_callback: demands.verify_callback,
            reverify: demands.reverify,
            max_resumption_age: demands.max_resumption_age,
        });
        let adapter = Arc::new(RustlsVerifier::new(verifier.clone()));
        let key_log: Arc<dyn KeyLog> = match &recipe.keylog {
            None => Arc::new(NoKeyLog {}),
            Some(path) => {
                let file = File::options().append(true).create(true).mode(0o600).open(path);
                Arc::new(KeyLogFile(file.map_err(|why| Unusable::new(Thing::KeyLog, why))?))
            }
        };
        let takes_tickets = recipe.tickets.is_some();
        let versions = versions(recipe.tls12, recipe.tls13);
        let wrong = |why: rustls::Error| Unusable::new(Thing::Protocols, why);
        let rustls = if recipe.server_side {
            let mut config = ServerConfig::builder_with_details(provider, Arc::new(Clock))
                .with_protocol_versions(&versions)
                .map_err(wrong)?
                .with_client_cert_verifier(adapter)
                .with_cert_resolver(Arc::new(OwnCertificates::new(identities)));
            config.alpn_protocols = recipe.alpn;
            config.ignore_client_order = recipe.own_order;
            config.key_log = key_log;
            config.session_storage = Arc::new(NoServerSessionStorage {});
            let tickets = recipe.tickets.filter(|_| demands.max_resumption_age > 0);
            config.send_tls13_tickets = tickets.unwrap_or(0);
            if let Some(fingerprint) = fingerprint.filter(|_| tickets.is_some()) {
                // No ticket outlives a change of the settings.
                config.ticketer = Arc::new(Tickets { keyring, fingerprint, verifier: verifier.clone() });
            }
            RustlsConfig::Server(Arc::new(config))
        } else {
            let mut config = ClientConfig::builder_with_details(provider, Arc::new(Clock))
                .with_protocol_versions(&versions)
                .map_err(wrong)?
                .dangerous()
                .with_custom_certificate_verifier(adapter)
                .with_client_cert_resolver(Arc::new(OwnIdentities::new(identities)));
            config.alpn_protocols = recipe.alpn;
            config.key_log = key_log;
            // A store of its own comes with each connection.
            config.resumption = Resumption::disabled();
            RustlsConfig::Client(Arc::new(config))
        };
        Ok(Self { rustls, verifier, counters, takes_tickets, fingerprint })
    }
}
