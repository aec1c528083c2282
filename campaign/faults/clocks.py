"""The clock jumps, by libfaketime: what is valid is what it says, and timeouts do not care."""

from __future__ import annotations

import asyncio
import datetime
import glob
import os
import random
import ssl
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import veritls
from campaign.faults.running import Seen, loop_factories, main
from tests.support.certificates import DAY, Party, pem
from tests.support.connections import client_context, in_thread, server_context, tls_pair
from tests.support.memory import connect

_FILE = "VERITLS_FAULT_CLOCK"
_HOUR = 3600
_YEAR = 365 * 24 * _HOUR


def environment() -> Mapping[str, str] | None:
    """Of a process whose clock `Clock` moves; None where libfaketime is not installed."""
    for library in glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1"):
        number, name = tempfile.mkstemp(prefix="veritls-clock-")
        os.write(number, b"+0")
        os.close(number)
        return {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": name,
            "FAKETIME_NO_CACHE": "1",
            # What timeouts go by cannot be set on any machine.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            _FILE: name,
        }
    return None


class Clock:
    def __init__(self) -> None:
        self._file = Path(os.environ[_FILE])

    def move(self, seconds: int) -> None:
        """So many seconds before or after the true time."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}")
        new.replace(self._file)


class Jumps:
    """A server and a client below one CA, certificates of 60 days and a CRL of one."""

    def __init__(self, seen: Seen) -> None:
        self.clock, self.seen = Clock(), seen
        self.ca = Party("a CA", ca=True)
        folder = Path(tempfile.mkdtemp(prefix="veritls-fault-"))
        self.path = folder / "ca.pem"
        self.path.write_bytes(self.ca.pem)
        self.identity = self.ca.issue("localhost").file(folder)
        self.crl = folder / "crl.pem"
        self.crl.write_bytes(pem(self.ca.crl(until=_now() + DAY)))

    def contexts(self, version: Any = ssl.TLSVersion.TLSv1_3) -> tuple[Any, Any]:
        server, client = server_context(self.identity), client_context(self.path)
        server.minimum_version = server.maximum_version = version
        return server, client

    def expect(self, moved: int, accepted: bool, contexts: tuple[Any, Any], what: str) -> None:
        self.clock.move(moved)
        outcome = connect(*contexts)
        self.clock.move(0)
        self.seen.count("handshakes under a clock that is off")
        self.seen.expect(outcome.refused is not accepted, f"{what}: {outcome.client_error!r}")
        error = outcome.client_error
        verified = isinstance(error, veritls.SSLCertVerificationError)
        self.seen.expect(accepted or verified, f"{what}: refused with {error!r}")

    def certificates(self) -> None:
        """The same contexts throughout: nothing that was found once is taken for true later."""
        contexts = self.contexts()
        for _ in range(5):
            days = random.randrange(-28, 29)
            self.expect(days * 24 * _HOUR, True, contexts, f"a certificate of 60 days, {days} days off")
            self.expect(random.randrange(1, 20) * _YEAR, False, contexts, "a certificate that expired")
            self.expect(
                -random.randrange(1, 20) * _YEAR, False, contexts, "a certificate that is not yet valid"
            )
            self.expect(0, True, contexts, "a clock that is right again")

    def crls(self) -> None:
        server, client = self.contexts()
        client.load_verify_locations(self.crl)
        client.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        self.expect(0, True, (server, client), "a CRL of today")
        self.expect(2 * 24 * _HOUR, False, (server, client), "a CRL that is out of date")
        self.expect(0, True, (server, client), "a CRL of today, again")

    def sessions(self, version: Any) -> None:
        """Resumed within a day of the full handshake, and not after it, nor before it happened."""
        server, client = self.contexts(version)
        with tls_pair(server, client) as (far, near):
            far.sendall(b"x")
            near.recv(1)
            session = near.session
        for moved, resumed in (
            (0, True),
            (_HOUR, True),
            (25 * _HOUR, False),
            (-2 * _HOUR, None),
            (20 * 24 * _HOUR, False),
        ):
            self.clock.move(moved)
            outcome = connect(server, client, session=session)
            self.clock.move(0)
            self.seen.count("sessions offered")
            self.seen.expect(not outcome.refused, f"{version.name}: {outcome.client_error!r}")
            got = bool(outcome.client.session_reused)
            self.seen.expect(resumed in (None, got), f"{version.name}, {moved} s: resumed is {got}")
        # An old session of a certificate that has expired since is no way around its end.
        self.clock.move(2 * _YEAR)
        outcome = connect(server, client, session=session)
        self.clock.move(0)
        self.seen.expect(outcome.refused, f"{version.name}: a session outlived its certificate")

    def timeouts(self) -> None:
        """A wait of 0.2 s ends, however the clock jumps meanwhile, and none ends before its time."""
        with tls_pair(*self.contexts()) as (far, near):
            for moved in (_YEAR, -_YEAR):
                near.settimeout(0.2)
                waiting = in_thread(near.recv, 1)
                self.clock.move(moved)
                self.seen.expect(isinstance(waiting.exception(30), TimeoutError), "a timeout and a clock")
                near.settimeout(30)
                waiting = in_thread(near.recv, 1)
                self.clock.move(-moved)
                far.sendall(b"x")
                self.seen.expect(waiting.result(30) == b"x", "a wait and a clock")
                self.clock.move(0)
                self.seen.count("waits")

    def loops(self, factory: Any) -> None:
        server, client = self.contexts()

        async def echo(reader: Any, writer: Any) -> None:
            writer.write(await reader.read(100))
            await writer.drain()
            writer.close()

        async def jump() -> None:
            listening = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server)
            port = listening.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=client, server_hostname="localhost"
            )
            self.clock.move(random.choice([_YEAR, -_YEAR]))
            writer.write(b"x")
            self.seen.expect(await asyncio.wait_for(reader.read(1), 30) == b"x", "a loop and a clock")
            try:
                await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname="localhost")
                self.seen.expect(False, "a loop took a certificate that is not valid")
            except veritls.SSLCertVerificationError:
                self.seen.count("refusals on a loop")
            self.clock.move(0)
            writer.close()
            listening.close()

        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(jump())


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)


def work(seconds: float, seen: Seen) -> None:
    jumps, until, rounds = Jumps(seen), time.monotonic() + seconds, 0
    while rounds < 1 or time.monotonic() < until:
        jumps.certificates()
        jumps.crls()
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            jumps.sessions(version)
        jumps.timeouts()
        for factory in loop_factories():
            jumps.loops(factory)
        rounds += 1
    seen.count("rounds", rounds)


if __name__ == "__main__":
    main(work)
