//! What a context asks for, as Python hands it over: what a configuration is made of.

use std::path::PathBuf;

use pyo3::prelude::*;

use crate::verify::peer_policy::Pin;

/// What both sides are made of.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Recipe {
    pub server_side: bool,
    pub tls12: bool,
    pub tls13: bool,
    pub alpn: Vec<Vec<u8>>,
    /// Cipher suites and groups by their IANA numbers, best first; those that do not exist here are left out.
    pub suites: Vec<u16>,
    pub groups: Vec<u16>,
    /// A server's own order of suites counts, not the client's.
    pub own_order: bool,
    /// TLS 1.3 tickets that a server sends after a handshake; none in either version where it is None.
    pub tickets: Option<usize>,
    pub keylog: Option<PathBuf>,
}

/// What to ask of the peer, and how to verify its certificate.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Demands {
    pub request: bool,
    pub require: bool,
    pub validate: bool,
    pub check_name: bool,
    /// "none", "leaf" or "chain": whose revocation must be known.
    pub revocation: String,
    /// Whether an unknown revocation status is good enough.
    pub accept_unknown: bool,
    pub require_ocsp: bool,
    pub strict: bool,
    /// Kinds and patterns of names; of several sets each must be satisfied.
    pub allowed: Vec<Vec<(String, String)>>,
    /// SHA-256 of public keys; the same.
    pub pinned: Vec<Vec<Pin>>,
    pub verify_callback: bool,
    pub reverify: bool,
    /// Seconds since the last handshake in full; 0 is no resumption.
    pub max_resumption_age: u32,
}
