//! Checks that Python makes without a connection.

use pyo3::prelude::*;

use crate::clock::now;
use crate::error::{Thing, Unusable};
use crate::verify::budget;
use crate::verify::ocsp::check;
use crate::verify::peer_policy::Matcher;
use crate::verify::rejection::Kind;
use crate::verify::signature_cache;
use crate::verify::spiffe;

/// Why a pattern cannot be used, as a code; None where it can.
#[pyfunction]
pub fn matcher_fault(kind: &str, value: &str) -> Option<&'static str> {
    Matcher::new(kind, value).err()
}

/// Whether one of the names of a certificate (DER) matches the pattern; False where either is malformed.
#[pyfunction]
pub fn matches_certificate(kind: &str, value: &str, der: &[u8]) -> bool {
    Matcher::new(kind, value).is_ok_and(|matcher| matcher.matches_certificate(der))
}

/// Whether a name of the pattern's own kind matches it; False where either is malformed.
#[pyfunction]
pub fn matches_name(kind: &str, value: &str, name: &str) -> bool {
    Matcher::new(kind, value).is_ok_and(|matcher| matcher.matches_name(name))
}

/// The SPIFFE ID of a workload's certificate (DER); None where it has none, or not exactly one.
#[pyfunction]
pub fn spiffe_id(der: &[u8]) -> Option<String> {
    spiffe::with_id(der, |id| id.text.to_owned()).ok()
}

/// The units that verifying took on this thread since this was asked last: for tests, which count no time.
#[pyfunction]
pub fn work_spent() -> u64 {
    budget::take_spent()
}

/// Whether a server may send `response` with `certificate` now: from when and until when it is good; None where it is
/// about another certificate. `issuer`: without it, the signer cannot be known. All DER.
#[pyfunction]
#[pyo3(signature = (response, certificate, issuer = None))]
pub fn check_ocsp_response(
    py: Python<'_>,
    response: Vec<u8>,
    certificate: Vec<u8>,
    issuer: Option<Vec<u8>>,
) -> PyResult<Option<(u64, u64)>> {
    let algorithms = signature_cache::algorithms();
    let now = now()?;
    let checked = py.detach(|| check(&response, &certificate, issuer.as_deref(), algorithms, now));
    match checked {
        // What a client may overlook is no reason to send it.
        Ok(good) if good.until < now.as_secs() => {
            Err(Unusable::new(Thing::OcspResponse, "out_of_date").into())
        }
        Ok(good) => Ok(Some((good.since, good.until))),
        Err(rejection) if rejection.kind == Kind::OcspForeign => Ok(None),
        Err(rejection) => {
            let kind = rejection.kind.word().to_owned();
            let why = Some(rejection.detail).filter(|detail| !detail.is_empty()).unwrap_or(kind);
            Err(Unusable::new(Thing::OcspResponse, why).into())
        }
    }
}
