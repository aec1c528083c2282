"""Handshakes between two MemoryBIOs, one step after the other on one thread: the outcome at both ends."""

from __future__ import annotations

import contextlib
import ssl
from dataclasses import dataclass
from typing import Any

import veritls


@dataclass
class Outcome:
    """Both ends, and the error of each, where it had one."""

    server: Any
    client: Any
    server_error: Any = None
    client_error: Any = None

    @property
    def refused(self) -> bool:
        return self.server_error is not None or self.client_error is not None


def memory_pair(
    server: Any, client: Any, name: str | None = "localhost", session: Any = None, module: Any = veritls
) -> tuple[Any, Any]:
    """Both ends over two MemoryBIOs of `module`, before the handshake: (server's, client's)."""
    to_server, to_client = module.MemoryBIO(), module.MemoryBIO()
    client_end = client.wrap_bio(to_client, to_server, server_hostname=name, session=session)
    return server.wrap_bio(to_server, to_client, server_side=True), client_end


def handshake(server_end: Any, client_end: Any) -> None:
    """The handshake of a `memory_pair`. Raises the first error of either end."""
    waiting = [client_end, server_end]
    for _ in range(20):
        for end in list(waiting):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
                waiting.remove(end)
        if not waiting:
            return
    raise AssertionError("the handshake does not come to an end")


def connect(server: Any, client: Any, name: str | None = "localhost", session: Any = None) -> Outcome:
    """A handshake and a byte each way. Either may be the standard module's."""
    ours = all(isinstance(each, veritls.SSLContext) for each in (server, client))
    outcome = Outcome(*memory_pair(server, client, name, session, veritls if ours else ssl))
    steps = {"server": _life(outcome.server, b"s"), "client": _life(outcome.client, b"c")}
    for _ in range(20):
        for side, life in list(steps.items()):
            try:
                next(life)
            except StopIteration:
                del steps[side]
            except BaseException as error:
                setattr(outcome, f"{side}_error", error)
                del steps[side]
        if not steps:
            return outcome
    raise AssertionError("the two ends do not come to an end")


def _life(end: Any, byte: bytes) -> Any:
    """Each step goes as far as it can without more from the peer."""
    said = False
    while True:
        try:
            end.do_handshake()
            if not said:
                end.write(byte)
                said = True
            end.read(1)
            return
        except ssl.SSLWantReadError:
            yield
