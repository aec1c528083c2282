"""SSLContext's members about its own certificates and keys."""

from __future__ import annotations

from veritls import _engine
from veritls._context.keyring import Keyring
from veritls._explaining.reasons import ssl_error
from veritls._value import shown_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeAlias

    from cryptography import x509

    from veritls._context.ocsp_renewal import OCSPRenewal, Period, Renewal
    from veritls._context.own_entries import OwnIdentity
    from veritls._loading import bundles
    from veritls._loading.identities import CertificateSource, KeySource, Password
    from veritls._loading.pem import Content

    Loaded: TypeAlias = (
        tuple[CertificateSource]
        | tuple[CertificateSource, KeySource | None]
        | tuple[CertificateSource, KeySource | None, Password]
    )
    """The arguments of `load_cert_chain`."""


@shown_in("veritls")
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
        """Replaces the renewal; returns the one that it replaced."""
        raise NotImplementedError

    @property
    def _is_client_only(self) -> bool:
        raise NotImplementedError

    def _trusted_above(self, der: bytes) -> list[bytes]:
        """The issuers of a certificate in the trust set, DER."""
        raise NotImplementedError

    def load_cert_chain(
        self, certfile: CertificateSource, keyfile: KeySource | None = None, password: Password = None
    ) -> None:
        """Loads an own certificate, its intermediates and its key, as `ssl.SSLContext.load_cert_chain`.

        `certfile` and `keyfile`: a PEM file, PEM or DER bytes, or `cryptography` objects (certificates, own
        one first; a private key). Without `keyfile` the key is in `certfile`. str and PathLike are paths;
        bytes are a path too, as in `ssl`, unless they contain ``-----BEGIN`` or a zero byte, or start as DER
        does (30 81, 30 82, 30 83); bytearray and memoryview are content. Nothing is written to a file.

        A server may have any number of identities. A certificate replaces those with the same kind of key
        that share a name with it (subjectAltName; without one, the subject). A server sends one for the name
        that the client requests, else one whose wildcard covers it, else the newest; of these one that the
        client can verify, ECDSA before Ed25519 before RSA. A PROTOCOL_TLS_CLIENT context keeps one of each
        kind of key, the newest.

        `password`: str, bytes or a callable that returns one, used only if the key is encrypted; there is no
        prompt. Raises OSError for a file that cannot be read; ssl.SSLError naming file and reason where the
        content cannot be used; TypeError for other types; ValueError for a password over 1024 bytes. The
        context is unchanged then.
        """
        from veritls._loading.identities import load_identity

        self._add_identity(load_identity(certfile, keyfile, password))

    def load_pkcs12(self, source: Content, password: Password = None) -> None:
        """Loads an own certificate, its intermediates and its key from PKCS#12 (RFC 7292).

        `source`: a path, or the bytes. Paths are told from bytes, and identities replace each other, as with
        `load_cert_chain`. Raises OSError for a file that cannot be read; ssl.SSLError for a wrong or missing
        password and for PKCS#12 without a key or its certificate; TypeError and ValueError for a source or
        password of the wrong type or length. The context is unchanged then.
        """
        from veritls._loading.identities import load_pkcs12_identity

        self._add_identity(load_pkcs12_identity(source, password))

    def list_identities(self) -> list[OwnIdentity]:
        """The own certificates with what goes with them, the preferred first; never a key."""
        from veritls._context.own_entries import entry_of

        return [entry_of(each.chain, each.algorithm) for each in self._identities()]

    def remove_identity(self, certificates: bundles.CertificateSource) -> int:
        """Removes the identities with these own certificates, and returns how many there were.

        `certificates`: of `list_identities()` the first of a `chain`; else as for `remove_trust`, whose
        errors it raises.

        Without any identity a server cannot be connected to. Sessions of before are not resumed; connections
        that exist go on.
        """
        from veritls._loading.bundles import in_source

        gone = in_source(certificates, "certificates")
        removed = 0

        def change(own: Keyring) -> Keyring:
            nonlocal removed
            own, removed = own.without(gone)
            return own

        self._change_own(change)
        return removed

    def replace_identities(self, identities: Iterable[Loaded]) -> None:
        """Has these identities instead of all others, by one change: no connection has some of both.

        `identities`: for each the arguments of `load_cert_chain`, as a tuple of (certfile,), (certfile,
        keyfile) or (certfile, keyfile, password). An empty iterable removes all.

        Among themselves they replace each other as there. A callable of `set_ocsp_response` is called for
        each. Raises as `load_cert_chain`, TypeError for anything but tuples; nothing changes then.
        """
        from veritls._loading.identities import load_identity

        loaded = []
        for each in identities:
            if not isinstance(each, tuple) or not 1 <= len(each) <= 3:
                raise TypeError("identities must be tuples of (certfile, keyfile, password)")
            certfile, keyfile, password = (*each, None, None)[:3]
            loaded.append(load_identity(certfile, keyfile, password))
        self._replace_identities(loaded)

    def _replace_identities(self, identities: list[_engine.Identity]) -> None:
        ring = Keyring.of(identities, only_one=self._is_client_only)
        renewal = self._renewal
        if renewal is not None:
            for each in ring.preferred():
                renewal.prepare(self, each)
        self._change_own(lambda _: ring)

    def set_ocsp_response(self, response: bytes | OCSPRenewal | None) -> None:
        """Staples an OCSP response (RFC 6960; RFC 6066, section 8) to the certificate that it is for.

        `response`: DER bytes; or a callable that fetches them; or None, which ends both.

        The callable gets (certificate, issuer's certificate or None) of each identity, `cryptography`
        objects, and returns DER bytes, or None where there is no response yet. It is called at once, when an
        identity is added, and then in a thread of its own when half of a response's remaining validity is
        over, or a minute after None. What it raises at once is raised here; later it is logged (logger
        "veritls.ocsp"), and the call is repeated after one minute, then two, up to an hour. Two threads may
        call it at once.

        No handshake waits for it: each sends the last good response until that expires. Sessions stay valid.

        A response must be for a loaded certificate, say that it is good, be in date, and be signed by its
        issuer or a delegate. The issuer is taken from the chain or the trust set; without it the signature is
        not checked. Raises ssl.SSLError for any other response, TypeError for any other type; nothing changes
        then.
        """
        if isinstance(response, bytes | bytearray | memoryview):
            self._staple(bytes(response))
        elif response is None:
            self._renew_with(None)
            for identity in self._identities():
                identity.staple(None, 0)
        elif callable(response):
            from veritls._context.ocsp_renewal import Renewal

            renewal = Renewal(self, response)
            renewal.start()
            self._renew_with(renewal)
        else:
            raise TypeError(f"response must be bytes, a callable or None, not {type(response).__name__}")

    def _renew_with(self, renewal: Renewal | None) -> None:
        former = self._put_renewal(renewal)
        for each in (former, renewal):
            if each is not None:
                each.wake()

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
        from veritls._report.parsed_certificate import readable

        own, issuer = self._chain_of(of)
        above = readable(issuer) if issuer is not None else None
        return readable(own), above

    def _checked(self, of: _engine.Identity, response: bytes) -> Period:
        """The validity of a response. Raises ssl.SSLError where it is not good, or not for this identity."""
        period = _engine.check_ocsp_response(response, *self._chain_of(of))
        if period is None:
            raise ssl_error("UNUSABLE", "the OCSP response is for another certificate")
        return period

    def _staple(self, response: bytes) -> None:
        for identity in self._identities():
            period = _engine.check_ocsp_response(response, *self._chain_of(identity))
            if period is not None:
                identity.staple(response, period[1])
                return
        raise ssl_error(
            "UNUSABLE", "the OCSP response is for none of the loaded certificates (load_cert_chain)"
        )
