//! Small types that several parts of a verification share.

use rustls::pki_types::{CertificateDer, UnixTime};

/// What stands above a peer's certificate in the verified path: its issuer, that one's, up to the
/// anchor. Empty where the certificate is trusted by itself.
pub type Path = Vec<CertificateDer<'static>>;

/// Certificates as a peer sent them: its own, and those above it.
#[derive(Clone, Copy)]
pub struct SentChain<'a> {
    pub own: &'a CertificateDer<'a>,
    pub above: &'a [CertificateDer<'a>],
}

impl<'a> SentChain<'a> {
    /// None of no certificate.
    pub fn of(chain: &'a [CertificateDer<'a>]) -> Option<Self> {
        chain.split_first().map(|(own, above)| Self { own, above })
    }

    pub fn certificates(self) -> impl Iterator<Item = &'a CertificateDer<'a>> {
        std::iter::once(self.own).chain(self.above)
    }
}

/// A chain that was accepted, and what stands above the peer's own certificate in the path; None where it was not
/// validated.
#[derive(Clone, Debug)]
pub struct Verified {
    pub chain: Vec<CertificateDer<'static>>,
    pub path: Option<Path>,
    pub at: UnixTime,
    /// The name that it had to be for, where it had to be for one.
    pub name: Option<String>,
    /// Whether a good OCSP response came along.
    pub stapled: bool,
}

/// Whose certificate it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Role {
    Server,
    Client,
}

/// Whose revocation status must be known, and good.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Revocation {
    None,
    Leaf,
    Chain,
}

/// What is demanded of revocation.
#[derive(Clone, Copy, Debug)]
pub struct RevocationPolicy {
    pub of: Revocation,
    /// An unknown revocation status is good enough.
    pub accept_unknown: bool,
}

impl Role {
    pub fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

impl Revocation {
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Leaf => "leaf",
            Self::Chain => "chain",
        }
    }
}
