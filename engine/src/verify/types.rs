//! Small types that several parts of a verification share.

use rustls::pki_types::CertificateDer;

/// What stands above a peer's certificate in the path that convinced us: its issuer, that one's, up to the
/// anchor. Empty where the certificate is trusted by itself.
pub type Path = Vec<CertificateDer<'static>>;

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
    /// Whose revocation nobody knows is good enough.
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
