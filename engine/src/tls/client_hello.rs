//! What a ClientHello says, for the server: read ahead of the handshake where somebody wants to decide on
//! it, or kept in passing.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::ALL_CIPHER_SUITES;
use rustls::server::{Acceptor, ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, Error, InvalidMessage};
use webpki::EndEntityCert;

use crate::tls::own_identity::Own;

const DECODE_ERROR_ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 50];

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

/// A server's certificates. Those for the name that the client asks for come first, then those for a wildcard
/// that covers it, then all of them, each in the order of preference: the first that the client can verify is
/// used. Where there is none the handshake fails.
#[derive(Debug)]
pub struct OwnCertificates {
    own: Vec<Arc<Own>>,
    /// The DNS names of the certificates, in lower case, wildcards as they are written.
    by_name: HashMap<String, Vec<usize>>,
}

impl ResolvesServerCert for OwnCertificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let own = self.choose(&hello).map(|own| own.current());
        let suites = hello.cipher_suites().iter().map(|suite| u16::from(*suite)).collect();
        HELLO.set(Some(Hello { suites, own: own.clone() }));
        own
    }
}

impl OwnCertificates {
    /// `own`: in the order of preference.
    pub fn new(own: Vec<Arc<Own>>) -> Self {
        let mut by_name = HashMap::<String, Vec<usize>>::new();
        for (index, each) in own.iter().enumerate() {
            let certificate = each.bare().cert.first().map(EndEntityCert::try_from);
            // One that webpki does not read (X.509 v1) is nobody's by name.
            let Some(Ok(certificate)) = certificate else { continue };
            for name in certificate.valid_dns_names() {
                let known = by_name.entry(name.to_ascii_lowercase()).or_default();
                if known.last() != Some(&index) {
                    known.push(index);
                }
            }
        }
        Self { own, by_name }
    }

    fn choose(&self, hello: &ClientHello<'_>) -> Option<&Arc<Own>> {
        // With a single one rustls says itself what is wrong with it.
        if let [only] = self.own.as_slice() {
            return Some(only);
        }
        let usable = |own: &&Arc<Own>| {
            let key = &own.bare().key;
            let suits =
                |suite: &CipherSuite| match ALL_CIPHER_SUITES.iter().find(|each| each.suite() == *suite) {
                    Some(suite) => suite.usable_for_signature_algorithm(key.algorithm()),
                    None => false,
                };
            key.choose_scheme(hello.signature_schemes()).is_some() && hello.cipher_suites().iter().any(suits)
        };
        let name = hello.server_name().map(str::to_ascii_lowercase);
        let exact = name.as_ref().and_then(|name| self.by_name.get(name));
        let wildcard = name.as_ref().and_then(|name| {
            let (_, domain) = name.split_once('.')?;
            self.by_name.get(&format!("*.{domain}"))
        });
        let named = exact.into_iter().chain(wildcard).flatten().map(|index| &self.own[*index]);
        let mut candidates = named.chain(&self.own);
        candidates.clone().find(usable).or_else(|| candidates.next())
    }
}

/// Reads a copy of the first bytes until the hello is complete. The connection proper gets the same bytes,
/// but only if they can be read here: it takes some that cannot (an alert before the hello, a hello in so many
/// records that it outgrows the acceptor's buffer), and would go on with a hello that nobody decided on.
#[derive(Default)]
pub struct Preview {
    acceptor: Acceptor,
    seen: usize,
}

pub enum Seen {
    More,
    /// The server name that the client asked for.
    Hello(Option<String>),
    /// What is wrong, and the alert for it.
    Unreadable(Error, Vec<u8>),
}

impl Preview {
    /// `incoming`: everything since the beginning of the connection.
    pub fn look(&mut self, incoming: &[u8]) -> Seen {
        loop {
            let mut rest = incoming.get(self.seen..).unwrap_or_default();
            let before = rest.len();
            if before > 0 && self.acceptor.read_tls(&mut rest).is_err() {
                let why = Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge);
                return Seen::Unreadable(why, DECODE_ERROR_ALERT.to_vec());
            }
            self.seen += before - rest.len();
            match self.acceptor.accept() {
                Ok(Some(accepted)) => {
                    return Seen::Hello(accepted.client_hello().server_name().map(str::to_owned));
                }
                Ok(None) if before == rest.len() => return Seen::More,
                Ok(None) => {}
                Err((why, mut alert)) => {
                    let mut bytes = Vec::new();
                    // A Vec takes all there is.
                    let _ = alert.write_all(&mut bytes);
                    return Seen::Unreadable(why, bytes);
                }
            }
        }
    }
}
