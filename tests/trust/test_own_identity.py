"""One's own certificate and key from memory: bytes, `cryptography` objects and PKCS#12."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ed448, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

import veritls
from tests.support.certificates import Party, new_key
from tests.support.connections import tls_pair
from veritls._loading.pem import is_content

ROOT = Party("Root", ca=True)
MIDDLE = Party("Middle", ROOT, ca=True)
LEAF = Party("leaf", MIDDLE)
OTHER = Party("other", MIDDLE)
HIDDEN_PEM = LEAF.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
HIDDEN_DER = LEAF.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))


def server() -> veritls.SSLContext:
    return veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)


def serves(context: veritls.SSLContext) -> None:
    """The context shows LEAF with MIDDLE above it."""
    client = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cadata=ROOT.der)
    with tls_pair(context, client) as (_, end):
        assert end.get_unverified_chain() == [LEAF.der, MIDDLE.der]


def p12(
    *, key: Any = LEAF.key, leaf: Any = LEAF.certificate, others: Any = (), password: bytes = b""
) -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return pkcs12.serialize_key_and_certificates(b"name", key, leaf, list(others) or None, encryption)


FORMS: dict[str, tuple[Any, Any, Any]] = {
    "PEM bytes with the key": (LEAF.key_pem + LEAF.pem + MIDDLE.pem, None, None),
    "PEM bytes after commentary": (b"Subject: leaf\n" + LEAF.pem + MIDDLE.pem, LEAF.key_pem, None),
    "PEM in a bytearray": (bytearray(LEAF.pem + MIDDLE.pem), bytearray(LEAF.key_pem), None),
    "DER bytes": (LEAF.der + MIDDLE.der, LEAF.key_der, None),
    "DER in a memoryview": (memoryview(LEAF.der + MIDDLE.der), memoryview(LEAF.key_der), None),
    "PEM and DER": (LEAF.pem + MIDDLE.pem, LEAF.key_der, None),
    "encrypted PEM": (LEAF.pem + MIDDLE.pem, HIDDEN_PEM, "secret"),
    "encrypted DER": (LEAF.pem + MIDDLE.pem, HIDDEN_DER, lambda: b"secret"),
    "objects": ([LEAF.certificate, MIDDLE.certificate], LEAF.key, None),
    "objects and bytes": ((LEAF.certificate, MIDDLE.certificate), LEAF.key_pem, None),
    "bytes and objects": (LEAF.pem + MIDDLE.pem, LEAF.key, None),
}


@pytest.mark.parametrize("form", FORMS)
def test_an_identity_comes_from_memory_as(form: str) -> None:
    context = server()
    context.load_cert_chain(*FORMS[form])
    serves(context)


def test_one_certificate_object_is_completed_from_the_trust_set() -> None:
    context = server()
    context.load_cert_chain(LEAF.certificate, LEAF.key)
    context.load_verify_locations(cadata=MIDDLE.der)
    serves(context)


@pytest.mark.parametrize("kind", [str, os.fsencode, Path], ids=["str", "bytes", "PathLike"])
def test_a_path_is_still_a_path_as(kind: Any, tmp_path: Path) -> None:
    chain, key = tmp_path / "0 chain.pem", tmp_path / "0.key"
    chain.write_bytes(LEAF.pem + MIDDLE.pem)
    key.write_bytes(LEAF.key_pem)
    context = server()
    context.load_cert_chain(kind(chain), kind(key))
    serves(context)


def test_text_is_always_a_path() -> None:
    with pytest.raises(OSError):
        server().load_cert_chain((LEAF.key_pem + LEAF.pem).decode())


@pytest.mark.parametrize("path", [b"0.pem", b"0", b"", b"/etc/ssl/0a", "ö.pem".encode(), b"-----", b"\xff"])
def test_bytes_that_can_be_a_path_are_one(path: bytes) -> None:
    assert not is_content(path)
    with pytest.raises(OSError):
        server().load_cert_chain(path)


@pytest.mark.parametrize("kind", ["ECDSA", "RSA", "ED25519"])
def test_der_of_every_kind_of_key_is_taken_for_content(kind: str) -> None:
    party = Party("any", key=new_key(kind))
    assert is_content(party.der) and is_content(party.key_der)
    assert is_content(p12(key=party.key, leaf=party.certificate))
    context = server()
    context.load_cert_chain(party.der, party.key_der)


SPOILT: dict[str, tuple[Any, Any, Any, type[Exception], str]] = {
    "no key beside DER": (LEAF.der, None, None, ssl.SSLError, "no private key"),
    "no key beside PEM": (LEAF.pem, None, None, ssl.SSLError, "no private key"),
    "no key beside objects": (LEAF.certificate, None, None, ssl.SSLError, "no private key"),
    "the key of another": (LEAF.pem, OTHER.key_pem, None, ssl.SSLError, "key values mismatch"),
    "the key object of another": (LEAF.certificate, OTHER.key, None, ssl.SSLError, "key values mismatch"),
    "an encrypted DER key, no password": (LEAF.der, HIDDEN_DER, None, ssl.SSLError, "needs a password"),
    "an encrypted DER key, wrong password": (LEAF.der, HIDDEN_DER, "x", ssl.SSLError, "password is wrong"),
    "an encrypted PEM key, wrong password": (LEAF.der, HIDDEN_PEM, "x", ssl.SSLError, "password is wrong"),
    "a password of a wrong type": (LEAF.der, HIDDEN_DER, 7, TypeError, "password"),
    "a password of a wrong type, not needed": (LEAF.der, LEAF.key_der, 7, TypeError, "password"),
    "a password that is too long": (LEAF.der, HIDDEN_DER, "x" * 1025, ValueError, "1024"),
    "a certificate where the key belongs": (LEAF.pem, LEAF.der, None, ssl.SSLError, "key"),
    "a key where the certificate belongs": (LEAF.key_der, LEAF.key_der, None, ssl.SSLError, "malformed"),
    "a damaged key": (LEAF.der, LEAF.key_der[:-3], None, ssl.SSLError, "malformed"),
    "a damaged certificate": (LEAF.der[:-3], LEAF.key_der, None, ssl.SSLError, "malformed"),
    "bytes after the certificate": (LEAF.der + b"\0", LEAF.key_der, None, ssl.SSLError, "malformed"),
    "an empty bytearray": (bytearray(), LEAF.key_der, None, ssl.SSLError, "empty"),
    "zeros": (bytes(100), LEAF.key_der, None, ssl.SSLError, "malformed"),
    "no certificates": ([], LEAF.key, None, ssl.SSLError, "no certificate"),
    "bytes in a list": ([LEAF.der], LEAF.key, None, TypeError, "certfile"),
    "a number": (7, LEAF.key, None, TypeError, "certfile"),
    "nothing": (None, None, None, TypeError, "certfile"),
    "a public key": (LEAF.certificate, LEAF.key.public_key(), None, TypeError, "keyfile"),
    "a number for a key": (LEAF.certificate, 7, None, TypeError, "keyfile"),
    "a kind of key that has no signatures": (
        LEAF.certificate,
        x25519.X25519PrivateKey.generate(),
        None,
        ssl.SSLError,
        "private key",
    ),
    "Ed448": (LEAF.certificate, ed448.Ed448PrivateKey.generate(), None, ssl.SSLError, "private key"),
    "DSA": (LEAF.certificate, dsa.generate_private_key(1024), None, ssl.SSLError, "private key"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_what_cannot_be_an_identity_is_refused_and_changes_nothing(case: str) -> None:
    chain, key, password, kind, words = SPOILT[case]
    context = server()
    context.load_cert_chain(LEAF.pem + MIDDLE.pem, LEAF.key)
    with pytest.raises(kind, match=words):
        context.load_cert_chain(chain, key, password)
    serves(context)


def test_no_prefix_of_an_identity_in_der_is_taken() -> None:
    context = server()
    for length in range(4, len(LEAF.der), 5):
        with pytest.raises(ssl.SSLError):
            context.load_cert_chain(LEAF.der[:length], LEAF.key)


class TestPKCS12:
    def test_gives_the_chain_in_order_whatever_its_own_order(self) -> None:
        data = p12(others=[ROOT.certificate, OTHER.certificate, MIDDLE.certificate])
        context = server()
        context.load_pkcs12(data)
        serves(context)

    @pytest.mark.parametrize("password", ["secret", b"secret", bytearray(b"secret"), lambda: "secret"])
    def test_may_be_encrypted_and_a_file(self, password: Any, tmp_path: Path) -> None:
        path = tmp_path / "own.p12"
        path.write_bytes(p12(others=[MIDDLE.certificate], password=b"secret"))
        for source in (path, str(path), os.fsencode(path), path.read_bytes(), bytearray(path.read_bytes())):
            context = server()
            context.load_pkcs12(source, password)
            serves(context)

    @pytest.mark.parametrize(
        ("data", "password", "kind", "words"),
        [
            (p12(password=b"secret"), "wrong", ssl.SSLError, "password"),
            (p12(password=b"secret"), None, ssl.SSLError, "password"),
            (p12(password=b"secret"), 7, TypeError, "password"),
            (p12(password=b"secret"), "x" * 1025, ValueError, "1024"),
            (p12(key=None), None, ssl.SSLError, "no private key"),
            (p12(leaf=None), None, ssl.SSLError, "no certificate"),
            (p12(key=None, leaf=None, others=[MIDDLE.certificate]), None, ssl.SSLError, "no private key"),
            (p12()[:-1], None, ssl.SSLError, "cannot be loaded"),
            (LEAF.der, None, ssl.SSLError, "cannot be loaded"),
            (LEAF.pem, None, ssl.SSLError, "cannot be loaded"),
            (bytearray(), None, ssl.SSLError, "empty"),
            ("nowhere.p12", None, FileNotFoundError, "nowhere"),
            (None, None, TypeError, "PKCS#12"),
            (7, None, TypeError, "PKCS#12"),
        ],
    )
    def test_that_holds_no_identity_is_refused_and_changes_nothing(
        self, data: Any, password: Any, kind: type[Exception], words: str
    ) -> None:
        context = server()
        context.load_cert_chain(LEAF.pem + MIDDLE.pem, LEAF.key)
        with pytest.raises(kind, match=words):
            context.load_pkcs12(data, password)
        serves(context)

    def test_with_the_key_of_another_certificate_is_refused(self) -> None:
        with pytest.raises((ssl.SSLError, ValueError), match=r"mismatch|match"):
            server().load_pkcs12(p12(key=OTHER.key))
