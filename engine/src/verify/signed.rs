//! What a CA signs besides certificates: CRLs and OCSP responses.

use der::asn1::{AnyRef, BitStringRef};
use der::{Decode, Encode, Sequence, Tag, Tagged};
use rustls::pki_types::{SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer};
use webpki::RawPublicKeyEntity;

/// The form of both (RFC 5280, section 5.1; RFC 6960, section 4.2.1), what is signed left as it came.
#[derive(Sequence)]
pub struct Signed<'a> {
    pub content: AnyRef<'a>,
    algorithm: AnyRef<'a>,
    signature: BitStringRef<'a>,
    #[asn1(context_specific = "0", optional = "true", tag_mode = "EXPLICIT")]
    pub certificates: Option<Vec<AnyRef<'a>>>,
}

impl<'a> Signed<'a> {
    pub fn read(der: &'a [u8]) -> Result<Self, String> {
        let signed = Self::from_der(der).map_err(|why| why.to_string())?;
        match signed.algorithm.tag() {
            Tag::Sequence => Ok(signed),
            _ => Err("algorithm".to_owned()),
        }
    }

    /// Whether the signature is that of `key` (a SubjectPublicKeyInfo, DER).
    pub fn is_of(&self, key: &[u8], algorithms: &[&dyn SignatureVerificationAlgorithm]) -> bool {
        let key = SubjectPublicKeyInfoDer::from(key);
        let (Ok(key), Ok(content), Some(signature)) =
            (RawPublicKeyEntity::try_from(&key), self.content.to_der(), self.signature.as_bytes())
        else {
            return false;
        };
        algorithms
            .iter()
            .filter(|each| each.signature_alg_id().as_ref() == self.algorithm.value())
            .any(|each| key.verify_signature(*each, &content, signature).is_ok())
    }
}
