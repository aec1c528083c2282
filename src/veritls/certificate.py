"""A certificate as `ssl` shows it: the dict of `getpeercert()`. Decoded by `cryptography`."""

import ipaddress
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

_LONG_NAMES = {
    NameOID.COMMON_NAME: "commonName",
    NameOID.COUNTRY_NAME: "countryName",
    NameOID.LOCALITY_NAME: "localityName",
    NameOID.STATE_OR_PROVINCE_NAME: "stateOrProvinceName",
    NameOID.STREET_ADDRESS: "streetAddress",
    NameOID.ORGANIZATION_NAME: "organizationName",
    NameOID.ORGANIZATION_IDENTIFIER: "organizationIdentifier",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "organizationalUnitName",
    NameOID.SERIAL_NUMBER: "serialNumber",
    NameOID.SURNAME: "surname",
    NameOID.GIVEN_NAME: "givenName",
    NameOID.INITIALS: "initials",
    NameOID.TITLE: "title",
    NameOID.GENERATION_QUALIFIER: "generationQualifier",
    NameOID.X500_UNIQUE_IDENTIFIER: "x500UniqueIdentifier",
    NameOID.DN_QUALIFIER: "dnQualifier",
    NameOID.PSEUDONYM: "pseudonym",
    NameOID.USER_ID: "userId",
    NameOID.DOMAIN_COMPONENT: "domainComponent",
    NameOID.EMAIL_ADDRESS: "emailAddress",
    NameOID.BUSINESS_CATEGORY: "businessCategory",
    NameOID.POSTAL_ADDRESS: "postalAddress",
    NameOID.POSTAL_CODE: "postalCode",
    NameOID.JURISDICTION_COUNTRY_NAME: "jurisdictionCountryName",
    NameOID.JURISDICTION_STATE_OR_PROVINCE_NAME: "jurisdictionStateOrProvinceName",
    NameOID.JURISDICTION_LOCALITY_NAME: "jurisdictionLocalityName",
}
"""OpenSSL's long names of the attributes of a distinguished name; any other is shown by its number."""

_Name = tuple[tuple[tuple[str, str], ...], ...]


def _name(name: x509.Name) -> _Name:
    def text(value: str | bytes) -> str:
        return value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")

    def pair(attribute: x509.NameAttribute[Any]) -> tuple[str, str]:
        oid = attribute.oid
        return _LONG_NAMES.get(oid, oid.dotted_string), text(attribute.value)

    return tuple(tuple(pair(attribute) for attribute in rdn) for rdn in name.rdns)


def _moment(moment: datetime) -> str:
    return f"{moment:%b} {moment.day:2d} {moment:%H:%M:%S} {moment.year} GMT"


def _address(value: object) -> str:
    if isinstance(value, ipaddress.IPv6Address):
        return ":".join(f"{int(group, 16):X}" for group in value.exploded.split(":"))
    return str(value)


def _general_name(name: x509.GeneralName) -> tuple[str, Any]:
    match name:
        case x509.DNSName():
            return "DNS", name.value
        case x509.IPAddress():
            return "IP Address", _address(name.value)
        case x509.RFC822Name():
            return "email", name.value
        case x509.UniformResourceIdentifier():
            return "URI", name.value
        case x509.DirectoryName():
            return "DirName", _name(name.value)
        case x509.RegisteredID():
            return "Registered ID", _LONG_NAMES.get(name.value, name.value.dotted_string)
        case _:
            return "othername", "<unsupported>"


def _extensions(certificate: x509.Certificate) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    access: dict[str, tuple[str, ...]] = {}
    for extension in certificate.extensions:
        match extension.value:
            case x509.SubjectAlternativeName() as names:
                shown["subjectAltName"] = tuple(_general_name(name) for name in names)
            case x509.AuthorityInformationAccess() as descriptions:
                for key, method in (
                    ("OCSP", AuthorityInformationAccessOID.OCSP),
                    ("caIssuers", AuthorityInformationAccessOID.CA_ISSUERS),
                ):
                    places = [d.access_location for d in descriptions if d.access_method == method]
                    access[key] = tuple(
                        place.value for place in places if isinstance(place, x509.UniformResourceIdentifier)
                    )
            case x509.CRLDistributionPoints() as points:
                access["crlDistributionPoints"] = tuple(
                    place.value
                    for point in points
                    for place in point.full_name or ()
                    if isinstance(place, x509.UniformResourceIdentifier)
                )
            case _:
                pass
    order = ("OCSP", "caIssuers", "crlDistributionPoints")
    return shown | {key: access[key] for key in order if access.get(key)}


def readable(der: bytes) -> x509.Certificate:
    """A certificate (DER). Raises ValueError for what cannot be read, its version included."""
    try:
        return x509.load_der_x509_certificate(der)
    except x509.InvalidVersion as why:
        raise ValueError(str(why)) from None


def decoded(der: bytes) -> dict[str, Any]:
    """The fields of a certificate (DER) under the names that the `ssl` documentation of getpeercert gives.

    subject and issuer: tuples of RDNs, each a tuple of (name, value); version: int; serialNumber: upper-case
    hex; notBefore, notAfter: text that `ssl.cert_time_to_seconds` reads; subjectAltName: (kind, value)
    pairs; OCSP, caIssuers, crlDistributionPoints: tuples of URIs; each of these four only where present.
    Raises ValueError where the certificate cannot be read.
    """
    try:
        certificate = readable(der)
        digits = f"{certificate.serial_number:X}"
        return {
            "subject": _name(certificate.subject),
            "issuer": _name(certificate.issuer),
            "version": certificate.version.value + 1,
            "serialNumber": digits if len(digits) % 2 == 0 else f"0{digits}",
            "notBefore": _moment(certificate.not_valid_before_utc),
            "notAfter": _moment(certificate.not_valid_after_utc),
        } | _extensions(certificate)
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as why:
        raise ValueError(f"the peer's certificate cannot be decoded: {why}") from None


def subject_text(der: bytes) -> str:
    """The subject of a certificate (DER) in the form of RFC 4514, for a person; never raises."""
    try:
        certificate = readable(der)
        return certificate.subject.rfc4514_string() or _first_name(certificate)
    except ValueError:
        return "an unreadable certificate"


def _first_name(certificate: x509.Certificate) -> str:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return ":".join(map(str, _general_name(names[0])))
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, IndexError):
        return "a certificate without a subject"


def end_point_hash(der: bytes) -> bytes | None:
    """The tls-server-end-point channel binding of a server's certificate (RFC 5929, section 4.1).

    None where its signature names no hash (Ed25519), for which the RFC defines none.
    """
    algorithm = readable(der).signature_hash_algorithm
    if algorithm is None:
        return None
    if algorithm.name in ("md5", "sha1"):
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(der)
    return digest.finalize()
