//! What a ClientHello says, for the server: read ahead of the handshake where somebody wants to decide on
//! it, or kept in passing.

use std::cell::RefCell;
use std::sync::Arc;

use rustls::CipherSuite;
use rustls::crypto::aws_lc_rs::ALL_CIPHER_SUITES;
use rustls::server::{Acceptor, ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

thread_local! {
    static HELLO: RefCell<Option<Hello>> = const { RefCell::new(None) };
}

/// The cipher suites that a client offered, and the certificate that we answered with.
#[derive(Default)]
pub struct Hello {
    pub suites: Vec<u16>,
    pub own: Option<Arc<CertifiedKey>>,
}

/// The hello that the last call on this thread processed.
pub fn take_hello() -> Option<Hello> {
    HELLO.take()
}

/// A server's certificates, one for each kind of key: the first that the client can verify is used. Where
/// there is none the handshake fails.
#[derive(Debug)]
pub struct OwnCertificates(pub Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for OwnCertificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let own = self.choose(&hello);
        let suites = hello.cipher_suites().iter().map(|suite| u16::from(*suite)).collect();
        HELLO.set(Some(Hello { suites, own: own.clone() }));
        own
    }
}

impl OwnCertificates {
    fn choose(&self, hello: &ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let usable = |own: &&Arc<CertifiedKey>| {
            let suits =
                |suite: &CipherSuite| match ALL_CIPHER_SUITES.iter().find(|each| each.suite() == *suite) {
                    Some(suite) => suite.usable_for_signature_algorithm(own.key.algorithm()),
                    None => false,
                };
            own.key.choose_scheme(hello.signature_schemes()).is_some()
                && hello.cipher_suites().iter().any(suits)
        };
        // With a single one rustls says itself what is wrong with it.
        if let [only] = self.0.as_slice() {
            return Some(only.clone());
        }
        self.0.iter().find(usable).or(self.0.first()).cloned()
    }
}

/// Reads a copy of the first bytes until the hello is complete. It decides nothing: the connection
/// proper gets the same bytes, and reports what is wrong with them.
#[derive(Default)]
pub struct Preview {
    acceptor: Acceptor,
    seen: usize,
}

pub enum Seen {
    More,
    /// The server name that the client asked for.
    Hello(Option<String>),
    Unreadable,
}

impl Preview {
    /// `incoming`: everything since the beginning of the connection.
    pub fn look(&mut self, incoming: &[u8]) -> Seen {
        loop {
            let mut rest = incoming.get(self.seen..).unwrap_or_default();
            let before = rest.len();
            if before > 0 && self.acceptor.read_tls(&mut rest).is_err() {
                return Seen::Unreadable;
            }
            self.seen += before - rest.len();
            match self.acceptor.accept() {
                Ok(Some(accepted)) => {
                    return Seen::Hello(accepted.client_hello().server_name().map(str::to_owned));
                }
                Ok(None) if before == rest.len() => return Seen::More,
                Ok(None) => {}
                Err(_) => return Seen::Unreadable,
            }
        }
    }
}
