"""What a fleet gains: `python -m tests.operate.fleet_measure`, as root, for docs/decisions/0072.

Four uvicorn workers in each of two network namespaces, and one Redis. A client goes from one host to the
other with the session of the connection before: once where each worker has keys of its own, once where they
share keys by the Redis. Prints how many resumptions succeed of those asked for of a worker that had not
issued the ticket, and the processor time of all workers for each connection, in turns.
"""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.operate.processes import ROOT
from tests.operate.stores import Store
from tests.resumption.attacks import World, our_client

WORKERS, CONNECTIONS, TURNS = 4, 400, 4


def run(*command: str) -> None:
    subprocess.run(command, check=True)


@contextmanager
def namespace(number: int) -> Iterator[str]:
    """A network namespace with an address that this one reaches."""
    name, ours, theirs = f"veritls{number}", f"vtls{number}a", f"vtls{number}b"
    run("ip", "netns", "add", name)
    try:
        run("ip", "link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", name)
        run("ip", "addr", "add", f"10.77.{number}.1/30", "dev", ours)
        run("ip", "link", "set", ours, "up")
        for device in (theirs, "lo"):
            run("ip", "-n", name, "link", "set", device, "up")
        run("ip", "-n", name, "addr", "add", f"10.77.{number}.2/30", "dev", theirs)
        yield name
    finally:
        run("ip", "netns", "del", name)


class Host:
    """One host of a fleet in a namespace."""

    def __init__(self, stack: ExitStack, namespace: str, number: int, arguments: list[str]) -> None:
        command = ["ip", "netns", "exec", namespace, sys.executable, "-m", "tests.operate.fleet_host"]
        self.process = subprocess.Popen([*command, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        stack.callback(self.process.terminate)
        assert self.process.stdout is not None
        self.address = (f"10.77.{number}.2", int(self.process.stdout.readline()))


def connect(client: Any, address: tuple[str, int], session: Any) -> tuple[int, bool, Any]:
    raw = socket.create_connection(address, timeout=30)
    with client.wrap_socket(raw, server_hostname="a.example", session=session) as end:
        end.sendall(b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: end.recv(10_000), b""))
        return int(answer.rpartition(b"\r\n\r\n")[2]), bool(end.session_reused), end.session


def processor_time(workers: set[int]) -> float:
    """Seconds that these processes have had."""
    tasks = (task for pid in workers for task in Path(f"/proc/{pid}/task").iterdir())
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def workers_of(client: Any, hosts: list[Host]) -> set[int]:
    found: set[int] = set()
    for _ in range(2000):
        found |= {connect(client, host.address, None)[0] for host in hosts}
        if len(found) == WORKERS * len(hosts):
            break
    return found


def round_trip(client: Any, hosts: list[Host], workers: set[int]) -> tuple[int, int, float]:
    """(resumed, asked for, microseconds of all workers for each connection)."""
    before, session, issuer, asked, resumed = processor_time(workers), None, 0, 0, 0
    for host in itertools.islice(itertools.cycle(hosts), CONNECTIONS):
        worker, reused, again = connect(client, host.address, session)
        if session is not None and worker != issuer:
            asked, resumed = asked + 1, resumed + reused
        session, issuer = again, worker
    return resumed, asked, (processor_time(workers) - before) / CONNECTIONS * 1e6


def main() -> None:
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        world, store = World(Path(name)), Store(Path(name))
        anchors = Path(name) / "anchors.pem"
        anchors.write_bytes(world.ca.pem)
        store.start()
        stack.callback(store.stop)
        client = our_client(world)
        client.load_cert_chain(world.file(world.client))
        spaces = [stack.enter_context(namespace(number)) for number in (1, 2)]
        kinds = {}
        for kind, url in (("own keys", "none"), ("shared by Redis", store.url)):
            arguments = [str(world.file(world.server)), str(anchors), str(WORKERS), "0.0.0.0", url, "7200"]
            hosts = [Host(stack, space, number, arguments) for number, space in enumerate(spaces, 1)]
            kinds[kind] = hosts, workers_of(client, hosts)
            print(f"{kind}: {len(kinds[kind][1])} workers", flush=True)
        for turn in range(TURNS):
            for kind, (hosts, workers) in kinds.items():
                resumed, asked, each = round_trip(client, hosts, workers)
                print(f"{turn} {kind}: {resumed} of {asked} resumed, {each:.0f} us a connection", flush=True)


if __name__ == "__main__":
    main()
