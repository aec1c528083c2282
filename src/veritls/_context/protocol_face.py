"""SSLContext's members about the protocol: versions, suites, groups, ALPN, tickets, key log."""

from __future__ import annotations

import os
import ssl
import warnings
from collections.abc import Iterable
from dataclasses import replace
from operator import index
from typing import Any

from veritls._context import cipher_suites as ciphers, groups, keylog
from veritls._context.face import Face
from veritls._context.protocol import as_alpn, as_group, as_groups, as_suites, as_tls13_suites, as_version
from veritls._explaining.reasons import ssl_error
from veritls._loading.pem import StrPath, pem_blocks, read_file

_NO_SIGALGS = (
    "{} is not offered: any algorithm of get_sigalgs() may sign a handshake, and each of them is good"
)
_NO_VERSION = (
    ssl.OP_NO_SSLv2
    | ssl.OP_NO_SSLv3
    | ssl.OP_NO_TLSv1
    | ssl.OP_NO_TLSv1_1
    | ssl.OP_NO_TLSv1_2
    | ssl.OP_NO_TLSv1_3
)


class ProtocolFace(Face):
    """A part of SSLContext. A change holds for connections made after it."""

    @property
    def protocol(self) -> ssl._SSLMethod:
        """The protocol constant that the context was made with."""
        return self._settings.protocol.method

    @property
    def minimum_version(self) -> ssl.TLSVersion:
        """The oldest version to accept. Whatever is set, none older than TLS 1.2 is ever spoken."""
        return self._settings.protocol.minimum

    @minimum_version.setter
    def minimum_version(self, value: int) -> None:
        version = as_version(value)
        self._change_protocol(lambda protocol: protocol.with_minimum(version))

    @property
    def maximum_version(self) -> ssl.TLSVersion:
        """The newest version to accept. Raises ValueError for one before TLS 1.2: those are not offered."""
        return self._settings.protocol.maximum

    @maximum_version.setter
    def maximum_version(self, value: int) -> None:
        version = as_version(value)
        self._change_protocol(lambda protocol: protocol.with_maximum(version))

    @property
    def options(self) -> ssl.Options:
        """Flags of `ssl`. These count: OP_NO_TLSv1_2, OP_NO_TLSv1_3, OP_NO_TICKET (no resumption),
        OP_CIPHER_SERVER_PREFERENCE. What others forbid is never done here; docs/compatibility.md lists all.
        """
        return self._settings.protocol.options

    @options.setter
    def options(self, value: int) -> None:
        number = index(value)
        if not 0 <= number < 1 << 64:
            raise OverflowError("options must be a number of 64 bits")
        flags = ssl.Options(number)
        if flags & ~self._settings.protocol.options & _NO_VERSION:
            words = "ssl.OP_NO_SSL*/ssl.OP_NO_TLS* options are deprecated"
            warnings.warn(words, category=DeprecationWarning, stacklevel=2)
        self._change_protocol(lambda protocol: replace(protocol, options=flags))

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """The application protocols to offer or accept, best first (RFC 7301); 1 to 255 bytes each."""
        names = as_alpn(alpn_protocols)
        self._change_protocol(lambda protocol: protocol.with_alpn(names))

    def set_npn_protocols(self, npn_protocols: Iterable[str]) -> None:
        """Raises NotImplementedError: NPN, the forerunner of ALPN, is not offered (`ssl.HAS_NPN`)."""
        raise NotImplementedError("NPN is not offered: use set_alpn_protocols")

    def set_ciphers(self, ciphers: str) -> None:
        """The TLS 1.2 suites to use, as an OpenSSL cipher string over those that exist here.

        One that names only suites of OpenSSL's that are not offered, such as "TLSv1", leaves TLS 1.3 alone.
        Raises ssl.SSLError where it selects nothing with OpenSSL either.
        """
        suites = as_suites(ciphers)
        self._change_protocol(lambda protocol: protocol.with_ciphers(suites))

    def set_ciphersuites(self, ciphersuites: str) -> None:
        """The TLS 1.3 suites to use: names separated by colons. Raises ssl.SSLError for an unknown one."""
        suites = as_tls13_suites(ciphersuites)
        self._change_protocol(lambda protocol: protocol.with_ciphersuites(suites))

    def get_ciphers(self) -> list[dict[str, Any]]:
        """The suites in use, best first, described as `ssl` documents."""
        protocol = self._settings.protocol
        return [suite.described() for suite in protocol.tls13_suites + protocol.tls12_suites]

    def set_groups(self, groups: str) -> None:
        """The key exchange groups to use: names separated by colons, best first; ``?`` marks an optional one.

        Raises ssl.SSLError for a name that does not exist here.
        """
        numbers = as_groups(groups)
        self._change_protocol(lambda protocol: protocol.with_groups(numbers))

    def get_groups(self, *, include_aliases: bool = False) -> list[str]:
        """The names of the groups in use, best first; with `include_aliases` their other names too."""
        numbers = self._settings.protocol.groups
        names = [groups.NAMES.get(number, (groups.name_of(number),)) for number in numbers]
        return [name for known in names for name in (known if include_aliases else known[:1])]

    def set_client_sigalgs(self, sigalgslist: str, /) -> None:
        """Raises NotImplementedError: the engine takes all of `get_sigalgs`, each of which is good."""
        raise NotImplementedError(_NO_SIGALGS.format("set_client_sigalgs"))

    def set_server_sigalgs(self, sigalgslist: str, /) -> None:
        """Raises NotImplementedError: the engine takes all of `get_sigalgs`, each of which is good."""
        raise NotImplementedError(_NO_SIGALGS.format("set_server_sigalgs"))

    def set_ecdh_curve(self, name: str | bytes) -> None:
        """The one key exchange group to use. Raises ValueError for a name that does not exist here."""
        numbers = as_group(name)
        self._change_protocol(lambda protocol: protocol.with_groups(numbers))

    def load_dh_params(self, path: StrPath) -> None:
        """Reads the PEM file and warns: they have no effect, because no suite here uses finite-field DH.

        Raises OSError for a file that cannot be read, ssl.SSLError for one without DH parameters.
        """
        if b"DH PARAMETERS" not in dict(pem_blocks(read_file(path, "DH parameters"))):
            words = f"no start line: no DH parameters in {os.fsdecode(path)!r}"
            raise ssl_error("NO_START_LINE", words, library="PEM")
        words = "DH parameters have no effect: no cipher suite here uses finite-field Diffie-Hellman"
        warnings.warn(words, category=RuntimeWarning, stacklevel=2)

    @property
    def num_tickets(self) -> int:
        """How many tickets a server sends after a TLS 1.3 handshake: 2, at most 255.

        Raises TypeError for what is no integer, ValueError for one that is out of range and on a client.
        """
        return self._settings.protocol.tickets

    @num_tickets.setter
    def num_tickets(self, value: int) -> None:
        count = index(value)
        self._change_protocol(lambda protocol: protocol.with_tickets(count))

    @property
    def keylog_filename(self) -> str | None:
        """A file to which the secrets of every connection are appended, or None. For debugging only.

        Whoever reads it reads the traffic: it is made for its owner alone (mode 0600). Raises
        OSError if it cannot be written.
        """
        return self._settings.protocol.keylog

    @keylog_filename.setter
    def keylog_filename(self, value: StrPath | None) -> None:
        path = os.fsdecode(value) if value is not None else None
        if path is not None:
            keylog.begin(path)
        self._change_protocol(lambda protocol: replace(protocol, keylog=path))

    @property
    def security_level(self) -> int:
        """2, in OpenSSL's terms: it cannot be lowered."""
        return ciphers.MAX_LEVEL

    @property
    def post_handshake_auth(self) -> None:
        """None, which is the answer of `ssl` where post-handshake authentication is not available."""
        return None

    @property
    def _msg_callback(self) -> None:
        """None: the engine does not show its messages."""
        return None

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("this belongs to the standard module's own engine")

    _wrap_socket = _wrap_bio = _set_alpn_protocols = _refuse

    def set_psk_client_callback(self, callback: Any) -> None:
        """Raises NotImplementedError: pre-shared keys are not offered (`HAS_PSK`)."""
        raise NotImplementedError("pre-shared keys are not offered")

    def set_psk_server_callback(self, callback: Any, identity_hint: str | None = None) -> None:
        """Raises NotImplementedError: pre-shared keys are not offered (`HAS_PSK`)."""
        raise NotImplementedError("pre-shared keys are not offered")

    def session_stats(self) -> dict[str, int]:
        """This context's handshakes, in the terms of `ssl`; what does not exist counts 0."""
        (connect, connect_good, resumed), (accept, accept_good, hits) = self._settings.statistics.read()
        return {
            "number": 0,
            "connect": connect,
            "connect_good": connect_good,
            "connect_renegotiate": 0,
            "accept": accept,
            "accept_good": accept_good,
            "accept_renegotiate": 0,
            "hits": resumed + hits,
            "misses": 0,
            "timeouts": 0,
            "cache_full": 0,
        }
