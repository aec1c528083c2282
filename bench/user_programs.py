"""What the measurements of whole processes run: programs as a user would write them, for one module each."""

from __future__ import annotations

import textwrap

from bench.harness import Entrant, Pairs
from bench.recipe import SERVER_NAME
from bench.work import Job

BARE = "pass"
"""The interpreter alone."""

LAUNCHER, SERVER = "TCP", "ssl"
"""The contestants whose processes start the programs and answer them: the same for all."""


def importing(module: str) -> str:
    return f"import {module}"


def requesting(module: str, *, system: bool) -> str:
    """One request with Python's sockets. `system`: trusts the system's CAs, and the server's in addition."""
    trusting = (
        "context = tls.create_default_context()\ncontext.load_verify_locations(sys.argv[2])"
        if system
        else "context = tls.create_default_context(cafile=sys.argv[2])"
    )
    return f"""
import socket
import sys

import {module} as tls

{trusting}
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=30) as plain:
    with context.wrap_socket(plain, server_hostname="{SERVER_NAME}") as connection:
        connection.sendall(b"GET / HTTP/1.1\\r\\nHost: {SERVER_NAME}\\r\\nConnection: close\\r\\n\\r\\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
"""


def counting_trust(module: str) -> str:
    """Fails where the system's trust is not read when a context is made, but later or not at all."""
    return f"""
import {module} as tls

known = len(tls.create_default_context().get_ca_certs())
assert known > 1, "no file of the system's trust is read when a context is made"
"""


def _timed(before: str, use: str, *, awaits: bool = False) -> str:
    """A program that does `use` as often as its last argument says, and prints what each time took."""
    indented = textwrap.indent(use.strip(), " " * 8)
    head, run = (
        ("async def main():", "import asyncio\nasyncio.run(main())") if awaits else ("def main():", "main()")
    )
    return f"""
import sys
import time

{before}

{head}
    for _ in range(int(sys.argv[-1])):
        clock, processor = time.perf_counter(), time.process_time()
{indented}
        took.append((time.perf_counter() - clock, time.process_time() - processor))

took = []
{run}
for each in took:
    print(*each)
"""


def making_contexts(module: str, cafile: str | None) -> str:
    argument = f"cafile={cafile!r}" if cafile else ""
    return _timed(f"import {module} as tls", f"context = tls.create_default_context({argument})")


_LIBRARIES = {
    "httpx": """
with httpx.Client() as client:
    client.get(url).raise_for_status()
""",
    "requests": "requests.get(url, timeout=30).raise_for_status()",
    "aiohttp": """
async with aiohttp.ClientSession() as session, session.get(url) as response:
    response.raise_for_status()
    await response.read()
""",
}
LIBRARIES = tuple(_LIBRARIES)
"""HTTP clients that make their contexts themselves."""


def using_a_library(library: str, module: str) -> str:
    """A client made and used once, as often as the program is told, in the way of docs/migrating.md."""
    injecting = "" if module == "ssl" else f"import {module}\n{module}.inject()\n"
    before = f"{injecting}import {library}\nurl = 'https://{SERVER_NAME}:' + sys.argv[1]"
    return _timed(before, _LIBRARIES[library], awaits=library == "aiohttp")


class Program(Entrant):
    """Starts processes of its own, as many a turn as the job says: see `bench.work.processes`.

    The job's `measure` names what is compared, its `what`: "wall" and "cpu" in milliseconds, "peak" in MiB.
    """

    def turn(self, pairs: Pairs, seconds: float) -> Job:
        if self._rate is None:
            if self.qualify is not None:
                self.qualify(pairs, self)
            self._start(pairs, self.job | {"count": 1})  # compiles, and fills the file system's caches
            self._rate = 1.0
        result = self._start(pairs, self.job)
        measured, process = result[self.job["measure"]], result["process"]
        beside = result.get("beside", dict.fromkeys(process, 0))
        scale = {"wall": 1e3, "cpu": 1e3, "peak": 1 / 1024}[self.job["what"]]
        turn = {
            "value": (measured[self.job["what"]] - beside[self.job["what"]]) * scale,
            **{f"process_{key}": each for key, each in process.items()},
        }
        if self.job["what"] == "wall":
            turn["cpu"] = measured["cpu"] - beside["cpu"]
        return turn

    def _start(self, pairs: Pairs, job: Job) -> Job:
        job = job | {"do": "processes"}
        if "requests" not in job:
            return pairs.run(self.contestant, job, 90, alone=True)[1]
        job["connections"] = job["count"] * job["requests"]
        return pairs.run(self.contestant, job, 90, server=SERVER)[1]
