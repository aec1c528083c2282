//! Which certificates a CRL covers: all of its issuer's, or those of a distribution point (RFC 5280, sections
//! 5.2.5 and 6.3.3 (b)).

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{
    BasicConstraints, CRLDistributionPoints, DistributionPointName, GeneralName, IssuingDistributionPoint,
};
use x509_parser::oid_registry::{OID_X509_EXT_BASIC_CONSTRAINTS, OID_X509_EXT_CRL_DISTRIBUTION_POINTS, Oid};
use x509_parser::prelude::FromDer;

/// Names of distribution points of one certificate that are compared. One is usual.
const MAX_NAMES: usize = 64;

/// What an issuing distribution point says.
#[derive(Debug)]
pub struct Scope {
    /// The names of the distribution point, as `comparable` gives them.
    names: Vec<Vec<u8>>,
    only_user_certs: bool,
    only_ca_certs: bool,
}

impl Scope {
    /// `point`: one that webpki takes, which leaves out indirect CRLs and those partitioned by reason.
    pub fn of(point: &IssuingDistributionPoint<'_>) -> Self {
        Self {
            names: full_names(point.distribution_point.as_ref()),
            only_user_certs: point.only_contains_user_certs,
            only_ca_certs: point.only_contains_ca_certs,
        }
    }

    /// Whether a certificate of the CRL's issuer is covered. One that names no distribution point is not, as with
    /// OpenSSL: nothing says that this CRL would have it.
    pub fn covers(&self, certificate: &Points) -> bool {
        let excluded = if certificate.of_ca { self.only_user_certs } else { self.only_ca_certs };
        !excluded && certificate.names.iter().any(|name| self.names.contains(name))
    }
}

/// The distribution points that a certificate names.
pub struct Points {
    of_ca: bool,
    names: Vec<Vec<u8>>,
}

impl Points {
    /// Without those that are for some reasons only, or whose CRLs another issuer signs. None where it cannot be read.
    pub fn of(certificate: &X509Certificate<'_>) -> Self {
        let constraints = extension::<BasicConstraints>(certificate, &OID_X509_EXT_BASIC_CONSTRAINTS);
        let points =
            extension::<CRLDistributionPoints<'_>>(certificate, &OID_X509_EXT_CRL_DISTRIBUTION_POINTS);
        let (Ok(constraints), Ok(Some(points))) = (constraints, points) else {
            return Self { of_ca: false, names: Vec::new() };
        };
        let whole = points.iter().filter(|point| point.crl_issuer.is_none() && point.reasons.is_none());
        let names = whole.flat_map(|point| full_names(point.distribution_point.as_ref()));
        Self {
            of_ca: constraints.is_some_and(|constraints| constraints.ca),
            names: names.take(MAX_NAMES).collect(),
        }
    }
}

/// The value of an extension; `Err` where it is there twice or cannot be read.
fn extension<'a, T: FromDer<'a, x509_parser::error::X509Error>>(
    certificate: &'a X509Certificate<'_>,
    oid: &Oid<'_>,
) -> Result<Option<T>, ()> {
    let Some(found) = certificate.get_extension_unique(oid).map_err(|_| ())? else { return Ok(None) };
    match T::from_der(found.value) {
        Ok(([], value)) => Ok(Some(value)),
        _ => Err(()),
    }
}

fn full_names(point: Option<&DistributionPointName<'_>>) -> Vec<Vec<u8>> {
    match point {
        Some(DistributionPointName::FullName(names)) => names.iter().filter_map(comparable).collect(),
        _ => Vec::new(),
    }
}

/// A URI or a directory name as bytes that are equal where the names are; others name no distribution point here.
fn comparable(name: &GeneralName<'_>) -> Option<Vec<u8>> {
    match name {
        GeneralName::URI(uri) => Some([b"uri:", uri.as_bytes()].concat()),
        GeneralName::DirectoryName(name) => Some([b"name:", name.as_raw()].concat()),
        _ => None,
    }
}
