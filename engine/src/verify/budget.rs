//! What verifying one peer may cost, counted: a stranger chooses the certificates, we choose the work.
//!
//! The unit is a hundredth of one ECDSA signature check with P-256, some 0.5 us of a processor. Each kind of work has
//! its price here. Prices were measured and rounded up; that a signature is cached does not make it cheaper, or the
//! same chain would be refused once and accepted the next time.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustls::pki_types::{AlgorithmIdentifier, alg_id};

use crate::verify::certificate;

/// The search for a path. A chain of eight with P-521 keys throughout costs 5,000.
pub const PATH: u64 = 6_000;
/// One OCSP response. Signed by a delegate under RSA with 8,192 bits, it costs 2,500.
pub const RESPONSE: u64 = 3_000;
/// Finding out which of several reasons for a refusal to give.
pub const REASON: u64 = 1_000;

/// Parsing names and key of a certificate.
pub const NAMES: u64 = 1;
/// A step of the search: one issuer considered for one certificate.
pub const STEP: u64 = 1;

thread_local! {
    static SPENT: Cell<u64> = const { Cell::new(0) };
}

/// The budget ran out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exhausted;

pub struct Budget {
    left: AtomicU64,
    exhausted: AtomicBool,
}

impl Budget {
    pub fn new(units: u64) -> Self {
        Self { left: AtomicU64::new(units), exhausted: AtomicBool::new(false) }
    }

    /// Takes `units`, before the work is done. What does not fit any more ends the budget: nothing cheaper is done either.
    pub fn spend(&self, units: u64) -> Result<(), Exhausted> {
        let left = self.left.load(Ordering::Relaxed).checked_sub(units);
        if left.is_none() {
            self.exhausted.store(true, Ordering::Relaxed);
        }
        self.left.store(left.unwrap_or(0), Ordering::Relaxed);
        left.ok_or(Exhausted)?;
        SPENT.set(SPENT.get().saturating_add(units));
        Ok(())
    }

    pub fn exhausted(&self) -> bool {
        self.exhausted.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Budget({} left)", self.left.load(Ordering::Relaxed))
    }
}

/// The units that verifying took on this thread since this was asked last: for tests, which count no time.
pub fn take_spent() -> u64 {
    SPENT.take()
}

/// 65537, DER: the end of nearly every RSA key.
const USUAL_EXPONENT: &[u8] = &[2, 3, 1, 0, 1];

fn units(count: usize, each: u64) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX) / each
}

/// One signature check. `key`: the public key without its algorithm. A longer message is the caller's own: only a
/// CRL is longer than what a peer can send.
pub fn signature(algorithm: AlgorithmIdentifier, key: &[u8], message: &[u8]) -> u64 {
    const MOST: usize = 1 << 16;
    // RSA takes exponents of up to 33 bits, which cost two to three times as much as the usual ones.
    let times = if key.ends_with(USUAL_EXPONENT) { 1 } else { 3 };
    let of_key = match algorithm {
        alg_id::ECDSA_P256 => 100,
        alg_id::ECDSA_P384 => 450,
        alg_id::ECDSA_P521 => 700,
        alg_id::ED25519 => 70,
        alg_id::ML_DSA_44 => 100,
        alg_id::ML_DSA_65 => 150,
        alg_id::RSA_ENCRYPTION if key.len() <= 300 => 30 * times,
        alg_id::RSA_ENCRYPTION if key.len() <= 560 => 110 * times,
        alg_id::RSA_ENCRYPTION => 800 * times,
        // ML-DSA-87, and what this table does not know.
        _ => 800,
    };
    of_key + units(message.len().min(MOST), 128)
}

/// Parsing a certificate with its extensions.
pub fn parsing(der: &[u8]) -> u64 {
    5 + units(certificate::elements(der), 8)
}

/// Comparing each of a path's name constraints with each name below it.
pub fn comparisons(count: usize) -> u64 {
    units(count, 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_not_done_and_neither_is_anything_after_it() {
        let budget = Budget::new(10);
        assert_eq!(budget.spend(7), Ok(()));
        assert!(!budget.exhausted());
        assert_eq!(budget.spend(4), Err(Exhausted));
        assert_eq!(budget.spend(1), Err(Exhausted));
        assert!(budget.exhausted());
    }

    #[test]
    fn a_longer_key_and_a_longer_message_cost_more() {
        let price =
            |algorithm, key: usize, message: usize| signature(algorithm, &vec![0; key], &vec![0; message]);
        assert!(price(alg_id::RSA_ENCRYPTION, 1040, 500) > 6 * price(alg_id::RSA_ENCRYPTION, 526, 500));
        assert!(price(alg_id::ECDSA_P521, 133, 500) > 6 * price(alg_id::ECDSA_P256, 65, 500));
        assert!(price(alg_id::ECDSA_P256, 65, 60_000) > 5 * price(alg_id::ECDSA_P256, 65, 500));
    }

    #[test]
    fn a_longer_exponent_of_rsa_costs_more() {
        let usual = [&[0; 520][..], USUAL_EXPONENT].concat();
        let long = [&[0; 520][..], &[2, 5, 1, 255, 255, 255, 255]].concat();
        let price = |key: &[u8]| signature(alg_id::RSA_ENCRYPTION, key, &[0; 500]);
        assert!(price(&long) > 2 * price(&usual));
    }

    #[test]
    fn a_crl_costs_no_more_than_the_longest_message() {
        let price = |length: usize| signature(alg_id::ECDSA_P256, &[0; 65], &vec![0; length]);
        assert_eq!(price(1 << 24), price(1 << 16));
    }
}
