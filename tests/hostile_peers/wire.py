"""One end of a connection by hand, on tlslite-ng's records and messages.

A script queues messages, whatever they are and in whatever order, and sends them with one call, so that the
peer reads the whole of it before it answers. `Wire` keeps what both sides of a handshake need: the transcript
(each handshake message as it passed, in order), the traffic keys, and what the peer said last.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tlslite.bufferedsocket import BufferedSocket
from tlslite.constants import CipherSuite, ContentType
from tlslite.defragmenter import Defragmenter
from tlslite.errors import TLSAbruptCloseError
from tlslite.handshakehashes import HandshakeHashes
from tlslite.mathtls import calc_key
from tlslite.messages import ApplicationData, ChangeCipherSpec, Message
from tlslite.messagesocket import MessageSocket
from tlslite.utils.cryptomath import HKDF_expand_label, derive_secret, secureHMAC

TLS12, TLS13 = (3, 3), (3, 4)
Version = tuple[int, int]
HASH, SIZE = "sha256", 32
SUITE13 = CipherSuite.TLS_AES_128_GCM_SHA256
SUITES12 = {
    "ECDSA": CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    "RSA": CipherSuite.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
}
"""By the kind of key that the server has."""
EXTENDED_MASTER_SECRET, RENEGOTIATION_INFO, RENEGOTIATION_SCSV = 23, 0xFF01, 0x00FF
"""Extensions of TLS 1.2, without which a peer may refuse the hello."""
_IMPLEMENTATIONS = ["pycrypto", "python"]


@dataclass(frozen=True)
class Answer:
    """What the peer said last: a fatal alert, application data, or nothing before the end."""

    alert: int | None = None
    data: bytes = b""


class KeyShare:
    """X25519: our half of the key exchange."""

    def __init__(self) -> None:
        self._private = X25519PrivateKey.generate()
        self.public = self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def with_peer(self, share: bytes) -> bytearray:
        return bytearray(self._private.exchange(X25519PublicKey.from_public_bytes(bytes(share))))


class Wire:
    """Records, messages and keys of one side of one connection."""

    def __init__(self, raw: socket.socket, version: Version, *, client: bool) -> None:
        defragmenter = Defragmenter()
        defragmenter.add_static_size(ContentType.change_cipher_spec, 1)
        defragmenter.add_static_size(ContentType.alert, 2)
        defragmenter.add_dynamic_size(ContentType.handshake, 1, 3)
        self._socket = BufferedSocket(raw)
        self._socket.buffer_writes = True
        self._records = MessageSocket(self._socket, defragmenter)
        self._records.client = client
        self._records.version = TLS12
        self.version = version
        self.transcript = HandshakeHashes()
        self.suite = SUITE13
        self._secret = bytearray()
        self._traffic: dict[str, bytearray] = {}

    # Messages

    def queue(self, message: bytes) -> None:
        """A handshake message: into the transcript, and to be sent."""
        self.transcript.update(bytearray(message))
        self._records.queueMessageBlocking(Message(ContentType.handshake, bytearray(message)))

    def queue_change_cipher_spec(self) -> None:
        self._records.queueMessageBlocking(ChangeCipherSpec().create())
        self._records.flushBlocking()

    def queue_data(self, data: bytes) -> None:
        self._records.queueMessageBlocking(ApplicationData().create(bytearray(data)))

    def end_record(self) -> None:
        """What follows is in another record."""
        self._records.flushBlocking()

    def send(self) -> None:
        """Everything that was queued, at once. A peer that is gone has said why, which `answer` reads."""
        self._records.flushBlocking()
        self._socket.flush()

    def receive(self) -> tuple[int, bytes]:
        """The next message: its content type and bytes. A handshake message goes into the transcript."""
        header, parser = self._records.recvMessageBlocking()
        content = bytes(parser.bytes)
        if header.type == ContentType.handshake:
            self.transcript.update(bytearray(content))
        return header.type, content

    def receive_handshake(self) -> tuple[int, bytes]:
        """The next handshake message: its type, and the whole of it. An alert is a `Refused`."""
        while True:
            kind, content = self.receive()
            if kind == ContentType.handshake:
                return content[0], content
            if kind == ContentType.alert:
                raise Refused(content[1])
            if kind == ContentType.change_cipher_spec and self.version == TLS12:
                self.read_with_new_keys()

    def answer(self) -> Answer:
        """Reads until the peer says something that is no part of a handshake, or ends."""
        try:
            while True:
                kind, content = self.receive()
                if kind == ContentType.alert:
                    return Answer(alert=content[1])
                if kind == ContentType.application_data:
                    return Answer(data=content)
                if kind == ContentType.change_cipher_spec and self.version == TLS12:
                    self.read_with_new_keys()
        except TLSAbruptCloseError:
            return Answer()

    # Keys

    def negotiated(self, suite: int) -> None:
        """The hellos have passed: what follows is of this version and suite."""
        self.suite = suite
        self._records.version = self.version
        self._records.tls13record = self.version == TLS13

    def read_with_new_keys(self) -> None:
        self._records.changeReadState()

    def write_with_new_keys(self) -> None:
        self._records.flushBlocking()
        self._records.changeWriteState()

    def tls12_keys(self, shared: bytearray, client_random: bytes, server_random: bytes) -> None:
        """With the extended master secret (RFC 7627), over the transcript as it is now."""
        self._secret = calc_key(
            TLS12,
            shared,
            self.suite,
            b"extended master secret",
            handshake_hashes=self.transcript,
            output_length=48,
        )
        randoms = bytearray(client_random), bytearray(server_random)
        self._records.calcPendingStates(self.suite, self._secret, *randoms, _IMPLEMENTATIONS)

    def tls13_handshake_keys(self, shared: bytearray) -> None:
        """RFC 8446, section 7.1, after the ServerHello."""
        early = secureHMAC(bytearray(SIZE), bytearray(SIZE), HASH)
        self._secret = secureHMAC(derive_secret(early, bytearray(b"derived"), None, HASH), shared, HASH)
        self._derive("hs")
        self.read_with_new_keys()

    def tls13_application_keys(self) -> None:
        """The same, after the server's Finished. Each direction changes to them when it is told to."""
        derived = derive_secret(self._secret, bytearray(b"derived"), None, HASH)
        self._secret = secureHMAC(derived, bytearray(SIZE), HASH)
        handshake = self._traffic
        self._derive("ap")
        self._traffic = handshake  # which the client's Finished is made with

    def _derive(self, stage: str) -> None:
        self._traffic = {
            side: derive_secret(
                self._secret, bytearray(f"{side} {stage} traffic", "ascii"), self.transcript, HASH
            )
            for side in ("c", "s")
        }
        self._records.calcTLS1_3PendingState(
            self.suite, self._traffic["c"], self._traffic["s"], _IMPLEMENTATIONS
        )

    def finished(self, *, client: bool, transcript: HandshakeHashes | None = None) -> bytes:
        """The verify_data of a Finished, over `transcript` or what has passed."""
        over = transcript or self.transcript
        if self.version == TLS12:
            label = b"client finished" if client else b"server finished"
            found = calc_key(TLS12, self._secret, self.suite, label, handshake_hashes=over, output_length=12)
            return bytes(found)
        key = HKDF_expand_label(self._traffic["c" if client else "s"], b"finished", b"", SIZE, HASH)
        return bytes(secureHMAC(key, over.digest(HASH), HASH))


class Refused(Exception):
    """The peer sent an alert where a handshake message was due."""

    def __init__(self, alert: int) -> None:
        super().__init__(alert)
        self.alert = alert
