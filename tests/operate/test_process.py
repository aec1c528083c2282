"""A process renews itself while its files rotate as Kubernetes does it; asked by `ssl` and `openssl`."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.operate.rotating import CA, OTHER_CA, Mount, serial_of
from tests.support.certificates import Party
from tests.support.connections import SECONDS, in_thread

ROOT = Path(__file__).parents[2]
CLIENTS = {"one": CA.issue("one.example"), "two": OTHER_CA.issue("two.example")}


class Watched:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.port = int(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        line: str = in_thread(self._process.stdout.readline).result(3 * SECONDS)
        return line

    def event(self) -> tuple[str, str | None, int]:
        outcome, kind, generation = json.loads(self._line())
        return outcome, kind, generation


@contextmanager
def running(folder: Path) -> Iterator[Watched]:
    command = [sys.executable, "-m", "tests.operate.rotating_process", str(folder)]
    pipes: dict[str, Any] = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.DEVNULL,
    }
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as process:
        try:
            yield Watched(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(SECONDS)


def by_ssl(port: int, folder: Path, root: Party, own: Path) -> str:
    """The serial number of the server's certificate; raises where one side refuses the other."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=root.pem.decode())
    context.load_cert_chain(own)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as tls,
    ):
        tls.sendall(b"x")
        if tls.recv(1) != b"x":
            raise ConnectionError("closed")
        certificate = tls.getpeercert()
        assert certificate
        return str(certificate["serialNumber"])


def by_openssl(port: int, folder: Path, root: Party, own: Path) -> str:
    program = shutil.which("openssl")
    if program is None:  # a machine of one's own may lack it; CI installs it
        assert not os.environ.get("CI"), "openssl is not installed"
        pytest.skip("openssl is not installed")
    ca = folder / f"{root.certificate.serial_number}.ca"
    ca.write_bytes(root.pem)
    command = [program, "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost"]
    command += ["-CAfile", str(ca), "-verify_return_error", "-cert", str(own), "-key", str(own)]
    done = subprocess.run(command, input=b"x\n", capture_output=True, timeout=2 * SECONDS)
    begin, end = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
    # Its exit code says, too, that the server may have closed before it read the end.
    if b"Verify return code: 0 (ok)" not in done.stdout:
        raise ssl.SSLError(done.stderr.decode())
    pem = begin + done.stdout.split(begin, 1)[1].split(end, 1)[0] + end
    shown = subprocess.run(
        [program, "x509", "-noout", "-serial"], input=pem, capture_output=True, timeout=SECONDS
    )
    return shown.stdout.decode().strip().removeprefix("serial=")


@pytest.mark.parametrize("asks", [by_ssl, by_openssl])
def test_a_process_renews_itself_while_its_files_rotate(tmp_path: Path, asks: Any) -> None:
    (tmp_path / "tls").mkdir()
    mount = Mount(tmp_path / "tls")
    one, two = (party.file(tmp_path) for party in CLIENTS.values())
    serial = mount.put_identity(CA.issue("localhost"), ca_crt=CA.pem)
    with running(mount.folder) as process:
        assert process.event() == ("loaded", None, 1)
        assert asks(process.port, tmp_path, CA, one) == serial

        serial = mount.put_identity(CA.issue("localhost"), ca_crt=CA.pem)
        assert process.event() == ("loaded", None, 2)
        assert asks(process.port, tmp_path, CA, one) == serial
        mount.clean()

        # Another CA, on both sides.
        party = OTHER_CA.issue("localhost")
        mount.put_identity(party, ca_crt=OTHER_CA.pem)
        assert process.event() == ("loaded", None, 3)
        assert asks(process.port, tmp_path, OTHER_CA, two) == serial_of(party)
        with pytest.raises(OSError):
            by_ssl(process.port, tmp_path, OTHER_CA, one)
        mount.clean()

        # A half: the key is another one's. The last good set stays.
        half = OTHER_CA.issue("localhost")
        mount.put(tls_crt=half.pem, tls_key=party.key_pem, ca_crt=OTHER_CA.pem)
        assert process.event() == ("failed", "key_values_mismatch", 3)
        assert asks(process.port, tmp_path, OTHER_CA, two) == serial_of(party)

        serial = mount.put_identity(half, ca_crt=OTHER_CA.pem)
        while (event := process.event())[0] != "loaded":
            assert event[0] == "failed"
        assert asks(process.port, tmp_path, OTHER_CA, two) == serial
