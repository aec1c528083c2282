"""A context's own certificates and keys, which replaces which, and SSLContext's members about them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from types import MappingProxyType

from cryptography import x509

from veritls import _engine
from veritls._context.ocsp_renewal import OCSPRenewal, Period, Renewal
from veritls._explaining.reasons import ssl_error
from veritls._loading.certificates import UNSUPPORTED, decoded
from veritls._loading.identities import (
    CertificateSource,
    KeySource,
    Password,
    load_identity,
    load_pkcs12_identity,
)
from veritls._loading.pem import Content
from veritls._report.parsed_certificate import readable


def names(der: bytes) -> frozenset[Hashable]:
    """Whom a certificate is for: the entries of subjectAltName, DNS names in lower case; else its subject."""
    try:
        shown = decoded(der)
    except ValueError:
        return frozenset({_engine.names(der)[0]})
    found = ((kind, text) for kind, text in shown.get("subjectAltName", ()) if text != UNSUPPORTED)
    lower = frozenset((kind, text.lower() if kind == "DNS" else text) for kind, text in found)
    return lower or frozenset({shown["subject"]})


class Keyring:
    """The identities of one context, in the order in which they came. Never changed: `plus` gives the next.

    A certificate replaces those with the same kind of key that share a name with it.
    """

    def __init__(self, claims: Mapping[_engine.Identity, frozenset[Hashable]] = MappingProxyType({})) -> None:
        """`claims`: the kinds of key and names that each identity holds."""
        self._claims = claims

    def plus(self, identity: _engine.Identity, *, only_one: bool) -> Keyring:
        """With another identity. `only_one`: of each kind of key, whatever the names."""
        algorithm = identity.algorithm
        known = () if only_one else names(identity.chain[0])
        claims: frozenset[Hashable] = frozenset((algorithm, name) for name in known) or frozenset({algorithm})
        replaced = [each for each, kept in self._claims.items() if kept & claims]
        renewed: dict[_engine.Identity, frozenset[Hashable]] = {}
        for each, kept in self._claims.items():
            if each not in replaced:
                renewed[each] = kept
            elif each is replaced[-1]:
                renewed[identity] = claims
        return Keyring({**renewed, identity: claims})

    def preferred(self) -> list[_engine.Identity]:
        """All of them, the one to prefer first: ECDSA signs and verifies faster than RSA; then the newest."""
        newest_first = list(self._claims)[::-1]
        return sorted(newest_first, key=lambda each: each.algorithm)


class OwnMembers:
    """SSLContext's members about its own identities. A change holds for connections made after it."""

    @property
    def _own(self) -> Keyring:
        raise NotImplementedError

    def _change_own(self, change: Callable[[Keyring], Keyring]) -> None:
        raise NotImplementedError

    @property
    def _renewal(self) -> Renewal | None:
        raise NotImplementedError

    def _put_renewal(self, renewal: Renewal | None) -> Renewal | None:
        """Puts a renewal, or none, in the place of the one that there is, which it returns."""
        raise NotImplementedError

    @property
    def _is_client_only(self) -> bool:
        raise NotImplementedError

    def _trusted_above(self, der: bytes) -> list[bytes]:
        """The certificates of the trust set that lead up from one, DER."""
        raise NotImplementedError

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

    def set_ocsp_response(self, response: bytes | OCSPRenewal | None) -> None:
        """Staples an OCSP response (RFC 6960) to the certificate that it is about.

        `response`: DER bytes; or a callable that fetches them, called with (certificate, issuer's
        certificate or None), `cryptography` objects, of each identity: here, when an identity is added, and
        from then on in a thread of its own, when half of a response's remaining validity is over. It returns
        None where it has nothing yet, and is asked again a minute later. What it raises here is raised; later
        it is logged (logger "veritls.ocsp"), and it is asked again after a minute, then two, up to an hour.
        None stops that, and staples nothing from now on.

        Two threads may call it at once. No handshake waits for it: each sends the last good response until
        that expires, and nothing then. Sessions stay good.

        A response must be about a certificate that is loaded, say that it is good, be in date, and be signed
        by its issuer or a delegate; the issuer is looked for in the chain and in the trust set, and without
        it the signature is not checked. Raises ssl.SSLError where it is not so, TypeError for anything else;
        nothing changes then.
        """
        if isinstance(response, bytes | bytearray | memoryview):
            self._staple(bytes(response))
        elif response is None:
            self._renew_with(None)
            for identity in self._identities():
                identity.staple(None, 0)
        elif callable(response):
            renewal = Renewal(self, response)
            renewal.start()
            self._renew_with(renewal)
        else:
            raise TypeError(f"bytes, a callable or None are needed, not {type(response).__name__}")

    def _renew_with(self, renewal: Renewal | None) -> None:
        former = self._put_renewal(renewal)
        for each in (former, renewal):
            if each is not None:
                each.look()

    def _renews_with(self, renewal: Renewal) -> bool:
        return self._renewal is renewal

    def _add_identity(self, identity: _engine.Identity) -> None:
        renewal = self._renewal
        if renewal is not None:
            renewal.prepare(self, identity)

        only_one = self._is_client_only
        self._change_own(lambda own: own.plus(identity, only_one=only_one))

    def _identities(self) -> list[_engine.Identity]:
        return self._own.preferred()

    def _chain_of(self, identity: _engine.Identity) -> tuple[bytes, bytes | None]:
        own, *above = identity.chain
        subject, issuer = _engine.names(own)
        known = [own] if subject == issuer else [*above, *self._trusted_above(own)]
        return own, next((each for each in known if _engine.names(each)[0] == issuer), None)

    def _certificates_of(self, of: _engine.Identity) -> tuple[x509.Certificate, x509.Certificate | None]:
        own, issuer = self._chain_of(of)
        above = readable(issuer) if issuer is not None else None
        return readable(own), above

    def _checked(self, of: _engine.Identity, response: bytes) -> Period:
        """From when until when a response is good. Raises ssl.SSLError where it is not, for this identity."""
        period = _engine.check_ocsp_response(response, *self._chain_of(of))
        if period is None:
            raise ssl_error("UNUSABLE", "the OCSP response is about another certificate")
        return period

    def _staple(self, response: bytes) -> None:
        for identity in self._identities():
            period = _engine.check_ocsp_response(response, *self._chain_of(identity))
            if period is not None:
                identity.staple(response, period[1])
                return
        raise ssl_error("UNUSABLE", "the OCSP response is about none of the certificates that are loaded")
