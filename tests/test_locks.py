"""No thread that has the GIL waits for a lock of the engine whose holder waits for the GIL: nothing hangs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Files

BIO = """
import sys, veritls
bio = veritls.MemoryBIO()
bio.write(b"abc")
bio.write_eof()
seen = []
def look(frame, event, argument):
    if frame.f_code.co_name == "exception_for":
        seen.append(bio.pending)
sys.setprofile(look)
try:
    bio.write(b"x")
except veritls.SSLError as error:
    sys.setprofile(None)
    print(type(error).__name__, set(seen))
"""

LINK = """
import socket, sys, threading, veritls
from veritls import _engine
from veritls._connection.sslobject import TransportSSLObject
which, server_file, ca = sys.argv[1:]
server = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
server.load_cert_chain(server_file)
client = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
client.load_verify_locations(ca)
ours, theirs = socket.socketpair()
begun, over = threading.Event(), threading.Event()
def use():
    begun.set()
    work = {"write": lambda: link.write(b"x"), "read_into": lambda: link.read_into(bytearray(9))}
    try:
        work.get(which, getattr(link, which))()
    except OSError:
        pass
    over.set()
def decide(report):
    threading.Thread(target=use, daemon=True).start()
    begun.wait(10)
    over.wait(0.3)
client.set_verify_callback(decide)
ssl_object = TransportSSLObject._of(client, server_side=False, server_hostname="localhost")
link = _engine.EventLoopStream(ssl_object._stream, ours.fileno())
serving = server.wrap_socket(theirs, server_side=True, do_handshake_on_connect=False)
serving.settimeout(10)
link.handshake(False)
thread = threading.Thread(target=serving.do_handshake)
thread.start()
ours.settimeout(10)
while not link.handshake(bool(ours.recv(1, socket.MSG_PEEK))):
    pass
thread.join()
print(ssl_object.version(), over.wait(10))
"""


def outcome(program: str, *arguments: str) -> str:
    """What a program prints that must not hang."""
    command = [sys.executable, "-c", program, *arguments]
    folder = Path(__file__).parents[1]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=folder)
    except subprocess.TimeoutExpired:
        pytest.fail("the process hangs")
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.strip()


def test_the_error_of_a_write_after_the_end_is_made_without_the_buffers_lock() -> None:
    assert outcome(BIO) == "SSLError {3}"


@pytest.mark.parametrize("which", ["flush", "send_close_notify", "write", "read", "read_into"])
def test_a_thread_that_uses_a_transport_during_a_callback_waits_without_the_gil(
    files: Files, which: str
) -> None:
    assert outcome(LINK, which, str(files.server), str(files.ca)) == "TLSv1.3 True"
