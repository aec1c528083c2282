"""Applications behind a server see who its client is, and say which clients a path is for.

`Peer.of(scope)`: the validated identity of the client, in ASGI applications and in WSGI ones. `RequirePeer`:
a middleware with rules for paths. `require_peer`: the rule of one route. `veritls.serving.uvicorn`,
`veritls.serving.hypercorn`, `veritls.serving.gunicorn` and `veritls.serving.wsgi` have the servers put the
peer there; docs/deploying.md has each in full.

**What is trusted.** The peer comes from the connection that the request came over, and from nowhere else: not
from a header, and not from an address. `Peer.of` counts only what veritls put into the scope itself; a dict
of the same form, from a test or from a middleware that reads a proxy's headers, is nobody. Code that runs in
the same process can do whatever it likes, as always. A proxy in front that ends TLS is the peer, and whom it
serves is not known here.
"""

from veritls.serving.peer import Peer as Peer
from veritls.serving.policy import (
    ANY_PEER as ANY_PEER,
    ANYONE as ANYONE,
    RequirePeer as RequirePeer,
    require_peer as require_peer,
)

__all__ = ["ANYONE", "ANY_PEER", "Peer", "RequirePeer", "require_peer"]
