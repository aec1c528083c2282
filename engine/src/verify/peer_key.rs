//! The key of a peer's certificate that webpki reads as a trust anchor only: it is of X.509 version 1, or has an extension
//! that refuses it wherever it is validated. Where it is not validated, its key must prove itself all the same.

use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer};
use webpki::{EndEntityCert, Error, RawPublicKeyEntity, anchor_from_trusted_cert, spki_for_anchor};

/// None for a certificate that webpki reads as a peer's.
pub fn key_of_anchor(
    certificate: &CertificateDer<'_>,
) -> Result<Option<SubjectPublicKeyInfoDer<'static>>, Error> {
    let error = EndEntityCert::try_from(certificate).err();
    if !matches!(error, Some(Error::UnsupportedCertVersion | Error::UnsupportedCriticalExtension)) {
        return Ok(None);
    }
    Ok(Some(spki_for_anchor(&anchor_from_trusted_cert(certificate)?).into_owned()))
}

/// Whether the signature is that of `key`, by any of the algorithms.
pub fn signed_with(
    key: &SubjectPublicKeyInfoDer<'_>,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
    message: &[u8],
    signature: &[u8],
) -> Result<bool, Error> {
    let key = RawPublicKeyEntity::try_from(key)?;
    Ok(algorithms.iter().any(|each| key.verify_signature(*each, message, signature).is_ok()))
}
