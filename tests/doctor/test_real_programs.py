"""Real programs: nothing is found in veritls's own examples, and nothing false in what many people run."""

from __future__ import annotations

import importlib.util
import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.certificates import Party
from veritls._doctor import rules
from veritls._doctor.command import examine

LIBRARY = Path(os.__file__).parent
EXAMPLES = Path(__file__).parent.parent.parent / "examples"

MADE = {
    "aiohttp": "from aiohttp.connector import _SSL_CONTEXT_VERIFIED as made",
    "httpx": "import httpx; made = httpx.create_ssl_context()",
    "paho": (
        "from paho.mqtt import client; one = client.Client(client.CallbackAPIVersion.VERSION2);"
        "one.tls_set(); made = one._ssl_context"
    ),
    "redis": (
        "import socket, redis; one = redis.connection.SSLConnection(ssl_cert_reqs='none');"
        "made = one._wrap_socket_with_ssl(socket.socket()).context"
    ),
    "requests": (
        "import requests; from urllib3.util.ssl_ import create_urllib3_context;"
        "made = create_urllib3_context()"
    ),
    "urllib3": "from urllib3.util.ssl_ import create_urllib3_context; made = create_urllib3_context()",
    "uvicorn": (
        "import ssl; from uvicorn.config import create_ssl_context;"
        "made = create_ssl_context(sys.argv[1], None, None, ssl.PROTOCOL_TLS_SERVER, 0, None, None)"
    ),
}
"""How a library is brought to make a context of its own."""

STANDARD = ["http", "urllib", "asyncio", "ftplib.py", "imaplib.py", "poplib.py", "smtplib.py", "xmlrpc"]
INSTALLED = ["requests", "urllib3", "httpx", "aiohttp", "uvicorn", "redis"]

LOOKED_AT = {("attribute", "context.post_handshake_auth = True")}
"""What stands behind a condition that leaves it out: urllib3 asks whether the attribute is None before."""


def test_nothing_is_found_in_the_examples() -> None:
    result = examine([str(EXAMPLES)])
    assert result.files and not result.findings and not result.unreadable


@pytest.mark.parametrize("name", STANDARD)
def test_nothing_breaks_in_cpythons_library_because_its_own_tests_pass(name: str) -> None:
    result = examine([str(LIBRARY / name)])
    assert result.files and not result.unreadable
    assert [each for each in result.findings if each.severity != "note"] == []
    assert {each.rule for each in result.findings} <= {"unverified", "own-context", "settings"}


@pytest.mark.parametrize("name", INSTALLED)
def test_nothing_breaks_in_libraries_whose_own_tests_pass(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")  # of `ecosystem`; CI has it on one Python
    result = examine([name])
    assert result.files and not result.unreadable
    for each in result.findings:
        assert each.severity == "note" or any(
            each.rule == rule and each.severity == "may" and each.what.startswith(line)
            for rule, line in LOOKED_AT
        ), each


@pytest.mark.parametrize("name", rules.MAKES_OWN_CONTEXT)
def test_a_library_that_is_said_to_make_its_own_context_makes_one_of_veritls_once_that_is_injected(
    name: str, tmp_path: Path
) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")  # of `ecosystem`; CI has it on one Python
    own = Party("localhost")
    (tmp_path / "own.pem").write_bytes(own.pem + own.key_pem)
    for before, module in (("", "ssl"), ("import veritls; veritls.inject()", "veritls")):
        program = f"import sys\n{before}\n{MADE[name]}\nprint(type(made).__module__.partition('.')[0])"
        command = [sys.executable, "-W", "ignore", "-c", program, str(tmp_path / "own.pem")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.stdout.split() == [module], done.stderr


def test_libraries_that_do_tls_without_ssl_have_contexts_that_are_none_of_ssl() -> None:
    openssl = pytest.importorskip("OpenSSL.SSL", reason="pyOpenSSL is of the extra bench")
    assert not issubclass(openssl.Context, ssl.SSLContext)
    assert {"OpenSSL", "grpc"} <= rules.OTHER_TLS.keys()
