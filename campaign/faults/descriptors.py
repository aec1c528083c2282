"""No descriptor is left, or a few: at accept, at connect, and while files are loaded."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib
import os
import random
import resource
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from campaign.faults.running import Certificates, Seen, certificates, loop_factories, main
from tests.support.connections import SECONDS, client_context, in_thread, server_context, tls_pair
from tests.support.memory import connect


def _open() -> int:
    return len(os.listdir("/proc/self/fd")) - 1


@contextmanager
def exhausted(left: int) -> Iterator[None]:
    """`left` descriptors can be opened, and no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 8, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        for number in taken[:left]:
            os.close(number)
        del taken[:left]
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for number in taken:
            os.close(number)


class Round:
    """Steps that are tried without descriptors, and have to work once there are some."""

    def __init__(self, files: Certificates, seen: Seen) -> None:
        for name in ("telling", "log"):
            # The first refusal imports what tells of it: that is to be there before descriptors run out.
            importlib.import_module(f"veritls._connection.{name}")
        self.files, self.seen = files, seen
        self.server, self.client = server_context(files.server), client_context(files.ca)

    def _shown(self) -> Any:
        context = self.client
        return context.cert_store_stats(), context.get_ca_certs(True), context.keylog_filename

    def load(self, left: int) -> None:
        """What a load that fails leaves is what was there before; a second one works."""
        steps: dict[str, Callable[[], Any]] = {
            "load_verify_locations": lambda: self.client.load_verify_locations(self.files.other_ca),
            "load_verify_locations capath": lambda: self.client.load_verify_locations(
                capath=str(self.files.ca.parent)
            ),
            "load_cert_chain": lambda: self.client.load_cert_chain(self.files.client),
            "keylog_filename": lambda: setattr(
                self.client, "keylog_filename", str(self.files.ca.parent / "keys")
            ),
            "load_default_certs": lambda: self.client.load_default_certs(),
        }
        for name, step in steps.items():
            self.client = client_context(self.files.ca)
            before = self._shown()
            try:
                with exhausted(left):
                    step()
                self.seen.count("loads that worked")
            except OSError as error:
                self.seen.count("loads that failed")
                known = error.errno in (errno.EMFILE, errno.ENFILE)
                self.seen.expect(known, f"{name}: {error!r}")
                self.seen.expect(self._shown() == before, f"{name}: a load that failed changed the context")
            self.seen.expect(not connect(self.server, self.client).refused, f"{name}: refused afterwards")
            step()
            self.seen.expect(not connect(self.server, self.client).refused, f"{name}: refused once loaded")

    def make(self, left: int) -> None:
        """Connections to and from a process that cannot open sockets."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(SECONDS)
            with socket.create_connection(listener.getsockname(), SECONDS) as waiting:
                with exhausted(left):
                    try:
                        raw, _ = listener.accept()
                    except OSError as error:
                        self.seen.expect(error.errno == errno.EMFILE, f"accept: {error!r}")
                        self.seen.count("accepts that failed")
                        raw = None
                    try:
                        with socket.create_connection(listener.getsockname(), SECONDS) as more:
                            self.client.wrap_socket(
                                more, do_handshake_on_connect=False, server_hostname="x"
                            ).close()
                    except OSError as error:
                        self.seen.expect(error.errno == errno.EMFILE, f"connect: {error!r}")
                        self.seen.count("connects that failed")
                raw = raw or listener.accept()[0]
                raw.settimeout(SECONDS)
                with raw:
                    serving = in_thread(self.server.wrap_socket, raw, server_side=True)
                    near = self.client.wrap_socket(waiting, server_hostname="localhost")
                    with near, serving.result(SECONDS) as far:
                        far.sendall(b"after all")
                        self.seen.expect(near.recv(100) == b"after all", "the one that waited")

    def go_on(self, left: int) -> None:
        """A connection that is there handshakes, sends, receives and ends without another descriptor."""
        with tls_pair(self.server, self.client) as (server, client), tempfile.TemporaryFile() as file:
            file.write(b"x" * 100_000)
            file.seek(0)
            with exhausted(left):
                receiving = in_thread(client.recv, 100)
                server.sendall(b"still heard")
                self.seen.expect(receiving.result(SECONDS) == b"still heard", "a receiver without a bell")
                try:
                    server.sendfile(file)
                    sent = 100_000
                    self.seen.count("files that were sent")
                except OSError as error:
                    self.seen.expect(error.errno == errno.EMFILE, f"sendfile: {error!r}")
                    self.seen.count("files that could not be sent")
                    sent = 0
                    self.seen.expect(file.tell() == 0, "sendfile failed and moved the position")
            while sent > 0:
                sent -= len(client.recv(65_536))
            ending = in_thread(server.unwrap)
            with exhausted(left):
                client.unwrap()
                ending.result(SECONDS)
            self.seen.count("connections that went on")

    def on_a_loop(self, left: int, factory: Any) -> None:
        """A server that cannot accept for a while serves those that wait, and those that it had."""

        async def echo(reader: Any, writer: Any) -> None:
            with contextlib.suppress(OSError):
                while data := await reader.read(1000):
                    writer.write(data)
            writer.close()

        async def ask(reader: Any, writer: Any) -> bytes:
            writer.write(b"x")
            return bytes(await asyncio.wait_for(reader.read(10), SECONDS))

        async def serve() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda *_: None)
            server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=self.server)
            port = server.sockets[0].getsockname()[1]
            options = {"ssl": self.client, "server_hostname": "localhost"}
            old = await asyncio.open_connection("127.0.0.1", port, **options)
            with exhausted(left):
                try:
                    new = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port, **options), 0.3)
                    new[1].close()
                except (OSError, TimeoutError):
                    self.seen.count("connections on a loop that failed")
                self.seen.expect(await ask(*old) == b"x", "a loop's connection did not go on")
            # asyncio tries to accept again after a second.
            new = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port, **options), SECONDS)
            self.seen.expect(await ask(*new) == b"x", "a loop's server serves no more")
            for _, writer in (old, new):
                writer.close()
            server.close()
            self.seen.count("servers on a loop that went on")

        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(serve())


def work(seconds: float, seen: Seen) -> None:
    files = certificates()
    until = time.monotonic() + seconds
    factories = loop_factories()
    before = rounds = 0
    while rounds < 3 or time.monotonic() < until:
        one, left = Round(files, seen), random.randrange(4) if rounds else 0
        one.load(left)
        one.make(left)
        one.go_on(left)
        one.on_a_loop(left, factories[rounds % len(factories)])
        rounds += 1
        if rounds == 2:
            # What the process and the library of either loop keep.
            before = _open()
    seen.count("rounds", rounds)
    seen.expect(_open() <= before + 1, f"{_open() - before} descriptors are left behind")


if __name__ == "__main__":
    main(work)
