//! What a program demands of a peer beyond a good path: whose certificate it may be, and with which keys.
//!
//! A name that cannot be read, or that is not of the form that its kind has, matches nothing.

use std::collections::HashSet;
use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE64;
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use crate::verify::certificate::{outline, read};
use crate::verify::rejection::{Kind, Rejection};
use crate::verify::spiffe::{self, Id, id_among, is_segment};

/// How many of a certificate's names an error holds.
pub const MAX_PRESENTED: usize = 100;

pub type Pin = [u8; 32];

/// The peers that one program allows: a kind of name and a pattern for it.
#[derive(Debug)]
pub struct Matcher {
    text: String,
    pattern: Pattern,
}

#[derive(Debug, Eq, Hash, PartialEq)]
enum Pattern {
    /// Lower case; a leftmost `*` stands for one label.
    Dns(String),
    Network(IpAddr, u8),
    Uri(String),
    /// A trust domain and the segments of a path: `*` is any one, `**` at the end one or more.
    Spiffe(String, Vec<String>),
    /// The part before the `@`, and the domain in lower case.
    Email(String, String),
}

impl Matcher {
    /// The error is a code: what is wrong with the value.
    pub fn new(kind: &str, value: &str) -> Result<Self, &'static str> {
        let pattern = match kind {
            "DNS" => dns_name(value).map(Pattern::Dns).ok_or("dns"),
            "network" => network(value).ok_or("network"),
            "URI" => (!value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic()))
                .then(|| Pattern::Uri(value.to_owned()))
                .ok_or("uri"),
            "SPIFFE" => spiffe_pattern(value),
            "email" => email(value).ok_or("email"),
            _ => Err("kind"),
        };
        Ok(Self { text: format!("{kind} {value}"), pattern: pattern? })
    }

    /// Whether one of the names of a certificate (DER) matches, whoever issued it.
    pub fn matches_certificate(&self, der: &[u8]) -> bool {
        let Ok(certificate) = read(der) else { return false };
        let Ok(names) = certificate.subject_alternative_name() else { return false };
        let names = names.as_ref().map_or(&[][..], |found| &found.value.general_names);
        self.matches(&Presented::of(&certificate, names))
    }

    /// Whether `name` matches, of the pattern's own kind: a DNS name, an address, a URI, a SPIFFE ID, a mail address.
    pub fn matches_name(&self, name: &str) -> bool {
        let mut presented = Presented::default();
        match &self.pattern {
            Pattern::Dns(_) => presented.add(&GeneralName::DNSName(name)),
            Pattern::Network(..) => presented.addresses.extend(name.parse::<IpAddr>()),
            Pattern::Uri(_) => presented.add(&GeneralName::URI(name)),
            Pattern::Spiffe(..) => presented.spiffe = spiffe::parts(name, is_segment),
            Pattern::Email(..) => presented.add(&GeneralName::RFC822Name(name)),
        }
        self.matches(&presented)
    }

    fn matches(&self, presented: &Presented<'_>) -> bool {
        match &self.pattern {
            Pattern::Dns(pattern) => match pattern.strip_prefix("*.") {
                Some(parent) => presented.parents.contains(parent),
                None => presented.names.contains(pattern),
            },
            Pattern::Network(address, length) => {
                presented.addresses.iter().any(|found| in_network(*found, *address, *length))
            }
            Pattern::Uri(wanted) => presented.uris.contains(wanted.as_str()),
            Pattern::Spiffe(trust_domain, path) => presented
                .spiffe
                .as_ref()
                .is_some_and(|id| id.trust_domain == trust_domain && path_matches(path, &id.path)),
            Pattern::Email(..) => presented.emails.contains(&self.pattern),
        }
    }
}

/// A certificate's names in the form in which they are compared, made once: it may hold thousands.
#[derive(Default)]
struct Presented<'a> {
    names: HashSet<String>,
    /// The DNS names without their first label. A wildcard in the certificate stands for every name that it covers,
    /// so that it is allowed only where all of those are (RFC 9525, section 6.3).
    parents: HashSet<String>,
    addresses: Vec<IpAddr>,
    uris: HashSet<&'a str>,
    emails: HashSet<Pattern>,
    spiffe: Option<Id<'a>>,
}

impl<'a> Presented<'a> {
    fn of(certificate: &X509Certificate<'_>, names: &[GeneralName<'a>]) -> Self {
        let mut presented = Self { spiffe: id_among(certificate, names).ok(), ..Self::default() };
        names.iter().for_each(|name| presented.add(name));
        presented
    }

    fn add(&mut self, name: &GeneralName<'a>) {
        match name {
            GeneralName::DNSName(name) => {
                if let Some(name) = dns_name(name) {
                    self.parents.extend(name.split_once('.').map(|(_, parent)| parent.to_owned()));
                    self.names.insert(name);
                }
            }
            GeneralName::IPAddress(bytes) => self.addresses.extend(ip_address(bytes)),
            GeneralName::URI(name) => {
                self.uris.insert(name);
            }
            GeneralName::RFC822Name(name) => self.emails.extend(email(name)),
            _ => {}
        }
    }
}

/// In lower case: labels of letters, digits, hyphens and underscores; the leftmost may be `*` where more follow.
fn dns_name(text: &str) -> Option<String> {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let label = |label: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len())
            && label.bytes().all(allowed)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_address = text.parse::<IpAddr>().is_ok();
    (text.len() <= 253 && !is_address && name.split('.').all(label)).then(|| text.to_ascii_lowercase())
}

fn network(text: &str) -> Option<Pattern> {
    let (address, length) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let length: u8 = length.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    (length <= longest).then_some(Pattern::Network(address, length))
}

fn ip_address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Some(bytes.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

fn in_network(found: IpAddr, address: IpAddr, length: u8) -> bool {
    let (found, address, width) = match (found, address) {
        (IpAddr::V4(found), IpAddr::V4(address)) => {
            (u128::from(found.to_bits()), u128::from(address.to_bits()), 32)
        }
        (IpAddr::V6(found), IpAddr::V6(address)) => (found.to_bits(), address.to_bits(), 128),
        _ => return false,
    };
    let host = width - u32::from(length);
    host == 128 || found >> host == address >> host
}

fn email(text: &str) -> Option<Pattern> {
    let (local, domain) = text.rsplit_once('@')?;
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'@';
    let usable = !local.is_empty() && local.bytes().all(plain) && !domain.starts_with('*');
    let domain = dns_name(domain).filter(|_| usable)?;
    Some(Pattern::Email(local.to_owned(), domain))
}

fn spiffe_pattern(text: &str) -> Result<Pattern, &'static str> {
    let Id { trust_domain, path, .. } =
        spiffe::parts(text, |each| matches!(each, "*" | "**") || is_segment(each)).ok_or("spiffe")?;
    match path.iter().position(|each| *each == "**") {
        Some(place) if place + 1 < path.len() => Err("spiffe_stars"),
        _ => Ok(Pattern::Spiffe(trust_domain.to_owned(), path.into_iter().map(str::to_owned).collect())),
    }
}

fn path_matches(pattern: &[String], path: &[&str]) -> bool {
    let (fixed, open) = match pattern.split_last() {
        Some((last, fixed)) if last == "**" => (fixed, true),
        _ => (pattern, false),
    };
    let long_enough = if open { path.len() > fixed.len() } else { path.len() == fixed.len() };
    long_enough && fixed.iter().zip(path).all(|(wanted, found)| wanted == "*" || wanted == found)
}

/// A name of a certificate, safe to print; "other" for a kind that none can match.
fn printable(name: &GeneralName<'_>) -> String {
    let (kind, value) = match name {
        GeneralName::DNSName(name) => ("DNS", (*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            ("IP", ip_address(bytes).map_or("?".to_owned(), |ip| ip.to_string()))
        }
        GeneralName::URI(name) => ("URI", (*name).to_owned()),
        GeneralName::RFC822Name(name) => ("email", (*name).to_owned()),
        _ => return "other".to_owned(),
    };
    format!("{kind} {}", value.escape_debug())
}

/// What is demanded beyond a good path; of several sets each must be satisfied.
#[derive(Debug, Default)]
pub struct Conditions {
    pub allowed: Vec<Vec<Matcher>>,
    pub pinned: Vec<HashSet<Pin>>,
}

impl Conditions {
    /// The peers that are allowed, in words; None where any is.
    pub fn allowed_texts(&self) -> Option<Vec<String>> {
        let texts = self.allowed.iter().flatten().map(|matcher| matcher.text.clone());
        (!self.allowed.is_empty()).then(|| texts.collect())
    }

    /// The keys that are pinned, as curl writes them; None where any counts.
    pub fn pinned_texts(&self) -> Option<Vec<String>> {
        let mut texts: Vec<_> = self.pinned.iter().flatten().map(pin_text).collect();
        texts.sort();
        (!self.pinned.is_empty()).then_some(texts)
    }

    /// `path`: what stands above the certificate; None where it was not validated, so that its names prove
    /// nothing, and of its keys only its own counts.
    pub fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        path: Option<&[CertificateDer<'static>]>,
    ) -> Result<(), Box<Rejection>> {
        for allowed in &self.allowed {
            check_allowed(allowed, end_entity, path.is_some())?;
        }
        if self.pinned.is_empty() {
            return Ok(());
        }
        let keys: Vec<Option<Pin>> =
            std::iter::once(end_entity).chain(path.unwrap_or_default()).map(key_of).collect();
        for pinned in &self.pinned {
            if !keys.iter().flatten().any(|key| pinned.contains(key)) {
                let mut texts: Vec<String> = pinned.iter().map(pin_text).collect();
                texts.sort();
                let mut rejection = Rejection::new(Kind::NotPinned, "");
                rejection.presented = keys.iter().flatten().map(pin_text).collect();
                rejection.wanted = texts;
                return Err(rejection);
            }
        }
        Ok(())
    }
}

fn check_allowed(
    allowed: &[Matcher],
    end_entity: &CertificateDer<'_>,
    validated: bool,
) -> Result<(), Box<Rejection>> {
    let certificate = read(end_entity).ok();
    let names = certificate.as_ref().and_then(|found| found.subject_alternative_name().ok().flatten());
    let names = names.as_ref().map_or(&[][..], |found| &found.value.general_names);
    let presented = certificate.as_ref().map(|found| Presented::of(found, names)).unwrap_or_default();
    if validated && certificate.is_some() && allowed.iter().any(|matcher| matcher.matches(&presented)) {
        return Ok(());
    }
    let mut rejection = Rejection::new(Kind::NotAllowed, "");
    rejection.presented = names.iter().take(MAX_PRESENTED).map(printable).collect();
    rejection.left_out = names.len() - rejection.presented.len();
    rejection.wanted = allowed.iter().map(|matcher| matcher.text.clone()).collect();
    Err(rejection)
}

fn key_of(certificate: &CertificateDer<'_>) -> Option<Pin> {
    let certificate = outline(certificate).ok()?;
    digest(&SHA256, certificate.public_key().raw).as_ref().try_into().ok()
}

/// As curl and others write it.
fn pin_text(pin: &Pin) -> String {
    format!("sha256/{}", BASE64.encode(pin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spiffe(pattern: &str, id: &str) -> bool {
        let Ok(Pattern::Spiffe(trust_domain, path)) = spiffe_pattern(pattern) else { panic!("{pattern}") };
        spiffe::parts(id, is_segment)
            .is_some_and(|id| id.trust_domain == trust_domain && path_matches(&path, &id.path))
    }

    #[test]
    fn a_star_is_one_segment_and_two_are_one_or_more_at_the_end() {
        assert!(spiffe("spiffe://a.org/ns/*/sa/web", "spiffe://a.org/ns/prod/sa/web"));
        assert!(!spiffe("spiffe://a.org/ns/*/sa/web", "spiffe://a.org/ns/prod/x/sa/web"));
        assert!(!spiffe("spiffe://a.org/ns/*/sa/web", "spiffe://b.org/ns/prod/sa/web"));
        assert!(spiffe("spiffe://a.org/**", "spiffe://a.org/x/y"));
        assert!(!spiffe("spiffe://a.org/x/**", "spiffe://a.org/x"));
        assert!(spiffe_pattern("spiffe://a.org/**/x").is_err());
    }

    #[test]
    fn what_is_no_spiffe_id_matches_nothing() {
        for id in [
            "spiffe://a.org",
            "spiffe://a.org/",
            "spiffe://a.org//x",
            "spiffe://a.org/x/",
            "spiffe://a.org/./x",
            "spiffe://a.org/../x",
            "spiffe://A.org/x",
            "SPIFFE://a.org/x",
            "spiffe://u@a.org/x",
            "spiffe://a.org:1/x",
            "spiffe://a.org/x?q",
            "spiffe://a.org/x#f",
            "spiffe://a.org/%78",
            "https://a.org/x",
            "spiffe:///x",
        ] {
            assert!(!spiffe("spiffe://a.org/**", id), "{id}");
        }
    }

    #[test]
    fn a_wildcard_is_one_leftmost_label_and_names_are_compared_without_case() {
        let matches = |pattern: &str, name: &str| {
            let mut presented = Presented::default();
            presented.add(&GeneralName::DNSName(name));
            Matcher::new("DNS", pattern).expect("a pattern").matches(&presented)
        };
        assert!(matches("*.Example.org", "DB.example.ORG"));
        assert!(matches("*.example.org", "*.example.org"));
        assert!(!matches("*.example.org", "a.b.example.org"));
        assert!(!matches("*.example.org", "example.org"));
        assert!(!matches("db.example.org", "*.example.org"));
        assert!(!matches("db.example.org", "db.example.org."));
        for wrong in ["*", "a.*.org", "d*.org", "", ".", "a..b", "10.0.0.1", "-a.org", "a b", "*.*.org"] {
            assert!(dns_name(wrong).is_none(), "{wrong}");
        }
    }
}
