"""`veritls check` says what a server wants of its clients: a certificate or none, and by which CAs."""

from __future__ import annotations

import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

import veritls
from tests.check_servers import serving
from tests.peers.peer import lacking, listening, running
from tests.support.certificates import Party
from tests.support.connections import SECONDS
from tests.test_check import as_json, run
from veritls.cli.result import MOST_AUTHORITIES, authorities

ROOT = Party("Servers' Root", ca=True)
SERVER = Party("server", ROOT)
CLIENTS = [Party(f"Clients {number}", ca=True) for number in range(5)]
ANN = Party("Ann", CLIENTS[0])
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
NEEDS_OPENSSL = pytest.mark.skipif(lacking("openssl") is not None, reason="openssl is not installed")
REQUIRED = {"1.2": "alert handshake failure", "1.3": "alert certificate required"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clients")


@pytest.fixture(scope="module")
def trust(folder: Path) -> list[object]:
    """The options that make the server trusted."""
    path = folder / "ca.pem"
    path.write_bytes(ROOT.pem)
    return ["--ca", path, "--name", "localhost", "--timeout", 5]


def context(folder: Path, version: str, mode: ssl.VerifyMode, *clients: Party, module: Any = veritls) -> Any:
    made = module.SSLContext(module.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(SERVER.file(folder))
    made.minimum_version = made.maximum_version = VERSIONS[version]
    for each in clients:
        made.load_verify_locations(cadata=each.pem.decode())
    made.verify_mode = mode
    return made


def one(*arguments: object) -> dict[str, Any]:
    [result] = as_json(*arguments)
    return result


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("module", [veritls, ssl])
def test_a_server_that_requires_a_certificate_is_told_so(
    version: str, module: Any, folder: Path, trust: list[object]
) -> None:
    with serving(context(folder, version, ssl.CERT_REQUIRED, *CLIENTS, module=module)) as server:
        result = one(server, *trust)
        code, out, _ = run(server, *trust)
    assert (code, result["status"]) == (4, "client refused")
    assert result["report"]["trusted"] and result["negotiated"]["version"] == f"TLSv{version}"
    asked = result["client_certificate"]
    assert (asked["required"], asked["sent"], asked["refusal"]) == (True, False, REQUIRED[version])
    assert asked["authorities"] == []  # neither names them
    assert "requires a client certificate" in out and "give yours with --cert" in out


@pytest.mark.parametrize("version", VERSIONS)
def test_a_server_that_merely_asks_for_a_certificate_goes_on_without(
    version: str, folder: Path, trust: list[object]
) -> None:
    with serving(context(folder, version, ssl.CERT_OPTIONAL, CLIENTS[0])) as server:
        code, out, _ = run(server, *trust)
    assert code == 0
    assert "the server asks for a client certificate, and TLS goes on without" in out
    assert server.data == b""


@pytest.mark.parametrize("version", VERSIONS)
def test_a_server_that_asks_for_none_has_no_line_about_it(
    version: str, folder: Path, trust: list[object]
) -> None:
    with serving(context(folder, version, ssl.CERT_NONE)) as server:
        assert one(server, *trust)["client_certificate"] is None
        assert "client certificate" not in run(server, *trust)[1]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_certificate_that_is_sent_is_accepted_or_refused(
    version: str, folder: Path, trust: list[object]
) -> None:
    known, stranger = ANN.file(folder), Party("Eve", Party("Elsewhere", ca=True)).file(folder)
    with serving(context(folder, version, ssl.CERT_REQUIRED, CLIENTS[0])) as server:
        code, out, _ = run(server, *trust, "--cert", known)
        assert code == 0 and "and TLS goes on with that of --cert" in out
        code, out, _ = run(server, *trust, "--cert", stranger)
    assert code == 4
    assert "the server refused the client certificate of --cert (alert unknown ca)" in out


@pytest.mark.parametrize("version", VERSIONS)
def test_a_server_that_is_not_trusted_is_told_what_it_wants_too(version: str, folder: Path) -> None:
    own = ANN.file(folder)
    with serving(context(folder, version, ssl.CERT_REQUIRED, CLIENTS[0])) as server:
        result = one(server, "--name", "localhost")
        kept = one(server, "--name", "localhost", "--cert", own)["client_certificate"]
    assert (kept["required"], kept["sent"]) == (None, False)
    assert "that of --cert was not sent: only a server that is trusted now gets it" in kept["sentence"]
    assert result["status"] == "not trusted"
    assert result["client_certificate"]["required"] is True
    assert not any(server.clients)


@pytest.mark.parametrize("version", VERSIONS)
def test_of_a_server_that_is_not_trusted_and_gone_it_is_not_known_whether_it_goes_on(
    version: str, folder: Path
) -> None:
    came: list[int] = []

    def first_only(raw: socket.socket) -> None:
        came.append(raw.fileno())
        if len(came) > 1:
            raise ConnectionError("gone")

    with serving(context(folder, version, ssl.CERT_REQUIRED, CLIENTS[0]), first_only) as server:
        result = one(server, "--name", "localhost")
    assert result["status"] == "not trusted" and result["negotiated"]["version"] == f"TLSv{version}"
    assert result["client_certificate"]["required"] is None


@pytest.mark.parametrize("version", VERSIONS)
def test_a_server_that_requires_a_certificate_can_be_verified_as_of_a_date(
    version: str, folder: Path, trust: list[object]
) -> None:
    with serving(context(folder, version, ssl.CERT_REQUIRED, CLIENTS[0])) as server:
        assert one(server, *trust, "--at", "+14d")["status"] == "client refused"
        assert one(server, *trust, "--at", "+14d", "--cert", ANN.file(folder))["status"] == "trusted"
        assert one(server, *trust, "--at", "+99d")["report"]["kind"] == "expired"


class Keeping(veritls.SSLContext):
    """Of a server that ends no connection before it is told to."""

    told: threading.Event

    def wrap_socket(self, *arguments: Any, **options: Any) -> Any:
        made = super().wrap_socket(*arguments, **options)
        self.told.wait(SECONDS)
        return made


def test_a_server_that_does_not_end_is_asking_and_nothing_more_is_known(
    folder: Path, trust: list[object]
) -> None:
    made = context(folder, "1.3", ssl.CERT_OPTIONAL, CLIENTS[0])
    made.__class__, made.told = Keeping, threading.Event()
    with serving(made) as server:
        result = one(server, *trust, "--timeout", 0.5)
        made.told.set()
        server.finish()
    assert result["status"] == "trusted"
    assert result["client_certificate"]["required"] is None
    assert "is not known" in result["client_certificate"]["sentence"]


@contextmanager
def openssl(folder: Path, *options: object) -> Iterator[str]:
    """The address of an ``openssl s_server``."""
    own = SERVER.file(folder)
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", own, "-key", own, *options]
    with running([str(each) for each in command]) as program:
        found = program.until(r"ACCEPT .*:(\d+)\n")
        assert found, program.output
        yield f"127.0.0.1:{found[1]}"


@pytest.fixture
def cas(folder: Path) -> Path:
    path = folder / "clients.pem"
    path.write_bytes(b"".join(each.pem for each in CLIENTS))
    return path


@NEEDS_OPENSSL
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("demand", "status"), [("-verify", "trusted"), ("-Verify", "client refused")])
def test_openssl_s_server_is_told_what_it_wants(
    version: str, demand: str, status: str, folder: Path, cas: Path, trust: list[object]
) -> None:
    with openssl(folder, f"-tls{version.replace('.', '_')}", demand, "1", "-CAfile", cas) as server:
        result = one(server, *trust)
    assert result["status"] == status
    assert sorted(result["client_certificate"]["authorities"]) == [f"CN=Clients {n}" for n in range(5)]


@pytest.mark.skipif(lacking("gnutls-serv") is not None, reason="gnutls-serv is not installed")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("demand", "status"),
    [("--verify-client-cert", "trusted"), ("--require-client-cert", "client refused")],
)
def test_gnutls_serv_is_told_what_it_wants(
    version: str, demand: str, status: str, folder: Path, cas: Path, trust: list[object]
) -> None:
    own = SERVER.file(folder)
    common = [f"--priority=NORMAL:-VERS-ALL:+VERS-TLS{version}", f"--x509cafile={cas}", demand]
    files = [f"--x509certfile={own}", f"--x509keyfile={own}"]
    with listening(
        lambda port: ["gnutls-serv", "--echo", "--port", str(port), *common, *files], r"IPv4 .*done"
    ) as (_, port):
        result = one(f"127.0.0.1:{port}", *trust)
    assert result["status"] == status, result
    assert sorted(result["client_certificate"]["authorities"]) == [f"CN=Clients {n}" for n in range(5)]


def odd(number: int) -> Party:
    value = f"\x1b[2J{number}" + "x" * 300
    with warnings.catch_warnings(action="ignore"):
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, value, _validate=False)])
    return Party(name, ca=True, key=CLIENTS[0].key)


@NEEDS_OPENSSL
@pytest.mark.parametrize("version", VERSIONS)
def test_names_of_cas_are_escaped_and_bounded(version: str, folder: Path, trust: list[object]) -> None:
    path = folder / "many.pem"
    path.write_bytes(b"".join(odd(number).pem for number in range(150)))
    with openssl(folder, f"-tls{version.replace('.', '_')}", "-Verify", "1", "-CAfile", path) as server:
        code, out, _ = run(server, *trust)
        asked = one(server, *trust)["client_certificate"]
    assert code == 4
    assert all(line.isprintable() for line in out.splitlines())
    assert len(asked["authorities"]) == MOST_AUTHORITIES and asked["authorities_left_out"] == 130
    assert max(map(len, asked["authorities"])) <= 300
    assert "and 130 more" in out


@pytest.mark.parametrize(
    "der", [b"", b"\x30", b"\x30\x80\x00\x00", b"\x31\x00", b"\x30\x03\x31\x01\xff", b"\xff" * 900]
)
def test_what_is_no_name_is_shown_as_that(der: bytes) -> None:
    [shown] = authorities([der])
    assert shown in ("a name that cannot be read", "a CA without a name")


@NEEDS_OPENSSL
@pytest.mark.parametrize("keeps", [True, False])
def test_the_engine_keeps_the_names_as_they_came_where_somebody_asked(
    keeps: bool, folder: Path, cas: Path
) -> None:
    client = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cadata=ROOT.pem.decode())
    with openssl(folder, "-verify", "1", "-CAfile", cas) as server:
        raw = socket.create_connection(("127.0.0.1", int(server.rpartition(":")[2])), SECONDS)
        with (
            raw,
            client.wrap_socket(raw, server_hostname="localhost", do_handshake_on_connect=False) as tls,
        ):
            stream = tls._require_stream()
            if keeps:
                stream.keep_certificate_request()
            tls.do_handshake()
            found = stream.certificate_request
    names = sorted(each.certificate.subject.public_bytes() for each in CLIENTS)
    assert (found and (sorted(found[0]), found[1])) == ((names, 5) if keeps else None)


@NEEDS_OPENSSL
def test_a_certificate_whose_key_the_server_does_not_take_is_not_said_to_be_accepted(
    folder: Path, cas: Path, trust: list[object]
) -> None:
    own = ANN.file(folder)
    demand = ("-tls1_3", "-verify", "1", "-CAfile", cas, "-client_sigalgs", "RSA-PSS+SHA256")
    with openssl(folder, *demand) as server:
        result = one(server, *trust, "--cert", own)
    assert result["status"] == "trusted" and result["client_certificate"]["sent"] is False
    assert "TLS goes on without" in result["client_certificate"]["sentence"]


@NEEDS_OPENSSL
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_certificate_whose_key_the_server_does_not_take_is_not_said_to_be_refused(
    version: str, folder: Path, cas: Path, trust: list[object]
) -> None:
    demand = (version, "-Verify", "1", "-CAfile", cas, "-client_sigalgs", "RSA-PSS+SHA256")
    with openssl(folder, *demand) as server:
        result = one(server, *trust, "--cert", ANN.file(folder))
    assert result["client_certificate"]["sent"] is False
    said = result["client_certificate"]["sentence"]
    assert "that of --cert was not sent: the server takes no key of its kind (alert " in said


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("certificate", [False, True])
def test_a_server_whose_application_decides_is_not_said_to_accept(
    version: str, certificate: bool, folder: Path, trust: list[object]
) -> None:
    """As nginx: it takes every client's certificate, and answers HTTP 400."""
    made = context(folder, version, ssl.CERT_OPTIONAL, CLIENTS[0])
    with serving(made) as server:
        asked = one(server, *trust, *(["--cert", ANN.file(folder)] if certificate else []))[
            "client_certificate"
        ]
    assert asked["sent"] is certificate
    assert asked["sentence"].endswith("may still refuse it" if certificate else "may still want one")
    assert "accept" not in asked["sentence"]
