//! Of two reasons against a chain, the one that says more: webpki's own order, which it keeps to itself.

use webpki::Error;

/// `known`, unless `new` says more.
pub fn more_specific(known: Error, new: Error) -> Error {
    if rank(&known) >= rank(&new) { known } else { new }
}

fn rank(error: &Error) -> u32 {
    match error {
        Error::CertNotValidYet { .. } | Error::CertExpired { .. } => 290,
        Error::CertNotValidForName(_) => 280,
        Error::CertDistrusted
        | Error::CertRevoked
        | Error::UnknownRevocationStatus
        | Error::CrlExpired { .. } => 270,
        Error::InvalidCrlSignatureForPublicKey | Error::InvalidSignatureForPublicKey => 260,
        Error::SignatureAlgorithmMismatch => 250,
        Error::EmptyEkuExtension => 245,
        Error::RequiredEkuNotFoundContext(_) => 240,
        Error::NameConstraintViolation => 230,
        Error::PathLenConstraintViolated => 220,
        Error::CaUsedAsEndEntity | Error::EndEntityUsedAsCa => 210,
        Error::IssuerNotCrlSigner => 200,
        Error::InvalidCertValidity => 190,
        Error::InvalidNetworkMaskConstraint => 180,
        Error::InvalidSerialNumber => 170,
        Error::InvalidCrlNumber => 160,
        Error::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => 150,
        Error::UnsupportedCrlSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmContext(_) => 140,
        Error::UnsupportedCriticalExtension | Error::UnsupportedCertVersion => 130,
        Error::UnsupportedCrlVersion => 120,
        Error::UnsupportedDeltaCrl => 110,
        Error::UnsupportedIndirectCrl => 100,
        Error::UnsupportedNameType => 95,
        Error::UnsupportedRevocationReason => 90,
        Error::UnsupportedRevocationReasonsPartitioning => 80,
        Error::UnsupportedCrlIssuingDistributionPoint => 70,
        Error::MaximumPathDepthExceeded => 61,
        Error::MalformedDnsIdentifier => 60,
        Error::MalformedNameConstraint => 50,
        Error::MalformedExtensions | Error::TrailingData(_) => 40,
        Error::ExtensionValueInvalid => 30,
        Error::BadDerTime => 20,
        Error::BadDer => 10,
        _ => 0,
    }
}
