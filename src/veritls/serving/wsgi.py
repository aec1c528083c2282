"""WSGI: who the client is, under the names that mod_ssl and nginx have for it, in the environ.

``SSLEnviron(app)`` under gunicorn (`veritls.serving.gunicorn` does so by itself), `WSGIRequestHandler` under
`wsgiref.simple_server`, and `environ_of` for anything else that has the connection.

A client cannot set them: they have no HTTP_ before them, which every header gets. Headers that programs
behind a proxy read for the same are removed, because no proxy is in front of this server's TLS.
"""

from __future__ import annotations

import hashlib
import re
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from functools import lru_cache
from typing import Any
from wsgiref import simple_server

from veritls import _engine
from veritls._connection.state import ConnectionState
from veritls._loading.certificates import decoded, described, name_text
from veritls.serving.peer import KEY, Facts, Peer, facts_of

__all__ = [
    "SSLEnviron",
    "WSGIRequestHandler",
    "environ_of",
]

MOST_CERTIFICATES = 64
"""Certificates whose variables are kept: each request of a connection has them."""
MOST_NAMES = 100
"""Names of one kind, of subjectAltName or of a subject, that get a variable."""

_HEADERS = re.compile(
    "HTTP_(?:"
    "(?:.*_)?(?:SSL|MTLS|HTTPS)(?:_.*)?"
    "|.*(?:CLIENT|PEER)_?CERT.*"
    "|(?:.*_)?TLS_(?:CLIENT|PEER|VERIFY|CERT).*"
    "|(?:.*_)?(?:CLIENT|PEER)_(?:VERIFY|VERIFIED|DN|S_DN|I_DN|CN|SUBJECT|ISSUER|SAN|SERIAL|FINGERPRINT)(?:_.*)?"
    "|X_FORWARDED_TLS(?:_.*)?"
    ")"
)
"""Headers that are read for whom a proxy has verified: SSL-Client-*, X-SSL-*, X-Client-Cert, Client-Cert
(RFC 9440), X-Forwarded-Client-Cert, X-Forwarded-TLS-Client-Cert, X-Amzn-Mtls-* and their like."""

_OWN = re.compile("SSL_.*|HTTPS")

_SHORT = {
    "commonName": "CN",
    "countryName": "C",
    "stateOrProvinceName": "ST",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "title": "T",
    "givenName": "G",
    "surname": "S",
    "userId": "UID",
    "domainComponent": "DC",
    "emailAddress": "Email",
}
"""mod_ssl's names of attributes."""
_SAN = {"DNS": "DNS", "email": "Email", "URI": "URI", "IP Address": "IP"}
_VERSIONS = {0x0303: "TLSv1.2", 0x0304: "TLSv1.3"}


def strip(environ: MutableMapping[str, Any]) -> None:
    """Removes what a client, or whatever is in front of this server, says of a certificate."""
    for name in [name for name in environ if _HEADERS.fullmatch(name) or _OWN.fullmatch(name) or name == KEY]:
        del environ[name]


def _native(text: str) -> str:
    """As PEP 3333 has it: UTF-8 as characters of Latin-1."""
    return text.encode("utf-8", "backslashreplace").decode("latin-1")


def _escaped(text: str) -> str:
    """Without control characters, which RFC 4514 lets one write as hex: such a value ends up in a header."""
    return re.sub("[\x00-\x1f\x7f]", lambda found: f"\\{ord(found[0]):02X}", text)


def _numbered(found: dict[str, str], name: str, values: Iterable[str]) -> None:
    for number, value in zip(range(MOST_NAMES), values, strict=False):
        found[f"{name}_{number}"] = value


def _attributes(found: dict[str, str], prefix: str, name: Any) -> None:
    """The attributes of a subject: the first as ..._CN, all of them as ..._CN_0, ..._CN_1."""
    values: dict[str, list[str]] = {}
    for rdn in name:
        for kind, value in rdn:
            short = _SHORT.get(kind)
            if short is not None and isinstance(value, str):
                values.setdefault(short, []).append(_escaped(value))
    for short, several in values.items():
        found[f"{prefix}_{short}"] = several[0]
        if len(several) > 1:
            _numbered(found, f"{prefix}_{short}", several)


@lru_cache(MOST_CERTIFICATES)
def _of_certificate(prefix: str, der: bytes) -> Mapping[str, str]:
    shown = decoded(der)
    _, issuer = _engine.names(der)
    found = {
        f"{prefix}_S_DN": _escaped(described(der)[0]),
        f"{prefix}_I_DN": _escaped(name_text(issuer)),
        f"{prefix}_M_VERSION": str(shown["version"]),
        f"{prefix}_M_SERIAL": shown["serialNumber"],
        f"{prefix}_V_START": shown["notBefore"],
        f"{prefix}_V_END": shown["notAfter"],
        f"{prefix}_CERT": ssl.DER_cert_to_PEM_cert(der),
    }
    _attributes(found, f"{prefix}_S_DN", shown["subject"])
    _attributes(found, f"{prefix}_I_DN", shown["issuer"])
    kinds: dict[str, list[str]] = {}
    for kind, value in shown.get("subjectAltName", ()):
        if kind in _SAN and isinstance(value, str):
            kinds.setdefault(_SAN[kind], []).append(_escaped(value))
    for kind, values in kinds.items():
        _numbered(found, f"{prefix}_SAN_{kind}", values)
    return found


def _of_client(peer: Peer) -> dict[str, str]:
    found = dict(_of_certificate("SSL_CLIENT", peer.certificate))
    ends = ssl.cert_time_to_seconds(found["SSL_CLIENT_V_END"])
    found["SSL_CLIENT_V_REMAIN"] = str(max(0, int(ends - time.time()) // 86_400))
    found["SSL_CLIENT_SERIAL"] = found["SSL_CLIENT_M_SERIAL"]
    found["SSL_CLIENT_FINGERPRINT"] = hashlib.sha1(peer.certificate, usedforsecurity=False).hexdigest()
    _numbered(found, "SSL_CLIENT_CERT_CHAIN", map(ssl.DER_cert_to_PEM_cert, peer.chain[1:]))
    return found


def environ_of(connection: object) -> dict[str, Any]:
    """The variables of a server's connection of veritls; empty for anything else.

    Text is as PEP 3333 has it. SSL_CLIENT_VERIFY is SUCCESS or NONE: a client whose certificate fails is
    refused in the handshake. `Peer.of` finds the client in it, too.
    """
    facts = facts_of(connection)
    if facts is None or not isinstance(connection, ConnectionState):
        return {}
    return _variables(connection, facts)


def _variables(connection: ConnectionState, facts: Facts) -> dict[str, Any]:
    peer, cipher = facts.peer, connection.cipher()
    found = {
        "HTTPS": "on",
        "SSL_PROTOCOL": _VERSIONS.get(facts.tls_version, ""),
        "SSL_CIPHER": cipher[0] if cipher is not None else "",
        "SSL_CIPHER_USEKEYSIZE": str(cipher[2]) if cipher is not None else "",
        "SSL_SESSION_RESUMED": "Resumed" if connection.session_reused else "Initial",
        "SSL_CLIENT_VERIFY": "NONE" if peer is None else "SUCCESS",
    }
    stream = connection._agreed()
    if stream is not None and stream.own_certificate is not None:
        found |= _of_certificate("SSL_SERVER", stream.own_certificate)
    if peer is not None:
        found |= _of_client(peer)
    return {name: _native(value) for name, value in found.items()} | {
        KEY: facts.extension(connection._address())
    }


class SSLEnviron:
    """A WSGI application with the variables in its environ, under a server that shows its socket there.

    gunicorn does, as ``gunicorn.socket``. A request that came over no connection of veritls gets none, and
    its headers of those names are removed all the same.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        strip(environ)
        environ.update(environ_of(environ.get("gunicorn.socket")))
        return self._app(environ, start_response)


class WSGIRequestHandler(simple_server.WSGIRequestHandler):
    """For `wsgiref.simple_server.make_server`, as its `handler_class`."""

    def get_environ(self) -> Any:
        """The environ of wsgiref with the variables."""
        environ: Any = super().get_environ()
        strip(environ)
        environ.update(environ_of(self.connection))
        return environ
