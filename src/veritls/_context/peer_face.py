"""SSLContext's members about the peer: what is demanded of its certificate."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from datetime import timedelta

from veritls._context.face import Face
from veritls._context.peer import (
    UnknownStatus,
    as_age,
    as_allowed,
    as_flags,
    as_mode,
    as_pinned,
    as_registered,
    as_status,
)
from veritls.peers import Matcher
from veritls.report import VerifyCallback


class PeerFace(Face):
    """A part of SSLContext. A change holds for connections made after it."""

    @property
    def verify_mode(self) -> ssl.VerifyMode:
        """What to demand of the peer: CERT_NONE, CERT_OPTIONAL or CERT_REQUIRED; see `veritls.policy`.

        Raises ValueError for anything else, and for CERT_NONE while `check_hostname` is on.
        """
        return self._settings.peer.verify_mode

    @verify_mode.setter
    def verify_mode(self, value: int) -> None:
        mode = as_mode(value)
        self._change_peer(lambda peer: peer.with_verify_mode(mode))

    @property
    def check_hostname(self) -> bool:
        """Whether a client compares the server's certificate with `server_hostname` (RFC 9525).

        Turning it on raises CERT_NONE to CERT_REQUIRED.
        """
        return self._settings.peer.check_hostname

    @check_hostname.setter
    def check_hostname(self, value: object) -> None:
        wanted = bool(value)
        self._change_peer(lambda peer: peer.with_check_hostname(wanted))

    @property
    def verify_flags(self) -> ssl.VerifyFlags:
        """How paths are verified: VERIFY_CRL_CHECK_LEAF or _CHAIN, VERIFY_X509_STRICT, _PARTIAL_CHAIN.

        VERIFY_X509_TRUSTED_FIRST is always so. Raises ValueError for a flag that is not offered.
        """
        return self._settings.peer.verify_flags

    @verify_flags.setter
    def verify_flags(self, value: int) -> None:
        flags = as_flags(value)
        self._change_peer(lambda peer: peer.with_verify_flags(flags))

    @property
    def hostname_checks_common_name(self) -> bool:
        """False: a name in the subject is no proof of anything (RFC 9525, section 2). Cannot be turned on."""
        return False

    @hostname_checks_common_name.setter
    def hostname_checks_common_name(self, value: object) -> None:
        if value:
            raise ValueError("hostname_checks_common_name is not offered: only subjectAltName counts")

    @property
    def allowed_peers(self) -> tuple[Matcher, ...] | None:
        """Whose certificates are accepted, of those that are valid: `veritls.DNSPattern`, `Network`, `URI`,
        `SPIFFE`, `Email`. One that matches a name of the certificate's subjectAltName is enough.

        None, the default, restricts nothing; an empty list allows nobody. Setting it raises CERT_NONE to
        CERT_REQUIRED: names in a certificate that nobody validated prove nothing. Under CERT_OPTIONAL a
        server still lets clients in that have no certificate at all. Raises TypeError for what is no
        matcher. A peer that is refused gets the alert access_denied; `verify_code` is 50.
        """
        return next(iter(self._settings.peer.allowed_peers), None)

    @allowed_peers.setter
    def allowed_peers(self, values: Iterable[Matcher] | None) -> None:
        matchers = as_allowed(values)
        self._change_peer(lambda peer: peer.with_allowed_peers(matchers))

    @property
    def pinned_keys(self) -> frozenset[bytes] | None:
        """SHA-256 digests of SubjectPublicKeyInfo (RFC 7469, section 2.4), of which the verified path must
        hold one: 32 bytes each, or base64 text, bare or after ``sha256/``.

        None, the default, pins nothing; an empty collection accepts nobody. On a client under CERT_NONE the
        server's own key must be pinned. On a server under CERT_NONE, which asks for no certificate, making
        a connection raises ValueError. Raises TypeError or ValueError for what is no digest.
        """
        return next(iter(self._settings.peer.pinned_keys), None)

    @pinned_keys.setter
    def pinned_keys(self, values: Iterable[str | bytes] | None) -> None:
        pins = as_pinned(values)
        self._change_peer(lambda peer: peer.with_pinned_keys(pins))

    def set_verify_callback(self, callback: VerifyCallback | None) -> None:
        """Has `callback` called with the VerificationReport once a handshake, and by `verify_chain`.

        That is after every other check passed, and, in a handshake, after the peer proved that it holds its
        key; also where a session is taken up again. Raising refuses the peer (alert access_denied) with an
        ssl.SSLCertVerificationError whose ``__cause__`` is the exception; what is no Exception, such as
        KeyboardInterrupt, refuses and comes out itself. What it returns means nothing: it can only refuse.

        On a client under CERT_NONE the report's chain is not verified (`trusted` is False). Not called where
        a server asked under CERT_OPTIONAL and no certificate came; a server under CERT_NONE, which never
        asks, raises ValueError when a connection is made. The connection cannot be used within it. On asyncio
        it runs on the loop's thread: while it waits, so does everything else. None takes the callback away.
        Raises TypeError for what is not callable, and for a coroutine function.
        """
        callbacks = as_registered(callback)
        self._change_peer(lambda peer: peer.with_callbacks(callbacks))

    @property
    def reverify_on_resumption(self) -> bool:
        """Whether the peer's path is verified again, as of now, when a session is resumed: True.

        False: the result of the last full handshake holds, even if a certificate has expired since; so an
        expired peer gets in for `max_resumption_age` seconds at most. Either way a session is resumed only
        under the settings that it began under, and the verify callback is always asked.
        """
        return self._settings.peer.reverify

    @reverify_on_resumption.setter
    def reverify_on_resumption(self, value: object) -> None:
        wanted = bool(value)
        self._change_peer(lambda peer: peer.with_reverify(wanted))

    @property
    def max_resumption_age(self) -> int:
        """For how many seconds after a full handshake its session is resumed: 86400 (24 hours).

        A full handshake is where the peer proves that it holds its key. After this time there is one again,
        however often the session was resumed and renewed in between; also where a session's time lies in the
        future, as after the clock was set back. 0 turns resumption off. On a server it bounds its tickets, on
        a client what `session=` offers. Other limits hold too: a server's ticket is good for 6 to 12 hours.

        Set it to an int or a datetime.timedelta (its whole seconds). Raises TypeError for anything else,
        ValueError for less than 0 and for more than 2**32 - 1 seconds.
        """
        return self._settings.peer.max_resumption_age

    @max_resumption_age.setter
    def max_resumption_age(self, value: int | timedelta) -> None:
        seconds = as_age(value)
        self._change_peer(lambda peer: peer.with_max_resumption_age(seconds))

    @property
    def unknown_revocation_status(self) -> UnknownStatus:
        """What becomes of a certificate for which no revocation list is loaded, where `verify_flags` ask.

        "refuse", as in `ssl`, or "accept". Either way a list that is out of date or signed by somebody else
        is a refusal. Raises ValueError for anything else.
        """
        return self._settings.peer.unknown_status

    @unknown_revocation_status.setter
    def unknown_revocation_status(self, value: UnknownStatus) -> None:
        status = as_status(value)
        self._change_peer(lambda peer: peer.with_unknown_status(status))

    @property
    def require_ocsp(self) -> bool:
        """Whether a client refuses a server that staples no good OCSP response (RFC 6066, section 8).

        A server whose certificate demands one (must-staple, RFC 7633) is refused without in any case, and a
        response that comes and is not good is a refusal too. Counts where certificates are validated, which
        CERT_NONE does not. Such a server's sessions are not taken up again: they bring no response along.
        """
        return self._settings.peer.require_ocsp

    @require_ocsp.setter
    def require_ocsp(self, value: object) -> None:
        wanted = bool(value)
        self._change_peer(lambda peer: peer.with_require_ocsp(wanted))
