"""What a server can do with certificates and proofs to a client that verifies, or under CERT_NONE does not.

The mirror of test_clients.py. Under CERT_NONE any certificate is taken, but none whose key is not proved.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.hostile_peers import ends, proofs
from tests.hostile_peers.cases import (
    BAD_CERTIFICATE,
    BOTH,
    DECODE_ERROR,
    DECRYPT_ERROR,
    ILLEGAL_PARAMETER,
    NONE,
    REQUIRED,
    UNEXPECTED_MESSAGE,
    UNKNOWN_CA,
    UNSUPPORTED_EXTENSION,
    UNTRUSTED,
    Case,
    Table,
    assert_accepted,
    assert_refused,
)
from tests.hostile_peers.disagreements import OF_CLIENTS
from tests.hostile_peers.parties import Parties
from tests.hostile_peers.server import Server, converse
from tests.hostile_peers.wire import TLS12, TLS13, Answer, Version
from tests.support.connections import client_context
from tests.support.der import as_version_1, cut

DATA = b"what nobody may read before the key is proved"
_MORE_THAN_TAKEN = 70_000
table = Table((REQUIRED, NONE), OF_CLIENTS)
case = table.case


# Honest, so that each refusal below is for what it changes


@case("proves the key of a valid certificate", None, shows="own")
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(who.own.der)
    server.prove(who.own.key)
    server.done()


@case("proves an RSA key", None, shows="rsa")
def _(server: Server, who: Parties) -> None:
    server.hello("RSA")
    server.certificate(who.rsa.der)
    server.prove(who.rsa.key)
    server.done()


@case("asks for a certificate that the client does not have", None, shows="own")
def _(server: Server, who: Parties) -> None:
    server.hello()
    if server.version == TLS13:
        server.request()
    server.certificate(who.own.der)
    server.prove(who.own.key)
    if server.version == TLS12:
        server.request()
    server.done()


@case("proves the key of a certificate that the CA did not sign", None, modes=[NONE], shows="forged")
@case("proves the key of a forged certificate", BAD_CERTIFICATE, modes=[REQUIRED], **UNTRUSTED)
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(who.forged.der)
    server.prove(who.forged.key)
    server.done()


@case(
    "proves the key of an unknown CA's certificate to a client that takes any",
    None,
    modes=[NONE],
    shows="stranger",
)
@case("proves the key of an unknown CA's certificate", UNKNOWN_CA, modes=[REQUIRED], **UNTRUSTED)
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(who.stranger.der, who.ca.der)
    server.prove(who.stranger.key)
    server.done()


# Certificate: skipped, empty, twice, too large, late


@case("skips Certificate and its proof", UNEXPECTED_MESSAGE)
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.done()


@case("skips Certificate only", UNEXPECTED_MESSAGE)
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.prove(who.own.key)
    server.done()


@case("sends an empty Certificate", DECODE_ERROR, "PEER_DID_NOT_RETURN_A_CERTIFICATE")
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate()
    server.prove(who.own.key)
    server.done()


@case("sends another's Certificate and then its own", UNEXPECTED_MESSAGE)
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(who.victim.der)
    server.certificate(who.own.der)
    server.prove(who.own.key)
    server.done()


@case("proves its own key and sends another's Certificate", UNEXPECTED_MESSAGE)
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(who.own.der)
    server.prove(who.own.key)
    server.certificate(who.victim.der)
    server.done()


@case("sends a Certificate larger than any client takes", DECODE_ERROR)
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(who.own.der, *[who.ca.der] * (_MORE_THAN_TAKEN // len(who.ca.der)))
    server.prove(who.own.key)
    server.done()


@case("sends another's Certificate after the handshake", UNEXPECTED_MESSAGE, late=True, shows="own")
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(who.own.der)
    server.prove(who.own.key)
    server.done()
    server.complete()
    server.certificate(who.victim.der)


@case("asks for a certificate after its own was sent", UNEXPECTED_MESSAGE, versions=[TLS13])
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(who.own.der)
    server.request()
    server.prove(who.own.key)
    server.done()


@case("asks for a certificate before it sent its own", UNEXPECTED_MESSAGE, versions=[TLS12])
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.request()
    server.certificate(who.own.der)
    server.prove(who.own.key)
    server.done()


@case(
    "asks for a certificate after the handshake", UNEXPECTED_MESSAGE, versions=[TLS13], late=True, shows="own"
)
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(who.own.der)
    server.prove(who.own.key)
    server.done()
    server.request()


# Certificate: what is in it


@case("sends bytes that are no certificate", BAD_CERTIFICATE, modes=[REQUIRED], **UNTRUSTED)
@case("sends bytes that are no certificate to a client that takes any", BAD_CERTIFICATE, modes=[NONE])
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(b"no certificate")
    server.prove(who.own.key)
    server.done()


@case("sends a certificate of no bytes", DECODE_ERROR, modes=[REQUIRED])
@case("sends a certificate of no bytes to a client that takes any", DECODE_ERROR, modes=[NONE])
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(b"")
    server.prove(who.own.key)
    server.done()


@case("gives its Certificate a request context", ILLEGAL_PARAMETER, versions=[TLS13])
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(who.own.der, context=b"context")
    server.prove(who.own.key)
    server.done()


@case("sends an extension of a certificate that was not asked for", UNSUPPORTED_EXTENSION, versions=[TLS13])
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(who.own.der, extensions=bytes.fromhex("0012 0000"))
    server.prove(who.own.key)
    server.done()


@case("has a key on a curve that is not offered", ILLEGAL_PARAMETER)
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(who.odd_curve.der)
    server.prove(who.odd_curve.key)
    server.done()


@case("sends an RSA certificate under a suite for ECDSA", ILLEGAL_PARAMETER, versions=[TLS12])
def _(server: Server, who: Parties) -> None:
    server.hello("ECDSA")
    server.certificate(who.rsa.der)
    server.prove(who.rsa.key)
    server.done()


# The proof: CertificateVerify, or the signature of ServerKeyExchange


@case("sends another's certificate and signs with its own key", DECRYPT_ERROR)
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(who.victim.der)
    server.prove(who.own.key)
    server.done()


@case("sends another's certificate before its own in one chain", DECRYPT_ERROR)
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(who.victim.der, who.own.der)
    server.prove(who.own.key)
    server.done()


@case("sends no proof", UNEXPECTED_MESSAGE)
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(who.own.der)
    server.done()


@case("sends its proof before the Certificate", UNEXPECTED_MESSAGE)
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.prove(who.own.key)
    server.certificate(who.own.der)
    server.done()


@case("sends its proof twice", UNEXPECTED_MESSAGE)
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(who.own.der)
    server.prove(who.own.key)
    server.prove(who.own.key)
    server.done()


@case("sends data in the place of its proof", UNEXPECTED_MESSAGE, versions=[TLS13])
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(who.own.der)
    server.data(DATA)
    server.done()


@case("signs a transcript without its Certificate", DECRYPT_ERROR, versions=[TLS13])
def _(server: Server, who: Parties) -> None:
    server.hello()
    before = server.transcript
    server.certificate(who.own.der)
    server.prove(who.own.key, transcript=before)
    server.done()


@case("signs as a client", DECRYPT_ERROR, versions=[TLS13])
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(who.own.der)
    server.prove(who.own.key, side="client")
    server.done()


@case("signs for another client", DECRYPT_ERROR, versions=[TLS12])
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(who.own.der)
    server.prove(who.own.key, client_random=bytes(32))
    server.done()


@case("signs with an algorithm that is not offered", ILLEGAL_PARAMETER)
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(who.own.der)
    server.prove(who.own.key, scheme=proofs.ECDSA_SHA1)
    server.done()


@case("signs with RSA-PKCS1", ILLEGAL_PARAMETER, versions=[TLS13])
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(who.rsa.der)
    server.prove(who.rsa.key, scheme=proofs.RSA_PKCS1_SHA256)
    server.done()


@case("names an algorithm of another kind of key than its suite has", ILLEGAL_PARAMETER, versions=[TLS12])
@case("names an algorithm of another kind of key", ILLEGAL_PARAMETER, versions=[TLS13])
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(who.own.der)
    server.prove(who.own.key, says=proofs.RSA_PSS_RSAE_SHA256)
    server.done()


@case("names an algorithm of another curve", ILLEGAL_PARAMETER, versions=[TLS13])
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(who.own.der)
    server.prove(who.own.key, scheme=proofs.ECDSA_P384)
    server.done()


@case("signs with P-384 and names P-256", ILLEGAL_PARAMETER, versions=[TLS13])
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(who.p384.der)
    server.prove(who.p384.key, scheme=proofs.ECDSA_P256)
    server.done()


@case("signs with another algorithm than it names", DECRYPT_ERROR, versions=[TLS12])
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(who.own.der)
    server.prove(who.own.key, scheme=proofs.ECDSA_P256, says=proofs.ECDSA_P384)
    server.done()


@case("sends an empty signature", DECRYPT_ERROR)
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(who.own.der)
    server.prove(who.own.key, signature=b"")
    server.done()


@case("changes one bit of its signature", DECRYPT_ERROR)
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(who.own.der)
    changed = bytearray(server.proof(who.own.key))
    changed[-1] ^= 1
    server.send(bytes(changed))
    server.done()


@case(
    "proves its key and finishes without having said so",
    DECRYPT_ERROR,
    "DECRYPTION_FAILED_OR_BAD_RECORD_MAC",
    versions=[TLS13],
)
def _(server: Server, who: Parties) -> None:
    server.hello()
    server.certificate(who.own.der)
    before = server.transcript
    server.prove(who.own.key)
    server.done(transcript=before)


@pytest.fixture(scope="module")
def contexts(who: Parties, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The client's context of a version and mode."""
    ca: Path = tmp_path_factory.mktemp("hostile") / "ca.pem"
    ca.write_bytes(who.ca.pem)

    def make(version: Version, mode: ssl.VerifyMode) -> Any:
        context = client_context(ca)
        if mode == NONE:
            context.check_hostname = False
        context.verify_mode = mode
        context.minimum_version = context.maximum_version = ssl.TLSVersion(0x300 + version[1])
        return context

    return make


def meet(context: Any, version: Version, transport: str, sends: Any, *args: Any) -> tuple[ends.End, Answer]:
    """One connection to a server that sends that: what the client came to, and what it answered."""
    with ends.meeting(context, transport, server=False) as (end, raw):
        answer = converse(Server(raw, version), sends, DATA, *args)
    return end, answer


@pytest.mark.parametrize(("case", "version", "mode"), table.parameters(agreed=True))
def test_a_client_answers_as_the_rfc_says_a_server_that(
    contexts: Any, who: Parties, case: Case, version: Version, mode: Any, transport: str
) -> None:
    end, answer = meet(contexts(version, mode), version, transport, case.sends, who)
    if case.alert is None:
        assert_accepted(case, end, answer, DATA, who)
    else:
        assert_refused(case, end, answer, who)


@pytest.mark.parametrize(("case", "version", "mode"), table.parameters(agreed=False))
def test_a_client_refuses_with_another_alert_a_server_that(
    contexts: Any, who: Parties, case: Case, version: Version, mode: Any, transport: str
) -> None:
    """What it does today, and whose it is: see disagreements.py. A mended one fails here."""
    end, answer = meet(contexts(version, mode), version, transport, case.sends, who)
    assert_refused(OF_CLIENTS[case.name].instead_of(case), end, answer, who)


@pytest.mark.parametrize("mode", [REQUIRED, NONE])
@pytest.mark.parametrize("version", BOTH)
def test_a_client_does_not_ask_its_callback_about_a_server_that_proved_nothing(
    contexts: Any, who: Parties, version: Version, mode: Any, transport: str
) -> None:
    context = contexts(version, mode)
    asked: list[Any] = []
    context.set_verify_callback(asked.append)
    for key, times in ((who.own.key, 0), (who.victim.key, 1)):

        def sends(server: Server, key: Any = key) -> None:
            server.hello()
            server.certificate(who.victim.der)
            server.prove(key)
            server.done()

        meet(context, version, transport, sends)
        assert len(asked) == times


@pytest.mark.parametrize("of", ["version 1", "an unknown critical extension"])
@pytest.mark.parametrize("version", BOTH)
def test_a_pinned_key_has_to_be_proved_under_cert_none_whatever_its_certificate_is(
    contexts: Any, who: Parties, of: str, version: Version, transport: str
) -> None:
    """The verifier reads such a certificate in another way. Anybody can have seen it: it is no secret."""
    critical = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True
    pinned = who.ca.issue("localhost", extra=[critical])
    der = cut(pinned, who.ca.key, as_version_1) if of == "version 1" else pinned.der
    context = contexts(version, NONE)
    context.pinned_keys = [pinned.pin]

    def sends(server: Server, key: Any) -> None:
        server.hello()
        server.certificate(der)
        server.prove(key)
        server.done()

    end, answer = meet(context, version, transport, sends, pinned.key)
    assert (end.error, answer, end.shown[0]) == (None, Answer(data=ends.WELCOME), der)
    end, answer = meet(context, version, transport, sends, who.own.key)
    assert (answer.alert, end.received, end.shown, end.done) == (DECRYPT_ERROR, b"", [], False)


@pytest.mark.parametrize("mode", [REQUIRED, NONE])
@pytest.mark.parametrize("version", BOTH)
def test_a_client_refuses_a_server_that_replays_the_proof_of_an_earlier_handshake(
    contexts: Any, who: Parties, version: Version, mode: Any, transport: str
) -> None:
    """The holder of the key sent both messages to this client before, and was accepted."""
    seen: list[bytes] = []

    def earlier(server: Server) -> None:
        server.hello()
        server.certificate(who.victim.der)
        seen.append(server.proof(who.victim.key))
        server.send(seen[0])
        server.done()

    def replayed(server: Server) -> None:
        server.hello()
        server.certificate(who.victim.der)
        server.send(seen[0])
        server.done()

    context = contexts(version, mode)
    end, answer = meet(context, version, transport, earlier)
    assert (end.error, answer, end.shown[0]) == (None, Answer(data=ends.WELCOME), who.victim.der)
    end, answer = meet(context, version, transport, replayed)
    assert answer == Answer(alert=DECRYPT_ERROR)
    assert type(end.error) is ssl.SSLError and end.error.reason == "PROTOCOL_ERROR"
    assert (end.received, end.shown, end.done) == (b"", [], False)
