//! Whose secrets tickets are sealed with, and when each counts.
//!
//! A context's own keyring has one secret for ever. One that is shared by a fleet holds epoch secrets, each
//! derived from the fleet's secret and, where there is a store of salts, the salt of its epoch:
//!
//! ```text
//! epoch secret = HKDF-SHA256(salt: epoch salt (32) or none, input: the fleet's secret,
//!                            info: LABEL | with a salt (1) | seconds of an epoch (4) | epoch (4)), 32
//! ```
//!
//! Epochs are numbered by the wall clock. A ticket counts while the clock of whoever opens it is in a window
//! around the epoch of its seal; no store has a word in that.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use rustls::pki_types::UnixTime;

use crate::tls::ticket_keys::{Epoch, Fingerprint, Secret, TicketKeys};

const LABEL: &[u8] = b"veritls fleet 1";
/// Of an epoch of a context's own keys, in seconds.
const OWN_PERIOD: u32 = 6 * 3600;
/// Secrets that one keyring holds at most: what bounds the work for a ticket of a stranger.
pub const MOST: usize = 16;

/// One secret, and the epochs whose tickets it seals and opens.
pub struct Entry {
    secret: Secret,
    epochs: RangeInclusive<Epoch>,
}

impl Entry {
    /// `salt`: of the first of `epochs`, which is the only one then. None where HKDF fails.
    pub fn derived(
        period: u32,
        secret: &[u8],
        salt: Option<&[u8; 32]>,
        epochs: RangeInclusive<Epoch>,
    ) -> Option<Self> {
        let epoch = salt.map_or(0, |_| *epochs.start()).to_be_bytes();
        let salted = [u8::from(salt.is_some())];
        let period = period.to_be_bytes();
        let info = [LABEL, &salted, &period, &epoch];
        let extracted = Salt::new(HKDF_SHA256, salt.map_or(&[][..], |salt| salt)).extract(secret);
        let mut derived = Secret::default();
        extracted.expand(&info, EpochSecret).ok()?.fill(derived.as_mut_slice()).ok()?;
        Some(Self { secret: derived, epochs })
    }
}

/// What HKDF gives for one epoch.
struct EpochSecret;

impl KeyType for EpochSecret {
    fn len(&self) -> usize {
        32
    }
}

/// The secrets of one context, or of the contexts of a fleet.
pub struct Keyring {
    /// Of an epoch, in seconds.
    pub period: u32,
    /// How many epochs before the present one count, and how many after it: others' clocks may be ahead.
    back: u32,
    ahead: u32,
    /// The preferred first. Read without a lock, which a forked child could find held.
    entries: ArcSwap<Vec<Entry>>,
}

/// Shows no secret.
impl fmt::Debug for Keyring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Keyring").finish_non_exhaustive()
    }
}

impl Keyring {
    pub fn own(secret: Secret) -> Self {
        let entries = vec![Entry { secret, epochs: 0..=Epoch::MAX }];
        Self { period: OWN_PERIOD, back: 1, ahead: 0, entries: ArcSwap::from_pointee(entries) }
    }

    /// One without any secret yet. `period` is not 0.
    pub fn shared(period: u32) -> Self {
        Self { period, back: 3, ahead: 1, entries: ArcSwap::default() }
    }

    /// Replaces what it holds.
    pub fn hold(&self, entries: Vec<Entry>) {
        self.entries.store(Arc::new(entries));
    }

    /// Seconds for which a ticket counts at least.
    pub fn lifetime(&self) -> u32 {
        self.period.saturating_mul(self.back)
    }

    /// A clock that is centuries ahead stays in the last epoch: `max_resumption_age` bounds sessions there, too.
    fn epoch(&self, now: UnixTime) -> Epoch {
        Epoch::try_from(now.as_secs() / u64::from(self.period)).unwrap_or(Epoch::MAX)
    }

    /// Those whose tickets count.
    fn epochs(&self, now: UnixTime) -> RangeInclusive<Epoch> {
        let now = self.epoch(now);
        now.saturating_sub(self.back)..=now.saturating_add(self.ahead)
    }

    /// What `find` finds with the first secret that has it.
    fn find<T>(&self, epoch: Epoch, mut find: impl FnMut(&Secret) -> Option<T>) -> Option<T> {
        let entries = self.entries.load();
        entries.iter().filter(|each| each.epochs.contains(&epoch)).find_map(|each| find(&each.secret))
    }

    /// None where there is no secret for now, or no randomness.
    pub fn seal(&self, fingerprint: Fingerprint, now: UnixTime, plain: &[u8]) -> Option<Vec<u8>> {
        let epoch = self.epoch(now);
        self.find(epoch, |secret| TicketKeys::new(secret.clone(), fingerprint).seal(epoch, plain))
    }

    /// None for anything that was not sealed for this policy, with a secret that is held, in an epoch that counts.
    pub fn open(&self, fingerprint: Fingerprint, now: UnixTime, ticket: &[u8]) -> Option<Vec<u8>> {
        let epoch = TicketKeys::epoch(ticket)?;
        let counts = self.epochs(now);
        self.find(epoch, |secret| TicketKeys::new(secret.clone(), fingerprint).open(&counts, ticket))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use data_encoding::HEXLOWER;

    use super::*;

    const POLICY: Fingerprint = [7; 32];

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    fn salted(secret: &[u8], salt: u8, epoch: Epoch) -> Entry {
        Entry::derived(100, secret, Some(&[salt; 32]), epoch..=epoch).expect("an entry")
    }

    fn shared(entries: Vec<Entry>) -> Keyring {
        let keyring = Keyring::shared(100);
        keyring.hold(entries);
        keyring
    }

    #[test]
    fn this_epoch_and_the_one_before_are_opened_with_own_keys() {
        let own = Keyring::own(Secret::default());
        let start = u64::from(OWN_PERIOD) * 10;
        assert_eq!(own.epoch(at(start - 1)), 9);
        assert_eq!(own.epochs(at(start)), 9..=10);
        assert_eq!(own.epochs(at(0)), 0..=0);
        assert_eq!(own.epochs(at(u64::MAX)), Epoch::MAX - 1..=Epoch::MAX);
        assert_eq!(own.lifetime(), OWN_PERIOD);
    }

    #[test]
    fn the_next_epoch_and_three_before_are_opened_with_shared_keys() {
        let shared = Keyring::shared(100);
        assert_eq!(shared.epochs(at(1000)), 7..=11);
        assert_eq!(shared.epochs(at(0)), 0..=1);
        assert_eq!(shared.lifetime(), 300);
    }

    #[test]
    fn a_keyring_without_a_secret_for_now_seals_nothing() {
        assert_eq!(shared(vec![]).seal(POLICY, at(1000), b"a session"), None);
        assert_eq!(shared(vec![salted(&[1; 32], 1, 11)]).seal(POLICY, at(1000), b"a session"), None);
        assert!(shared(vec![salted(&[1; 32], 1, 10)]).seal(POLICY, at(1000), b"a session").is_some());
    }

    #[test]
    fn a_ticket_opens_with_the_secret_and_the_salt_of_its_epoch_only() {
        let ticket = shared(vec![salted(&[1; 32], 1, 10)]).seal(POLICY, at(1000), b"a session").unwrap();
        for (secret, salt, epoch, opens) in [(1, 1, 10, true), (2, 1, 10, false), (1, 2, 10, false)] {
            let other = shared(vec![salted(&[secret; 32], salt, epoch)]);
            assert_eq!(other.open(POLICY, at(1000), &ticket).is_some(), opens);
        }
        // A salt that is replayed for another epoch is another secret.
        let replayed = Entry { epochs: 0..=Epoch::MAX, ..salted(&[1; 32], 1, 11) };
        assert_eq!(shared(vec![replayed]).open(POLICY, at(1000), &ticket), None);
        let unsalted = Entry::derived(100, &[1; 32], None, 0..=Epoch::MAX).unwrap();
        assert_eq!(shared(vec![unsalted]).open(POLICY, at(1000), &ticket), None);
    }

    #[test]
    fn a_ticket_is_opened_while_its_epoch_counts_whatever_is_held() {
        let keyring = shared(vec![Entry::derived(100, &[1; 32], None, 0..=Epoch::MAX).unwrap()]);
        let ticket = keyring.seal(POLICY, at(1000), b"a session").unwrap();
        for (now, opens) in [(899, false), (900, true), (1399, true), (1400, false)] {
            assert_eq!(keyring.open(POLICY, at(now), &ticket).is_some(), opens, "{now}");
        }
    }

    #[test]
    fn a_secret_that_was_replaced_opens_what_it_sealed_and_seals_no_more() {
        let derived = |secret, epochs| Entry::derived(100, &[secret; 32], None, epochs).unwrap();
        let before = shared(vec![derived(1, 0..=Epoch::MAX)]);
        let after = shared(vec![derived(2, 0..=Epoch::MAX), derived(1, 0..=10)]);
        let ticket = before.seal(POLICY, at(1000), b"a session").unwrap();
        assert!(after.open(POLICY, at(1000), &ticket).is_some());
        let ticket = before.seal(POLICY, at(1100), b"a session").unwrap();
        assert_eq!(after.open(POLICY, at(1100), &ticket), None);
        let ticket = after.seal(POLICY, at(1000), b"a session").unwrap();
        assert_eq!(before.open(POLICY, at(1000), &ticket), None);
    }

    /// Made by tests/resumption/sealing.py, with Python's `cryptography`.
    #[test]
    fn epoch_secrets_are_derived_as_by_another_implementation() {
        let secret: [u8; 48] = std::array::from_fn(|index| index as u8);
        let salt: [u8; 32] = std::array::from_fn(|index| 64 + index as u8);
        let salted = Entry::derived(7200, &secret, Some(&salt), 81_818..=81_818).unwrap();
        let unsalted = Entry::derived(7200, &secret, None, 0..=Epoch::MAX).unwrap();
        assert_eq!(
            HEXLOWER.encode(&salted.secret[..]),
            "452596fc01b9148aba7dcc44706246ba58705195460d81a54e95c2b23d69bf12"
        );
        assert_eq!(
            HEXLOWER.encode(&unsalted.secret[..]),
            "ccdfaac4ecaa5b6e59c2b015a845d588a7260be99b464b797695e342933d2110"
        );
    }

    #[test]
    fn no_secret_is_shown() {
        assert_eq!(format!("{:?}", shared(vec![])), "Keyring { .. }");
    }
}
