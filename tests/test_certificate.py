"""A certificate as `getpeercert()` shows it: the dict of CPython's own decoder, for every shape."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type as Kind
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID, ObjectIdentifier
from hypothesis import given, strategies as st

import veritls
from tests.conftest import Files
from tests.support.certificates import Party, raw_names as san_of
from tests.support.connections import client_context, server_context, tls_pair
from tests.support.der import tlv
from veritls._loading.attribute_names import LONG_NAMES
from veritls._loading.certificates import decoded

_ssl: Any = pytest.importorskip("_ssl")  # CPython's own; it decodes with OpenSSL
KEY = ec.generate_private_key(ec.SECP256R1())
UTC = datetime.UTC


def attribute(oid: str, value: str = "value", kind: Kind = Kind.UTF8String) -> x509.NameAttribute[str]:
    return x509.NameAttribute(ObjectIdentifier(oid), value, kind, _validate=False)


def name(*attributes: x509.NameAttribute[Any]) -> x509.Name:
    return x509.Name(list(attributes))


PLAIN = name(attribute("2.5.4.3", "plain"))


def built(
    *extensions: x509.ExtensionType,
    subject: x509.Name = PLAIN,
    issuer: x509.Name = PLAIN,
    serial: int = 0x1234,
    start: datetime.datetime = datetime.datetime(2024, 2, 3, 4, 5, 6, tzinfo=UTC),
    end: datetime.datetime = datetime.datetime(2034, 12, 31, 23, 59, 59, tzinfo=UTC),
) -> bytes:
    """The DER of a certificate with these extensions."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(KEY.public_key())
        .serial_number(serial)
        .not_valid_before(start)
        .not_valid_after(end)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


def names(*general: x509.GeneralName) -> bytes:
    return built(x509.SubjectAlternativeName(general))


def raw_names(*general: bytes) -> bytes:
    """A certificate whose subjectAltName holds these values, in DER."""
    oid = ObjectIdentifier("2.5.29.17")
    return built(x509.UnrecognizedExtension(oid, tlv(0x30, *general)))


def unreadable(oid: str) -> bytes:
    """A certificate with an extension of that kind that holds no DER, behind a good one."""
    good = x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH])
    return built(good, x509.UnrecognizedExtension(ObjectIdentifier(oid), b"\xff\xff"))


def first_version() -> bytes:
    """An X.509 v1 certificate: one without the version and the extensions. Its signature is another's."""
    whole = built()
    inner = x509.load_der_x509_certificate(whole).tbs_certificate_bytes
    version = bytes.fromhex("a003020102")
    body = inner[inner.index(version) + len(version) :]
    return tlv(0x30, tlv(0x30, body), whole[whole.index(inner) + len(inner) :])


def in_year(year: str) -> bytes:
    """A certificate valid from this year, four digits, on."""
    moment = datetime.datetime(2051, 1, 2, 3, 4, 5, tzinfo=UTC)
    whole = built(start=moment, end=datetime.datetime(2099, 1, 1, tzinfo=UTC))
    return whole.replace(b"20510102030405Z", f"{year}0102030405Z".encode())


def as_ssl_shows(certificate: bytes, folder: Path) -> Any:
    path = folder / "certificate.pem"
    path.write_text(ssl.DER_cert_to_PEM_cert(certificate))
    return _ssl._test_decode_cert(str(path))


def agree(certificate: bytes, folder: Path) -> None:
    expected = as_ssl_shows(certificate, folder)
    assert decoded(certificate) == expected
    assert list(decoded(certificate)) == list(expected), "the order of the fields"


def access(*places: tuple[ObjectIdentifier, x509.GeneralName]) -> x509.AuthorityInformationAccess:
    return x509.AuthorityInformationAccess([x509.AccessDescription(*place) for place in places])


def point(*places: x509.GeneralName) -> x509.DistributionPoint:
    return x509.DistributionPoint(list(places), None, None, None)


OCSP, ISSUERS = AuthorityInformationAccessOID.OCSP, AuthorityInformationAccessOID.CA_ISSUERS
OCSP_DER = bytes.fromhex("06082b06010505073001")
READ = ("2.5.29.17", "2.5.29.31", "1.3.6.1.5.5.7.1.1")
URI, DNS, IP = x509.UniformResourceIdentifier, x509.DNSName, x509.IPAddress
ODD_NAME = x509.Name(
    [
        x509.RelativeDistinguishedName([attribute("2.5.4.3", "two"), attribute("2.5.4.11", "of one")]),
        x509.RelativeDistinguishedName(
            [attribute("2.5.4.10", ""), attribute("2.5.4.3", "z"), attribute("1.2.3.4", "y")]
        ),
        x509.RelativeDistinguishedName([attribute("2.5.4.11", "a"), attribute("2.5.4.11", "b")]),
        x509.RelativeDistinguishedName([attribute("2.5.4.3", "two")]),
    ]
)

ADDRESSES = ("::", "::1", "2001:db8::1", "2001:db8:0:1::abcd", "fe80:0:1:0:2:0:3:0", "::ffff:1.2.3.4")
UNIQUE = NameOID.X500_UNIQUE_IDENTIFIER


def xoe(kind: Kind) -> bytes:
    return built(subject=name(attribute("2.5.4.3", "Xoe", kind)))


SHAPES: dict[str, bytes] = {
    "no extensions": built(),
    "X.509 v1": first_version(),
    "no subject": built(subject=name()),
    "no subject and no issuer": built(subject=name(), issuer=name()),
    "other issuer": built(issuer=name(attribute("2.5.4.6", "CH"), attribute("2.5.4.3", "the issuer"))),
    "several values in one RDN": built(subject=ODD_NAME),
    "UTF-8": built(subject=name(attribute("2.5.4.3", "Zoë 東京 \U0001f600"))),
    "BMP": built(subject=name(attribute("2.5.4.3", "Zoë 東京", Kind.BMPString))),
    "universal": built(subject=name(attribute("2.5.4.3", "Zoë 東京 \U0001f600", Kind.UniversalString))),
    "printable": built(subject=name(attribute("2.5.4.3", "A-Z (0)", Kind.PrintableString))),
    "teletex": built(subject=name(attribute("2.5.4.3", "ASCII", Kind.T61String))),
    "numeric": built(subject=name(attribute("2.5.4.5", "123 456", Kind.NumericString))),
    "IA5": built(subject=name(attribute("1.2.840.113549.1.9.1", "a@example.org", Kind.IA5String))),
    "NUL in a name": built(subject=name(attribute("2.5.4.3", "good.example\0.evil.example"))),
    "separators in a name": built(subject=name(attribute("2.5.4.3", 'a=b, c+d/e\\f"\n#'))),
    "serial of one digit": built(serial=1),
    "serial of odd hex digits": built(serial=0xABC),
    "serial of even hex digits": built(serial=0xABCD),
    "serial with the top bit": built(serial=0x80FF),
    "serial of 159 bits": built(serial=(1 << 159) - 1),
    "valid from 1950": built(start=datetime.datetime(1950, 1, 1, tzinfo=UTC)),
    "valid from 1949": in_year("1949"),
    "valid from 0001": in_year("0001"),
    "valid from 0000": in_year("0000"),
    "valid to 2049": built(end=datetime.datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)),
    "valid to 2050": built(end=datetime.datetime(2050, 1, 1, tzinfo=UTC)),
    "valid to 9999": built(end=datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    "day of two digits": built(start=datetime.datetime(2024, 10, 10, tzinfo=UTC)),
    "DNS": names(DNS("example.org"), DNS("*.example.org"), DNS("xn--bcher-kva.example"), DNS("example.org")),
    "empty DNS": names(DNS("")),
    "NUL in a DNS name": raw_names(tlv(0x82, b"good.example\0.evil.example")),
    "IPv4": names(IP(ipaddress.ip_address("192.0.2.1")), IP(ipaddress.ip_address("0.0.0.0"))),
    "IPv6": names(
        *(
            IP(ipaddress.ip_address(address))
            for address in (
                "::",
                "::1",
                "2001:db8::1",
                "2001:db8:0:1::abcd",
                "fe80:0:1:0:2:0:3:0",
                "::ffff:1.2.3.4",
            )
        )
    ),
    "email": names(x509.RFC822Name("someone@example.org")),
    "URI": names(URI("spiffe://example.org/a?b=c#d"), URI("https://[::1]/")),
    "DirName": names(x509.DirectoryName(ODD_NAME), x509.DirectoryName(name())),
    "Registered ID": names(x509.RegisteredID(ObjectIdentifier("1.2.3.4.5"))),
    "Registered ID of an attribute": names(x509.RegisteredID(NameOID.COMMON_NAME)),
    "otherName": names(x509.OtherName(ObjectIdentifier("1.2.3.4"), tlv(0x0C, b"text"))),
    "every kind of name": names(
        x509.RFC822Name("a@example.org"),
        DNS("example.org"),
        URI("urn:x"),
        x509.DirectoryName(PLAIN),
        x509.OtherName(ObjectIdentifier("1.2.3.4"), tlv(0x05)),
        IP(ipaddress.ip_address("::1")),
        x509.RegisteredID(ObjectIdentifier("1.2.3.4")),
        IP(ipaddress.ip_address("127.0.0.1")),
    ),
    "OCSP": built(access((OCSP, URI("http://ocsp.example/1")), (OCSP, URI("http://ocsp.example/2")))),
    "caIssuers": built(access((ISSUERS, URI("http://ca.example/1")), (ISSUERS, URI("http://ca.example/2")))),
    "OCSP and caIssuers in turn": built(
        access((ISSUERS, URI("u:1")), (OCSP, URI("u:2")), (ISSUERS, URI("u:3")), (OCSP, URI("u:4")))
    ),
    "access other than by URI": built(access((OCSP, DNS("ocsp.example")), (ISSUERS, URI("u:1")))),
    "access of another kind": built(access((ObjectIdentifier("1.2.3.4"), URI("u:1")))),
    "CRLs": built(
        x509.CRLDistributionPoints([point(URI("http://crl.example/1"), URI("ldap://x")), point(URI("u:2"))])
    ),
    "CRLs other than by URI": built(x509.CRLDistributionPoints([point(x509.DirectoryName(PLAIN))])),
    "CRLs only by issuer": built(
        x509.CRLDistributionPoints(
            [x509.DistributionPoint(None, None, None, [x509.DirectoryName(PLAIN)]), point(URI("u:1"))]
        )
    ),
    "everything": built(
        x509.BasicConstraints(ca=True, path_length=None),
        x509.CRLDistributionPoints([point(URI("u:1"))]),
        access((ISSUERS, URI("u:2")), (OCSP, URI("u:3"))),
        x509.SubjectAlternativeName([DNS("example.org")]),
        x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"what no one can read"),
    ),
    "non-ASCII DNS": raw_names(tlv(0x82, "bücher.example".encode())),
    "empty SAN": raw_names(),
    "long country": built(subject=name(attribute("2.5.4.6", "Switzerland"))),
    "X.400 address": raw_names(tlv(0xA3, tlv(0x30)), tlv(0x82, b"a")),
    "EDI party": raw_names(tlv(0xA5, tlv(0xA1, tlv(0x0C, b"x"))), tlv(0x82, b"a")),
    "address of three bytes": raw_names(tlv(0x87, b"123"), tlv(0x82, b"a")),
    "address with a mask": raw_names(tlv(0x87, b"\x0a\0\0\0\xff\0\0\0")),
    "name of an unknown form": raw_names(tlv(0x89, b"x"), tlv(0x82, b"a")),
    "other name without a type": raw_names(tlv(0xA0), tlv(0x82, b"a")),
    "SAN that is none": unreadable("2.5.29.17"),
    "two SANs": built(
        x509.SubjectAlternativeName([DNS("a")]), x509.IssuerAlternativeName([DNS("b")])
    ).replace(bytes.fromhex("0603551d12"), bytes.fromhex("0603551d11")),
    "access that is none": unreadable("1.3.6.1.5.5.7.1.1"),
    "CRLs that are none": unreadable("2.5.29.31"),
    "policies that are none": unreadable("2.5.29.32"),
    "key usage that is none": unreadable("2.5.29.15"),
    "Latin-1 in teletex": xoe(Kind.T61String).replace(b"Xoe", b"Zo\xeb"),
    "Latin-1 in printable": xoe(Kind.PrintableString).replace(b"Xoe", b"Zo\xeb"),
    "not printable": xoe(Kind.PrintableString).replace(b"Xoe", b"@*_"),
    "bit string": built(subject=x509.Name([x509.NameAttribute(UNIQUE, b"\0ab", Kind.BitString)])),
    "OID of two bytes": built(subject=name(attribute("2.999.1", "x"))),
    "negative serial": built(serial=0x4321).replace(bytes.fromhex("02024321"), bytes.fromhex("0202ff21")),
    "empty IA5": built(subject=name(attribute("2.5.4.3", "", Kind.IA5String))),
}

ODD: dict[str, tuple[bytes, str, object]] = {
    "Latin-1 DNS": (
        raw_names(tlv(0x82, "bücher.example".encode("latin1"))),
        "subjectAltName",
        (("DNS", r"b\xfccher.example"),),
    ),
    "Latin-1 URI": (raw_names(tlv(0x86, b"u:\xeb")), "subjectAltName", (("URI", r"u:\xeb"),)),
    "Latin-1 OCSP": (
        built(
            x509.UnrecognizedExtension(
                ObjectIdentifier("1.3.6.1.5.5.7.1.1"), tlv(0x30, tlv(0x30, OCSP_DER, tlv(0x86, b"\xeb")))
            )
        ),
        "OCSP",
        (r"\xeb",),
    ),
    "bad UTF-8": (
        xoe(Kind.UTF8String).replace(b"Xoe", b"Zo\xeb"),
        "subject",
        ((("commonName", r"Zo\xeb"),),),
    ),
    "half a surrogate": (
        xoe(Kind.BMPString).replace("Xo".encode("utf-16-be"), b"\xd8\0\0o"),
        "subject",
        ((("commonName", r"\xd8\x00oe"),),),
    ),
    "OID cut off": (raw_names(tlv(0x88, b"\x2a\x80")), "subjectAltName", (("Registered ID", "2A80"),)),
    "UPN": (
        names(x509.OtherName(ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), tlv(0x0C, b"a@example.org"))),
        "subjectAltName",
        (("othername", "<unsupported>"),),
    ),
}
"""What `ssl` raises for, or shows by its OpenSSL's age: the certificate, the field, and what is shown."""


@pytest.mark.parametrize("shape", SHAPES)
def test_a_certificate_is_shown_as_ssl_shows_it(shape: str, tmp_path: Path) -> None:
    agree(SHAPES[shape], tmp_path)


def openssl_knows(number: int) -> tuple[str, str]:
    try:
        _, _, words, oid = _ssl.nid2obj(number)
    except ValueError:
        return "", ""
    return oid or "", words


def test_every_attribute_has_the_name_that_openssl_gives_it() -> None:
    known = dict(map(openssl_knows, range(1, 1400)))
    assert {oid: known[oid] for oid in LONG_NAMES if oid in known} == {
        oid: words for oid, words in LONG_NAMES.items() if oid in known
    }
    assert {oid for oid in known if oid.startswith("2.5.4.")} <= set(LONG_NAMES)


def test_the_months_are_english_whatever_the_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    class French(datetime.datetime):
        def strftime(self, form: str) -> str:
            return super().strftime(form.replace("%b", "févr."))

    monkeypatch.setattr("veritls._loading.certificates._EPOCH", French(1970, 1, 1, tzinfo=UTC))
    assert decoded(built())["notBefore"] == "Feb  3 04:05:06 2024 GMT"


def test_a_trusted_certificate_of_the_year_0_is_listed() -> None:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=in_year("0000").replace(b"20990101", b"00001231"))
    (entry,) = context.list_trust()
    assert (entry.name, entry.expires) == ("CN=plain", None)


@pytest.mark.parametrize("shape", ODD)
def test_an_odd_certificate_is_shown_where_ssl_raises(shape: str) -> None:
    certificate, field, expected = ODD[shape]
    assert decoded(certificate)[field] == expected


TAGS = st.integers(0x80, 0x89) | st.integers(0xA0, 0xA9)
VALUES = st.binary(max_size=20) | st.binary(max_size=20).map(lambda data: tlv(0x30, data))


@given(st.lists(st.tuples(TAGS, VALUES), max_size=4), st.binary(max_size=6), st.sampled_from(READ))
def test_nothing_that_a_peer_can_choose_raises(
    general: list[tuple[int, bytes]], garbage: bytes, oid: str
) -> None:
    read = [tlv(*each) for each in general]
    for value in (
        tlv(0x30, *read),
        tlv(0x30, *read) + garbage,
        tlv(0x30, tlv(0x30, OCSP_DER, *read)),
        garbage,
    ):
        shown = decoded(built(x509.UnrecognizedExtension(ObjectIdentifier(oid), value)))
        assert shown["subject"] == ((("commonName", "plain"),),)
        assert repr(shown).isprintable()


@given(st.binary(min_size=3, max_size=3), st.sampled_from(list(Kind)), st.integers(0, 30))
def test_no_subject_raises(value: bytes, kind: Kind, tag: int) -> None:
    if kind in (Kind.BitString, Kind.OctetString):
        return
    whole = xoe(Kind.UTF8String).replace(b"\x0c\x03Xoe", bytes([tag, 3]) + value)
    (((label, text),),) = decoded(whole)["subject"]
    assert label == "commonName" and isinstance(text, bytes if tag == 3 else str)


def test_a_server_shows_a_client_whose_names_ssl_cannot_read(files: Files, tmp_path: Path) -> None:
    ca = Party("A CA", ca=True)
    name = ipaddress.ip_address("::ffff:1.2.3.4")
    raw = tlv(0x30, tlv(0x87, name.packed), tlv(0xA3, tlv(0x30)), tlv(0x82, b"b\xfc"))
    path = ca.issue(san=san_of(raw)).file(tmp_path)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        server, client = server_context(files.server), client_context(files.ca)
        server.load_verify_locations(cadata=ca.der)
        server.verify_mode, server.maximum_version = ssl.CERT_REQUIRED, version
        client.load_cert_chain(path)
        with tls_pair(server, client) as (server_end, _):
            shown = server_end.getpeercert()
        assert shown["subjectAltName"] == (
            ("IP Address", "0:0:0:0:0:FFFF:102:304"),
            ("X400Name", "<unsupported>"),
            ("DNS", r"b\xfc"),
        )


def test_a_chain_is_bytes_that_older_libraries_take_for_the_private_certificates(files: Files) -> None:
    server, client = server_context(files.server), client_context(files.ca)
    with tls_pair(server, client) as (server_end, client_end):
        for end in (client_end, client_end._sslobj):
            leaf, anchor = end.get_verified_chain()
            assert end.get_unverified_chain() == [leaf] and leaf != anchor
            assert issubclass(type(leaf), bytes) and leaf.public_bytes(_ssl.ENCODING_DER) == bytes(leaf)
            assert leaf.public_bytes(_ssl.ENCODING_PEM) == ssl.DER_cert_to_PEM_cert(leaf)
            assert leaf.get_info() == client_end.getpeercert()
            with pytest.raises(ValueError):
                leaf.public_bytes(0)
        assert server_end.get_unverified_chain() == [] and server_end._sslobj.get_unverified_chain() is None
