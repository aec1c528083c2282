//! requireExplicitPolicy (RFC 5280, sections 4.2.1.11 and 6.1), where it is not critical. webpki refuses a path with a
//! critical extension about policies, and passes over one that is not.
//!
//! Only whether the path has a policy is asked: the caller names none that it wants. Mappings are not processed: a path
//! that has them and has to have a policy is refused. So the tree of RFC 5280 is one set for each certificate, the
//! policies that this one and all above it have.

use std::collections::BTreeSet;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{ParsedExtension, PolicyConstraints};
use x509_parser::oid_registry::{
    OID_X509_EXT_CERTIFICATE_POLICIES, OID_X509_EXT_INHIBIT_ANY_POLICY, OID_X509_EXT_POLICY_CONSTRAINTS,
    OID_X509_EXT_POLICY_MAPPINGS, Oid,
};
use x509_parser::prelude::FromDer;

use crate::verify::certificate::{outline, read};

/// anyPolicy, 2.5.29.32.0.
const ANY_POLICY: &[u8] = &[0x55, 0x1D, 0x20, 0x00];

/// How many more certificates that are not self-issued may pass until a demand holds. None: there is no demand.
type Skip = Option<u32>;

/// Whether a path has a policy where one of its certificates demands one. `path`: DER, from the one below the anchor to
/// the peer's own. `Err` where an extension about policies cannot be read.
pub fn explicit_where_demanded(path: &[&[u8]]) -> Result<bool, String> {
    for der in path {
        if demands_policy(der)? {
            return explicit(path);
        }
    }
    Ok(true)
}

/// A look at one extension, for the paths that demand nothing: nearly all.
fn demands_policy(der: &[u8]) -> Result<bool, String> {
    let certificate = outline(der)?;
    let found =
        certificate.get_extension_unique(&OID_X509_EXT_POLICY_CONSTRAINTS).map_err(|_| unreadable())?;
    match found.map(|extension| PolicyConstraints::from_der(extension.value)) {
        None => Ok(false),
        Some(Ok(([], constraints))) => Ok(constraints.require_explicit_policy.is_some()),
        Some(_) => Err(unreadable()),
    }
}

fn explicit(path: &[&[u8]]) -> Result<bool, String> {
    let (mut explicit, mut inhibit_any): (Skip, Skip) = (None, None);
    let mut policies = Policies::Any;
    let mut mapped = false;
    for (depth, der) in path.iter().enumerate() {
        let certificate = read(der)?;
        let own = depth + 1 == path.len();
        let self_issued = certificate.subject().as_raw() == certificate.issuer().as_raw();
        let any_counts = inhibit_any != Some(0) || (self_issued && !own);
        policies = policies.common_with(&listed(&certificate)?, any_counts);
        let demanded = match extension(&certificate, &OID_X509_EXT_POLICY_CONSTRAINTS)? {
            Some(ParsedExtension::PolicyConstraints(constraints)) => constraints.require_explicit_policy,
            _ => None,
        };
        if own {
            // Section 6.1.5 (a) and (b).
            explicit = if demanded == Some(0) { demanded } else { passed(explicit) };
            break;
        }
        // Section 6.1.4 (a), (h), (i) and (j).
        mapped |= extension(&certificate, &OID_X509_EXT_POLICY_MAPPINGS)?.is_some();
        if !self_issued {
            (explicit, inhibit_any) = (passed(explicit), passed(inhibit_any));
        }
        explicit = sooner(explicit, demanded);
        if let Some(ParsedExtension::InhibitAnyPolicy(inhibition)) =
            extension(&certificate, &OID_X509_EXT_INHIBIT_ANY_POLICY)?
        {
            inhibit_any = sooner(inhibit_any, Some(inhibition.skip_certs));
        }
    }
    // Once there is a demand it stays, and what is common never grows: the end tells for every certificate.
    Ok(explicit != Some(0) || !(mapped || policies.none()))
}

fn passed(skip: Skip) -> Skip {
    skip.map(|certificates| certificates.saturating_sub(1))
}

fn sooner(one: Skip, other: Skip) -> Skip {
    [one, other].into_iter().flatten().min()
}

/// The policies that every certificate has so far.
enum Policies {
    Any,
    Of(BTreeSet<Vec<u8>>),
}

impl Policies {
    fn none(&self) -> bool {
        matches!(self, Self::Of(policies) if policies.is_empty())
    }

    /// `listed`: the policies of the next certificate. `any_counts`: whether anyPolicy among them does
    /// (section 6.1.3 (d)).
    fn common_with(self, listed: &BTreeSet<Vec<u8>>, any_counts: bool) -> Self {
        if any_counts && listed.contains(ANY_POLICY) {
            return self;
        }
        match self {
            Self::Any => Self::Of(listed.iter().filter(|policy| *policy != ANY_POLICY).cloned().collect()),
            Self::Of(policies) => Self::Of(policies.intersection(listed).cloned().collect()),
        }
    }
}

fn listed(certificate: &X509Certificate<'_>) -> Result<BTreeSet<Vec<u8>>, String> {
    Ok(match extension(certificate, &OID_X509_EXT_CERTIFICATE_POLICIES)? {
        Some(ParsedExtension::CertificatePolicies(policies)) => {
            policies.iter().map(|policy| policy.policy_id.as_bytes().to_vec()).collect()
        }
        _ => BTreeSet::new(),
    })
}

/// The value of an extension; `Err` where it is there twice or cannot be read.
fn extension<'a, 'b>(
    certificate: &'a X509Certificate<'b>,
    oid: &Oid<'_>,
) -> Result<Option<&'a ParsedExtension<'b>>, String> {
    let found = certificate.get_extension_unique(oid).map_err(|_| unreadable())?;
    match found.map(|extension| extension.parsed_extension()) {
        Some(ParsedExtension::ParseError { .. }) => Err(unreadable()),
        found => Ok(found),
    }
}

fn unreadable() -> String {
    "policies".to_owned()
}
