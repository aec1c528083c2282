"""The settings of a context about OCSP stapling: what to send as a server, what to demand as a client."""

from __future__ import annotations

from cryptography import x509

from veritls import _engine
from veritls.certificate import readable
from veritls.errors import ssl_error
from veritls.identities import Identities
from veritls.renewal import OCSPRenewal, Period, Renewal


class Stapling(Identities):
    """The base of SSLContext that knows the OCSP responses to send and to demand."""

    _renewal: Renewal | None

    def _set_defaults(self) -> None:
        super()._set_defaults()
        self._renewal = None

    @property
    def require_ocsp(self) -> bool:
        """Whether a client refuses a server that staples no good OCSP response (RFC 6066, section 8).

        A server whose certificate demands one (must-staple, RFC 7633) is refused without in any case, and a
        response that comes and is not good is a refusal too. Counts where certificates are validated, which
        CERT_NONE does not. Such a server's sessions are not taken up again: they bring no response along.
        """
        return self._require_ocsp

    @require_ocsp.setter
    def require_ocsp(self, value: object) -> None:
        with self._lock:
            self._require_ocsp = bool(value)
            self._changed()

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
        with self._lock:
            former, self._renewal = self._renewal, renewal
        if former is not None:
            former.stop()

    def _add_identity(self, identity: _engine.Identity) -> None:
        if self._renewal is not None:
            self._renewal.prepare(self, identity)
        super()._add_identity(identity)

    def _identities(self) -> list[_engine.Identity]:
        with self._lock:
            return self._keyring.preferred()

    def _chain_of(self, identity: _engine.Identity) -> tuple[bytes, bytes | None]:
        own, *above = identity.chain
        subject, issuer = _engine.names(own)
        with self._lock:
            known = [own] if subject == issuer else [*above, *self._trust.path_above(own)]
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
