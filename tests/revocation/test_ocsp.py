"""A client and the OCSP response that a server staples: its signer, certificate, dates, and what it says."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

import veritls
from tests.revocation.answers import CRL_LEAF, clients, code, code_in_handshake, serving
from tests.revocation.responses import (
    BY_KEY,
    BY_NAME,
    MUST_STAPLE,
    REVOKED,
    SIGNS_RESPONSES,
    UNKNOWN,
    response,
    unsuccessful,
)
from tests.support.certificates import DAY, HOUR, NOW, SERVES_AND_SIGNS, SIGNS, Party, just_now, new_key
from tests.support.connections import tls_pair
from tests.support.der import cut, with_extensions
from tests.support.memory import memory_pair
from veritls.errors import SSLCertVerificationError

ROOT = Party("Root", ca=True)
MIDDLE = Party("Middle", ROOT, ca=True)
LEAF, OTHER = Party("localhost", MIDDLE), Party("localhost", MIDDLE)
DELEGATE = Party("Responder", MIDDLE, names=[], extra=[SIGNS_RESPONSES])
NEEDED, FAILED, NOT_KNOWN, REVOKED_CODE = 73, 74, 75, 23
MINUTE = HOUR / 60


def delegate(issuer: Party = MIDDLE, **changes: Any) -> Party:
    return Party("Responder", issuer, names=[], **({"extra": [SIGNS_RESPONSES]} | changes))


SAME_NAME = Party("Middle", ROOT, ca=True)
BELOW = Party("Below", MIDDLE, ca=True)
SERVES_TOO = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.OCSP_SIGNING])
ANY = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
UNKNOWN_CRITICAL = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)
UNKNOWN_EXTENSION = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), False)

CASES: dict[str, tuple[Any, int, str]] = {
    # (the response, verify_code, words)
    "good, by the issuer, named by its key": (lambda: response(LEAF, by=BY_KEY), 0, ""),
    "good, by the issuer, named by its name": (lambda: response(LEAF, by=BY_NAME), 0, ""),
    "good, with SHA-256": (lambda: response(LEAF, algorithm=hashes.SHA256()), 0, ""),
    "good, with SHA-384": (lambda: response(LEAF, algorithm=hashes.SHA384()), 0, ""),
    "good, with SHA-512": (lambda: response(LEAF, algorithm=hashes.SHA512()), 0, ""),
    "with a hash that is unknown": (
        lambda: response(LEAF, algorithm=hashes.SHA224()),
        FAILED,
        "another certificate",
    ),
    "good, without an end": (lambda: response(LEAF, until=None), 0, ""),
    "good, with an extension": (lambda: response(LEAF, extra=UNKNOWN_EXTENSION), 0, ""),
    "good, with a nonce": (lambda: response(LEAF, extra=(x509.OCSPNonce(b"x" * 16), False)), 0, ""),
    "good, by a delegate, named by its key": (lambda: response(LEAF, signer=DELEGATE), 0, ""),
    "good, by a delegate, named by its name": (lambda: response(LEAF, signer=DELEGATE, by=BY_NAME), 0, ""),
    "good, by a delegate with RSA": (lambda: response(LEAF, signer=delegate(key=new_key("RSA"))), 0, ""),
    "good, by a delegate with Ed25519": (
        lambda: response(LEAF, signer=delegate(key=new_key("ED25519"))),
        0,
        "",
    ),
    "good, by a delegate that serves too": (
        lambda: response(LEAF, signer=delegate(extra=[(SERVES_TOO, False)])),
        0,
        "",
    ),
    "good, the delegate's certificate among others": (
        lambda: response(LEAF, signer=DELEGATE, certificates=[ROOT, OTHER, MIDDLE, DELEGATE]),
        0,
        "",
    ),
    "revoked": (lambda: response(LEAF, REVOKED), REVOKED_CODE, "was revoked, according to the OCSP response"),
    "revoked, out of date": (
        lambda: response(LEAF, REVOKED, since=NOW - DAY, until=NOW - HOUR),
        REVOKED_CODE,
        "was revoked, according to the OCSP response",
    ),
    "unknown": (lambda: response(LEAF, UNKNOWN), NOT_KNOWN, "does not know the certificate"),
    "out of date": (
        lambda: response(LEAF, since=NOW - DAY, until=NOW - HOUR),
        FAILED,
        rf"expired 1 hour ago \({NOW - HOUR:%Y-%m-%d %H:%M} UTC\)",
    ),
    "out of date, without an end": (
        lambda: response(LEAF, since=NOW - DAY - HOUR, until=None),
        FAILED,
        "expired 1 hour ago",
    ),
    "out of date by less than clocks may differ": (
        lambda: response(LEAF, since=NOW - DAY, until=just_now() - 3 * MINUTE),
        0,
        "",
    ),
    "of the future": (
        lambda: response(LEAF, since=NOW + HOUR, until=NOW + DAY),
        FAILED,
        "is not valid yet: it becomes valid in",
    ),
    "of the future by less than clocks may differ": (
        lambda: response(LEAF, since=just_now() + 3 * MINUTE, until=NOW + DAY),
        0,
        "",
    ),
    "of another certificate": (lambda: response(OTHER), FAILED, "another certificate"),
    "of the same number by another issuer": (
        lambda: response(LEAF, issuer=ROOT),
        FAILED,
        "another certificate",
    ),
    "by another key of the issuer's name": (
        lambda: response(LEAF, signer=SAME_NAME, by=BY_NAME, certificates=[]),
        FAILED,
        "signed neither by the issuer",
    ),
    "by a stranger": (
        lambda: response(LEAF, signer=Party("Stranger", names=[], extra=[SIGNS_RESPONSES])),
        FAILED,
        "not a valid OCSP responder",
    ),
    "by the root": (lambda: response(LEAF, signer=ROOT), FAILED, "not a valid OCSP responder"),
    "by the certificate itself": (lambda: response(LEAF, signer=LEAF), FAILED, "not a valid OCSP responder"),
    "by a delegate whose certificate is missing": (
        lambda: response(LEAF, signer=DELEGATE, certificates=[OTHER]),
        FAILED,
        "signed neither by the issuer",
    ),
    "by a delegate without the purpose": (
        lambda: response(LEAF, signer=delegate(extra=[])),
        FAILED,
        "not a valid OCSP responder",
    ),
    "by a delegate for any purpose": (
        lambda: response(LEAF, signer=delegate(extra=[(ANY, False)])),
        FAILED,
        "not a valid OCSP responder",
    ),
    "by a delegate that ran out": (
        lambda: response(LEAF, signer=delegate(start=NOW - 2 * DAY, end=NOW - DAY)),
        FAILED,
        "not a valid OCSP responder",
    ),
    "by a delegate of the root": (
        lambda: response(LEAF, signer=delegate(ROOT)),
        FAILED,
        "not a valid OCSP responder",
    ),
    "by a delegate of a CA below": (
        lambda: response(LEAF, signer=delegate(BELOW), certificates=None),
        FAILED,
        "not a valid OCSP responder",
    ),
    "by a delegate of another key of the issuer's name": (
        lambda: response(LEAF, signer=delegate(SAME_NAME)),
        FAILED,
        "not a valid OCSP responder",
    ),
    "by a delegate whose key is not for signatures": (
        lambda: response(LEAF, signer=delegate(usage=SIGNS)),
        FAILED,
        "does not allow signatures",
    ),
    "in a delegate's name by a stranger": (
        lambda: response(LEAF, signer=delegate(ROOT), by=BY_NAME, certificates=[DELEGATE]),
        FAILED,
        "signed neither by the issuer",
    ),
    "with an unknown critical extension": (
        lambda: response(LEAF, extra=UNKNOWN_CRITICAL),
        FAILED,
        "critical extension",
    ),
    "that the responder had none": (unsuccessful, FAILED, "TryLater"),
    "of zeros": (lambda: bytes(100), FAILED, "cannot be parsed"),
    "that is a certificate": (lambda: LEAF.der, FAILED, "cannot be parsed"),
    "with more after it": (lambda: response(LEAF) + b"\0", FAILED, "cannot be parsed"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_response_is(case: str) -> None:
    make, number, words = CASES[case]
    context = clients(ROOT.certificate)
    chain, stapled = [LEAF.der, MIDDLE.der], make()
    for required in (False, True):
        context.require_ocsp = required
        if not number:
            assert context.verify_chain(chain, ocsp_response=stapled).trusted
            continue
        with pytest.raises(ssl.SSLCertVerificationError, match=words) as refused:
            context.verify_chain(chain, ocsp_response=stapled)
        assert refused.value.verify_code == number


def test_no_prefix_and_no_flipped_bit_of_a_response_is_believed() -> None:
    context = clients(ROOT.certificate)
    stapled = response(LEAF, signer=DELEGATE)
    for length in range(1, len(stapled)):
        assert code(context, LEAF, MIDDLE, ocsp_response=stapled[:length]) == FAILED
    accepted = []
    for position in range(len(stapled)):
        flipped = bytearray(stapled)
        flipped[position] ^= 1 << position % 8
        if code(context, LEAF, MIDDLE, ocsp_response=bytes(flipped)) == 0:
            accepted.append(position)
    assert accepted == []


@pytest.mark.parametrize("serial", [1, 127, 128, 255, 256, (1 << 159) - 1])
def test_a_serial_number_of_any_form_is_found(serial: int) -> None:
    builder = x509.CertificateBuilder(
        MIDDLE.name, LEAF.name, LEAF.key.public_key(), serial, NOW - DAY, NOW + DAY
    )
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    leaf = Party("localhost", MIDDLE, key=LEAF.key)
    leaf.certificate = builder.add_extension(names, False).sign(MIDDLE.key, hashes.SHA256())
    context = clients(ROOT.certificate)
    context.require_ocsp = True
    assert code(context, leaf, MIDDLE, ocsp_response=response(leaf)) == 0


def test_a_delegate_that_a_crl_calls_revoked_signs_no_valid_response() -> None:
    context = clients([ROOT.certificate, MIDDLE.certificate])
    stapled = response(LEAF, signer=DELEGATE)
    context.load_crls(MIDDLE.crl(number=1))
    assert code(context, LEAF, ocsp_response=stapled) == 0
    context.load_crls(MIDDLE.crl(DELEGATE, number=2))
    assert code(context, LEAF, ocsp_response=stapled) == FAILED


def test_crls_and_responses_both_count() -> None:
    context = clients([ROOT.certificate, MIDDLE.certificate], CRL_LEAF)
    context.load_crls(MIDDLE.crl(LEAF))
    assert code(context, LEAF, ocsp_response=response(LEAF)) == REVOKED_CODE
    assert code(context, OTHER, ocsp_response=response(OTHER, REVOKED)) == REVOKED_CODE
    assert code(context, OTHER, ocsp_response=response(OTHER)) == 0


def test_a_certificate_trusted_by_itself_signs_responses_about_itself_only() -> None:
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    alone = Party("localhost", ca=True, extra=[(names, False)], usage=SERVES_AND_SIGNS)
    context = clients(alone.certificate)
    context.require_ocsp = True
    assert code(context, alone) == NEEDED
    assert code(context, alone, ocsp_response=response(alone)) == 0
    other = Party("localhost", ca=True)
    forged = response(alone, signer=other, by=BY_NAME, certificates=[])
    assert code(context, alone, ocsp_response=forged) == FAILED


def test_of_a_leaf_trusted_by_itself_the_issuer_is_the_ca_that_signed_it() -> None:
    context = clients(LEAF.certificate)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    unsigned = Party("Middle", ROOT, ca=True)
    revoked, forged = response(LEAF, REVOKED), response(LEAF, issuer=unsigned)
    assert code(context, LEAF, MIDDLE, ocsp_response=response(LEAF)) == 0
    assert code(context, LEAF, unsigned, MIDDLE, ocsp_response=response(LEAF)) == 0
    assert code(context, LEAF, MIDDLE, ocsp_response=revoked) == REVOKED_CODE
    assert code(context, LEAF, unsigned, MIDDLE, ocsp_response=forged) == FAILED
    assert code(context, LEAF, ocsp_response=response(LEAF)) == 0
    context.require_ocsp = True
    assert code(context, LEAF, MIDDLE, ocsp_response=response(LEAF)) == 0
    assert code(context, LEAF, unsigned, ocsp_response=forged) == FAILED
    assert code(context, LEAF, ocsp_response=response(LEAF)) == FAILED
    context.load_verify_locations(cadata=MIDDLE.certificate)
    assert code(context, LEAF, ocsp_response=response(LEAF)) == 0


class TestRequired:
    STAPLES = Party("localhost", MIDDLE, extra=[MUST_STAPLE])

    def test_by_the_context_or_by_the_certificate_nothing_is_not_enough(self) -> None:
        context = clients(ROOT.certificate)
        assert code(context, LEAF, MIDDLE) == 0
        assert code(context, self.STAPLES, MIDDLE) == NEEDED
        assert code(context, self.STAPLES, MIDDLE, ocsp_response=b"") == NEEDED
        assert code(context, self.STAPLES, MIDDLE, ocsp_response=response(self.STAPLES)) == 0
        context.require_ocsp = True
        assert code(context, LEAF, MIDDLE) == NEEDED
        assert code(context, LEAF, MIDDLE, ocsp_response=response(LEAF)) == 0

    def test_of_a_client_is_nothing(self) -> None:
        context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
        context.load_verify_locations(cadata=ROOT.certificate)
        context.require_ocsp = True
        assert code(context, self.STAPLES, MIDDLE) == 0
        assert code(context, LEAF, MIDDLE, ocsp_response=response(LEAF, REVOKED)) == REVOKED_CODE

    @pytest.mark.parametrize(
        ("value", "needed"),
        [
            (b"\x30\x03\x02\x01\x05", True),
            (b"\x30\x06\x02\x01\x11\x02\x01\x05", True),
            (b"\x30\x03\x02\x01\x11", False),
            (b"\x30\x00", False),
            (b"\x05\x00", True),
            (b"", True),
            (b"\x30\x03\x02\x01", True),
        ],
        ids=["5", "17 and 5", "17", "none", "not a CRL", "nothing", "damaged"],
    )
    def test_by_a_feature_extension_of(self, value: bytes, needed: bool) -> None:
        feature = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.24"), value)
        leaf = Party("localhost", MIDDLE, extra=[(feature, False)])
        assert code(clients(ROOT.certificate), leaf, MIDDLE) == (NEEDED if needed else 0)

    def test_by_a_feature_extension_that_stands_there_twice(self) -> None:
        feature = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.24"), b"\x30\x00")
        leaf = Party("localhost", MIDDLE, extra=[(feature, False)])
        twice = cut(leaf, MIDDLE.key, with_extensions(lambda found: [*found, found[-1]]))
        assert code(clients(ROOT.certificate), leaf, MIDDLE) == 0
        with pytest.raises(SSLCertVerificationError) as refused:
            clients(ROOT.certificate).verify_chain([twice, MIDDLE.der])
        assert refused.value.verify_code == NEEDED

    def test_is_told_and_read_as_a_truth_value(self) -> None:
        context = clients(ROOT.certificate)
        assert context.require_ocsp is False
        context.require_ocsp = 1
        assert context.require_ocsp is True


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
class TestHandshake:
    def client(self, version: ssl.TLSVersion, **settings: Any) -> veritls.SSLContext:
        context = clients(ROOT.certificate)
        context.minimum_version = context.maximum_version = version
        for name, value in settings.items():
            setattr(context, name, value)
        return context

    def test_with_a_good_response_succeeds_where_it_is_required(self, version: ssl.TLSVersion) -> None:
        server = serving(LEAF, MIDDLE)
        client = self.client(version, require_ocsp=True)
        assert code_in_handshake(client, server) == NEEDED
        server.set_ocsp_response(response(LEAF))
        with tls_pair(server, client) as (_, end):
            assert end.get_verified_chain() == [LEAF.der, MIDDLE.der, ROOT.der]

    def test_under_cert_none_is_not_about_responses(self, version: ssl.TLSVersion) -> None:
        client = self.client(version, check_hostname=False, verify_mode=ssl.CERT_NONE, require_ocsp=True)
        assert code_in_handshake(client, serving(Party("localhost", MIDDLE, extra=[MUST_STAPLE]))) == 0

    def test_under_cert_optional_is(self, version: ssl.TLSVersion) -> None:
        client = self.client(version, verify_mode=ssl.CERT_OPTIONAL, require_ocsp=True)
        assert code_in_handshake(client, serving(LEAF, MIDDLE)) == NEEDED

    def test_tells_the_server_why(self, version: ssl.TLSVersion) -> None:
        seen = []
        server = serving(LEAF, MIDDLE)
        client = self.client(version, require_ocsp=True)
        server_end, client_end = memory_pair(server, client)
        for end in (client_end, server_end, client_end, server_end):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                seen.append(error)
        assert [type(error) for error in seen] == [SSLCertVerificationError, ssl.SSLError]
        assert seen[1].reason == "TLSV1_BAD_CERTIFICATE_STATUS_RESPONSE"

    def test_does_not_resume_a_session_without_a_response(self, version: ssl.TLSVersion) -> None:
        staples = Party("localhost", MIDDLE, extra=[MUST_STAPLE])
        for leaf, settings in ((LEAF, {"require_ocsp": True}), (staples, {})):
            server, client = serving(leaf, MIDDLE), self.client(version, **settings)
            server.set_ocsp_response(response(leaf))
            with tls_pair(server, client) as (server_end, client_end):
                server_end.sendall(b"x")
                client_end.recv(1)
                session = client_end.session
            with tls_pair(server, client, session=session) as (_, client_end):
                assert not client_end.session_reused
            server.set_ocsp_response(None)
            with pytest.raises(ssl.SSLCertVerificationError), tls_pair(server, client, session=session):
                pass
