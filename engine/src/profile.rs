//! What a certificate says of itself, where webpki does not ask: for the trust set, and for
//! VERIFY_X509_STRICT, which holds a path to RFC 5280 (the checks are those of OpenSSL under that flag).

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{ExtendedKeyUsage, KeyUsage, ParsedExtension};
use x509_parser::oid_registry::{
    OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER, OID_X509_EXT_BASIC_CONSTRAINTS, OID_X509_EXT_SUBJECT_ALT_NAME,
    OID_X509_EXT_SUBJECT_KEY_IDENTIFIER, Oid,
};
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
    /// Whether it may sign others: by basicConstraints; without them by keyUsage; or by its age.
    pub authority: bool,
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
        Ok(_) => Err("bytes after the end of the certificate".to_owned()),
        Err(why) => Err(why.to_string()),
    }
}

/// Subject and issuer, DER.
pub fn names(der: &[u8]) -> Result<(Vec<u8>, Vec<u8>), String> {
    let certificate = read(der)?;
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
    let authority = match (certificate.basic_constraints(), certificate.key_usage()) {
        (Ok(Some(constraints)), _) => constraints.value.ca,
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
        authority,
    })
}

/// Holds `path`, the peer's certificate first and the anchor last, to the profile. A refusal names its kind.
pub fn strict(path: &[&CertificateDer<'_>]) -> Result<(), &'static str> {
    for (index, der) in path.iter().enumerate() {
        let certificate = read(der).map_err(|_| "encoding")?;
        strict_certificate(&certificate, index + 1 == path.len())?;
    }
    Ok(())
}

fn refuse_if(wrong: bool, kind: &'static str) -> Result<(), &'static str> {
    if wrong { Err(kind) } else { Ok(()) }
}

fn strict_certificate(certificate: &X509Certificate<'_>, is_anchor: bool) -> Result<(), &'static str> {
    let critical = |oid: Oid<'_>| match certificate.get_extension_unique(&oid) {
        Ok(extension) => Ok(extension.map(|extension| extension.critical)),
        Err(_) => Err("encoding"),
    };
    let constraints = certificate.basic_constraints().map_err(|_| "encoding")?.map(|found| found.value);
    let usage: Option<&KeyUsage> = certificate.key_usage().map_err(|_| "encoding")?.map(|found| found.value);
    let is_authority = constraints.is_some_and(|found| found.ca);
    let signs = usage.is_some_and(|found| found.key_cert_sign());
    if constraints.is_some_and(|found| found.path_len_constraint.is_some()) {
        refuse_if(!is_authority, "strict_path_length_for_non_ca")?;
        refuse_if(usage.is_some() && !signs, "strict_path_length_without_signing")?;
    }
    let constraints_critical = critical(OID_X509_EXT_BASIC_CONSTRAINTS)?;
    refuse_if(is_authority && constraints_critical == Some(false), "strict_constraints_not_critical")?;
    refuse_if(is_authority && usage.is_none(), "strict_ca_without_key_usage")?;
    refuse_if(!is_authority && signs, "strict_signing_for_non_ca")?;

    let nameless = certificate.subject().iter().next().is_none();
    refuse_if(certificate.issuer().iter().next().is_none(), "strict_issuer_empty")?;
    let alternative = certificate.subject_alternative_name().map_err(|_| "encoding")?;
    let signs_lists = usage.is_some_and(|found| found.crl_sign());
    refuse_if(nameless && (is_authority || signs_lists || alternative.is_none()), "strict_subject_empty")?;
    let alternative_critical = critical(OID_X509_EXT_SUBJECT_ALT_NAME)?;
    refuse_if(nameless && alternative_critical == Some(false), "strict_names_not_critical")?;
    refuse_if(alternative.is_some_and(|found| found.value.general_names.is_empty()), "strict_names_empty")?;
    refuse_if(
        certificate.signature_algorithm != certificate.tbs_certificate.signature,
        "strict_algorithms_differ",
    )?;

    let authority_key = critical(OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER)?;
    let subject_key = critical(OID_X509_EXT_SUBJECT_KEY_IDENTIFIER)?;
    refuse_if(authority_key == Some(true), "strict_authority_key_critical")?;
    refuse_if(subject_key == Some(true), "strict_subject_key_critical")?;
    if certificate.version() != X509Version::V3 {
        return refuse_if(!certificate.extensions().is_empty(), "strict_extensions_need_v3");
    }
    let names_key = certificate.extensions().iter().any(|extension| {
        matches!(extension.parsed_extension(),
            ParsedExtension::AuthorityKeyIdentifier(identifier) if identifier.key_identifier.is_some())
    });
    refuse_if(!is_anchor && !names_key, "strict_authority_key_missing")?;
    refuse_if(is_authority && subject_key.is_none(), "strict_subject_key_missing")
}
