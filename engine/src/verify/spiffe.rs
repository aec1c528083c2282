//! The SPIFFE ID of a workload's certificate: the only place that reads one.

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use crate::verify::certificate::read;

/// SPIFFE-ID, sections 2.1 and 2.3: how long a trust domain and an ID may be.
const MAX_TRUST_DOMAIN: usize = 255;
const MAX_ID: usize = 2048;

/// A trust domain, and the segments of a path. None of it is empty.
#[derive(Debug, PartialEq)]
pub struct Id<'a> {
    pub trust_domain: &'a str,
    pub path: Vec<&'a str>,
    pub text: &'a str,
}

/// Whether it is the name of a trust domain (SPIFFE-ID, section 2.1).
pub fn is_trust_domain(text: &str) -> bool {
    let own =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_');
    (1..=MAX_TRUST_DOMAIN).contains(&text.len()) && text.bytes().all(own)
}

pub fn is_segment(text: &str) -> bool {
    let own = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !matches!(text, "" | "." | "..") && text.bytes().all(own)
}

/// A SPIFFE ID with a path (SPIFFE-ID, section 2), or a pattern for one: `segment` says what may stand in the path.
pub fn parts(text: &str, segment: impl Fn(&str) -> bool) -> Option<Id<'_>> {
    let (trust_domain, path) = text.strip_prefix("spiffe://")?.split_once('/')?;
    let path: Vec<&str> = path.split('/').collect();
    let good = is_trust_domain(trust_domain) && text.len() <= MAX_ID && path.iter().all(|each| segment(each));
    good.then_some(Id { trust_domain, path, text })
}

/// The ID of a workload's certificate with these names (X509-SVID, sections 2 and 5.2): it has one URI, and signs
/// nothing. The error is a code.
pub fn id_among<'a>(
    certificate: &X509Certificate<'_>,
    names: &[GeneralName<'a>],
) -> Result<Id<'a>, &'static str> {
    let is_uri = |name: &&GeneralName<'_>| {
        matches!(name, GeneralName::URI(_)) || matches!(name, GeneralName::Invalid(tag, _) if tag.0 == 6)
    };
    let mut uris = names.iter().filter(is_uri);
    let uri = match (uris.next(), uris.next()) {
        (None, _) => return Err("no_uri"),
        (Some(_), Some(_)) => return Err("several_uris"),
        (Some(GeneralName::URI(uri)), None) => *uri,
        (Some(_), None) => return Err("not_spiffe"),
    };
    let constraints = certificate.basic_constraints().map_err(|_| "unreadable_names")?;
    let usage = certificate.key_usage().map_err(|_| "unreadable_names")?;
    let signs = constraints.is_some_and(|found| found.value.ca)
        || usage.is_some_and(|found| found.value.key_cert_sign() || found.value.crl_sign());
    if signs { Err("signs_others") } else { parts(uri, is_segment).ok_or("not_spiffe") }
}

/// Hands the ID of a certificate (DER) to `take`; see `id_among`.
pub fn with_id<T>(der: &[u8], take: impl FnOnce(Id<'_>) -> T) -> Result<T, &'static str> {
    let certificate = read(der).map_err(|_| "unreadable_names")?;
    let names = certificate.subject_alternative_name().map_err(|_| "unreadable_names")?;
    let names = names.map_or(&[][..], |found| &found.value.general_names);
    id_among(&certificate, names).map(take)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_apart_and_what_is_none_is_not() {
        let id = parts("spiffe://a.example/ns/x", is_segment).expect("an ID");
        assert_eq!(
            (id.trust_domain, id.path, id.text),
            ("a.example", vec!["ns", "x"], "spiffe://a.example/ns/x")
        );
        for text in [
            "spiffe://a.example",
            "spiffe://a.example/",
            "spiffe://a.example/x/",
            "spiffe://A.example/x",
            "spiffe://a.example:1/x",
            "spiffe://u@a.example/x",
            "spiffe:///x",
            "SPIFFE://a.example/x",
        ] {
            assert_eq!(parts(text, is_segment), None, "{text}");
        }
        let longest = format!("spiffe://{}/x", "a".repeat(MAX_TRUST_DOMAIN));
        assert!(parts(&longest, is_segment).is_some());
        assert!(parts(&format!("spiffe://{}/x", "a".repeat(MAX_TRUST_DOMAIN + 1)), is_segment).is_none());
        let path = "x".repeat(MAX_ID - "spiffe://a/".len());
        assert!(parts(&format!("spiffe://a/{path}"), is_segment).is_some());
        assert!(parts(&format!("spiffe://a/{path}x"), is_segment).is_none());
    }

    #[test]
    fn what_is_no_certificate_has_no_id() {
        assert_eq!(with_id(b"\x30\x00", |_| ()), Err("unreadable_names"));
    }
}
