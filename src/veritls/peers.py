"""Which peers a context accepts: patterns for names of subjectAltName, and pinned public keys.

A malformed name matches nothing.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from veritls import _engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cryptography import x509

    from veritls.events.identity import PeerIdentity

__all__ = [
    "SPIFFE",
    "URI",
    "DNSPattern",
    "Email",
    "Matcher",
    "Network",
]

PIN_LENGTH = 32
"""Bytes of a SHA-256 digest."""
PIN_CHARACTERS = 44
"""The same in base64."""

_FAULTS = {
    "dns": "it is neither a DNS name nor *. and a DNS name",
    "email": "it is not a local part, @ and a DNS name, in ASCII",
    "kind": "unknown kind of name",
    "network": "it is not an address and a prefix length",
    "spiffe": "it is not spiffe://, a trust domain and a path whose segments are names, * or **",
    "spiffe_stars": "** may only be the last segment",
    "uri": "it is not a URI in ASCII",
}
"""What is wrong with a pattern: the engine's code -> words."""


def _is_text(name: str) -> bool:
    """Whether it can be encoded: lone surrogates, as of bytes that are no UTF-8, are in no name."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True)
class Matcher:
    """A pattern for `SSLContext.allowed_peers`: a DNSPattern, Network, URI, SPIFFE or Email.

    `value`: its text. Raises TypeError where it is none of the five.
    """

    value: str

    _kind: ClassVar[str]
    _shown: ClassVar[str | None]
    """The kind of name in `PeerIdentity.names`; None: `spiffe_id` is meant."""

    def __post_init__(self) -> None:
        if not hasattr(self, "_kind"):
            raise TypeError("a pattern is a DNSPattern, Network, URI, SPIFFE or Email")
        if not isinstance(self.value, str):
            raise TypeError(f"{type(self).__name__} takes a str, not {type(self.value).__name__}")
        object.__setattr__(self, "value", self._normal(self.value))
        fault = _engine.matcher_fault(self._kind, self.value)
        if fault is not None:
            raise ValueError(f"{type(self).__name__}({self.value!r}): {_FAULTS[fault]}")

    def _normal(self, value: str) -> str:
        return value

    def matches(self, peer: bytes | str | x509.Certificate | PeerIdentity) -> bool:
        """Whether the pattern matches a peer, as `SSLContext.allowed_peers` compares.

        `peer`: a certificate (DER, or of `cryptography`), one of whose names is to match; whom a validated
        certificate names, as events and `veritls.serving.Peer` have it; or a name alone, as text: a DNS name,
        an address, a URI, a SPIFFE ID or a mail address, as the pattern is for.

        It compares names and verifies nothing: ask it of a certificate only that was validated. False for
        what cannot be read. Raises TypeError for anything else.
        """
        if isinstance(peer, str):
            if not _is_text(peer):
                return False
            return _engine.matches_name(self._kind, self.value, peer)
        if isinstance(peer, bytes | bytearray | memoryview):
            return _engine.matches_certificate(self._kind, self.value, bytes(peer))
        chain = getattr(peer, "chain", None)
        if chain:
            return _engine.matches_certificate(self._kind, self.value, chain[0])
        if hasattr(peer, "spiffe_id"):
            names = filter(_is_text, self._names_of(peer))
            return any(_engine.matches_name(self._kind, self.value, name) for name in names)
        if hasattr(peer, "public_bytes"):
            from cryptography import x509
            from cryptography.hazmat.primitives.serialization import Encoding

            if isinstance(peer, x509.Certificate):
                der = peer.public_bytes(Encoding.DER)
                return _engine.matches_certificate(self._kind, self.value, der)
        raise TypeError(f"matches() takes a certificate, an identity or a name, not {type(peer).__name__}")

    def _names_of(self, identity: Any) -> list[str]:
        if self._shown is None:
            return [identity.spiffe_id] if identity.spiffe_id is not None else []
        # A backslash: text that broke its encoding, and is no name.
        return [name for kind, name in identity.names if kind == self._shown and "\\" not in name]

    def _for_engine(self) -> tuple[str, str]:
        return self._kind, self.value

    def __str__(self) -> str:
        return f"{self._kind} {self.value}"


class DNSPattern(Matcher):
    """A DNS name, compared without case; a leftmost ``*`` stands for exactly one label (RFC 9525, 6.3).

    A certificate for ``*.example.org`` is matched only by the pattern ``*.example.org``: it is valid for
    every such name. Raises TypeError where `value` is not a str, ValueError where it is neither a name nor
    ``*.`` and a name.
    """

    _kind = "DNS"
    _shown = "DNS"

    def _normal(self, value: str) -> str:
        try:
            return value if value.isascii() else value.encode("idna").decode("ascii")
        except UnicodeError as why:
            raise ValueError(f"DNSPattern({value!r}): {why}") from None


class Network(Matcher):
    """An address, or a network in CIDR notation: ``10.0.0.0/8``, ``2001:db8::/32``.

    Compared with the iPAddress names (RFC 5280, section 4.2.1.6); an IPv4 network never matches an IPv6
    address and the reverse. Raises TypeError where `value` is not a str, ValueError where it is not a network
    or has bits set beyond the prefix.
    """

    _kind = "network"
    _shown = "IP Address"

    def _normal(self, value: str) -> str:
        try:
            return str(ipaddress.ip_network(value))
        except ValueError as why:
            raise ValueError(f"Network({value!r}): {why}") from None


class URI(Matcher):
    """A URI in ASCII, compared byte for byte with the uniformResourceIdentifier names (RFC 5280, 4.2.1.6).

    Raises TypeError where `value` is not a str, ValueError where it is not a URI.
    """

    _kind = "URI"
    _shown = "URI"


class SPIFFE(Matcher):
    """A SPIFFE ID (X509-SVID, section 2), or a pattern for several of one trust domain.

    In the path ``*`` is exactly one segment and ``**``, at the end, one or more. A certificate with more than
    one URI, or of a CA, has no SPIFFE ID. With `SSLContext.spiffe_bundles` an anchor vouches for IDs of its
    own trust domain only; without, every anchor of the context may issue IDs of every domain. Raises
    TypeError where `value` is not a str, ValueError where it is no such pattern.
    """

    _kind = "SPIFFE"
    _shown = None


class Email(Matcher):
    """A mail address: the part before ``@`` is compared byte for byte, the domain without case.

    Compared with the rfc822Name names (RFC 5280, section 4.2.1.6). Raises TypeError where `value` is not a
    str, ValueError where it is not an address in ASCII.
    """

    _kind = "email"
    _shown = "email"


def as_matchers(values: Iterable[Matcher], of: str = "allowed_peers") -> tuple[Matcher, ...]:
    """The patterns as a tuple. `of`: what takes them. Raises TypeError for anything else."""
    if isinstance(values, str | bytes | Matcher):
        raise TypeError(f"{of} must be a list of patterns, not {type(values).__name__}")
    matchers = tuple(values)
    for each in matchers:
        if not isinstance(each, Matcher):
            raise TypeError(f"{of}: {each!r} is not a DNSPattern, Network, URI, SPIFFE or Email pattern")
    return matchers


def as_pin(value: str | bytes) -> bytes:
    """The SHA-256 digest of a SubjectPublicKeyInfo: 32 bytes, or base64, bare or after ``sha256/``.

    curl's ``sha256//`` is accepted, too. Raises TypeError or ValueError for anything else.
    """
    if isinstance(value, str):
        text = value.removeprefix("sha256/")
        # The base64 of a digest may itself begin with a slash: only a longer text has curl's second one.
        text = text.removeprefix("/") if len(text) > PIN_CHARACTERS else text
        try:
            digest = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise ValueError(f"pinned_keys: {value!r} is not base64") from None
    elif isinstance(value, bytes | bytearray | memoryview):
        digest = bytes(value)
    else:
        raise TypeError(f"pinned_keys: a digest must be bytes or str, not {type(value).__name__}")
    if len(digest) != PIN_LENGTH:
        raise ValueError(
            f"pinned_keys: {value!r} is {len(digest)} bytes long; a SHA-256 digest has {PIN_LENGTH}"
        )
    return digest


def as_pins(values: Iterable[str | bytes]) -> frozenset[bytes]:
    """The digests as a set. Raises TypeError or ValueError for what is not a digest."""
    if isinstance(values, str | bytes | bytearray | memoryview):
        raise TypeError(f"pinned_keys must be a collection of digests, not {type(values).__name__}")
    return frozenset(as_pin(each) for each in values)


def pin_text(pin: bytes) -> str:
    """A digest as curl and others write it."""
    return f"sha256/{base64.b64encode(pin).decode('ascii')}"
