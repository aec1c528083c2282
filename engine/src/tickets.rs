//! A server's tickets. One is opened only while its client would be let in: what comes of another is a
//! handshake in full, with a decision of its own.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ProducesTickets;

use crate::clock::now;
use crate::decider::{judged, keep_judged};
use crate::verifier::{PeerVerifier, Role, take_rejection};

/// Leaves room in the 65,535 bytes of a ticket (RFC 8446, section 4.6.1) for what encryption adds.
const LONGEST: usize = 65_000;

/// rustls's own encoding of a session, before which stands when its client was judged and where in it each
/// of the client's certificates lies; encrypted by rustls's own ticketer.
#[derive(Debug)]
pub struct Tickets {
    pub ticketer: Arc<dyn ProducesTickets>,
    pub verifier: Arc<PeerVerifier>,
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        self.ticketer.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.ticketer.lifetime()
    }

    fn encrypt(&self, session: &[u8]) -> Option<Vec<u8>> {
        let now = now().ok()?; // rustls's ticketer would panic
        let (at, chain) = judged().map_or((now, Vec::new()), |found| (found.at, found.chain));
        let mut plain = at.as_secs().to_be_bytes().to_vec();
        plain.push(u8::try_from(chain.len()).ok()?);
        for der in &chain {
            if der.is_empty() {
                return None;
            }
            let start = session.windows(der.len()).position(|piece| piece == der.as_ref())?;
            plain.extend(u16::try_from(start).ok()?.to_be_bytes());
            plain.extend(u16::try_from(der.len()).ok()?.to_be_bytes());
        }
        plain.extend_from_slice(session);
        if plain.len() > LONGEST { None } else { self.ticketer.encrypt(&plain) }
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        now().ok()?;
        let plain = self.ticketer.decrypt(ticket)?;
        let (at, rest) = plain.split_first_chunk()?;
        let (count, rest) = rest.split_first()?;
        let (places, session) = rest.split_at_checked(usize::from(*count) * 4)?;
        let chain: Option<Vec<_>> = places
            .chunks_exact(4)
            .map(|place| {
                let start = usize::from(u16::from_be_bytes([place[0], place[1]]));
                let length = usize::from(u16::from_be_bytes([place[2], place[3]]));
                Some(CertificateDer::from(session.get(start..start + length)?.to_vec()))
            })
            .collect();
        let then = UnixTime::since_unix_epoch(Duration::from_secs(u64::from_be_bytes(*at)));
        match self.verifier.still_good(Role::Client, chain?, None, then) {
            Ok(found) => {
                if let Some(judged) = found {
                    keep_judged(judged);
                }
                Some(session.to_vec())
            }
            Err(_) => {
                take_rejection();
                None
            }
        }
    }
}
