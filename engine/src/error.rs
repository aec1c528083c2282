//! Why something failed, where no connection is involved. What fails on a connection is a `tls::failure::Failure`.

/// The clock shows a time before 1970.
#[derive(Debug, PartialEq)]
pub struct NoTime;

/// Another thread was at work here when the process was forked, and this is the child.
#[derive(Debug, PartialEq)]
pub struct Forked;

/// What a call unwinds with where there is no memory: `tls::failure::guarded` makes a MemoryError of it. A connection
/// that was amid a step by then cannot go on, as after any panic; nothing else is lost.
pub struct NoMemory;

/// Something of our own that cannot be used, and why: a code of ours, or what a library says of it.
#[derive(Debug)]
pub struct Unusable {
    pub what: Thing,
    pub why: String,
}

impl Unusable {
    pub fn new(what: Thing, why: impl ToString) -> Self {
        Self { what, why: why.to_string() }
    }
}

/// What cannot be used.
#[derive(Clone, Copy, Debug)]
pub enum Thing {
    AllowedPeers,
    Certificate,
    Clock,
    Crl,
    KeyLog,
    Name,
    OcspResponse,
    PrivateKey,
    /// Versions, ciphers and groups, together.
    Protocols,
    ServerHostname,
    TrustAnchor,
}

impl Thing {
    /// As Python knows it.
    pub fn word(self) -> &'static str {
        match self {
            Self::AllowedPeers => "allowed_peers",
            Self::Certificate => "certificate",
            Self::Clock => "clock",
            Self::Crl => "crl",
            Self::KeyLog => "keylog",
            Self::Name => "name",
            Self::OcspResponse => "ocsp_response",
            Self::PrivateKey => "private_key",
            Self::Protocols => "protocols",
            Self::ServerHostname => "server_hostname",
            Self::TrustAnchor => "trust_anchor",
        }
    }
}
