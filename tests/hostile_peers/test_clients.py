"""What a client can do with certificates and proofs to a server that asks for them, or does not.

The scripts are our own, after the method of tlsfuzzer, on the records and messages of tlslite-ng. Each sends
application data behind what it should not have sent: none of it may be handed out, and no certificate may be
shown whose key was not proved. The alerts are those of RFC 8446 (sections 4.4 and 6.2) and RFC 5246 (section
7.2.2).
"""

from __future__ import annotations

import ssl
from typing import Any

import pytest

import veritls
from tests.hostile_peers import ends, parties as people, proofs
from tests.hostile_peers.cases import (
    BAD_CERTIFICATE,
    BOTH,
    CERTIFICATE_REQUIRED,
    DECODE_ERROR,
    DECRYPT_ERROR,
    HANDSHAKE_FAILURE,
    ILLEGAL_PARAMETER,
    NONE,
    OPTIONAL,
    REQUIRED,
    UNEXPECTED_MESSAGE,
    UNKNOWN_CA,
    UNSUPPORTED_CERTIFICATE,
    UNSUPPORTED_EXTENSION,
    UNTRUSTED,
    Case,
    Table,
    assert_accepted,
    assert_refused,
)
from tests.hostile_peers.client import Client
from tests.hostile_peers.disagreements import OF_SERVERS
from tests.hostile_peers.parties import Parties
from tests.hostile_peers.wire import TLS12, TLS13, Answer, Version
from tests.support.connections import server_context
from tests.support.forger import message

DATA = b"what nobody may read before the key is proved"
CERTIFICATE_VERIFY = 15
_MORE_THAN_TAKEN = 70_000
table = Table((OPTIONAL, REQUIRED), OF_SERVERS)
case = table.case


# Honest, so that each refusal below is for what it changes


@case("proves the key of a valid certificate", None, shows="own")
def _(client: Client, who: Parties) -> None:
    client.certificate(who.own.der)
    client.key_exchange()
    client.verify(who.own.key)
    client.finished()


@case("proves an RSA key", None, shows="rsa")
def _(client: Client, who: Parties) -> None:
    client.certificate(who.rsa.der)
    client.key_exchange()
    client.verify(who.rsa.key)
    client.finished()


@case("signs with SHA-384 on P-256, which TLS 1.2 allows", None, versions=[TLS12], shows="own")
def _(client: Client, who: Parties) -> None:
    client.certificate(who.own.der)
    client.key_exchange()
    client.verify(who.own.key, scheme=proofs.ECDSA_P384)
    client.finished()


@case("sends no certificate where none is demanded", None, modes=[OPTIONAL])
def _(client: Client, who: Parties) -> None:
    client.certificate()
    client.key_exchange()
    client.finished()


@case("sends nothing where it is not asked", None, modes=[NONE])
def _(client: Client, who: Parties) -> None:
    client.key_exchange()
    client.finished()


# Certificate: skipped, empty, twice, too large, unasked, late


@case("skips Certificate and CertificateVerify", UNEXPECTED_MESSAGE)
def _(client: Client, who: Parties) -> None:
    client.key_exchange()
    client.finished()


@case("skips Certificate only", UNEXPECTED_MESSAGE)
def _(client: Client, who: Parties) -> None:
    client.key_exchange()
    client.verify(who.own.key)
    client.finished()


@case(
    "sends an empty Certificate where one is demanded",
    HANDSHAKE_FAILURE,
    "PEER_DID_NOT_RETURN_A_CERTIFICATE",
    versions=[TLS12],
    modes=[REQUIRED],
)
@case(
    "sends an empty Certificate where one is demanded",
    CERTIFICATE_REQUIRED,
    "PEER_DID_NOT_RETURN_A_CERTIFICATE",
    versions=[TLS13],
    modes=[REQUIRED],
)
def _(client: Client, who: Parties) -> None:
    client.certificate()
    client.key_exchange()
    client.finished()


@case("proves a key behind an empty Certificate", UNEXPECTED_MESSAGE, modes=[OPTIONAL])
def _(client: Client, who: Parties) -> None:
    client.certificate()
    client.key_exchange()
    client.verify(who.own.key)
    client.finished()


@case("sends a Certificate twice", UNEXPECTED_MESSAGE)
def _(client: Client, who: Parties) -> None:
    client.certificate(who.own.der)
    client.certificate(who.own.der)
    client.key_exchange()
    client.verify(who.own.key)
    client.finished()


@case("sends another's Certificate and then its own", UNEXPECTED_MESSAGE)
def _(client: Client, who: Parties) -> None:
    client.certificate(who.victim.der)
    client.certificate(who.own.der)
    client.key_exchange()
    client.verify(who.own.key)
    client.finished()


@case("sends its own Certificate, proves it, and then another's", UNEXPECTED_MESSAGE)
def _(client: Client, who: Parties) -> None:
    client.certificate(who.own.der)
    client.key_exchange()
    client.verify(who.own.key)
    client.certificate(who.victim.der)
    client.finished()


@case("sends a Certificate larger than any server takes", DECODE_ERROR)
def _(client: Client, who: Parties) -> None:
    client.certificate(who.own.der, *[who.ca.der] * (_MORE_THAN_TAKEN // len(who.ca.der)))
    client.key_exchange()
    client.verify(who.own.key)
    client.finished()


@case("sends a Certificate that is not asked for", UNEXPECTED_MESSAGE, modes=[NONE])
def _(client: Client, who: Parties) -> None:
    client.certificate(who.own.der)
    client.key_exchange()
    client.verify(who.own.key)
    client.finished()


@case("sends an empty Certificate that is not asked for", UNEXPECTED_MESSAGE, modes=[NONE])
def _(client: Client, who: Parties) -> None:
    client.certificate()
    client.key_exchange()
    client.finished()


@case("sends a CertificateVerify that is not asked for", UNEXPECTED_MESSAGE, modes=[NONE])
def _(client: Client, who: Parties) -> None:
    client.key_exchange()
    client.verify(who.own.key)
    client.finished()


@case(
    "sends a Certificate in one record with Finished", UNEXPECTED_MESSAGE, versions=[TLS12], modes=[OPTIONAL]
)
def _(client: Client, who: Parties) -> None:
    client.certificate()
    client.key_exchange()
    client.finished(end_record=False)
    client.certificate(who.own.der)


@case("sends a Certificate after Finished", UNEXPECTED_MESSAGE, modes=[NONE, OPTIONAL], late=True)
def _(client: Client, who: Parties) -> None:
    if client.asked:
        client.certificate()
    client.key_exchange()
    client.finished()
    client.certificate(who.own.der)
    client.verify(who.own.key)


@case("sends another's Certificate after its own was proved", UNEXPECTED_MESSAGE, late=True, shows="own")
def _(client: Client, who: Parties) -> None:
    client.certificate(who.own.der)
    client.key_exchange()
    client.verify(who.own.key)
    client.finished()
    client.certificate(who.victim.der)


# Certificate: what is in it


@case("sends a certificate that the CA did not sign", BAD_CERTIFICATE, **UNTRUSTED)
def _(client: Client, who: Parties) -> None:
    client.certificate(who.forged.der)
    client.key_exchange()
    client.verify(who.forged.key)
    client.finished()


@case("sends a certificate of an unknown CA", UNKNOWN_CA, **UNTRUSTED)
def _(client: Client, who: Parties) -> None:
    client.certificate(who.stranger.der, who.ca.der)
    client.key_exchange()
    client.verify(who.stranger.key)
    client.finished()


@case("sends the CA's certificate as its own", UNSUPPORTED_CERTIFICATE, **UNTRUSTED)
def _(client: Client, who: Parties) -> None:
    client.certificate(who.ca.der)
    client.key_exchange()
    client.verify(who.own.key)
    client.finished()


@case("sends bytes that are no certificate", BAD_CERTIFICATE, **UNTRUSTED)
def _(client: Client, who: Parties) -> None:
    client.certificate(b"no certificate")
    client.key_exchange()
    client.verify(who.own.key)
    client.finished()


@case("sends a certificate of no bytes", DECODE_ERROR)
def _(client: Client, who: Parties) -> None:
    client.certificate(b"")
    client.key_exchange()
    client.verify(who.own.key)
    client.finished()


@case("answers another request context", ILLEGAL_PARAMETER, versions=[TLS13])
def _(client: Client, who: Parties) -> None:
    client.certificate(who.own.der, context=b"context")
    client.verify(who.own.key)
    client.finished()


@case("sends an extension of a certificate that was not asked for", UNSUPPORTED_EXTENSION, versions=[TLS13])
def _(client: Client, who: Parties) -> None:
    client.certificate(who.own.der, extensions=bytes.fromhex("0012 0000"))
    client.verify(who.own.key)
    client.finished()


@case("staples a response that was not asked for", UNSUPPORTED_EXTENSION, versions=[TLS13])
def _(client: Client, who: Parties) -> None:
    client.certificate(who.own.der, extensions=bytes.fromhex("0005 0005 01 000001 00"))
    client.verify(who.own.key)
    client.finished()


@case("has a key on a curve that is not offered", ILLEGAL_PARAMETER)
def _(client: Client, who: Parties) -> None:
    client.certificate(who.odd_curve.der)
    client.key_exchange()
    client.verify(who.odd_curve.key)
    client.finished()


# CertificateVerify


@case("sends another's certificate and signs with its own key", DECRYPT_ERROR)
def _(client: Client, who: Parties) -> None:
    client.certificate(who.victim.der)
    client.key_exchange()
    client.verify(who.own.key)
    client.finished()


@case("sends another's certificate before its own in one chain", DECRYPT_ERROR)
def _(client: Client, who: Parties) -> None:
    client.certificate(who.victim.der, who.own.der)
    client.key_exchange()
    client.verify(who.own.key)
    client.finished()


@case("sends no CertificateVerify", UNEXPECTED_MESSAGE)
def _(client: Client, who: Parties) -> None:
    client.certificate(who.own.der)
    client.key_exchange()
    client.finished()


@case("sends its CertificateVerify before the Certificate", UNEXPECTED_MESSAGE)
def _(client: Client, who: Parties) -> None:
    client.verify(who.own.key)
    client.certificate(who.own.der)
    client.key_exchange()
    client.finished()


@case("sends its CertificateVerify twice", UNEXPECTED_MESSAGE)
def _(client: Client, who: Parties) -> None:
    client.certificate(who.own.der)
    client.key_exchange()
    client.verify(who.own.key)
    client.verify(who.own.key)
    client.finished()


@case("signs a transcript without its Certificate", DECRYPT_ERROR)
def _(client: Client, who: Parties) -> None:
    before = client.transcript
    client.certificate(who.own.der)
    client.key_exchange()
    client.verify(who.own.key, transcript=before)
    client.finished()


@case("signs as a server", DECRYPT_ERROR, versions=[TLS13])
def _(client: Client, who: Parties) -> None:
    client.certificate(who.own.der)
    client.verify(who.own.key, side="server")
    client.finished()


@case("signs with an algorithm that is not offered", ILLEGAL_PARAMETER)
def _(client: Client, who: Parties) -> None:
    client.certificate(who.own.der)
    client.key_exchange()
    client.verify(who.own.key, scheme=proofs.ECDSA_SHA1)
    client.finished()


@case("signs with RSA-PKCS1", ILLEGAL_PARAMETER, versions=[TLS13])
def _(client: Client, who: Parties) -> None:
    client.certificate(who.rsa.der)
    client.verify(who.rsa.key, scheme=proofs.RSA_PKCS1_SHA256)
    client.finished()


@case("names an algorithm of another kind of key", ILLEGAL_PARAMETER)
def _(client: Client, who: Parties) -> None:
    client.certificate(who.own.der)
    client.key_exchange()
    client.verify(who.own.key, says=proofs.RSA_PSS_RSAE_SHA256)
    client.finished()


@case("names an algorithm of another curve", ILLEGAL_PARAMETER, versions=[TLS13])
def _(client: Client, who: Parties) -> None:
    client.certificate(who.own.der)
    client.verify(who.own.key, scheme=proofs.ECDSA_P384)
    client.finished()


@case("signs with P-384 and names P-256", ILLEGAL_PARAMETER, versions=[TLS13])
def _(client: Client, who: Parties) -> None:
    client.certificate(who.p384.der)
    client.verify(who.p384.key, scheme=proofs.ECDSA_P256)
    client.finished()


@case("signs with another algorithm than it names", DECRYPT_ERROR, versions=[TLS12])
def _(client: Client, who: Parties) -> None:
    client.certificate(who.own.der)
    client.key_exchange()
    client.verify(who.own.key, scheme=proofs.ECDSA_P256, says=proofs.ECDSA_P384)
    client.finished()


@case("sends an empty signature", DECRYPT_ERROR)
def _(client: Client, who: Parties) -> None:
    client.certificate(who.own.der)
    client.key_exchange()
    client.send(message(CERTIFICATE_VERIFY, proofs.signed(proofs.ECDSA_P256, b"")))
    client.finished()


@case("changes one bit of its signature", DECRYPT_ERROR)
def _(client: Client, who: Parties) -> None:
    client.certificate(who.own.der)
    client.key_exchange()
    changed = bytearray(client.proof(who.own.key))
    changed[-1] ^= 1
    client.send(bytes(changed))
    client.finished()


@case("sends a CertificateVerify that is cut", DECODE_ERROR)
def _(client: Client, who: Parties) -> None:
    client.certificate(who.own.der)
    client.key_exchange()
    client.send(message(CERTIFICATE_VERIFY, client.proof(who.own.key)[4:-1]))
    client.finished()


@case(
    "proves its key and finishes without having said so", DECRYPT_ERROR, "DECRYPTION_FAILED_OR_BAD_RECORD_MAC"
)
def _(client: Client, who: Parties) -> None:
    client.certificate(who.own.der)
    client.key_exchange()
    before = client.transcript
    client.verify(who.own.key)
    client.finished(transcript=before)


@pytest.fixture(scope="module")
def contexts(who: Parties, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The server's context of a version and mode."""
    ca, server = people.files(who, tmp_path_factory.mktemp("hostile"))

    def make(version: Version, mode: ssl.VerifyMode) -> veritls.SSLContext:
        context: veritls.SSLContext = server_context(server)
        context.load_verify_locations(ca)
        context.verify_mode = mode
        context.minimum_version = context.maximum_version = ssl.TLSVersion(0x300 + version[1])
        return context

    return make


def meet(context: Any, version: Version, transport: str, sends: Any, *args: Any) -> tuple[ends.End, Answer]:
    """One connection of a client that sends that: what the server came to, and what it answered."""
    with ends.meeting(context, transport, server=True) as (end, raw):
        client = Client(raw, version)
        client.begin()
        sends(client, *args)
        client.wire.queue_data(DATA)
        client.wire.send()
        answer = client.wire.answer()
    return end, answer


@pytest.mark.parametrize(("case", "version", "mode"), table.parameters(agreed=True))
def test_a_server_answers_as_the_rfc_says_a_client_that(
    contexts: Any, who: Parties, case: Case, version: Version, mode: Any, transport: str
) -> None:
    end, answer = meet(contexts(version, mode), version, transport, case.sends, who)
    if case.alert is None:
        assert_accepted(case, end, answer, DATA, who)
    else:
        assert_refused(case, end, answer, who)


@pytest.mark.parametrize(("case", "version", "mode"), table.parameters(agreed=False))
def test_a_server_refuses_with_another_alert_a_client_that(
    contexts: Any, who: Parties, case: Case, version: Version, mode: Any, transport: str
) -> None:
    """What it does today, and whose it is: see disagreements.py. A mended one fails here."""
    end, answer = meet(contexts(version, mode), version, transport, case.sends, who)
    assert_refused(OF_SERVERS[case.name].instead_of(case), end, answer, who)


@pytest.mark.parametrize("version", BOTH)
def test_a_server_does_not_ask_its_callback_about_a_client_that_proved_nothing(
    contexts: Any, who: Parties, version: Version, transport: str
) -> None:
    context = contexts(version, REQUIRED)
    asked: list[Any] = []
    context.set_verify_callback(asked.append)
    for key, times in ((who.own.key, 0), (who.victim.key, 1)):

        def sends(client: Client, key: Any = key) -> None:
            client.certificate(who.victim.der)
            client.key_exchange()
            client.verify(key)
            client.finished()

        meet(context, version, transport, sends)
        assert len(asked) == times


@pytest.mark.parametrize("mode", [OPTIONAL, REQUIRED])
@pytest.mark.parametrize("version", BOTH)
def test_a_server_refuses_a_client_that_replays_the_proof_of_an_earlier_handshake(
    contexts: Any, who: Parties, version: Version, mode: Any, transport: str
) -> None:
    """The holder of the key sent both messages to this server before, and was accepted."""
    seen: list[bytes] = []

    def earlier(client: Client) -> None:
        client.certificate(who.victim.der)
        client.key_exchange()
        seen.append(client.proof(who.victim.key))
        client.send(seen[0])
        client.finished()

    def replayed(client: Client) -> None:
        client.certificate(who.victim.der)
        client.key_exchange()
        client.send(seen[0])
        client.finished()

    context = contexts(version, mode)
    end, answer = meet(context, version, transport, earlier)
    assert (end.error, answer, end.shown[0]) == (None, Answer(data=ends.WELCOME), who.victim.der)
    end, answer = meet(context, version, transport, replayed)
    assert answer == Answer(alert=DECRYPT_ERROR)
    assert type(end.error) is ssl.SSLError and end.error.reason == "PROTOCOL_ERROR"
    assert (end.received, end.shown, end.done) == (b"", [], False)


def wrong(client: Client, who: Parties) -> None:
    """Another's certificate, and a signature by the own key."""
    client.certificate(who.victim.der)
    client.key_exchange()
    client.verify(who.own.key)
    client.finished()


def of_another_kind(client: Client, who: Parties) -> None:
    client.certificate(who.rsa.der)
    client.key_exchange()
    client.verify(who.own.key)
    client.finished()


@pytest.mark.parametrize(
    ("sends", "words"),
    [
        (wrong, "its signature of the handshake is wrong"),
        (of_another_kind, "its signature of the handshake is not one that the key can make"),
    ],
)
@pytest.mark.parametrize("version", BOTH)
def test_a_server_says_in_words_what_is_wrong_with_a_proof(
    contexts: Any, who: Parties, version: Version, sends: Any, words: str
) -> None:
    end, _ = meet(contexts(version, ssl.CERT_REQUIRED), version, "blocking", sends, who)
    assert f"the peer did not prove that it holds the key of its certificate: {words}" in str(end.error)
