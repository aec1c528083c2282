"""What a server's function returned for a context, before the server listens with it."""

from __future__ import annotations

import ssl

from veritls._context.context import SSLContext


def server_context(made: object) -> SSLContext:
    """`made`, where each connection of a server can begin with it.

    Raises TypeError for anything but a context of veritls, and ssl.SSLError or ValueError where its settings
    allow no server: a context for clients, or no version that is enabled. A server that found that out with
    its first connection could answer it in plain.
    """
    if not isinstance(made, SSLContext):
        raise TypeError(f"make_context must return a context of veritls, not {type(made).__name__}")
    made.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
    return made
