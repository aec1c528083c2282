//! Which certificates could stand above a peer's, by their names: those that the peer sent, and those of the trust set.
//!
//! A stranger chooses the names, so this shortens the work and proves nothing; `search.rs` goes by signatures.

use std::collections::{HashMap, HashSet};

use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, Error};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;

use crate::verify::budget::{self, Budget, Exhausted};
use crate::verify::certificate;
use crate::verify::signed::Signed;
use crate::verify::trust::Trust;
use crate::verify::types::Role;

/// Intermediates of a path, as many as webpki takes.
pub const MAX_INTERMEDIATES: usize = 6;
/// Certificates that are looked at because of their names. A path has up to six of them.
const MAX_CANDIDATES: usize = 64;

/// One certificate below an anchor, read once.
pub struct Candidate<'a> {
    pub der: &'a CertificateDer<'a>,
    pub certificate: EndEntityCert<'a>,
    pub signed: Option<Signed<'a>>,
    pub outline: Outline,
}

/// What tells whether a certificate is worth a signature check. webpki verifies each of it after all.
#[derive(Default)]
pub struct Outline {
    /// The certificate's key, with its algorithm, DER.
    pub key: Vec<u8>,
    pub key_identifier: Option<Vec<u8>>,
    pub issuer_key_identifier: Option<Vec<u8>>,
    /// Some of it cannot be read here.
    unread: bool,
    /// What parsing it costs.
    pub price: u64,
    /// It may stand in a path now.
    pub promising: bool,
    pub path_length: Option<usize>,
    pub names: usize,
    pub constraints: usize,
}

impl<'a> Candidate<'a> {
    fn read(
        der: &'a CertificateDer<'a>,
        certificate: EndEntityCert<'a>,
        role: Role,
        now: UnixTime,
        budget: &Budget,
    ) -> Result<Self, Exhausted> {
        let price = budget::parsing(der);
        budget.spend(price)?;
        let parsed = certificate::read(der);
        let mut outline = parsed.map_or_else(|_| Outline::unread(), |parsed| Outline::of(&parsed, role, now));
        outline.price = price;
        if outline.unread {
            // What webpki will find in it is not known: no more than it has elements.
            (outline.names, outline.constraints) = (certificate::elements(der), certificate::elements(der));
        }
        outline.key = certificate.subject_public_key_info().to_vec();
        Ok(Self { der, signed: Signed::read(der).ok(), outline, certificate })
    }

    /// Says of its issuer's key what is true of this one, or says nothing.
    pub fn names_key(&self, identifier: Option<&[u8]>) -> bool {
        let said = self.outline.issuer_key_identifier.as_deref();
        said.is_none() || identifier.is_none() || said == identifier
    }

    pub fn same_holder(&self, other: &Candidate<'_>) -> bool {
        self.outline.key == other.outline.key && self.certificate.subject() == other.certificate.subject()
    }
}

impl Outline {
    /// Of what cannot be read here: webpki and `path_checks.rs` say what is wrong with it.
    fn unread() -> Self {
        Self { promising: true, unread: true, ..Self::default() }
    }

    fn of(certificate: &X509Certificate<'_>, role: Role, now: UnixTime) -> Self {
        let mut outline = Self { promising: true, ..Self::default() };
        let mut is_ca = false;
        for extension in certificate.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(found) => {
                    outline.key_identifier = Some(found.0.to_vec())
                }
                ParsedExtension::AuthorityKeyIdentifier(found) => {
                    outline.issuer_key_identifier = found.key_identifier.as_ref().map(|key| key.0.to_vec());
                }
                ParsedExtension::BasicConstraints(found) => {
                    is_ca |= found.ca;
                    outline.path_length = found.path_len_constraint.and_then(|length| length.try_into().ok());
                }
                ParsedExtension::ExtendedKeyUsage(found) => {
                    outline.promising &= match role {
                        Role::Server => found.server_auth,
                        Role::Client => found.client_auth,
                    };
                }
                ParsedExtension::SubjectAlternativeName(found) => outline.names = found.general_names.len(),
                ParsedExtension::NameConstraints(found) => {
                    let subtrees = [&found.permitted_subtrees, &found.excluded_subtrees];
                    outline.constraints = subtrees.into_iter().flatten().map(Vec::len).sum();
                }
                // webpki may be able to read it.
                ParsedExtension::ParseError { .. } => (is_ca, outline.unread) = (true, true),
                _ => {}
            }
        }
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let validity = certificate.validity();
        let in_time = (validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&seconds);
        outline.promising &= is_ca && in_time;
        outline
    }
}

/// nameConstraints, 2.5.29.30, DER.
const NAME_CONSTRAINTS: &[u8] = &[6, 3, 85, 29, 30];

/// The path that nearly every peer sends: in order, up to the one anchor of its name, no name twice, without name
/// constraints. It is tried before anything is searched, and costs no more than it did without a search.
pub fn straight<'a>(
    end_entity: &'a CertificateDer<'a>,
    sent: &'a [CertificateDer<'a>],
    trust: &Trust,
    budget: &Budget,
) -> Option<(&'a [CertificateDer<'a>], usize)> {
    let mut top = EndEntityCert::try_from(end_entity).ok()?;
    budget.spend(budget::parsing(end_entity)).ok()?;
    let mut subjects = Vec::with_capacity(MAX_INTERMEDIATES);
    for count in 0..=MAX_INTERMEDIATES {
        match trust.anchors_of(top.issuer()) {
            [anchor] if trust.constraints_of(*anchor) == 0 => return Some((&sent[..count], *anchor)),
            [] => {}
            _ => return None,
        }
        let above = sent.get(count)?;
        budget.spend(budget::parsing(above)).ok()?;
        let read = EndEntityCert::try_from(above).ok()?;
        let constrains = above.windows(NAME_CONSTRAINTS.len()).any(|bytes| bytes == NAME_CONSTRAINTS);
        // Where names repeat, webpki tries orders: only the search has a price for that.
        let again = read.subject() == read.issuer() || subjects.contains(&read.subject().to_vec());
        if read.subject() != top.issuer() || again || constrains {
            return None;
        }
        subjects.push(read.subject().to_vec());
        top = read;
    }
    None
}

/// The certificates that names connect with a peer's, and the anchors above them.
pub struct Candidates<'a> {
    /// The peer's own first, then in the order in which they came, the trust set's last.
    pub certificates: Vec<Candidate<'a>>,
    /// Indices into the trust set's.
    pub anchors: Vec<usize>,
    /// Why some cannot be read, in webpki's words.
    pub unreadable: Vec<Error>,
    /// There are more than are looked at.
    pub more: bool,
}

impl<'a> Candidates<'a> {
    pub fn of(
        end_entity: &'a CertificateDer<'a>,
        certificate: EndEntityCert<'a>,
        sent: &'a [CertificateDer<'a>],
        trust: &'a Trust,
        (role, now): (Role, UnixTime),
        budget: &Budget,
    ) -> Result<Self, Exhausted> {
        let mut found =
            Self { certificates: Vec::new(), anchors: Vec::new(), unreadable: Vec::new(), more: false };
        let mut wanted = vec![certificate.issuer().to_vec()];
        let own = Candidate::read(end_entity, certificate, role, now, budget)?;
        let mut by_subject: HashMap<Vec<u8>, Vec<(usize, EndEntityCert<'a>)>> = HashMap::new();
        let mut seen = HashSet::from([end_entity.as_ref()]);
        for (place, der) in sent.iter().enumerate() {
            budget.spend(budget::NAMES)?;
            // The same certificate twice is one certificate; an anchor's own adds nothing to the anchor.
            if trust.by_itself.contains_key(der.as_ref()) || !seen.insert(der.as_ref()) {
                continue;
            }
            match EndEntityCert::try_from(der) {
                Ok(read) => by_subject.entry(read.subject().to_vec()).or_default().push((place, read)),
                Err(error) => found.unreadable.push(error),
            }
        }
        let mut above = Vec::new();
        let mut asked_for = HashSet::new();
        for _ in 0..=MAX_INTERMEDIATES {
            let mut next = Vec::new();
            for name in wanted {
                if !asked_for.insert(name.clone()) {
                    continue;
                }
                found.anchors.extend(trust.anchors_of(&name));
                let mut named = by_subject.remove(&name).unwrap_or_default();
                for index in trust.intermediates_of(&name) {
                    budget.spend(budget::NAMES)?;
                    let der = trust.intermediate(index);
                    if trust.by_itself.contains_key(der.as_ref()) {
                        continue;
                    }
                    match EndEntityCert::try_from(der) {
                        Ok(read) if seen.insert(der.as_ref()) => named.push((sent.len() + index, read)),
                        Ok(_) => {}
                        Err(error) => found.unreadable.push(error),
                    }
                }
                for (place, read) in named {
                    if above.len() == MAX_CANDIDATES {
                        found.more = true;
                        break;
                    }
                    let der = sent.get(place).unwrap_or_else(|| trust.intermediate(place - sent.len()));
                    next.push(read.issuer().to_vec());
                    above.push((place, Candidate::read(der, read, role, now, budget)?));
                }
            }
            wanted = next;
        }
        above.sort_by_key(|(place, _)| *place);
        found.anchors.sort_unstable();
        found.certificates = std::iter::once(own).chain(above.into_iter().map(|(_, each)| each)).collect();
        Ok(found)
    }
}
