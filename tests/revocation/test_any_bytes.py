"""Whatever bytes come as a CRL, a response, a key or a certificate: an error, never a crash or a yes."""

from __future__ import annotations

import contextlib
import ssl
from typing import Any

from hypothesis import given, settings, strategies as st

import veritls
from tests.revocation.answers import CRL_LEAF, clients, code
from tests.revocation.responses import SIGNS_RESPONSES, response
from tests.support.certificates import Party, der

ROOT = Party("Root", ca=True)
LEAF = Party("localhost", ROOT)
DELEGATE = Party("Responder", ROOT, names=[], extra=[SIGNS_RESPONSES])
CRL = der(ROOT.crl(LEAF))
RESPONSES = [response(LEAF), response(LEAF, signer=DELEGATE)]


@st.composite
def damaged(draw: Any, *originals: bytes) -> bytes:
    """A piece of an original cut out, doubled or replaced; not the original itself."""
    original = draw(st.sampled_from(originals))
    start = draw(st.integers(0, len(original) - 1))
    end = draw(st.integers(start, min(len(original), start + 40)))
    new = draw(st.one_of(st.binary(max_size=40), st.just(original[start:end] * 2), st.just(b"")))
    changed: bytes = original[:start] + new + original[end:]
    return changed if changed != original else original[:-1]


@settings(deadline=None, max_examples=200)
@given(st.one_of(st.binary(max_size=200), damaged(CRL)))
def test_no_other_bytes_are_a_crl_that_clears_a_certificate(data: bytes) -> None:
    context = clients(ROOT.certificate, CRL_LEAF)
    with contextlib.suppress(ssl.SSLError):
        context.load_crls(bytearray(data))
    with contextlib.suppress(ssl.SSLError, ValueError):
        context.load_verify_locations(cadata=data)
    assert code(context, LEAF) != 0


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.binary(min_size=1, max_size=200), damaged(*RESPONSES)))
def test_no_other_bytes_are_a_response_that_clears_a_certificate(data: bytes) -> None:
    assert code(clients(ROOT.certificate), LEAF, ocsp_response=data) != 0


@settings(deadline=None, max_examples=200)
@given(st.one_of(st.binary(max_size=200), damaged(*RESPONSES)))
def test_a_server_sends_no_other_bytes(data: bytes) -> None:
    server = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    server.load_cert_chain([LEAF.certificate, ROOT.certificate], LEAF.key)
    with contextlib.suppress(ssl.SSLError):
        server.set_ocsp_response(data)
        raise AssertionError("taken")


def clients_refuse(own: bytes) -> bool:
    try:
        clients(ROOT.certificate).verify_chain([own])
    except ssl.SSLCertVerificationError:
        return True
    return False


@settings(deadline=None, max_examples=300)
@given(
    st.one_of(st.binary(max_size=200), damaged(LEAF.der, LEAF.pem)),
    st.one_of(st.binary(max_size=200), damaged(LEAF.key_der, LEAF.key_pem)),
)
def test_no_other_bytes_are_an_identity(chain: bytes, key: bytes) -> None:
    server = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(LEAF.certificate, LEAF.key)
    before = server._identities()
    for certificates, private in ((chain, LEAF.key), (LEAF.der, bytearray(key)), (bytearray(chain), key)):
        try:
            server.load_cert_chain(certificates, private)
        except (ssl.SSLError, OSError, ValueError):
            assert server._identities() == before
        else:
            # The own certificate is for the peer to verify; its key was compared.
            before = server._identities()
            for identity in before:
                own = identity.chain[0]
                assert own == LEAF.der or clients_refuse(own)
    with contextlib.suppress(ssl.SSLError, OSError):
        server.load_pkcs12(bytearray(chain))
        raise AssertionError("taken")
