//! What a ClientHello says, parsed ahead of the handshake where `sni_callback` is to accept it.

use rustls::server::Acceptor;
use rustls::{Error, InvalidMessage};

const DECODE_ERROR_ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 50];

/// Reads a copy of the first bytes until the hello is complete. The connection proper gets the same bytes,
/// but only if they can be read here: it takes some that cannot (an alert before the hello, a hello in so many
/// records that it outgrows the acceptor's buffer), and would go on with a hello that no callback accepted.
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
