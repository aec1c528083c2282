"""What a context is, in a test's own words: its settings as plain values, how those of two add up, and whom
an end with them accepts. Written from the documentation of the members, not from their code."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field, replace
from typing import Any

import veritls
from tests.support.certificates import DAY, NOW, Party

V = ssl.TLSVersion
PROTOCOL_OPTIONS = ssl.OP_NO_TLSv1_2 | ssl.OP_NO_TLSv1_3
CRL_CHECKS = ssl.VERIFY_CRL_CHECK_CHAIN

ROOT = Party("Root", ca=True)
OTHER_ROOT = Party("Other root", ca=True)
SERVER_NAME = "localhost"
OTHER_NAME = "other.example"
PEERS: dict[str, Party | None] = {
    "right": Party("right", ROOT),
    "other name": Party("other name", ROOT, names=[OTHER_NAME]),
    "other root": Party("other root", OTHER_ROOT),
    "expired": Party("expired", ROOT, start=NOW - 9 * DAY, end=NOW - DAY),
    "revoked": Party("revoked", ROOT),
    "not strict": Party("not strict", ROOT, authority_key=None),
    "none": None,
}
"""Who may be at the other end."""

TLS12_SUITES = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
)
TLS13_SUITES = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
GROUPS = ("x25519", "secp256r1", "secp384r1")


@dataclass
class Model:
    """The settings of one context."""

    server_side: bool
    mode: ssl.VerifyMode
    check_hostname: bool
    flags: ssl.VerifyFlags
    options: ssl.Options
    minimum: ssl.TLSVersion = V.MINIMUM_SUPPORTED
    maximum: ssl.TLSVersion = V.MAXIMUM_SUPPORTED
    tls12_suites: tuple[str, ...] = TLS12_SUITES
    tls13_suites: tuple[str, ...] = TLS13_SUITES
    groups: tuple[str, ...] = GROUPS
    alpn: tuple[str, ...] = ()
    allowed: list[tuple[str, ...]] = field(default_factory=list)
    """Of several contexts, each one's; so with `pinned`."""
    pinned: list[frozenset[bytes]] = field(default_factory=list)
    refuses: bool = False
    callbacks: int = 0
    require_ocsp: bool = False
    unknown_status: str = "refuse"
    trusted: frozenset[str] = frozenset({"Root"})
    crl: bool = False
    reverify: bool = True
    age: int = 24 * 60 * 60

    def after(self, first: Model) -> Model:
        """For a connection that began with `first` and was moved here: every demand of both."""
        partial = ssl.VERIFY_X509_PARTIAL_CHAIN
        maxima = [each.maximum for each in (first, self) if each.maximum != V.MAXIMUM_SUPPORTED]
        both = self.unknown_status == first.unknown_status == "accept"
        return replace(
            self,
            mode=max(first.mode, self.mode),
            check_hostname=first.check_hostname or self.check_hostname,
            flags=(first.flags | self.flags) & ~partial | first.flags & self.flags & partial,
            options=first.options | self.options,
            minimum=max(first.minimum, self.minimum),
            maximum=min(maxima, default=V.MAXIMUM_SUPPORTED),
            tls12_suites=tuple(each for each in self.tls12_suites if each in first.tls12_suites),
            tls13_suites=tuple(each for each in self.tls13_suites if each in first.tls13_suites),
            groups=tuple(each for each in self.groups if each in first.groups),
            allowed=first.allowed + self.allowed,
            pinned=first.pinned + self.pinned,
            refuses=first.refuses or self.refuses,
            callbacks=first.callbacks + self.callbacks,
            require_ocsp=first.require_ocsp or self.require_ocsp,
            unknown_status="accept" if both else "refuse",
        )

    def versions(self) -> set[ssl.TLSVersion]:
        """Those that a connection can have."""
        found = set()
        for version, off, suites in (
            (V.TLSv1_2, ssl.OP_NO_TLSv1_2, self.tls12_suites),
            (V.TLSv1_3, ssl.OP_NO_TLSv1_3, self.tls13_suites),
        ):
            old_enough = self.minimum == V.MINIMUM_SUPPORTED or self.minimum <= version
            new_enough = self.maximum == V.MAXIMUM_SUPPORTED or version <= self.maximum
            if old_enough and new_enough and not self.options & off and suites:
                found.add(version)
        return found

    def is_usable(self) -> bool:
        """Whether a connection can be made at all."""
        unasked = self.server_side and self.mode == ssl.CERT_NONE and (self.pinned or self.callbacks)
        return bool(self.versions() and self.groups) and not unasked

    def accepts(self, who: str, name: str) -> bool:
        """Whether the peer may be this one; `name`: for which a client asks."""
        party = PEERS[who]
        if party is None:
            return self.mode != ssl.CERT_REQUIRED and self.server_side
        if self.server_side and self.mode == ssl.CERT_NONE:
            return True
        return self._accepts_key(party) and not self.refuses and self._is_valid(who, party, name)

    def _accepts_key(self, party: Party) -> bool:
        validated = self.server_side or self.mode != ssl.CERT_NONE
        keys = {party.pin, party.issuer.pin} if validated else {party.pin}
        return all(keys & pins for pins in self.pinned)

    def _is_valid(self, who: str, party: Party, name: str) -> bool:
        if not self.server_side and self.mode == ssl.CERT_NONE:
            return True
        names = {OTHER_NAME} if who == "other name" else {SERVER_NAME}
        return (
            ("Root" if party.issuer is ROOT else "Other root") in self.trusted
            and who != "expired"
            and not (who == "not strict" and self.flags & ssl.VERIFY_X509_STRICT)
            and self._is_unrevoked(who, party)
            and all(names & set(several) for several in self.allowed)
            and (self.server_side or not self.check_hostname or name in names)
            and (self.server_side or not self.require_ocsp)
        )

    def _is_unrevoked(self, who: str, party: Party) -> bool:
        if not self.flags & CRL_CHECKS:
            return True
        covered = self.crl and party.issuer is ROOT
        return who != "revoked" if covered else self.unknown_status == "accept"


@dataclass(frozen=True)
class Probe:
    """What the other end of a connection can do."""

    who: str
    versions: frozenset[ssl.TLSVersion]
    tls12_suites: frozenset[str]
    group: str
    """The only one; any where it is empty."""
    alpn: tuple[str, ...]
    name: str = SERVER_NAME
    standard: bool = False
    """It is the standard library's."""

    def context(self, server_side: bool) -> Any:
        module: Any = ssl if self.standard else veritls
        context = module.SSLContext(module.PROTOCOL_TLS_SERVER if server_side else module.PROTOCOL_TLS_CLIENT)
        if not server_side:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        context.minimum_version, context.maximum_version = min(self.versions), max(self.versions)
        context.set_ciphers(":".join(sorted(self.tls12_suites)))
        if self.group and not self.standard:
            context.set_groups(self.group)
        if self.alpn:
            context.set_alpn_protocols(list(self.alpn))
        return context

    def meets(self, model: Model) -> bool:
        """Whether both ends have enough in common."""
        versions = self.versions & model.versions()
        if not versions or not (self.standard or not self.group or self.group in model.groups):
            return False
        if max(versions) == V.TLSv1_2 and not self.tls12_suites & set(model.tls12_suites):
            return False
        # Without a common protocol there is no connection (RFC 7301); a standard server says nothing of it.
        silent = self.standard and not model.server_side
        return not (self.alpn and model.alpn) or bool(set(self.alpn) & set(model.alpn)) or silent
