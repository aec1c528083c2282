"""An interpreter that ends while threads and loops shake hands, read, write and wait: no crash, no hang.

``python -m campaign.faults.ending SECONDS PYTHON``
"""

from __future__ import annotations

import concurrent.futures
import os
import subprocess
import sys
import time
from pathlib import Path

import veritls
from campaign.faults.running import Certificates, Seen, certificates, main

_COMMON = """
import asyncio, atexit, contextlib, random, socket, ssl, sys, threading, time
import veritls, veritls.aio
server = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
server.load_cert_chain(sys.argv[1])
client = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
client.load_verify_locations(sys.argv[2])

def pair():
    near, far = socket.socketpair()
    made = []
    thread = threading.Thread(target=lambda: made.append(server.wrap_socket(far, server_side=True)))
    thread.start()
    end = client.wrap_socket(near, server_hostname="localhost")
    thread.join()
    return made[0], end

def daemon(work, *arguments):
    threading.Thread(target=work, args=arguments, daemon=True).start()

def end_soon():
    time.sleep(random.random() / 20)
"""

CASES = {
    "reads": """
kept = [pair() for _ in range(5)]
for far, near in kept:
    daemon(near.recv, 1)
    daemon(far.makefile("rb").read)
end_soon()
""",
    "writes": """
def write(end):
    while True:
        end.sendall(bytes(1_000_000))
def read(end):
    while end.recv(100_000):
        pass
kept = [pair() for _ in range(4)]
for far, near in kept:
    daemon(write, near)
    daemon(write, far)
    daemon(read, near)
end_soon()
""",
    "handshakes that wait": """
kept = []
for _ in range(5):
    near, far = socket.socketpair()
    end = client.wrap_socket(near, server_hostname="localhost", do_handshake_on_connect=False)
    daemon(end.do_handshake)
    kept.append((end, far))
end_soon()
""",
    "handshakes with callbacks": """
def slow(*_):
    time.sleep(0.01)
client.set_verify_callback(slow)
server.sni_callback = slow
def shake():
    while True:
        pair()
for _ in range(4):
    daemon(shake)
end_soon()
""",
    "handshakes in memory": """
def shake():
    while True:
        to_server, to_client = veritls.MemoryBIO(), veritls.MemoryBIO()
        ends = [
            client.wrap_bio(to_client, to_server, server_hostname="localhost"),
            server.wrap_bio(to_server, to_client, server_side=True),
        ]
        for end in ends * 3:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
for _ in range(4):
    daemon(shake)
end_soon()
""",
    "a context that changes": """
def change():
    while True:
        client.load_verify_locations(sys.argv[2])
        server.load_cert_chain(sys.argv[1])
        client.get_ca_certs(True)
def use():
    while True:
        pair()
for _ in range(2):
    daemon(change)
    daemon(use)
end_soon()
""",
    "at exit": """
far, near = pair()
@atexit.register
def say():
    near.sendall(b"the last")
    assert far.recv(100) == b"the last"
    near.close()
    far.close()
class Late:
    def __init__(self):
        self.pair = pair()
    def __del__(self):
        self.pair[1].sendall(b"later than that")
        self.pair[1].close()
kept = Late()
daemon(near.recv, 1)
end_soon()
""",
    "a loop": """
async def echo(reader, writer):
    while data := await reader.read(1000):
        writer.write(data)
async def run():
    listening = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server)
    port = listening.sockets[0].getsockname()[1]
    ready.set()
    async def ask():
        while True:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=client, server_hostname="localhost"
            )
            writer.write(b"x")
            await reader.read(1)
            kept.append(writer)
    await asyncio.gather(*(ask() for _ in range(3)))
def loop():
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(run())
kept, ready, factory = [], threading.Event(), veritls.aio.EventLoop
if random.random() < 0.5:
    with contextlib.suppress(ImportError):
        factory = veritls.aio.UvloopEventLoop
daemon(loop)
ready.wait(20)
end_soon()
""",
}


def _environment(python: str) -> dict[str, str]:
    """Another interpreter imports the veritls that this one has."""
    here = str(Path(veritls.__file__).parents[1])
    return dict(os.environ) if python == sys.executable else {**os.environ, "PYTHONPATH": here}


def _fine(returned: int, said: str) -> bool:
    # A loop in a daemon thread says of its tasks that they were destroyed, with `ssl` as well.
    return returned == 0 and not any(
        each in said for each in ("panicked", "Fatal Python error", "SystemError")
    )


def once(python: str, name: str, files: Certificates, seen: Seen) -> None:
    command = [python, "-c", _COMMON + CASES[name], str(files.server), str(files.ca)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=_environment(python))
    except subprocess.TimeoutExpired:
        seen.expect(False, f"{name}: it does not end")
        return
    seen.expect(_fine(done.returncode, done.stderr), f"{name}: {done.returncode}, {done.stderr[-400:]}")
    seen.count(f"ends amid {name}")


def work(seconds: float, seen: Seen) -> None:
    python = sys.argv[2] if len(sys.argv) > 2 else sys.executable
    command = [python, "-c", "import veritls"]
    probe = subprocess.run(command, capture_output=True, text=True, env=_environment(python))
    if probe.returncode:
        seen.skipped = f"veritls cannot be imported: {probe.stderr.strip()[-100:]}"
        return
    files, until, rounds = certificates(), time.monotonic() + seconds, 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        while rounds < 1 or time.monotonic() < until:
            list(pool.map(lambda name: once(python, name, files, seen), CASES))
            rounds += 1


if __name__ == "__main__":
    main(work)
