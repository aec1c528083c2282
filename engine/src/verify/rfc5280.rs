//! VERIFY_X509_STRICT: holds a path to the profile of RFC 5280, where webpki does not. First the checks of
//! OpenSSL under that flag, then what else the profile demands with a MUST.

use std::collections::HashSet;

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{AuthorityKeyIdentifier, GeneralName, NameConstraints, ParsedExtension};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521,
    OID_PKIX_AUTHORITY_INFO_ACCESS, OID_PKIX_SUBJECT_INFO_ACCESS, OID_SIG_ED25519,
    OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER, OID_X509_EXT_BASIC_CONSTRAINTS, OID_X509_EXT_INHIBIT_ANY_POLICY,
    OID_X509_EXT_POLICY_CONSTRAINTS, OID_X509_EXT_SUBJECT_KEY_IDENTIFIER, Oid,
};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Version};

use crate::verify::certificate::read;
use crate::verify::rejection::Kind;

const LONGEST_SERIAL_NUMBER: usize = 20;
const LONGEST_DNS_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;
const LEAST_RSA_BITS: usize = 2048;

/// What comes of a check: nothing, or the kind of the refusal.
type Checked = Result<(), Kind>;

/// Holds `path`, the peer's certificate first and the anchor last, to the profile. A refusal names its kind.
pub fn strict(path: &[&CertificateDer<'_>]) -> Checked {
    let read_path: Result<Vec<_>, _> = path.iter().map(|der| read(der)).collect();
    let certificates = read_path.map_err(|_| Kind::Encoding)?;
    let Some(last) = certificates.len().checked_sub(1) else { return Err(Kind::Encoding) };
    for (index, certificate) in certificates.iter().enumerate() {
        Examination::of(certificate, index == 0, index == last)?.profile()?;
    }
    for pair in certificates.windows(2) {
        keys_match(&pair[0], &pair[1])?;
    }
    let anchor = &certificates[last];
    if anchor.subject() == anchor.issuer() { keys_match(anchor, anchor) } else { Ok(()) }
}

fn refuse_if(wrong: bool, kind: Kind) -> Checked {
    if wrong { Err(kind) } else { Ok(()) }
}

/// One certificate at its place in a path.
struct Examination<'a> {
    certificate: &'a X509Certificate<'a>,
    is_peer: bool,
    is_anchor: bool,
    is_ca: bool,
    signs: bool,
}

impl<'a> Examination<'a> {
    fn of(certificate: &'a X509Certificate<'a>, is_peer: bool, is_anchor: bool) -> Result<Self, Kind> {
        let constraints = certificate.basic_constraints().map_err(|_| Kind::Encoding)?;
        let usage = certificate.key_usage().map_err(|_| Kind::Encoding)?;
        Ok(Self {
            certificate,
            is_peer,
            is_anchor,
            is_ca: constraints.is_some_and(|found| found.value.ca),
            signs: usage.is_some_and(|found| found.value.key_cert_sign()),
        })
    }

    fn profile(&self) -> Checked {
        self.extensions()?;
        self.authority()?;
        self.names()?;
        self.key_identifiers()?;
        self.serial_number()?;
        self.criticality()?;
        self.name_constraints()?;
        self.key()
    }

    /// None for an extension that is not there, else whether it is critical.
    fn critical(&self, oid: &Oid<'_>) -> Option<bool> {
        self.certificate.extensions().iter().find(|each| each.oid == *oid).map(|each| each.critical)
    }

    /// Each at most once (RFC 5280, section 4.2), each readable.
    fn extensions(&self) -> Checked {
        let extensions = self.certificate.extensions();
        let mut seen = HashSet::with_capacity(extensions.len());
        refuse_if(
            !extensions.iter().all(|each| seen.insert(each.oid.as_bytes())),
            Kind::StrictExtensionInvalid,
        )?;
        let unreadable = |parsed: &ParsedExtension<'_>| matches!(parsed, ParsedExtension::ParseError { .. });
        refuse_if(
            extensions.iter().any(|each| unreadable(each.parsed_extension())),
            Kind::StrictExtensionInvalid,
        )
    }

    fn authority(&self) -> Checked {
        let certificate = self.certificate;
        let constraints =
            certificate.basic_constraints().map_err(|_| Kind::Encoding)?.map(|found| found.value);
        let usage = certificate.key_usage().map_err(|_| Kind::Encoding)?.map(|found| found.value);
        if constraints.is_some_and(|found| found.path_len_constraint.is_some()) {
            refuse_if(!self.is_ca, Kind::StrictPathLengthForNonCa)?;
            refuse_if(usage.is_some() && !self.signs, Kind::StrictPathLengthWithoutSigning)?;
        }
        let constraints_critical = self.critical(&OID_X509_EXT_BASIC_CONSTRAINTS);
        refuse_if(self.is_ca && constraints_critical == Some(false), Kind::StrictConstraintsNotCritical)?;
        refuse_if(self.is_ca && usage.is_none(), Kind::StrictCaWithoutKeyUsage)?;
        refuse_if(!self.is_ca && self.signs, Kind::StrictSigningForNonCa)?;
        refuse_if(!self.is_peer && !self.is_ca, Kind::LeafAsCa)?;
        refuse_if(usage.is_some_and(|found| found.flags == 0), Kind::StrictKeyUsageEmpty)
    }

    fn names(&self) -> Checked {
        let certificate = self.certificate;
        let nameless = certificate.subject().iter().next().is_none();
        refuse_if(certificate.issuer().iter().next().is_none(), Kind::StrictIssuerEmpty)?;
        let alternative = certificate.subject_alternative_name().map_err(|_| Kind::Encoding)?;
        let usage = certificate.key_usage().map_err(|_| Kind::Encoding)?;
        let signs_crls = usage.is_some_and(|found| found.value.crl_sign());
        refuse_if(nameless && (self.is_ca || signs_crls || alternative.is_none()), Kind::StrictSubjectEmpty)?;
        let Some(alternative) = alternative else { return Ok(()) };
        refuse_if(nameless && !alternative.critical, Kind::StrictNamesNotCritical)?;
        let names = &alternative.value.general_names;
        refuse_if(names.is_empty(), Kind::StrictNamesEmpty)?;
        refuse_if(self.is_peer && !names.iter().all(has_form), Kind::StrictNameForm)
    }

    fn key_identifiers(&self) -> Checked {
        let certificate = self.certificate;
        refuse_if(
            certificate.signature_algorithm != certificate.tbs_certificate.signature,
            Kind::StrictAlgorithmsDiffer,
        )?;
        let authority_key = self.critical(&OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER);
        let subject_key = self.critical(&OID_X509_EXT_SUBJECT_KEY_IDENTIFIER);
        refuse_if(authority_key == Some(true), Kind::StrictAuthorityKeyCritical)?;
        refuse_if(subject_key == Some(true), Kind::StrictSubjectKeyCritical)?;
        if certificate.version() != X509Version::V3 {
            return refuse_if(!certificate.extensions().is_empty(), Kind::StrictExtensionsNeedV3);
        }
        let identifier = authority_key_identifier(certificate);
        let names_key = identifier.is_some_and(|found| found.key_identifier.is_some());
        let may_lack = self.is_anchor && identifier.is_none();
        refuse_if(!names_key && !may_lack, Kind::StrictAuthorityKeyMissing)?;
        let halved = |found: &AuthorityKeyIdentifier<'_>| {
            found.authority_cert_issuer.is_some() != found.authority_cert_serial.is_some()
        };
        refuse_if(identifier.is_some_and(halved), Kind::StrictAuthorityKeyIncomplete)?;
        refuse_if(self.is_ca && subject_key.is_none(), Kind::StrictSubjectKeyMissing)
    }

    /// Positive, of at most 20 octets (RFC 5280, section 4.1.2.2). Well-known roots have 0.
    fn serial_number(&self) -> Checked {
        let raw = self.certificate.raw_serial();
        let value = raw.strip_prefix(&[0]).unwrap_or(raw);
        let negative = raw.first().is_some_and(|first| first & 0x80 != 0);
        let wrong = negative || value.iter().all(|byte| *byte == 0) || value.len() > LONGEST_SERIAL_NUMBER;
        refuse_if(wrong && (self.is_peer || !self.is_anchor), Kind::StrictSerialNumber)
    }

    /// RFC 5280, sections 4.2.1.11, 4.2.1.14, 4.2.2.1 and 4.2.2.2.
    fn criticality(&self) -> Checked {
        for oid in [OID_X509_EXT_POLICY_CONSTRAINTS, OID_X509_EXT_INHIBIT_ANY_POLICY] {
            refuse_if(self.critical(&oid) == Some(false), Kind::StrictCriticality)?;
        }
        for oid in [OID_PKIX_AUTHORITY_INFO_ACCESS, OID_PKIX_SUBJECT_INFO_ACCESS] {
            refuse_if(self.critical(&oid) == Some(true), Kind::StrictCriticality)?;
        }
        Ok(())
    }

    /// RFC 5280, section 4.2.1.10. Not that they be critical: what is in use often is not, and webpki applies
    /// them all the same.
    fn name_constraints(&self) -> Checked {
        let found = self.certificate.name_constraints().map_err(|_| Kind::Encoding)?;
        let Some(NameConstraints { permitted_subtrees, excluded_subtrees }) = found.map(|found| found.value)
        else {
            return Ok(());
        };
        refuse_if(!self.is_ca, Kind::StrictNameConstraintsForNonCa)?;
        let subtrees = [permitted_subtrees, excluded_subtrees];
        let present: Vec<_> = subtrees.into_iter().flatten().collect();
        refuse_if(
            present.is_empty() || present.iter().any(|each| each.is_empty()),
            Kind::StrictNameConstraintsEmpty,
        )?;
        let bases = present.into_iter().flatten().map(|subtree| &subtree.base);
        refuse_if(bases.into_iter().any(|base| !constrains(base)), Kind::StrictNameConstraintForm)
    }

    /// A key with which a TLS peer of today can sign. RSA: of whole bytes, as anything that makes keys does.
    fn key(&self) -> Checked {
        let weak = if self.is_peer { Kind::StrictKey } else { Kind::StrictAuthorityKey };
        refuse_if(!is_strong(self.certificate.public_key()), weak)
    }
}

fn is_strong(key: &SubjectPublicKeyInfo<'_>) -> bool {
    let algorithm = &key.algorithm.algorithm;
    if *algorithm == OID_SIG_ED25519 {
        return true;
    }
    if *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let parameters = key.algorithm.parameters.as_ref();
        let curve = parameters.and_then(|found| found.as_oid().ok());
        let known = [OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521];
        return curve.is_some_and(|curve| known.contains(&curve));
    }
    let Ok(PublicKey::RSA(rsa)) = key.parsed() else { return false };
    let modulus = rsa.modulus.strip_prefix(&[0]).unwrap_or(rsa.modulus);
    let whole = modulus.first().is_some_and(|first| first & 0x80 != 0);
    whole && modulus.len() * 8 >= LEAST_RSA_BITS
}

fn authority_key_identifier<'a>(
    certificate: &'a X509Certificate<'a>,
) -> Option<&'a AuthorityKeyIdentifier<'a>> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(identifier) => Some(identifier),
        _ => None,
    })
}

/// What a certificate says of its issuer's key and certificate is true of them.
fn keys_match(certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> Checked {
    let Some(said) = authority_key_identifier(certificate) else { return Ok(()) };
    let subject_key = issuer.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier),
        _ => None,
    });
    if let (Some(said), Some(is)) = (&said.key_identifier, subject_key) {
        refuse_if(said != is, Kind::StrictAuthorityKeyMismatch)?;
    }
    if let Some(serial) = said.authority_cert_serial {
        refuse_if(serial != issuer.raw_serial(), Kind::StrictAuthoritySerialMismatch)?;
    }
    let names = said.authority_cert_issuer.iter().flatten();
    let wrong = names.into_iter().any(
        |name| matches!(name, GeneralName::DirectoryName(name) if name.as_raw() != issuer.issuer().as_raw()),
    );
    refuse_if(wrong, Kind::StrictAuthoritySerialMismatch)
}

/// Whether a subjectAltName has the form of its kind (RFC 5280, section 4.2.1.6).
fn has_form(name: &GeneralName<'_>) -> bool {
    match name {
        GeneralName::DNSName(name) => is_dns_name(name.strip_prefix("*.").unwrap_or(name)),
        GeneralName::IPAddress(address) => matches!(address.len(), 4 | 16),
        GeneralName::Invalid(..) => false,
        _ => true,
    }
}

/// The preferred name syntax: RFC 1034, section 3.5, with digits first as by RFC 1123, section 2.1.
fn is_dns_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let valid = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        valid
            && (1..=LONGEST_LABEL).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= LONGEST_DNS_NAME && name.split('.').all(is_label)
}

/// Whether the base of a name constraint has the form of its kind (RFC 5280, section 4.2.1.10).
fn constrains(base: &GeneralName<'_>) -> bool {
    match base {
        GeneralName::DNSName(name) => name.is_empty() || is_dns_name(name),
        GeneralName::IPAddress(range) if matches!(range.len(), 8 | 32) => {
            let mask = &range[range.len() / 2..];
            let bits = mask.iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
            let bits = bits << (128 - 8 * mask.len());
            bits.leading_ones() == bits.count_ones()
        }
        GeneralName::IPAddress(_) | GeneralName::Invalid(..) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_names_are_those_of_the_preferred_syntax() {
        let long = format!("{0}.{0}.{0}.{0}", "a".repeat(LONGEST_LABEL));
        for name in ["a", "a.example", "xn--a", "1.2", &"a".repeat(LONGEST_LABEL)] {
            assert!(is_dns_name(name), "{name}");
        }
        for name in
            ["", ".", "a.", ".a", "a..b", "-a", "a-", "a_b", "*", "a b", "\u{e4}", &long, &"a".repeat(64)]
        {
            assert!(!is_dns_name(name), "{name}");
        }
    }

    #[test]
    fn a_range_of_addresses_has_a_mask_without_gaps() {
        let v4 = |mask: [u8; 4]| [[10, 0, 0, 0], mask].concat();
        for mask in [[0; 4], [255; 4], [255, 255, 255, 0], [255, 254, 0, 0]] {
            assert!(constrains(&GeneralName::IPAddress(&v4(mask))), "{mask:?}");
        }
        for mask in [[255, 0, 255, 0], [0xf0, 0xf0, 0, 0], [0, 0, 0, 1]] {
            assert!(!constrains(&GeneralName::IPAddress(&v4(mask))), "{mask:?}");
        }
        assert!(constrains(&GeneralName::IPAddress(&[0; 32])));
        for length in [0, 4, 7, 16, 33] {
            assert!(!constrains(&GeneralName::IPAddress(&vec![0; length])), "{length}");
        }
    }

    #[test]
    fn an_empty_path_is_refused() {
        assert_eq!(strict(&[]), Err(Kind::Encoding));
    }
}
