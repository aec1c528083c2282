"""Every peer."""

from __future__ import annotations

import importlib
from importlib.util import find_spec

from tests.peers.boringssl import BoringSSL
from tests.peers.caddy import Caddy, CaddyProxy
from tests.peers.curl import Curl
from tests.peers.gnutls import GnuTLS
from tests.peers.haproxy import HAProxy
from tests.peers.hitch import Hitch
from tests.peers.nginx import Nginx
from tests.peers.openssl import OpenSSL
from tests.peers.peer import Peer
from tests.peers.stdlib import Stdlib
from tests.peers.stunnel import Stunnel

PEERS: list[Peer] = [
    Stdlib(),
    OpenSSL(),
    GnuTLS(),
    Curl(),
    Nginx(),
    BoringSSL(),
    HAProxy(),
    Stunnel(),
    Hitch(),
    Caddy(),
    CaddyProxy(),
]

if find_spec("tests.peers.programs"):
    PEERS += importlib.import_module("tests.peers.programs").PROGRAMS
