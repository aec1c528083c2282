//! What a ClientHello says, for the server: read ahead of the handshake where somebody wants to decide on
//! it, or kept in passing.

use std::cell::RefCell;
use std::sync::Arc;

use rustls::server::{Acceptor, ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

thread_local! {
    static SUITES: RefCell<Option<Vec<u16>>> = const { RefCell::new(None) };
}

/// The cipher suites that the client offered in the hello that the last call on this thread processed.
pub fn take_suites() -> Option<Vec<u16>> {
    SUITES.take()
}

/// Our certificate, whatever the client asks for; None where none was loaded: the handshake then fails.
#[derive(Debug)]
pub struct OwnCertificate(pub Option<Arc<CertifiedKey>>);

impl ResolvesServerCert for OwnCertificate {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        SUITES.set(Some(hello.cipher_suites().iter().map(|suite| u16::from(*suite)).collect()));
        self.0.clone()
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
