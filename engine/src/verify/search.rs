//! The search for a path from a peer's certificate to an anchor, within a budget.
//!
//! It goes down from the anchors: a certificate that is reached was signed, step by step, by a key that the caller
//! trusts, and a stranger cannot add to those, whatever names he writes. Each signature is checked once. Only then
//! paths are put together, upwards, and each is handed to webpki as it is: the peer's certificate, exactly its
//! intermediates, one anchor. webpki verifies; nothing is accepted here.
//!
//! Where no path is good, those that hold by name alone are handed over too, a few of them, for the reason: webpki
//! refuses them again, and gives the reason.

use std::collections::HashSet;

use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm};
use webpki::{Error, spki_for_anchor};

use crate::verify::budget::{self, Budget, Exhausted};
use crate::verify::candidates::{Candidate, Candidates, MAX_INTERMEDIATES};
use crate::verify::specific::more_specific;
use crate::verify::trust::Trust;
use crate::verify::types::Path;

/// Paths that are handed to webpki for the reason of a refusal.
const MAX_REASONS: usize = 16;

/// What webpki (and what it leaves open, `path_checks.rs`) says of one path: its intermediates, and the index of its anchor.
pub type Verify<'a> = &'a dyn Fn(&[CertificateDer<'_>], Option<usize>) -> Result<Path, Error>;

/// What stands above a certificate: one of the trust set's anchors or of the candidates, by index.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Issuer {
    Anchor(usize),
    Candidate(usize),
}

pub struct Search<'a> {
    candidates: Candidates<'a>,
    trust: &'a Trust,
    algorithms: &'a [&'a dyn SignatureVerificationAlgorithm],
    budget: &'a Budget,
    verify: Verify<'a>,
    /// For each candidate: the issuers whose signature on it is valid.
    signers: Vec<Vec<Issuer>>,
    /// Pairs that the key identifiers speak against: checked last.
    unlikely: Vec<(Issuer, usize)>,
    tried: HashSet<(Vec<usize>, Option<usize>)>,
    /// The reason of the refusal so far.
    reason: Error,
    /// webpki gave up on a path.
    gave_up: bool,
}

/// What comes of a search: the path, or the most specific reason against those that there are.
pub type Outcome = Result<Result<Path, Error>, Exhausted>;

impl<'a> Search<'a> {
    pub fn new(
        candidates: Candidates<'a>,
        trust: &'a Trust,
        algorithms: &'a [&'a dyn SignatureVerificationAlgorithm],
        budget: &'a Budget,
        verify: Verify<'a>,
    ) -> Self {
        let signers = vec![Vec::new(); candidates.certificates.len()];
        let reason = Error::UnknownIssuer;
        let (unlikely, tried) = (Vec::new(), HashSet::new());
        Self {
            candidates,
            trust,
            algorithms,
            budget,
            verify,
            signers,
            unlikely,
            tried,
            reason,
            gave_up: false,
        }
    }

    pub fn run(mut self) -> Outcome {
        // What is wrong with the peer's own certificate is wrong with every path.
        match (self.verify)(&[], None) {
            Err(Error::UnknownIssuer) => {}
            Err(error) => return Ok(Err(error)),
            Ok(path) => return Ok(Ok(path)),
        }
        if let Some(path) = self.down_from_anchors()? {
            return Ok(Ok(path));
        }
        // More than were looked at: one of the others might have done.
        if self.candidates.more || self.gave_up {
            return Err(Exhausted);
        }
        for error in std::mem::take(&mut self.candidates.unreadable) {
            self.note(error);
        }
        let budget = Budget::new(budget::REASON);
        // Which reason is given may depend on where this ends; that it is a refusal does not.
        let _ = self.find_reason(&mut vec![0], &budget);
        Ok(Err(self.reason))
    }

    fn down_from_anchors(&mut self) -> Result<Option<Path>, Exhausted> {
        for anchor in self.candidates.anchors.clone() {
            if let Some(path) = self.descend(Issuer::Anchor(anchor))? {
                return Ok(Some(path));
            }
        }
        if let Some(path) = self.climb(&mut vec![0])? {
            return Ok(Some(path));
        }
        while !self.unlikely.is_empty() {
            for (issuer, below) in std::mem::take(&mut self.unlikely) {
                if let Some(path) = self.check(issuer, below)? {
                    return Ok(Some(path));
                }
            }
        }
        self.climb(&mut vec![0])
    }

    fn certificate(&self, index: usize) -> &Candidate<'a> {
        &self.candidates.certificates[index]
    }

    /// The certificates that name `issuer` as theirs and could stand below it, the peer's first.
    fn named_below(&self, issuer: Issuer) -> Vec<usize> {
        let subject = match issuer {
            Issuer::Anchor(index) => self.trust.anchors[index].subject.as_ref(),
            Issuer::Candidate(index) => self.certificate(index).certificate.subject(),
        };
        let fits = |index: &usize| {
            let below = self.certificate(*index);
            let may_stand = *index == 0 || below.outline.promising;
            may_stand && below.certificate.issuer() == subject && issuer != Issuer::Candidate(*index)
        };
        (0..self.candidates.certificates.len()).filter(fits).collect()
    }

    fn descend(&mut self, issuer: Issuer) -> Result<Option<Path>, Exhausted> {
        for below in self.named_below(issuer) {
            self.budget.spend(budget::STEP)?;
            let identifier = match issuer {
                Issuer::Anchor(_) => None,
                Issuer::Candidate(index) => self.certificate(index).outline.key_identifier.as_deref(),
            };
            if !self.certificate(below).names_key(identifier) {
                self.unlikely.push((issuer, below));
                continue;
            }
            if let Some(path) = self.check(issuer, below)? {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// Checks one signature, then goes on below: with the paths to the peer's certificate, or with what it signed.
    fn check(&mut self, issuer: Issuer, below: usize) -> Result<Option<Path>, Exhausted> {
        let key = match issuer {
            Issuer::Anchor(index) => spki_for_anchor(&self.trust.anchors[index]).to_vec(),
            Issuer::Candidate(index) => self.certificate(index).outline.key.clone(),
        };
        let signed = self.certificate(below).signed.as_ref();
        let valid = signed.is_some_and(|signed| signed.is_of(&key, self.algorithms));
        if self.budget.exhausted() {
            return Err(Exhausted);
        }
        if !valid {
            return Ok(None);
        }
        let reached = !self.signers[below].is_empty();
        self.signers[below].push(issuer);
        match below {
            0 => self.climb(&mut vec![0]),
            _ if reached => Ok(None),
            _ => self.descend(Issuer::Candidate(below)),
        }
    }

    /// Hands every path over that goes on from `path` along valid signatures, until one is good.
    fn climb(&mut self, path: &mut Vec<usize>) -> Result<Option<Path>, Exhausted> {
        let top = path[path.len() - 1];
        let mut signers = self.signers[top].clone();
        signers.sort_by_key(|issuer| match issuer {
            Issuer::Anchor(index) => (0, *index),
            Issuer::Candidate(index) => (1, *index),
        });
        for issuer in signers {
            self.budget.spend(budget::STEP)?;
            let found = match issuer {
                Issuer::Anchor(anchor) => self.hand(path, Some(anchor), self.budget)?,
                Issuer::Candidate(above) if self.may_follow(path, above) => {
                    path.push(above);
                    let found = self.climb(path)?;
                    path.pop();
                    found
                }
                Issuer::Candidate(_) => None,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Whether the candidate `above` may stand on top of `path`, by webpki's rules.
    fn may_follow(&self, path: &[usize], above: usize) -> bool {
        let candidate = self.certificate(above);
        let fits = candidate.outline.path_length.is_none_or(|most| path.len() - 1 <= most);
        let new = !path.iter().any(|below| self.certificate(*below).same_holder(candidate));
        candidate.outline.promising && fits && new && path.len() <= MAX_INTERMEDIATES
    }

    /// What verifying a path costs, but for its signatures.
    fn price(&self, path: &[usize], anchor: Option<usize>) -> u64 {
        let parsing: u64 = path.iter().map(|index| self.certificate(*index).outline.price).sum();
        // webpki reads all of them at each step up; where names repeat, it tries orders, a hundred at most.
        let subjects: HashSet<_> =
            path.iter().map(|index| self.certificate(*index).certificate.subject()).collect();
        let steps = if subjects.len() == path.len() { path.len() } else { 20 * path.len() };
        let constraints = path[1..].iter().map(|index| self.certificate(*index).outline.constraints);
        let of_anchor = anchor.map_or(0, |index| self.trust.constraints_of(index));
        let (mut names, mut comparisons) = (0, 0);
        for (index, constraints) in path.iter().zip(constraints.chain([of_anchor])) {
            names += self.certificate(*index).outline.names + 1;
            comparisons += names.saturating_mul(constraints);
        }
        let steps = u64::try_from(steps * path.len()).unwrap_or(u64::MAX);
        parsing + steps * budget::NAMES + budget::comparisons(comparisons)
    }

    fn hand(
        &mut self,
        path: &[usize],
        anchor: Option<usize>,
        budget: &Budget,
    ) -> Result<Option<Path>, Exhausted> {
        if !self.tried.insert((path.to_vec(), anchor)) {
            return Ok(None);
        }
        budget.spend(self.price(path, anchor))?;
        let intermediates: Vec<_> = path[1..]
            .iter()
            .map(|index| CertificateDer::from(self.certificate(*index).der.as_ref()))
            .collect();
        let verified = (self.verify)(&intermediates, anchor);
        if self.budget.exhausted() {
            return Err(Exhausted);
        }
        match verified {
            Ok(path) => Ok(Some(path)),
            Err(error) => {
                self.note(error);
                Ok(None)
            }
        }
    }

    fn note(&mut self, error: Error) {
        self.gave_up |= matches!(
            error,
            Error::MaximumSignatureChecksExceeded
                | Error::MaximumPathBuildCallsExceeded
                | Error::MaximumNameConstraintComparisonsExceeded
        );
        let known = std::mem::replace(&mut self.reason, Error::UnknownIssuer);
        self.reason = more_specific(known, error);
    }

    /// Hands paths over that hold by name, as webpki would come upon them itself: its reasons against them are those
    /// that the peer's owner understands.
    fn find_reason(&mut self, path: &mut Vec<usize>, budget: &Budget) -> Result<(), Exhausted> {
        let issuer = self.certificate(path[path.len() - 1]).certificate.issuer().to_vec();
        for anchor in self.trust.anchors_of(&issuer) {
            self.hand_for_reason(path, Some(*anchor), budget)?;
        }
        for above in 1..self.candidates.certificates.len() {
            budget.spend(budget::STEP)?;
            let candidate = self.certificate(above);
            let new = !path.iter().any(|below| self.certificate(*below).same_holder(candidate));
            if candidate.certificate.subject() != issuer || !new {
                continue;
            }
            if path.len() > MAX_INTERMEDIATES {
                self.note(Error::MaximumPathDepthExceeded);
                continue;
            }
            let goes_on = self.may_follow(path, above);
            path.push(above);
            let found = match goes_on {
                true => self.find_reason(path, budget),
                false => self.hand_for_reason(path, None, budget),
            };
            path.pop();
            found?;
        }
        Ok(())
    }

    fn hand_for_reason(
        &mut self,
        path: &[usize],
        anchor: Option<usize>,
        budget: &Budget,
    ) -> Result<(), Exhausted> {
        if self.tried.len() >= MAX_REASONS {
            return Err(Exhausted);
        }
        self.hand(path, anchor, budget).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::Duration;

    use rustls::pki_types::UnixTime;
    use webpki::EndEntityCert;

    use super::*;
    use crate::verify::signature_cache::Meter;
    use crate::verify::types::Role;

    const ANCHOR: &[u8] = include_bytes!("../../fuzz/seeds/certificate/anchor");
    const BELOW: &[u8] = include_bytes!("../../fuzz/seeds/chain/below");
    const RING: &[u8] = include_bytes!("../../fuzz/seeds/chain/ring");
    const SECONDS: u64 = 1_800_000_000;

    fn split(mut data: &[u8]) -> Vec<CertificateDer<'_>> {
        let mut pieces = Vec::new();
        while let [0x30, form, high, low, ..] = data {
            let length = match form {
                0x82 => 4 + usize::from(*high) * 256 + usize::from(*low),
                _ => 3 + usize::from(*high),
            };
            let (piece, rest) = data.split_at(length);
            pieces.push(CertificateDer::from(piece));
            data = rest;
        }
        pieces
    }

    /// What the search comes to with so many units, and the paths that it handed over.
    fn searched(chain: &[u8], units: u64) -> (Outcome, Vec<(usize, Option<usize>)>) {
        let chain = split(chain);
        let trust = Trust::of(vec![ANCHOR.to_vec()], false).expect("an anchor");
        let budget = Budget::new(units);
        let meter = Meter::new(&budget);
        let metered = meter.algorithms();
        let algorithms: Vec<&dyn SignatureVerificationAlgorithm> =
            metered.iter().map(|each| each as _).collect();
        let handed = RefCell::new(Vec::new());
        let verify = |above: &[CertificateDer<'_>], anchor: Option<usize>| {
            handed.borrow_mut().push((above.len(), anchor));
            Err(if anchor.is_some() { Error::CertRevoked } else { Error::UnknownIssuer })
        };
        let now = UnixTime::since_unix_epoch(Duration::from_secs(SECONDS));
        let own = EndEntityCert::try_from(&chain[0]).expect("a certificate");
        let outcome = Candidates::of(&chain[0], own, &chain[1..], &trust, (Role::Server, now), &budget)
            .and_then(|candidates| Search::new(candidates, &trust, &algorithms, &budget, &verify).run());
        (outcome, handed.into_inner())
    }

    #[test]
    fn a_path_whose_signatures_are_valid_is_handed_over_with_its_one_anchor() {
        let (outcome, handed) = searched(BELOW, budget::PATH);
        assert!(matches!(outcome, Ok(Err(Error::CertRevoked))));
        assert_eq!(handed, [(0, None), (1, Some(0))]);
    }

    #[test]
    fn a_budget_that_runs_out_is_no_answer() {
        for units in [0, 10, 100, 150] {
            let (outcome, handed) = searched(BELOW, units);
            assert!(matches!(outcome, Err(Exhausted)), "{units}");
            assert!(handed.iter().all(|(_, anchor)| anchor.is_none()), "{units}");
        }
    }

    #[test]
    fn a_ring_of_namesakes_is_given_up_without_a_path() {
        let (outcome, handed) = searched(RING, budget::PATH);
        assert!(matches!(outcome, Err(Exhausted)));
        assert_eq!(handed, [(0, None)]);
    }
}
