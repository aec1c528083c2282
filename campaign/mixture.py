"""The kinds of handshakes of the mixture: who shows what to whom, and what each end has to see.

An end's outcome is a word: "ok", the reason of an SSLError, "verify N" for X509_V_ERR number N, or a class.
The sets below hold all that is right for a kind, TLS 1.3 and 1.2, sockets and loops.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from campaign.credentials import NAME
from tests.support.certificates import DAY, NOW, Party, key_usage, pem

Words = frozenset[str]

RESUMED, CUT, RESET, STALLED, HALF_CLOSED, UNREAD, PLAIN, NOISE = (
    "resumed",
    "cut",
    "reset",
    "stalled",
    "half-closed",
    "unread",
    "plain text",
    "noise",
)
OK = frozenset({"ok"})
GONE = frozenset(
    {
        "SSLEOFError",
        "UNEXPECTED_EOF_WHILE_READING",
        "ConnectionResetError",
        "ConnectionAbortedError",
        "BrokenPipeError",
        "end of stream",
        "Closed before TLS handshake with data in recv buffer.",
    }
)
LATE = frozenset({"TimeoutError", "ConnectionAbortedError"})


def words_of(error: BaseException) -> str:
    """The word for what a handshake raised."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"verify {error.verify_code}"
    if isinstance(error, ssl.SSLEOFError):
        return "SSLEOFError"
    if isinstance(error, ssl.SSLError) and not isinstance(error, TimeoutError):
        return str(error.reason or type(error).__name__)
    return "end of stream" if isinstance(error, EOFError) else type(error).__name__


def words(*given: str) -> Words:
    return frozenset(given)


@dataclass(frozen=True)
class Kind:
    """`client`, `server`: whose certificate each shows; None: none. `asks`, `demands`: settings by name."""

    name: str
    server_sees: Words = OK
    client_sees: Words = OK
    client: str | None = "client"
    server: str = "server"
    asks: str = "plain"
    demands: str = "plain"
    version: str | None = None
    transport: str = ""
    weight: int = 10
    ours_alone: bool = False
    """Whether `ssl` has no such demand."""


def _refused(name: str, number: int, alerts: Words, **more: Any) -> Kind:
    """The server refuses the client's certificate."""
    return Kind(name, words(f"verify {number}"), alerts, **more)


def _refuses(name: str, number: int, alerts: Words, **more: Any) -> Kind:
    """The client refuses the server's."""
    return Kind(name, alerts, words(f"verify {number}"), **more)


_BAD = words("SSLV3_ALERT_BAD_CERTIFICATE")
_UNKNOWN_CA = words("TLSV1_ALERT_UNKNOWN_CA")
_EXPIRED = words("SSLV3_ALERT_CERTIFICATE_EXPIRED")
_UNSUPPORTED = words("SSLV3_ALERT_UNSUPPORTED_CERTIFICATE")
_DENIED = words("TLSV1_ALERT_ACCESS_DENIED")
_NONE = words("TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_HANDSHAKE_FAILURE")

KINDS = (
    Kind("full, TLS 1.3", version="TLSv1.3", weight=60),
    Kind("full, TLS 1.2", version="TLSv1.2", weight=30),
    Kind("resumed, TLS 1.3", version="TLSv1.3", transport=RESUMED, weight=60),
    Kind("resumed, TLS 1.2", version="TLSv1.2", transport=RESUMED, weight=40),
    Kind("client shows none", words("PEER_DID_NOT_RETURN_A_CERTIFICATE"), _NONE, client=None, weight=20),
    _refused("client of another CA", 20, _UNKNOWN_CA, client="stranger", weight=20),
    _refused("client signed by itself", 18, _UNKNOWN_CA, client="self"),
    _refused("client expired", 10, _EXPIRED, client="expired"),
    _refused("client not yet valid", 9, _EXPIRED, client="early"),
    _refused("client's certificate is a server's", 26, _UNSUPPORTED, client="purpose"),
    _refused("client's signature is wrong", 7, words("TLSV1_ALERT_DECRYPT_ERROR"), client="forged"),
    _refused("client outside the CA's names", 47, words("SSLV3_ALERT_CERTIFICATE_UNKNOWN"), client="outside"),
    _refused("client below a leaf", 79, _UNKNOWN_CA, client="below-leaf"),
    _refused("client with an unknown critical extension", 34, _BAD, client="critical"),
    _refused(
        "client revoked", 23, words("SSLV3_ALERT_CERTIFICATE_REVOKED"), client="revoked", demands="crls"
    ),
    _refused("client not allowed", 50, _DENIED, client="other", demands="allowed", ours_alone=True),
    _refused("client not pinned", 50, _DENIED, client="other", demands="pinned", ours_alone=True),
    _refused("refused by the callback", 50, _DENIED, demands="callback", ours_alone=True),
    _refuses("server of another CA", 20, _UNKNOWN_CA, server="server-stranger", weight=20),
    _refuses("server of another name", 62, _BAD, server="server-other"),
    _refuses("server expired", 10, _EXPIRED, server="server-expired"),
    _refuses("server not pinned", 50, _DENIED, asks="pinned", ours_alone=True),
    _refuses(
        "server without an OCSP response",
        73,
        words("TLSV1_BAD_CERTIFICATE_STATUS_RESPONSE"),
        asks="ocsp",
        ours_alone=True,
    ),
    Kind(
        "no version in common",
        words("UNSUPPORTED_PROTOCOL"),
        words("TLSV1_ALERT_PROTOCOL_VERSION"),
        version="TLSv1.2",
        demands="only 1.3",
    ),
    Kind(
        "no suite in common",
        words("NO_SHARED_CIPHER"),
        _NONE,
        version="TLSv1.2",
        asks="chacha",
        demands="aes",
    ),
    Kind("plain text", words("HTTP_REQUEST", "WRONG_VERSION_NUMBER"), words("raw"), transport=PLAIN),
    Kind(
        "noise",
        words("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "INVALID"),
        words("raw"),
        transport=NOISE,
    ),
    Kind("cut at a random byte", GONE | OK, words("raw"), transport=CUT, weight=40),
    Kind("reset at a random byte", GONE | OK, words("raw"), transport=RESET, weight=40),
    Kind("stalled at a random byte", LATE, words("raw"), transport=STALLED, weight=3),
    Kind("half-closed, then answered", transport=HALF_CLOSED, weight=20),
    Kind("answer not read, then reset", GONE, words("raw"), transport=UNREAD, weight=10),
)
BY_NAME: Mapping[str, Kind] = {kind.name: kind for kind in KINDS}


def write_credentials(folder: Path) -> None:
    """Every file that the kinds name."""
    root, start = Party("campaign CA", ca=True), NOW - 30 * DAY
    (folder / "ca.pem").write_bytes(root.pem)
    other = Party("another CA", ca=True)
    constrained = root.issue(
        ca=True,
        extra=[(x509.NameConstraints([x509.DNSName("permitted.example")], None), True)],
    )
    leaf = root.issue("leaf.example")
    unknown = x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x05\x00")
    serves_alone = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
    revoked = root.issue("client.example")
    parties: dict[str, tuple[Party, ...]] = {
        "server": (root.issue(NAME),),
        "client": (root.issue("client.example"),),
        "other": (root.issue("other.example"),),
        "stranger": (other.issue("client.example"),),
        "self": (Party("itself", names=["client.example"]),),
        "expired": (root.issue("client.example", start=start, end=NOW - DAY),),
        "early": (root.issue("client.example", start=NOW + DAY),),
        "purpose": (root.issue("client.example", extra=[serves_alone]),),
        "outside": (constrained.issue("client.example"), constrained),
        "below-leaf": (leaf.issue("client.example", usage=key_usage(serves=True)), leaf),
        "critical": (root.issue("client.example", extra=[(unknown, True)]),),
        "revoked": (revoked,),
        "server-stranger": (other.issue(NAME),),
        "server-other": (root.issue("other.example"),),
        "server-expired": (root.issue(NAME, start=start, end=NOW - DAY),),
    }
    for name, (party, *above) in parties.items():
        (folder / f"{name}.pem").write_bytes(party.identity(*above))
    (folder / "crl.pem").write_bytes(pem(root.crl(revoked)))
    (folder / "forged.pem").write_bytes(_forged(root.issue("client.example")))


def _forged(party: Party) -> bytes:
    """Its key, and its certificate with the last bit of the signature changed."""
    der = party.der[:-1] + bytes([party.der[-1] ^ 1])
    return party.key_pem + ssl.DER_cert_to_PEM_cert(der).encode()


def _crls(module: Any, context: Any, folder: Path) -> None:
    context.load_verify_locations(folder / "crl.pem")
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def _allowed(module: Any, context: Any, folder: Path) -> None:
    context.allowed_peers = [module.DNSPattern("client.example")]


def _pinned(module: Any, context: Any, folder: Path) -> None:
    context.pinned_keys = [bytes(32)]


def _callback(module: Any, context: Any, folder: Path) -> None:
    def refuse(report: Any) -> None:
        raise PermissionError("not today")

    context.set_verify_callback(refuse)


def _ocsp(module: Any, context: Any, folder: Path) -> None:
    context.require_ocsp = True


def _only_13(module: Any, context: Any, folder: Path) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_3


def _suites(string: str) -> Callable[[Any, Any, Path], None]:
    return lambda module, context, folder: context.set_ciphers(string)


SETTINGS: Mapping[str, Callable[[Any, Any, Path], None]] = {
    "plain": lambda module, context, folder: None,
    "crls": _crls,
    "allowed": _allowed,
    "pinned": _pinned,
    "callback": _callback,
    "ocsp": _ocsp,
    "only 1.3": _only_13,
    "chacha": _suites("ECDHE-ECDSA-CHACHA20-POLY1305"),
    "aes": _suites("ECDHE-ECDSA-AES128-GCM-SHA256"),
}


def server_context(module: Any, kind: Kind, folder: Path) -> Any:
    context = module.SSLContext(module.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{kind.server}.pem")
    context.load_verify_locations(folder / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    SETTINGS[kind.demands](module, context, folder)
    return context


def client_context(module: Any, kind: Kind, folder: Path) -> Any:
    context = module.SSLContext(module.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(folder / "ca.pem")
    if kind.client is not None:
        context.load_cert_chain(folder / f"{kind.client}.pem")
    if kind.version is not None:
        context.minimum_version = context.maximum_version = {
            "TLSv1.3": ssl.TLSVersion.TLSv1_3,
            "TLSv1.2": ssl.TLSVersion.TLSv1_2,
        }[kind.version]
    SETTINGS[kind.asks](module, context, folder)
    return context
