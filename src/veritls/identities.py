"""The settings of a context about itself: own certificates and keys."""

from __future__ import annotations

import ssl
from collections.abc import Hashable

from cryptography import x509

from veritls import _engine
from veritls.credentials import (
    CertificateSource,
    KeySource,
    Password,
    load_identity,
    load_pkcs12_identity,
)
from veritls.pem import Content
from veritls.revocation import Revocation


def names(der: bytes) -> frozenset[Hashable]:
    """Whom a certificate is for: the entries of subjectAltName, DNS names in lower case; else its subject."""
    try:
        certificate = x509.load_der_x509_certificate(der)
    except (ValueError, x509.InvalidVersion):
        return frozenset({_engine.names(der)[0]})
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return frozenset({certificate.subject})
    lower = (x509.DNSName(each.value.lower()) if isinstance(each, x509.DNSName) else each for each in found)
    return frozenset(lower) or frozenset({certificate.subject})


class Keyring:
    """The identities of one context, in the order in which they came; a renewal takes the place of the old.

    A certificate replaces those with the same kind of key that share a name with it.
    """

    def __init__(self) -> None:
        self._claims: dict[_engine.Identity, frozenset[Hashable]] = {}
        self._holders: dict[Hashable, _engine.Identity] = {}

    def add(self, identity: _engine.Identity, *, only_one: bool) -> None:
        """`only_one`: of each kind of key, whatever the names."""
        algorithm = identity.algorithm
        known = () if only_one else names(identity.chain[0])
        claims: frozenset[Hashable] = frozenset((algorithm, name) for name in known) or frozenset({algorithm})
        replaced = {self._holders[claim] for claim in claims if claim in self._holders}
        if replaced:
            last = [each for each in self._claims if each in replaced][-1]
            renewed = {identity if each is last else each: kept for each, kept in self._claims.items()}
            self._claims = {each: kept for each, kept in renewed.items() if each not in replaced}
            self._holders = {claim: each for claim, each in self._holders.items() if each not in replaced}
        self._claims[identity] = claims
        self._holders |= dict.fromkeys(claims, identity)

    def preferred(self) -> list[_engine.Identity]:
        """All of them, the one to prefer first: ECDSA signs and verifies faster than RSA; then the newest."""
        newest_first = list(self._claims)[::-1]
        return sorted(newest_first, key=lambda each: each.algorithm)


class Identities(Revocation):
    """The base of SSLContext that knows its own certificates."""

    _keyring: Keyring

    def _set_defaults(self) -> None:
        super()._set_defaults()
        self._keyring = Keyring()

    def load_cert_chain(
        self, certfile: CertificateSource, keyfile: KeySource | None = None, password: Password = None
    ) -> None:
        """Loads one's own certificate, its intermediates and its key.

        Each may be a PEM file, PEM or DER bytes, or `cryptography` objects: a certificate or several, own one
        first; a private key. str and PathLike are paths; bytes are one too, as in `ssl`, unless they hold
        ``-----BEGIN`` or a zero byte, or start as DER does (30 81, 30 82, 30 83); bytearray and memoryview
        are content. Nothing is written to a file.

        A server may have any number of identities. A certificate replaces those with the same kind of key
        that share a name with it (subjectAltName; without one, the subject); any other comes beside them. A
        client is shown one for the name that it asks for, else one whose wildcard covers it, else the newest;
        of these one that it can verify, ECDSA before RSA. A PROTOCOL_TLS_CLIENT context keeps one of each
        kind of key, the newest.

        `password`: str, bytes or a callable that returns one, asked for only if the key is encrypted; there
        is no prompt. Raises OSError for an unreadable file; ssl.SSLError naming file and reason where the
        content cannot be used; TypeError for what is none of the above. The context then stays as it was.
        """
        self._add_identity(load_identity(certfile, keyfile, password))

    def load_pkcs12(self, source: Content, password: Password = None) -> None:
        """Loads one's own certificate, its intermediates and its key from PKCS#12: a path, or the bytes.

        What is a path, and which identity replaces which, is as for `load_cert_chain`. Raises OSError for an
        unreadable file; ssl.SSLError for a wrong or missing password and for PKCS#12 without a key or its
        certificate; TypeError and ValueError for a password of the wrong type or length. The context then
        stays as it was.
        """
        self._add_identity(load_pkcs12_identity(source, password))

    def _add_identity(self, identity: _engine.Identity) -> None:
        with self._lock:
            self._keyring.add(identity, only_one=self._protocol == ssl.PROTOCOL_TLS_CLIENT)
            self._changed()

    def _own(self) -> list[_engine.Identity]:
        """Our identities as the engine takes them, the one to prefer first.

        A certificate that came alone is sent with those above it that are in the trust set, as by OpenSSL.
        """
        own = []
        for identity in self._keyring.preferred():
            above = self._trust.path_above(identity.chain[0]) if len(identity.chain) == 1 else []
            own.append(identity.completed(above) if above else identity)
        return own
