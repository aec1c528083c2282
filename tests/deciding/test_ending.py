"""The interpreter ends while callbacks run on threads that it does not wait for.

CPython before 3.14 ends such a thread where it next wants the GIL, within the engine's call of Python code.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.deciding.conftest import World

PROGRAM = """
import sys, threading, veritls
from pathlib import Path
from tests.support.memory import connect
folder = Path(sys.argv[1])
server = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
server.load_cert_chain(folder / "server.pem")
client = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
client.load_verify_locations(folder / "ca.pem")
begun = threading.Barrier(4)
def run(*_):
    begun.wait(10)
    while True:
        pass
class Long(Exception):
    __str__ = run
def refuse(*_):
    raise Long
{setting}
for _ in range(3):
    threading.Thread(target=connect, args=(server, client), daemon=True).start()
begun.wait(10)
"""


@pytest.mark.parametrize(
    "setting",
    [
        pytest.param("client.set_verify_callback(run)", id="verify callback"),
        pytest.param("server.sni_callback = run", id="sni_callback"),
        pytest.param("client.set_verify_callback(refuse)", id="the text of an exception"),
        pytest.param("server.sni_callback = refuse; sys.unraisablehook = run", id="an exception is reported"),
    ],
)
def test_the_end_of_the_interpreter_ends_no_thread_amid_the_engine(
    world: World, tmp_path: Path, setting: str
) -> None:
    (tmp_path / "server.pem").write_bytes(world.server.identity())
    (tmp_path / "ca.pem").write_bytes(world.ca.pem)
    command = [sys.executable, "-c", PROGRAM.format(setting=setting), str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
