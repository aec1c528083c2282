//! What a certificate says of itself, where webpki does not ask.

use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;
use x509_parser::certificate::{X509Certificate, X509CertificateParser};
use x509_parser::extensions::{ExtendedKeyUsage, GeneralName, KeyUsage, ParsedExtension};
use x509_parser::nom::Parser;
use x509_parser::oid_registry::OID_X509_EXT_KEY_USAGE;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Version;

/// A certificate as the trust set sees it.
#[derive(Clone, Debug)]
pub struct Examined {
    pub self_issued: bool,
    /// Seconds since 1970.
    pub not_before: i64,
    pub not_after: i64,
    pub for_servers: bool,
    pub for_clients: bool,
    /// Whether it may sign others: by basicConstraints and keyUsage; without the former by keyUsage alone,
    /// which then has to be there; or by its age.
    pub is_ca: bool,
    /// How many intermediates that are not self-issued may follow, where it says so.
    pub path_length: Option<u32>,
    /// How many subtrees its name constraints have.
    pub constraints: usize,
    /// Whether a critical extension of it means nothing to us.
    pub unknown_critical: bool,
}

/// The certificates of a string of DER, one after the other.
pub fn split(mut data: &[u8]) -> Result<Vec<&[u8]>, String> {
    let mut found = Vec::new();
    while !data.is_empty() {
        let (rest, _) = X509Certificate::from_der(data).map_err(|why| why.to_string())?;
        found.push(&data[..data.len() - rest.len()]);
        data = rest;
    }
    Ok(found)
}

pub fn read(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err("trailing_bytes".to_owned()),
        Err(why) => Err(why.to_string()),
    }
}

/// The same without a look into the extensions, which is most of the work: a handshake asks for one or two of them.
pub fn outline(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    match X509CertificateParser::new().with_deep_parse_extensions(false).parse(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err("trailing_bytes".to_owned()),
        Err(why) => Err(why.to_string()),
    }
}

/// What a certificate's key is for, where it says so.
pub fn key_usage(der: &[u8]) -> Result<Option<KeyUsage>, String> {
    let certificate = outline(der)?;
    let found = certificate.get_extension_unique(&OID_X509_EXT_KEY_USAGE).map_err(|why| why.to_string())?;
    match found.map(|extension| KeyUsage::from_der(extension.value)) {
        None => Ok(None),
        Some(Ok(([], usage))) => Ok(Some(usage)),
        Some(_) => Err("key_usage".to_owned()),
    }
}

/// Whether a certificate's key may sign; it may where the certificate does not say what the key is for.
pub fn may_sign(der: &[u8]) -> bool {
    key_usage(der).is_ok_and(|usage| usage.is_none_or(|usage| usage.digital_signature()))
}

/// How many elements of DER a certificate holds, within octet strings as well: parsing it with everything in it costs
/// as much. What is no DER counts as something.
pub fn elements(mut der: &[u8]) -> usize {
    let mut count = 0;
    while let [tag, length, rest @ ..] = der {
        count += 1;
        // Constructed ones and octet strings are entered, others passed over.
        let entered = tag & 0x20 != 0 || *tag == 0x04;
        let octets = usize::from(if length & 0x80 == 0 { 0 } else { length & 0x7F });
        let (Some(long), Some(content)) = (rest.get(..octets.min(8)), rest.get(octets..)) else { break };
        let long = long.iter().fold(0, |sum: usize, byte| sum << 8 | usize::from(*byte));
        let length = if length & 0x80 == 0 { usize::from(*length) } else { long };
        der = if entered { content } else { content.get(length..).unwrap_or_default() };
    }
    count
}

/// The first names of a certificate, as text where they are of a kind that has one, and how many it holds.
pub fn alternative_names(der: &[u8], most: usize) -> Result<(Vec<Option<String>>, usize), String> {
    let certificate = read(der)?;
    let found = certificate.subject_alternative_name().map_err(|why| why.to_string())?;
    let names = found.map_or(&[][..], |found| &found.value.general_names);
    Ok((names.iter().take(most).map(text).collect(), names.len()))
}

fn text(name: &GeneralName<'_>) -> Option<String> {
    Some(match name {
        GeneralName::DNSName(name) | GeneralName::URI(name) | GeneralName::RFC822Name(name) => {
            (*name).to_owned()
        }
        GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
            (Ok(bytes), _) => IpAddr::from(bytes).to_string(),
            (_, Ok(bytes)) => IpAddr::from(bytes).to_string(),
            _ => "?".to_owned(),
        },
        _ => return None,
    })
}

/// The DNS names of a certificate, in lower case, wildcards as they are written. None of one that webpki does not read
/// (X.509 v1).
pub fn dns_names(der: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = EndEntityCert::try_from(der) else { return Vec::new() };
    certificate.valid_dns_names().map(str::to_ascii_lowercase).collect()
}

/// Subject and issuer, DER.
pub fn subject_and_issuer(der: &[u8]) -> Result<(Vec<u8>, Vec<u8>), String> {
    let certificate = outline(der)?;
    Ok((certificate.subject().as_raw().to_vec(), certificate.issuer().as_raw().to_vec()))
}

/// The SubjectPublicKeyInfo, DER.
pub fn public_key(der: &[u8]) -> Result<Vec<u8>, String> {
    Ok(read(der)?.public_key().raw.to_vec())
}

/// Extensions that cannot be read vouch for nothing.
pub fn examine(der: &[u8]) -> Result<Examined, String> {
    let certificate = read(der)?;
    let self_issued = certificate.subject().as_raw() == certificate.issuer().as_raw();
    let usage = |wanted: fn(&ExtendedKeyUsage<'_>) -> bool| match certificate.extended_key_usage() {
        Ok(None) => true,
        Ok(Some(usage)) => usage.value.any || wanted(usage.value),
        Err(_) => false,
    };
    let is_ca = match (certificate.basic_constraints(), certificate.key_usage()) {
        (Ok(Some(constraints)), Ok(usage)) => {
            constraints.value.ca && usage.is_none_or(|usage| usage.value.key_cert_sign())
        }
        (Ok(None), Ok(Some(usage))) => usage.value.key_cert_sign(),
        (Ok(None), Ok(None)) => certificate.version() == X509Version::V1 && self_issued,
        _ => false,
    };
    Ok(Examined {
        self_issued,
        not_before: certificate.validity().not_before.timestamp(),
        not_after: certificate.validity().not_after.timestamp(),
        for_servers: usage(|usage| usage.server_auth),
        for_clients: usage(|usage| usage.client_auth),
        is_ca,
        path_length: match certificate.basic_constraints() {
            Ok(Some(constraints)) => constraints.value.path_len_constraint,
            _ => None,
        },
        constraints: match certificate.name_constraints() {
            Ok(Some(found)) => {
                let subtrees = [&found.value.permitted_subtrees, &found.value.excluded_subtrees];
                subtrees.into_iter().flatten().map(Vec::len).sum()
            }
            _ => 0,
        },
        unknown_critical: certificate.extensions().iter().any(|extension| {
            extension.critical
                && matches!(
                    extension.parsed_extension(),
                    ParsedExtension::UnsupportedExtension { .. } | ParsedExtension::ParseError { .. }
                )
        }),
    })
}
