//! Signatures on certificates, CRLs and OCSP responses: one that was found right is not computed again.
//!
//! Whether a signature is right depends on the key, the message and the signature alone, so the answer cannot
//! go out of date. Everything that can (time, revocation, names, trust anchors) is checked anew each time, and a
//! peer's proof that it holds its key, which no two handshakes share, is not remembered.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{Context, Digest, SHA256};
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};
use webpki::aws_lc_rs as known;

use crate::verify::budget::{self, Budget};

/// How many are remembered, in 33 bytes each.
const PLACES: usize = 4096;

type Fingerprint = [u8; 32];

/// Successful signature checks, each at the place that its own digest names; a new one takes the place of an old one.
#[derive(Debug)]
struct Memory(Mutex<[Option<Fingerprint>; PLACES]>);

impl Memory {
    const fn new() -> Self {
        Self(Mutex::new([None; PLACES]))
    }

    fn place(fingerprint: &Fingerprint) -> usize {
        usize::from(u16::from_be_bytes([fingerprint[0], fingerprint[1]])) % PLACES
    }

    // No thread waits here: one that finds it taken computes, and a process that was forked just then could never
    // wait.
    fn knows(&self, fingerprint: &Fingerprint) -> bool {
        let known = self.0.try_lock().map(|places| places[Self::place(fingerprint)] == Some(*fingerprint));
        known.unwrap_or(false)
    }

    fn keep(&self, fingerprint: Fingerprint) {
        if let Ok(mut places) = self.0.try_lock() {
            places[Self::place(&fingerprint)] = Some(fingerprint);
        }
    }
}

static MEMORY: Memory = Memory::new();

/// An algorithm that remembers what it found right.
#[derive(Clone, Copy, Debug)]
struct Remembering {
    algorithm: &'static dyn SignatureVerificationAlgorithm,
    memory: &'static Memory,
}

impl Remembering {
    fn fingerprint(&self, parts: [&[u8]; 3]) -> Option<Fingerprint> {
        let (key, signature) = (self.public_key_alg_id(), self.signature_alg_id());
        let mut digest = Context::new(&SHA256);
        for part in [key.as_ref(), signature.as_ref()].into_iter().chain(parts) {
            // With its length, or two parts could be told apart in two ways.
            digest.update(&u64::try_from(part.len()).ok()?.to_be_bytes());
            digest.update(part);
        }
        Digest::as_ref(&digest.finish()).try_into().ok()
    }

    fn verify_known(
        &self,
        fingerprint: Fingerprint,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        if self.memory.knows(&fingerprint) {
            return Ok(());
        }
        self.algorithm.verify_signature(public_key, message, signature)?;
        self.memory.keep(fingerprint);
        Ok(())
    }
}

impl SignatureVerificationAlgorithm for Remembering {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        match self.fingerprint([public_key, message, signature]) {
            Some(fingerprint) => self.verify_known(fingerprint, public_key, message, signature),
            None => self.algorithm.verify_signature(public_key, message, signature),
        }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.signature_alg_id()
    }

    fn fips(&self) -> bool {
        self.algorithm.fips()
    }
}

/// The algorithms of one verification: each check is paid for, and is made once.
#[derive(Debug)]
pub struct Meter<'a> {
    budget: &'a Budget,
    checked: Mutex<HashMap<Fingerprint, bool>>,
}

impl<'a> Meter<'a> {
    pub fn new(budget: &'a Budget) -> Self {
        Self { budget, checked: Mutex::default() }
    }

    pub fn algorithms(&self) -> Vec<Metered<'_>> {
        REMEMBERING.iter().map(|algorithm| Metered { algorithm, meter: self }).collect()
    }
}

/// An algorithm that takes what it costs from a budget. Once that is exhausted, no signature is right.
#[derive(Debug)]
pub struct Metered<'a> {
    algorithm: &'static Remembering,
    meter: &'a Meter<'a>,
}

impl SignatureVerificationAlgorithm for Metered<'_> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let fingerprint =
            self.algorithm.fingerprint([public_key, message, signature]).ok_or(InvalidSignature)?;
        // Wrong ones, too: but they are forgotten with the search, where the cache holds right ones only.
        let mut checked = self.meter.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(right) = checked.get(&fingerprint) {
            return if *right { Ok(()) } else { Err(InvalidSignature) };
        }
        let price = budget::signature(self.public_key_alg_id(), public_key, message);
        self.meter.budget.spend(price).map_err(|_| InvalidSignature)?;
        let outcome = self.algorithm.verify_known(fingerprint, public_key, message, signature);
        checked.insert(fingerprint, outcome.is_ok());
        outcome
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.signature_alg_id()
    }

    fn fips(&self) -> bool {
        self.algorithm.fips()
    }
}

/// Those that the TLS provider has, in its order.
const KNOWN: [&dyn SignatureVerificationAlgorithm; 22] = [
    known::ECDSA_P256_SHA256,
    known::ECDSA_P256_SHA384,
    known::ECDSA_P256_SHA512,
    known::ECDSA_P384_SHA256,
    known::ECDSA_P384_SHA384,
    known::ECDSA_P384_SHA512,
    known::ECDSA_P521_SHA256,
    known::ECDSA_P521_SHA384,
    known::ECDSA_P521_SHA512,
    known::ED25519,
    known::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    known::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    known::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
    known::RSA_PKCS1_2048_8192_SHA256,
    known::RSA_PKCS1_2048_8192_SHA384,
    known::RSA_PKCS1_2048_8192_SHA512,
    known::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
    known::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
    known::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    known::ML_DSA_44,
    known::ML_DSA_65,
    known::ML_DSA_87,
];

static REMEMBERING: [Remembering; KNOWN.len()] = {
    let mut all = [Remembering { algorithm: KNOWN[0], memory: &MEMORY }; KNOWN.len()];
    let mut index = 1;
    while index < KNOWN.len() {
        all[index].algorithm = KNOWN[index];
        index += 1;
    }
    all
};

static ALGORITHMS: [&dyn SignatureVerificationAlgorithm; KNOWN.len()] = {
    let mut all: [&dyn SignatureVerificationAlgorithm; KNOWN.len()] = [&REMEMBERING[0]; KNOWN.len()];
    let mut index = 1;
    while index < KNOWN.len() {
        all[index] = &REMEMBERING[index];
        index += 1;
    }
    all
};

/// The algorithms for certificates, CRLs and OCSP responses. Those for what a peer signs in a handshake are rustls's.
pub fn algorithms() -> &'static [&'static dyn SignatureVerificationAlgorithm] {
    &ALGORITHMS
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rustls::pki_types::alg_id;

    use super::*;

    /// Takes a signature that ends like the message, and counts how often it is asked.
    #[derive(Debug)]
    struct Fake {
        key: AlgorithmIdentifier,
        asked: AtomicUsize,
    }

    impl SignatureVerificationAlgorithm for Fake {
        fn verify_signature(&self, _: &[u8], message: &[u8], signed: &[u8]) -> Result<(), InvalidSignature> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            if signed.ends_with(message) { Ok(()) } else { Err(InvalidSignature) }
        }

        fn public_key_alg_id(&self) -> AlgorithmIdentifier {
            self.key
        }

        fn signature_alg_id(&self) -> AlgorithmIdentifier {
            alg_id::ECDSA_SHA256
        }
    }

    fn remembering(key: AlgorithmIdentifier, memory: &'static Memory) -> (&'static Fake, Remembering) {
        let fake: &Fake = Box::leak(Box::new(Fake { key, asked: AtomicUsize::new(0) }));
        (fake, Remembering { algorithm: fake, memory })
    }

    fn memory() -> &'static Memory {
        Box::leak(Box::new(Memory::new()))
    }

    #[test]
    fn a_right_signature_is_computed_once() {
        let (fake, algorithm) = remembering(alg_id::ECDSA_P256, memory());
        for _ in 0..3 {
            assert!(algorithm.verify_signature(b"key", b"message", b"a message").is_ok());
        }
        assert_eq!(fake.asked.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_wrong_signature_is_refused_each_time() {
        let (fake, algorithm) = remembering(alg_id::ECDSA_P256, memory());
        for _ in 0..3 {
            assert!(algorithm.verify_signature(b"key", b"message", b"another").is_err());
        }
        assert_eq!(fake.asked.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn what_is_remembered_holds_for_the_same_key_message_signature_and_algorithm_only() {
        let memory = memory();
        let (fake, algorithm) = remembering(alg_id::ECDSA_P256, memory);
        assert!(algorithm.verify_signature(b"key", b"ab", b"cab").is_ok());
        for (key, message, signature) in [
            (&b"kez"[..], &b"ab"[..], &b"cab"[..]),
            (b"key", b"b", b"cab"),
            (b"key", b"ab", b"dab"),
            (b"keya", b"b", b"cab"),
            (b"key", b"abc", b"ab"),
        ] {
            let before = fake.asked.load(Ordering::Relaxed);
            let _ = algorithm.verify_signature(key, message, signature);
            assert_eq!(fake.asked.load(Ordering::Relaxed), before + 1);
        }
        let (other, algorithm) = remembering(alg_id::ECDSA_P384, memory);
        assert!(algorithm.verify_signature(b"key", b"ab", b"cab").is_ok());
        assert_eq!(other.asked.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn it_holds_no_more_than_its_places_and_goes_on_while_another_thread_is_at_it() {
        let memory = memory();
        let (fake, algorithm) = remembering(alg_id::ECDSA_P256, memory);
        for number in 0..2 * PLACES {
            let text = number.to_string();
            assert!(algorithm.verify_signature(b"key", text.as_bytes(), text.as_bytes()).is_ok());
        }
        let before = fake.asked.load(Ordering::Relaxed);
        assert_eq!(before, 2 * PLACES);
        let _taken = memory.0.lock();
        assert!(algorithm.verify_signature(b"key", b"1", b"1").is_ok());
        assert!(algorithm.verify_signature(b"key", b"1", b"2").is_err());
        assert_eq!(fake.asked.load(Ordering::Relaxed), before + 2);
    }
}
