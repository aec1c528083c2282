//! One end of a connection, as its drivers use it, and the tickets of a server.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;

use crate::tls::config::{Config, Counters};
use crate::tls::connection::Connection;
use crate::tls::failure::Failure;
use crate::tls::keyring::Keyring;
use crate::tls::own_identity::Own;
use crate::tls::recipe::{Demands, Recipe};
use crate::tls::session::Session;
use crate::tls::ticket_keys::{Secret, TicketKeys};
use crate::tls::tickets;
use crate::verify::trust::Trust;
use crate::wire::buffers::Buffer;

/// What an end is made of. It demands a certificate below `root` of its peer; a client's, one for `NAME`. DER.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    pub server: bool,
    pub tls12: bool,
    pub tls13: bool,
    /// The one key exchange group, by its IANA number.
    pub group: u16,
    pub root: &'a [u8],
    pub certificate: &'a [u8],
    pub key: &'a [u8],
}

pub const NAME: &str = "localhost";

/// What connections have in common.
pub struct Context {
    config: Config,
    server: bool,
}

pub struct End(Connection);

/// What a client needs to resume.
pub struct Resumable(Session);

impl Context {
    pub fn new(setup: &Setup<'_>) -> Self {
        let own = Own::new(vec![setup.certificate.to_vec()], setup.key.to_vec());
        let own = own.unwrap_or_else(|why| panic!("an identity: {why:?}"));
        let trust =
            Trust::of(vec![setup.root.to_vec()], true).unwrap_or_else(|why| panic!("a root: {why:?}"));
        let recipe = Recipe {
            server_side: setup.server,
            tls12: setup.tls12,
            tls13: setup.tls13,
            alpn: vec![b"fuzz".to_vec()],
            suites: vec![0x1301, 0x1303, 0xc02b, 0xcca9],
            groups: vec![setup.group],
            own_order: false,
            tickets: Some(2),
            keylog: None,
        };
        let demands = Demands {
            request: true,
            require: true,
            validate: true,
            check_name: !setup.server,
            revocation: "none".to_owned(),
            accept_unknown: false,
            require_ocsp: false,
            strict: false,
            allowed: Vec::new(),
            pinned: Vec::new(),
            verify_callback: false,
            reverify: true,
            max_resumption_age: 86_400,
        };
        let counters = Arc::<Counters>::default();
        let keyring = Arc::new(Keyring::own(Secret::new([7; 32])));
        let config =
            Config::new(recipe, &demands, vec![Arc::new(own)], Arc::new(trust), counters, keyring, &[]);
        let config = config.unwrap_or_else(|why| panic!("a configuration: {why:?}"));
        Self { config, server: setup.server }
    }

    pub fn end(&self, session: Option<&Resumable>) -> End {
        let name = (!self.server).then_some(NAME);
        let made = Connection::new(&self.config, name, session.map(|session| &session.0), None, None);
        End(made.unwrap_or_else(|why| panic!("a connection: {why:?}")))
    }
}

impl End {
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut buffer = Buffer::default();
        buffer.append(bytes);
        self.0.feed(buffer);
    }

    /// How many bytes of plaintext were put `into`; None where the connection is over.
    pub fn process(&mut self, into: &mut [u8]) -> Option<usize> {
        match self.0.process(into) {
            Ok(count) => Some(count),
            Err(Failure::Internal(why)) => panic!("a defect: {why}"),
            Err(_) => None,
        }
    }

    /// The handshake is complete, and its end was accepted.
    pub fn is_complete(&self) -> bool {
        self.0.finished() && self.0.established()
    }

    pub fn is_resumed(&self) -> bool {
        self.0.resumed()
    }

    /// The peer's own certificate, DER.
    pub fn peer(&self) -> Option<Vec<u8>> {
        self.0.state().peer_certificates().and_then(<[_]>::first).map(|der: &CertificateDer<'_>| der.to_vec())
    }

    pub fn has_path(&self) -> bool {
        self.0.verified_chain().is_some()
    }

    pub fn outgoing(&mut self) -> Vec<u8> {
        self.0.take_outgoing().bytes().to_vec()
    }

    /// The bytes that are kept of what the peer sent.
    pub fn held(&self) -> usize {
        self.0.at_hand()
    }

    pub fn write(&mut self, plain: &[u8]) -> bool {
        self.0.encrypt(plain).is_ok()
    }

    pub fn close(&mut self) -> bool {
        self.0.queue_close_notify().is_ok()
    }

    /// None of a server.
    pub fn session(&self) -> Option<Resumable> {
        self.0.session().map(Resumable)
    }
}

/// What a ticket holds where it opens. `secret`, `fingerprint`: each the same byte throughout.
pub fn opened(secret: u8, fingerprint: u8, epochs: (u32, u32), ticket: &[u8]) -> Option<Vec<u8>> {
    keys(secret, fingerprint).open(&(epochs.0..=epochs.1), ticket)
}

pub fn sealed(secret: u8, fingerprint: u8, epoch: u32, plain: &[u8]) -> Vec<u8> {
    keys(secret, fingerprint).seal(epoch, plain).expect("randomness")
}

fn keys(secret: u8, fingerprint: u8) -> TicketKeys {
    TicketKeys::new(Secret::new([secret; 32]), [fingerprint; 32])
}

/// The client's certificates in what an opened ticket holds.
pub fn certificates(plain: &[u8]) -> Option<Vec<Vec<u8>>> {
    tickets::certificates(plain)
}
