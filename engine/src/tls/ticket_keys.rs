//! What seals a ticket: a key of its own, derived from a secret and from the policy that the secret serves.
//!
//! ```text
//! ticket      = header | AES-256-GCM(key, nonce, plaintext, additional data: header)
//! header      = version (1 byte) | epoch (4, big-endian) | salt (32, random)
//! key | nonce = HKDF-SHA256(salt, input: secret (32), info: LABEL | fingerprint (32) | epoch (4)), 32 | 12 bytes
//! ```
//!
//! Each ticket has a key and a nonce of its own. Processes that share a secret need not agree on anything for
//! that: a nonce is used again only where 256 random bits come again. A ticket of another policy has another
//! key; it does not open.

use std::fmt;
use std::ops::RangeInclusive;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::rand;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const LABEL: &[u8] = b"veritls ticket 1";
const KEY: usize = 32;
const NONCE: usize = 12;
const SALT: usize = 32;
const HEADER: usize = 1 + 4 + SALT;
/// How much longer a ticket is than what is sealed in it.
pub const OVERHEAD: usize = HEADER + 16;

/// Numbers a period of time; what is sealed in one is opened in those only that the caller names.
pub type Epoch = u32;
/// Of a policy, see `fingerprint.rs`.
pub type Fingerprint = [u8; 32];
pub type Secret = Zeroizing<[u8; 32]>;

pub struct TicketKeys {
    secret: Secret,
    fingerprint: Fingerprint,
}

/// Shows no secret.
impl fmt::Debug for TicketKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TicketKeys").finish_non_exhaustive()
    }
}

/// What HKDF gives for one ticket.
struct KeyAndNonce;

impl KeyType for KeyAndNonce {
    fn len(&self) -> usize {
        KEY + NONCE
    }
}

impl TicketKeys {
    pub fn new(secret: Secret, fingerprint: Fingerprint) -> Self {
        Self { secret, fingerprint }
    }

    /// None where there is no randomness.
    pub fn seal(&self, epoch: Epoch, plain: &[u8]) -> Option<Vec<u8>> {
        let mut salt = [0; SALT];
        rand::fill(&mut salt).ok()?;
        self.seal_with(epoch, &salt, plain)
    }

    fn seal_with(&self, epoch: Epoch, salt: &[u8; SALT], plain: &[u8]) -> Option<Vec<u8>> {
        let (key, nonce) = self.derive(epoch, salt)?;
        let mut ticket = Vec::with_capacity(OVERHEAD + plain.len());
        ticket.push(VERSION);
        ticket.extend(epoch.to_be_bytes());
        ticket.extend(salt);
        let mut sealed = plain.to_vec();
        key.seal_in_place_append_tag(nonce, Aad::from(&ticket), &mut sealed).ok()?;
        ticket.append(&mut sealed);
        Some(ticket)
    }

    /// What a ticket says of itself, before it is opened.
    pub fn epoch(ticket: &[u8]) -> Option<Epoch> {
        Some(Epoch::from_be_bytes(*ticket.get(1..)?.first_chunk()?))
    }

    /// None for anything that was not sealed so, in one of `epochs`, with this secret, for this policy.
    pub fn open(&self, epochs: &RangeInclusive<Epoch>, ticket: &[u8]) -> Option<Vec<u8>> {
        let (header, sealed) = ticket.split_first_chunk::<HEADER>()?;
        let ([version], rest) = header.split_first_chunk()?;
        let (epoch, salt) = rest.split_first_chunk()?;
        let epoch = Epoch::from_be_bytes(*epoch);
        if *version != VERSION || !epochs.contains(&epoch) {
            return None;
        }
        let (key, nonce) = self.derive(epoch, salt.try_into().ok()?)?;
        let mut sealed = sealed.to_vec();
        let length = key.open_in_place(nonce, Aad::from(header), &mut sealed).ok()?.len();
        sealed.truncate(length);
        Some(sealed)
    }

    fn derive(&self, epoch: Epoch, salt: &[u8; SALT]) -> Option<(LessSafeKey, Nonce)> {
        let epoch = epoch.to_be_bytes();
        let info = [LABEL, &self.fingerprint, &epoch];
        let extracted = Salt::new(HKDF_SHA256, salt).extract(self.secret.as_slice());
        let mut both = Zeroizing::new([0; KEY + NONCE]);
        extracted.expand(&info, KeyAndNonce).ok()?.fill(both.as_mut_slice()).ok()?;
        let (key, nonce) = both.split_at(KEY);
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?);
        Some((key, Nonce::try_assume_unique_for_key(nonce).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    fn counting<const N: usize>(from: u8) -> [u8; N] {
        std::array::from_fn(|index| from + index as u8)
    }

    fn keys() -> TicketKeys {
        TicketKeys::new(Secret::new(counting(0)), counting(32))
    }

    /// Made by tests/resumption/sealing.py, with Python's `cryptography`.
    #[test]
    fn tickets_are_sealed_as_by_another_implementation() {
        let vectors: [(Epoch, [u8; SALT], &[u8], &str); 2] = [
            (
                81_818,
                counting(64),
                b"a session",
                "0100013f9a404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f\
                 c2a7f6e8993088394b22a158e5a4302624fbed1c9e16593aee",
            ),
            (
                0,
                [0; SALT],
                b"",
                "0100000000000000000000000000000000000000000000000000000000000000000000000009dd9995e940\
                 e85424b55b3f77614f54",
            ),
        ];
        for (epoch, salt, plain, ticket) in vectors {
            let sealed = keys().seal_with(epoch, &salt, plain).expect("a ticket");
            assert_eq!(HEXLOWER.encode(&sealed), ticket);
            assert_eq!(sealed.len(), plain.len() + OVERHEAD);
            assert_eq!(keys().open(&(epoch..=epoch), &sealed).as_deref(), Some(plain));
        }
    }

    #[test]
    fn a_ticket_that_is_cut_or_changed_anywhere_does_not_open() {
        let ticket = keys().seal(7, b"a session").expect("a ticket");
        for length in 0..ticket.len() {
            assert_eq!(keys().open(&(0..=Epoch::MAX), &ticket[..length]), None, "{length}");
        }
        for place in 0..ticket.len() * 8 {
            let mut changed = ticket.clone();
            changed[place / 8] ^= 1 << (place % 8);
            assert_eq!(keys().open(&(0..=Epoch::MAX), &changed), None, "{place}");
        }
        assert_eq!(keys().open(&(0..=Epoch::MAX), &[ticket, vec![0]].concat()), None);
    }

    #[test]
    fn a_ticket_opens_with_its_secret_its_fingerprint_and_in_its_epochs_only() {
        let ticket = keys().seal(7, b"a session").expect("a ticket");
        let other_secret = TicketKeys::new(Secret::new(counting(1)), counting(32));
        let other_policy = TicketKeys::new(Secret::new(counting(0)), counting(33));
        assert_eq!(other_secret.open(&(7..=7), &ticket), None);
        assert_eq!(other_policy.open(&(7..=7), &ticket), None);
        assert_eq!(keys().open(&(8..=9), &ticket), None);
        assert_eq!(keys().open(&(5..=6), &ticket), None);
        assert!(keys().open(&(6..=7), &ticket).is_some());
    }

    #[test]
    fn no_secret_is_shown() {
        assert_eq!(format!("{:?}", keys()), "TicketKeys { .. }");
    }
}
