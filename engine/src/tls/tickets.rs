//! A server's tickets. One is opened only while its client would be let in: another leads to a
//! handshake in full, with a verification of its own.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ProducesTickets;

use crate::clock::now;
use crate::tls::handshake::current;
use crate::tls::keyring::Keyring;
use crate::tls::ticket_keys::{Fingerprint, OVERHEAD};
use crate::verify::types::Role;
use crate::verify::verifier::PeerVerifier;

/// Leaves room in the 65,535 bytes of a ticket (RFC 8446, section 4.6.1) for what rustls puts beside it.
const LONGEST: usize = 65_000 - OVERHEAD;

/// rustls's own encoding of a session, before which stands when its peers proved their keys and where in it
/// each of the client's certificates lies.
#[derive(Debug)]
pub struct Tickets {
    pub keyring: Arc<Keyring>,
    pub fingerprint: Fingerprint,
    pub verifier: Arc<PeerVerifier>,
}

/// What is sealed in a ticket.
#[derive(Debug, PartialEq)]
struct Content<'a> {
    /// When the handshake in full was, whatever resumptions came between.
    since: UnixTime,
    chain: Vec<CertificateDer<'static>>,
    session: &'a [u8],
}

impl Content<'_> {
    fn encode(&self) -> Option<Vec<u8>> {
        let mut plain = self.since.as_secs().to_be_bytes().to_vec();
        plain.push(u8::try_from(self.chain.len()).ok()?);
        for der in &self.chain {
            if der.is_empty() {
                return None;
            }
            let start = self.session.windows(der.len()).position(|piece| piece == der.as_ref())?;
            plain.extend(u16::try_from(start).ok()?.to_be_bytes());
            plain.extend(u16::try_from(der.len()).ok()?.to_be_bytes());
        }
        plain.extend_from_slice(self.session);
        (plain.len() <= LONGEST).then_some(plain)
    }

    fn decode(plain: &[u8]) -> Option<Content<'_>> {
        let (since, rest) = plain.split_first_chunk()?;
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
        let since = UnixTime::since_unix_epoch(Duration::from_secs(u64::from_be_bytes(*since)));
        Some(Content { since, chain: chain?, session })
    }
}

/// The client's certificates in what an opened ticket holds, for engine/fuzz. Panics where it is read another way once
/// it was written again.
#[cfg(feature = "fuzzing")]
pub fn certificates(plain: &[u8]) -> Option<Vec<Vec<u8>>> {
    let content = Content::decode(plain)?;
    if let Some(again) = content.encode() {
        assert_eq!(Content::decode(&again).as_ref(), Some(&content), "read another way");
    }
    Some(content.chain.iter().map(|der| der.to_vec()).collect())
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        self.keyring.lifetime().min(self.verifier.max_resumption_age)
    }

    fn encrypt(&self, session: &[u8]) -> Option<Vec<u8>> {
        let now = now().ok()?;
        let handshake = current().ok()?;
        let (at, chain) = handshake.verified().map_or((now, Vec::new()), |found| (found.at, found.chain));
        let since = handshake.since().unwrap_or(at);
        self.keyring.seal(self.fingerprint, now, &Content { since, chain, session }.encode()?)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let handshake = current().ok().filter(|handshake| handshake.may_open())?;
        let plain = self.keyring.open(self.fingerprint, now().ok()?, ticket)?;
        let Content { since, chain, session } = Content::decode(&plain)?;
        let found = self.verifier.verify_again(Role::Client, chain, None, since).ok()?;
        handshake.keep_opened(found, since);
        Some(session.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::handshake::Handshake;
    use crate::tls::ticket_keys::Secret;
    use crate::verify::peer_policy::Conditions;
    use crate::verify::trust::Trust;
    use crate::verify::types::{Revocation, RevocationPolicy};

    fn tickets(max_resumption_age: u32) -> Tickets {
        let verifier = PeerVerifier {
            trust: Arc::new(Trust::default()),
            request: false,
            require: false,
            validate: false,
            peer: Role::Client,
            check_name: false,
            revocation: RevocationPolicy { of: Revocation::None, accept_unknown: false },
            require_ocsp: false,
            strict: false,
            conditions: Conditions::default(),
            verify_callback: false,
            reverify: true,
            max_resumption_age,
        };
        let keyring = Arc::new(Keyring::own(Secret::default()));
        Tickets { keyring, fingerprint: [0; 32], verifier: Arc::new(verifier) }
    }

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    fn handshake(since: Option<UnixTime>) -> Arc<Handshake> {
        Arc::new(Handshake::new(Arc::default(), None, None, since))
    }

    #[test]
    fn four_tickets_of_one_handshake_are_opened_at_most_and_none_outside_of_one() {
        let tickets = tickets(60);
        let ticket = handshake(None).run(|| tickets.encrypt(b"a session")).expect("a ticket");
        assert_eq!(tickets.decrypt(&ticket), None);
        for _ in 0..2 {
            let handshake = handshake(None);
            // The next flight of the same handshake counts on.
            for opened in [3, 1, 0] {
                handshake.run(|| {
                    for _ in 0..opened {
                        assert_eq!(tickets.decrypt(&ticket).as_deref(), Some(&b"a session"[..]));
                    }
                });
            }
            assert_eq!(handshake.run(|| tickets.decrypt(&ticket)), None);
        }
    }

    #[test]
    fn a_ticket_made_of_another_carries_its_time_on() {
        let tickets = tickets(60);
        let since = at(now().unwrap().as_secs() - 30);
        let renewed = handshake(Some(since)).run(|| tickets.encrypt(b"a session")).expect("a ticket");
        let handshake = handshake(None);
        assert!(handshake.run(|| tickets.decrypt(&renewed)).is_some());
        assert_eq!(handshake.since(), Some(since));
    }

    #[test]
    fn a_ticket_promises_no_more_than_the_ceiling_allows() {
        assert_eq!(tickets(60).lifetime(), 60);
        assert_eq!(tickets(u32::MAX).lifetime(), 6 * 3600);
    }

    #[test]
    fn what_is_encoded_is_decoded_and_a_cut_or_lying_content_is_refused() {
        let chain = vec![CertificateDer::from(vec![1, 2]), CertificateDer::from(vec![3])];
        let content = Content { since: at(1_800_000_000), chain, session: &[0, 1, 2, 3] };
        let plain = content.encode().expect("content");
        assert_eq!(Content::decode(&plain), Some(content));
        for length in 0..17 {
            assert_eq!(Content::decode(&plain[..length]), None, "{length}");
        }
        let mut outside = plain.clone();
        outside[10] = 3;
        assert_eq!(Content::decode(&outside), None);
        let absent = vec![CertificateDer::from(vec![4])];
        assert_eq!(Content { since: at(0), chain: absent, session: &[0, 1] }.encode(), None);
    }
}
