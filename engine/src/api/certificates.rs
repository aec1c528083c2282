//! What Python asks of certificates outside of a connection. What stands in one, field by field, for
//! `getpeercert()`: bytes and numbers, no words.
//!
//! A peer chooses all of it, and much of it no verifier looks at. So nothing here fails but for what is no
//! certificate at all: an extension that cannot be read is left out, as OpenSSL leaves it out.

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension, X509Extension};
use x509_parser::oid_registry::{
    OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS, OID_PKIX_ACCESS_DESCRIPTOR_OCSP, OID_PKIX_AUTHORITY_INFO_ACCESS,
    OID_X509_EXT_CRL_DISTRIBUTION_POINTS, OID_X509_EXT_SUBJECT_ALT_NAME, Oid,
};
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

use crate::error::{Thing, Unusable};
use crate::verify::certificate::{self, examine, outline, read, split};
use crate::verify::signature_cache::algorithms;
use crate::verify::signed::Signed;

type Object = Py<PyAny>;

const URI: u32 = 6;

/// The fields of a certificate (DER). Names are sequences of RDNs, those of (OID, tag of the value, value).
#[pyfunction]
pub fn contents<'py>(py: Python<'py>, der: &[u8]) -> PyResult<Bound<'py, PyDict>> {
    let certificate = read(der).map_err(|why| Unusable::new(Thing::Certificate, why))?;
    let fields = PyDict::new(py);
    fields.set_item("subject", name(py, certificate.subject())?)?;
    fields.set_item("issuer", name(py, certificate.issuer())?)?;
    fields.set_item("version", certificate.version().0)?;
    fields.set_item("serial", PyBytes::new(py, certificate.raw_serial()))?;
    let validity = certificate.validity();
    fields.set_item("not_before", validity.not_before.timestamp())?;
    fields.set_item("not_after", validity.not_after.timestamp())?;
    let extensions = certificate.extensions();
    if let Some(ParsedExtension::SubjectAlternativeName(names)) =
        only(extensions, &OID_X509_EXT_SUBJECT_ALT_NAME)
    {
        fields.set_item("names", general_names(py, &names.general_names)?)?;
    }
    if let Some(ParsedExtension::AuthorityInfoAccess(access)) =
        only(extensions, &OID_PKIX_AUTHORITY_INFO_ACCESS)
    {
        let places = |method: &Oid<'_>| {
            let of_method = access.accessdescs.iter().filter(|each| each.access_method == *method);
            uris(py, of_method.map(|each| &each.access_location))
        };
        fields.set_item("ocsp", places(&OID_PKIX_ACCESS_DESCRIPTOR_OCSP))?;
        fields.set_item("ca_issuers", places(&OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS))?;
    }
    if let Some(ParsedExtension::CRLDistributionPoints(points)) =
        only(extensions, &OID_X509_EXT_CRL_DISTRIBUTION_POINTS)
    {
        let places = points.iter().filter_map(|point| match &point.distribution_point {
            Some(DistributionPointName::FullName(names)) => Some(names),
            _ => None,
        });
        fields.set_item("crls", uris(py, places.flatten()))?;
    }
    Ok(fields)
}

/// A name (DER) as `contents` gives it.
#[pyfunction]
pub fn distinguished_name(py: Python<'_>, der: &[u8]) -> PyResult<Object> {
    match X509Name::from_der(der) {
        Ok(([], read)) => name(py, &read),
        Ok(_) => Err(Unusable::new(Thing::Name, "trailing_bytes").into()),
        Err(why) => Err(Unusable::new(Thing::Name, why).into()),
    }
}

/// The certificates of a string of DER, one after the other.
#[pyfunction]
pub fn split_certificates<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    let found = split(data).map_err(|why| Unusable::new(Thing::Certificate, why))?;
    Ok(found.into_iter().map(|der| PyBytes::new(py, der)).collect())
}

/// Subject and issuer of a certificate, DER. Raises for what cannot be read.
#[pyfunction]
pub fn names<'py>(py: Python<'py>, der: &[u8]) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
    let (subject, issuer) =
        certificate::subject_and_issuer(der).map_err(|why| Unusable::new(Thing::Certificate, why))?;
    Ok((PyBytes::new(py, &subject), PyBytes::new(py, &issuer)))
}

/// How many elements of DER a certificate holds: what parsing it costs.
#[pyfunction]
pub fn elements(der: &[u8]) -> usize {
    certificate::elements(der)
}

/// The first `most` names of a certificate, as text (None for a kind that has none), and how many it holds. Raises for what cannot be read.
#[pyfunction]
pub fn alternative_names(der: &[u8], most: usize) -> PyResult<(Vec<Option<String>>, usize)> {
    let names = certificate::alternative_names(der, most);
    Ok(names.map_err(|why| Unusable::new(Thing::Certificate, why))?)
}

/// Whether a certificate may sign others. Raises for what cannot be read.
#[pyfunction]
pub fn is_ca(der: &[u8]) -> PyResult<bool> {
    let examined = examine(der).map_err(|why| Unusable::new(Thing::Certificate, why))?;
    Ok(examined.is_ca)
}

/// Whether the serial number of a certificate (DER) is 0 or less, which RFC 5280, section 4.1.2.2, forbids.
#[pyfunction]
pub fn has_odd_serial(der: &[u8]) -> bool {
    outline(der).is_ok_and(|certificate| {
        let serial = certificate.raw_serial();
        serial.iter().all(|byte| *byte == 0) || serial.first().is_some_and(|first| first & 0x80 != 0)
    })
}

/// Whether the key of the certificate `issuer` (DER) signed another, by an algorithm that the engine has.
#[pyfunction]
pub fn is_signed_by(py: Python<'_>, subject: Vec<u8>, issuer: Vec<u8>) -> bool {
    py.detach(|| {
        let (Ok(signed), Ok(key)) = (Signed::read(&subject), certificate::public_key(&issuer)) else {
            return false;
        };
        signed.is_of(&key, algorithms())
    })
}

/// The extension of that kind. What stands there twice says nothing.
fn only<'a>(extensions: &'a [X509Extension<'a>], oid: &Oid<'_>) -> Option<&'a ParsedExtension<'a>> {
    let mut found = extensions.iter().filter(|extension| extension.oid == *oid);
    let first = found.next()?;
    found.next().is_none().then(|| first.parsed_extension())
}

fn name(py: Python<'_>, name: &X509Name<'_>) -> PyResult<Object> {
    name.iter()
        .map(|rdn| {
            rdn.iter()
                .map(|attribute| {
                    let value = attribute.attr_value();
                    (dotted(attribute.attr_type().as_bytes()), value.tag().0, PyBytes::new(py, value.data))
                })
                .collect::<Vec<_>>()
        })
        .collect::<Vec<_>>()
        .into_py_any(py)
}

/// (tag, value) of each; None where one has a form that RFC 5280 does not know.
fn general_names(py: Python<'_>, names: &[GeneralName<'_>]) -> PyResult<Option<Vec<(u32, Object)>>> {
    let bytes = |data: &[u8]| PyBytes::new(py, data).into_any().unbind();
    let mut found = Vec::with_capacity(names.len());
    for each in names {
        found.push(match each {
            GeneralName::OtherName(..) => (0, py.None()),
            GeneralName::RFC822Name(text) => (1, bytes(text.as_bytes())),
            GeneralName::DNSName(text) => (2, bytes(text.as_bytes())),
            GeneralName::X400Address(_) => (3, py.None()),
            GeneralName::DirectoryName(directory) => (4, name(py, directory)?),
            GeneralName::EDIPartyName(_) => (5, py.None()),
            GeneralName::URI(text) => (URI, bytes(text.as_bytes())),
            GeneralName::IPAddress(address) => (7, bytes(address)),
            GeneralName::RegisteredID(oid) => (8, dotted(oid.as_bytes()).into_py_any(py)?),
            GeneralName::Invalid(tag, data) if matches!(tag.0, 1 | 2 | URI) => (tag.0, bytes(data)),
            GeneralName::Invalid(..) => return Ok(None),
        });
    }
    Ok(Some(found))
}

fn uris<'py, 'a>(
    py: Python<'py>,
    places: impl Iterator<Item = &'a GeneralName<'a>>,
) -> Vec<Bound<'py, PyBytes>> {
    places
        .filter_map(|place| match place {
            GeneralName::URI(text) => Some(PyBytes::new(py, text.as_bytes())),
            GeneralName::Invalid(tag, data) if tag.0 == URI => Some(PyBytes::new(py, data)),
            _ => None,
        })
        .collect()
}

/// An object identifier as people write it; in hexadecimal digits where it is none, or has arcs of more
/// than 128 bits. x509-parser's own text is wrong from 2.80 on, and it panics at one that is cut off.
fn dotted(bytes: &[u8]) -> String {
    arcs(bytes).unwrap_or_else(|| data_encoding::HEXUPPER.encode(bytes))
}

fn arcs(bytes: &[u8]) -> Option<String> {
    let (mut text, mut arc) = (String::new(), 0_u128);
    for byte in bytes {
        arc = arc.checked_mul(128)? | u128::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            continue;
        }
        if text.is_empty() {
            let first = (arc / 40).min(2);
            text = format!("{first}.{}", arc - 40 * first);
        } else {
            text += &format!(".{arc}");
        }
        arc = 0;
    }
    bytes.last().filter(|last| *last & 0x80 == 0).map(|_| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_identifier_is_written_as_people_write_it() {
        for (bytes, text) in [
            (&[0x55, 0x04, 0x03][..], "2.5.4.3"),
            (&[0x2a, 0x86, 0x48], "1.2.840"),
            (&[0x88, 0x37], "2.999"),
            (&[0x00], "0.0"),
            (&[], ""),
            (&[0x2a, 0x80], "2A80"),
            (&[0xff; 40], &"FF".repeat(40)),
        ] {
            assert_eq!(dotted(bytes), text);
        }
    }
}
