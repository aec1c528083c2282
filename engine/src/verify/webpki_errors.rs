//! What webpki finds wrong with a certificate, as evidence. Its errors are told apart by type, never by their text.

use rustls::pki_types::UnixTime;
use webpki::Error;

use crate::verify::rejection::{Kind, Rejection};

/// The kind of an error, and the code that tells it apart from others of its kind; for Other, what webpki says.
fn kind_of(error: &Error) -> (Kind, String) {
    let kind = match error {
        Error::CertExpired { .. } | Error::InvalidCertValidity => Kind::Expired,
        Error::CertNotValidYet { .. } => Kind::NotYetValid,
        Error::CertNotValidForName(_) => Kind::Name,
        Error::UnknownIssuer => Kind::UnknownIssuer,
        Error::CertRevoked => Kind::Revoked,
        Error::UnknownRevocationStatus => Kind::RevocationUnknown,
        Error::InvalidCrlSignatureForPublicKey
        | Error::UnsupportedCrlSignatureAlgorithmContext(_)
        | Error::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_) => Kind::CrlSignature,
        Error::IssuerNotCrlSigner => Kind::CrlSigner,
        Error::CrlExpired { .. } => Kind::CrlExpired,
        Error::InvalidSignatureForPublicKey | Error::SignatureAlgorithmMismatch => Kind::Signature,
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Kind::Algorithm,
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => Kind::Purpose,
        Error::CaUsedAsEndEntity => Kind::CaAsLeaf,
        Error::EndEntityUsedAsCa => Kind::LeafAsCa,
        Error::PathLenConstraintViolated | Error::MaximumPathDepthExceeded => Kind::PathLength,
        Error::NameConstraintViolation => Kind::NameConstraint,
        Error::UnsupportedCriticalExtension => Kind::CriticalExtension,
        Error::BadDer | Error::BadDerTime | Error::TrailingData(_) | Error::MalformedExtensions => {
            Kind::Encoding
        }
        Error::MaximumSignatureChecksExceeded
        | Error::MaximumPathBuildCallsExceeded
        | Error::MaximumNameConstraintComparisonsExceeded => Kind::TooComplex,
        // webpki may add errors in any release (`non_exhaustive`), so that no match can name all of them: a test does.
        _ => Kind::Other,
    };
    let detail = match error {
        Error::MaximumSignatureChecksExceeded => "signature_checks",
        Error::MaximumPathBuildCallsExceeded => "path_building",
        Error::MaximumNameConstraintComparisonsExceeded => "name_comparisons",
        Error::UnsupportedCertVersion => "certificate_version",
        Error::ExtensionValueInvalid => "extension_value",
        Error::MalformedDnsIdentifier => "dns_name",
        Error::MalformedNameConstraint => "name_constraint",
        Error::InvalidNetworkMaskConstraint => "network_mask",
        // People read it, where nothing better can be said.
        other if kind == Kind::Other => return (kind, other.to_string()),
        _ => "",
    };
    (kind, detail.to_owned())
}

/// One webpki error as evidence.
pub fn rejected(error: Error, now: UnixTime) -> Box<Rejection> {
    let (kind, detail) = kind_of(&error);
    let rejection = Rejection::new(kind, detail);
    match error {
        Error::CertExpired { time, not_after: bound }
        | Error::CertNotValidYet { time, not_before: bound }
        | Error::CrlExpired { time, next_update: bound } => rejection.at(time, bound),
        Error::InvalidCertValidity => rejection.at(now, now),
        _ => rejection,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// webpki adds errors in any release, and the compiler says nothing of it: whoever takes another looks through its
    /// `Error` and adds to `kind_of`, and here.
    #[test]
    fn every_error_of_this_webpki_has_a_kind_of_its_own_or_is_other_on_purpose() {
        let lock = include_str!("../../Cargo.lock");
        assert!(lock.contains("name = \"rustls-webpki\"\nversion = \"0.103.17\""), "another webpki");
        let others = [
            (Error::CertDistrusted, ""),
            (Error::ExtensionValueInvalid, "extension_value"),
            (Error::InvalidCrlNumber, ""),
            (Error::InvalidNetworkMaskConstraint, "network_mask"),
            (Error::InvalidSerialNumber, ""),
            (Error::MalformedDnsIdentifier, "dns_name"),
            (Error::MalformedNameConstraint, "name_constraint"),
            (Error::UnsupportedCertVersion, "certificate_version"),
            (Error::UnsupportedCrlIssuingDistributionPoint, ""),
            (Error::UnsupportedCrlVersion, ""),
            (Error::UnsupportedDeltaCrl, ""),
            (Error::UnsupportedIndirectCrl, ""),
            (Error::UnsupportedNameType, ""),
            (Error::UnsupportedRevocationReason, ""),
            (Error::UnsupportedRevocationReasonsPartitioning, ""),
        ];
        for (error, code) in others {
            // Without a code of ours it is one word of webpki's, without braces and numbers.
            let said = if code.is_empty() { error.to_string() } else { code.to_owned() };
            assert!(said.chars().all(|each| each.is_ascii_alphanumeric() || each == '_'), "{said}");
            assert_eq!(kind_of(&error), (Kind::Other, said));
        }
        let known = [
            (Error::BadDer, Kind::Encoding),
            (Error::BadDerTime, Kind::Encoding),
            (Error::CaUsedAsEndEntity, Kind::CaAsLeaf),
            (Error::CertRevoked, Kind::Revoked),
            (Error::EmptyEkuExtension, Kind::Purpose),
            (Error::EndEntityUsedAsCa, Kind::LeafAsCa),
            (Error::InvalidCertValidity, Kind::Expired),
            (Error::InvalidCrlSignatureForPublicKey, Kind::CrlSignature),
            (Error::InvalidSignatureForPublicKey, Kind::Signature),
            (Error::IssuerNotCrlSigner, Kind::CrlSigner),
            (Error::MalformedExtensions, Kind::Encoding),
            (Error::MaximumNameConstraintComparisonsExceeded, Kind::TooComplex),
            (Error::MaximumPathBuildCallsExceeded, Kind::TooComplex),
            (Error::MaximumPathDepthExceeded, Kind::PathLength),
            (Error::MaximumSignatureChecksExceeded, Kind::TooComplex),
            (Error::NameConstraintViolation, Kind::NameConstraint),
            (Error::PathLenConstraintViolated, Kind::PathLength),
            (Error::SignatureAlgorithmMismatch, Kind::Signature),
            (Error::UnknownIssuer, Kind::UnknownIssuer),
            (Error::UnknownRevocationStatus, Kind::RevocationUnknown),
            (Error::UnsupportedCriticalExtension, Kind::CriticalExtension),
        ];
        for (error, kind) in known {
            assert_eq!(kind_of(&error).0, kind, "{error:?}");
        }
    }
}
