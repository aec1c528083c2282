"""What a program loads before its first request is answered, by name: each module is time that it waits."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import veritls
from tests.support.certificates import Party, new_key

ROOT = Party("Root", ca=True)
SERVERS = {kind: Party("localhost", ROOT, key=new_key(kind)) for kind in ("ECDSA", "RSA", "ED25519")}
SECONDS = 60

KEYS = [
    ("ECDSA", PrivateFormat.PKCS8),
    ("ECDSA", PrivateFormat.TraditionalOpenSSL),
    ("RSA", PrivateFormat.PKCS8),
    ("RSA", PrivateFormat.TraditionalOpenSSL),
    ("ED25519", PrivateFormat.PKCS8),
]
"""PKCS#8, SEC 1, PKCS#8, PKCS#1, PKCS#8."""

IMPORTED = [
    "veritls",
    "veritls._compat",
    "veritls._compat.functions",
    "veritls._connection",
    "veritls._connection.sslobject",
    "veritls._connection.sslsocket",
    "veritls._connection.state",
    "veritls._context",
    "veritls._context.cipher_suites",
    "veritls._context.combining",
    "veritls._context.context",
    "veritls._context.groups",
    "veritls._context.keyring",
    "veritls._context.own_identities",
    "veritls._context.peer",
    "veritls._context.protocol",
    "veritls._context.server_name",
    "veritls._context.settings",
    "veritls._context.trust",
    "veritls._context.trust_store",
    "veritls._engine",
    "veritls._explaining",
    "veritls._explaining.failures",
    "veritls._explaining.reasons",
    "veritls._loading",
    "veritls._loading.pem",
    "veritls._loading.trust",
    "veritls._value",
    "veritls.policy",
]
"""Of veritls. From elsewhere there is nothing that `ssl` does not import."""

SERVES = [
    "_datetime",
    "datetime",
    "veritls._loading.attribute_names",
    "veritls._loading.certificates",
    "veritls._loading.identities",
    "veritls._report",
    "veritls._report.rendering",
]
"""What else an own certificate needs."""

LOADED = """
import socket, ssl, sys
import __future__, encodings.idna, functools, types  # small, or loaded by `socket` for a name
before = set(sys.modules)
{program}
print(*sorted(set(sys.modules) - before))
"""

IMPORT = "import veritls"

CLIENT = """
import veritls
context = veritls.create_default_context(cafile=sys.argv[1])
with socket.create_connection(("127.0.0.1", int(sys.argv[2])), timeout=60) as raw:
    with context.wrap_socket(raw, server_hostname="localhost") as connection:
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"
"""

SERVER = """
import veritls
client = ssl.create_default_context(cafile=sys.argv[1])
context = veritls.create_default_context(veritls.Purpose.CLIENT_AUTH)
context.load_cert_chain(sys.argv[2], sys.argv[3])
there, here = ssl.MemoryBIO(), ssl.MemoryBIO()
ends = [
    client.wrap_bio(here, there, server_hostname="localhost"),
    context.wrap_bio(there, here, server_side=True),
]
done = 0
while done < 2:
    done = 0
    for end in ends:
        try:
            end.do_handshake()
            done += 1
        except ssl.SSLWantReadError:
            pass
ends[0].write(b"x")
ends[1].write(ends[1].read())
assert ends[0].read() == b"x"
"""


def loaded(program: str, *arguments: str) -> list[str]:
    """The modules that a fresh interpreter has after the program, and had not after `import ssl, socket`."""
    command = [sys.executable, "-c", LOADED.format(program=program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_import_loads_these_modules_and_no_others() -> None:
    assert loaded(IMPORT) == IMPORTED


@contextmanager
def echoing(folder: Path) -> Iterator[int]:
    """A server that answers one client with what it sent; gives its port."""
    (folder / "both.pem").write_bytes(SERVERS["ECDSA"].pem + SERVERS["ECDSA"].key_pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "both.pem")

    def answer() -> None:
        raw, _ = listener.accept()
        raw.settimeout(SECONDS)
        with context.wrap_socket(raw, server_side=True) as connection:
            connection.sendall(connection.recv(100))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS)
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(SECONDS)


def test_a_client_that_was_answered_has_loaded_no_others(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(ROOT.pem)
    with echoing(tmp_path) as port:
        assert loaded(CLIENT, str(tmp_path / "ca.pem"), str(port)) == IMPORTED


@pytest.mark.parametrize(("kind", "encoding"), KEYS)
def test_a_server_that_answered_has_loaded_what_its_certificate_needs(
    kind: str, encoding: PrivateFormat, tmp_path: Path
) -> None:
    server = SERVERS[kind]
    files = {
        "ca.pem": ROOT.pem,
        "own.pem": server.pem,
        "key.pem": server.key.private_bytes(Encoding.PEM, encoding, NoEncryption()),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert loaded(SERVER, *(str(tmp_path / name) for name in files)) == sorted(IMPORTED + SERVES)


def test_the_engine_is_seeded_by_the_kernel_and_not_by_timing_the_processor() -> None:
    """`.cargo/config.toml`: the other seed takes as long as the rest of a first request."""
    engine = Path(veritls._engine.__file__).read_bytes()
    assert b"jent_" not in engine


def test_neither_cryptography_nor_asyncio_is_on_a_list() -> None:
    assert not {name.partition(".")[0] for name in IMPORTED + SERVES} & {"asyncio", "cryptography", "typing"}


@pytest.mark.parametrize("name", ["SPIFFE", "TrustEntry", "VerificationReport", "errors", "report"])
def test_a_name_that_the_import_leaves_out_is_there_when_it_is_asked_for(name: str) -> None:
    assert loaded(f"import veritls; assert veritls.{name} and {name!r} in dir(veritls)")
    assert loaded(f"from veritls import {name}")
    everything = f"from veritls import *; assert {name} or {name!r} in ('errors', 'report')"
    assert name in ("errors", "report") or loaded(everything)
