//! Whether a peer's certificate is accepted. The only callers of webpki.

pub mod budget;
pub mod callback;
pub mod candidates;
pub mod certificate;
pub mod crl;
pub mod crl_scope;
pub mod crl_signers;
pub mod ocsp;
pub mod path_checks;
pub mod peer_key;
pub mod peer_policy;
pub mod policies;
pub mod rejection;
pub mod rfc5280;
pub mod search;
pub mod signature_cache;
pub mod signed;
pub mod specific;
pub mod spiffe;
pub mod trust;
pub mod types;
pub mod verifier;
pub mod webpki_errors;
