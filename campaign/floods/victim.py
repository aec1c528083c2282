"""The process that is flooded: ``python -m campaign.floods.victim MODULE TRANSPORT CERTIFICATE CA``.

MODULE is ssl or veritls, TRANSPORT blocking, loop or uvloop. It serves on the port that it prints. Commands
come on stdin, a line each, and each answer goes to stdout, as JSON: `stat`, `mark` (the peak of memory is
counted from now on), `connect PORT VERSION` (a client that reads to the end), `stop`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import socket
import ssl
import sys
import threading
import time
from pathlib import Path
from typing import Any

import veritls
import veritls.aio
from tests.support.connections import client_context, server_context

SECONDS = 20
_RECEIVE_BUFFER = 32 * 1024
"""What the kernel takes and nobody has read is small, so that what was sent is about what was read."""
_says = threading.Lock()


def say(**what: Any) -> None:
    with _says:
        print(json.dumps(what), flush=True)


def described(error: BaseException | None) -> str:
    if error is None:
        return "end of the stream"
    text = str(getattr(error, "reason", None) or error)
    if isinstance(error, ssl.SSLError) and error.args:
        text = str(error.args[-1])
    return f"{type(error).__name__}: {text}"


def memory(field: str) -> int:
    """A line of /proc/self/status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


class Contexts:
    """What both sides use: client certificates are asked for, and may be missing."""

    def __init__(self, module: Any, certificate: Path, ca: Path) -> None:
        self.server = server_context(certificate, module)
        self.server.load_verify_locations(ca)
        self.server.verify_mode = ssl.CERT_OPTIONAL
        self.ca, self.module = ca, module

    def client(self, version: str) -> Any:
        context = client_context(self.ca, self.module)
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
        context.set_ciphers("ECDHE+AESGCM+AES128")
        return context


def listener() -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    made.bind(("127.0.0.1", 0))
    made.listen(200)
    return made


def connected(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    made.settimeout(SECONDS)
    made.connect(("127.0.0.1", port))
    return made


class Blocking:
    """A thread for each connection."""

    def __init__(self, contexts: Contexts) -> None:
        self.contexts, self.listener = contexts, listener()
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            raw, _ = self.listener.accept()
            raw.settimeout(SECONDS)
            options = {"server_side": True}
            threading.Thread(target=self._use, args=(self.contexts.server, raw, options), daemon=True).start()

    def connect(self, port: int, version: str) -> None:
        options = {"server_hostname": "localhost"}
        arguments = (self.contexts.client(version), connected(port), options)
        threading.Thread(target=self._use, args=arguments, daemon=True).start()

    def _use(self, context: Any, raw: socket.socket, options: Any) -> None:
        error, read, peer = None, 0, raw.getpeername()[1]
        try:
            with raw, context.wrap_socket(raw, **options) as tls:
                while data := tls.recv(65_536):
                    read += len(data)
                    if data.startswith(b"echo"):
                        tls.sendall(data)
        except OSError as raised:
            error = raised
        say(ended=described(error), read=read, peer=peer)


class _Reader(asyncio.Protocol):
    def __init__(self) -> None:
        self.read = 0
        self.transport: Any = None
        self.peer = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.peer = transport.get_extra_info("peername")[1]

    def data_received(self, data: bytes) -> None:
        self.read += len(data)
        if data.startswith(b"echo"):
            self.transport.write(data)

    def connection_lost(self, error: BaseException | None) -> None:
        say(ended=described(error), read=self.read, peer=self.peer)


class OnLoop:
    """All connections on one event loop, in a thread of its own."""

    def __init__(self, contexts: Contexts, factory: Any) -> None:
        self.contexts, self.factory = contexts, factory
        self.port = 0
        self.loop: Any = None
        ready = threading.Event()
        threading.Thread(target=self._run, args=(ready,), daemon=True).start()
        ready.wait(SECONDS)

    def _run(self, ready: threading.Event) -> None:
        with asyncio.Runner(loop_factory=self.factory) as runner:
            runner.run(self._serve(ready))

    async def _serve(self, ready: threading.Event) -> None:
        self.loop = asyncio.get_running_loop()
        self.loop.set_exception_handler(lambda _, context: None)
        made = listener()
        made.setblocking(False)
        self.port = made.getsockname()[1]
        server = await self.loop.create_server(_Reader, sock=made, ssl=self.contexts.server)
        ready.set()
        await server.serve_forever()

    def connect(self, port: int, version: str) -> None:
        context = self.contexts.client(version)

        async def connect() -> None:
            raw = connected(port)
            raw.setblocking(False)
            try:
                await self.loop.create_connection(_Reader, sock=raw, ssl=context, server_hostname="localhost")
            except OSError as error:
                say(ended=described(error), read=0, peer=port)

        self.loop.call_soon_threadsafe(lambda: self.loop.create_task(connect()))


def factory(module: str, transport: str) -> Any:
    if transport == "uvloop":
        import uvloop

        return veritls.aio.UvloopEventLoop if module == "veritls" else uvloop.new_event_loop
    return veritls.aio.EventLoop if module == "veritls" else asyncio.SelectorEventLoop


def main(module: str, transport: str, certificate: str, ca: str) -> None:
    contexts = Contexts(veritls if module == "veritls" else ssl, Path(certificate), Path(ca))
    victim: Any = (
        Blocking(contexts) if transport == "blocking" else OnLoop(contexts, factory(module, transport))
    )
    say(port=victim.port)
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "stat":
            say(
                cpu=time.process_time(),
                resident=memory("VmRSS"),
                peak=memory("VmHWM"),
                descriptors=len(os.listdir("/proc/self/fd")),
            )
        elif command == "mark":
            with contextlib.suppress(OSError):
                Path("/proc/self/clear_refs").write_text("5")
            say(marked=True)
        elif command == "connect":
            victim.connect(int(arguments[0]), arguments[1])
        elif command == "stop":
            break
    os._exit(0)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main(*sys.argv[1:])
