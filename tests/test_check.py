"""`veritls check` against real servers: every way to start TLS, and everything that can fail."""

from __future__ import annotations

import json
import re
import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from typer.testing import CliRunner

import veritls
from tests.check_servers import DIALOGUES, Server, says, serving
from tests.reports.broken import below, leaf, middle, peer, root
from tests.support.certificates import DAY, NOW, Party
from veritls.cli.app import app
from veritls.cli.result import STATUSES
from veritls.cli.target import Target, in_file, parse

NAME = "db.internal"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("check")


@pytest.fixture(scope="module")
def ca(folder: Path) -> Path:
    path = folder / "ca.pem"
    path.write_bytes(root().certificate.public_bytes(Encoding.PEM))
    return path


def context(folder: Path, *parties: Party, module: Any = veritls) -> Any:
    made = module.SSLContext(module.PROTOCOL_TLS_SERVER)
    own, *chain = parties or (leaf(), middle())
    made.load_cert_chain(own.file(folder, *chain))
    return made


@pytest.fixture
def good(folder: Path) -> Iterator[Server]:
    with serving(context(folder)) as server:
        yield server
        assert server.data == b""


def run(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["check", *map(str, arguments)], env={"COLUMNS": "300"})
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


def as_json(*arguments: object) -> list[dict[str, Any]]:
    code, out, _ = run("--json", *arguments)
    results = [json.loads(line) for line in out.splitlines()]
    statuses = {result["status"] for result in results}
    assert code == next((status for status, words in STATUSES.items() if words in statuses), 0)
    return results


def test_a_trusted_server_is_reported_with_what_was_negotiated_and_the_days_left(
    good: Server, ca: Path
) -> None:
    code, out, _ = run(good, "--ca", ca, "--name", NAME)
    assert code == 0
    assert f"{good} trusted: the server's certificate for {NAME} is trusted" in out
    assert "TLSv1.3, TLS_AES_128_GCM_SHA256, X25519MLKEM768" in out
    assert len(re.findall("(29|30) days left", out)) == 3
    assert "passed" in out and "failed" not in out


def test_a_server_that_is_not_trusted_is_reported_with_what_could_be_negotiated(
    folder: Path, ca: Path
) -> None:
    with serving(context(folder, below(NAME, end=NOW - 3 * DAY), middle())) as server:
        code, out, _ = run(server, "--ca", ca, "--name", NAME)
    assert code == 1
    assert f"the server's certificate for {NAME} expired 3 days ago" in out
    assert "negotiated: TLSv1.3" in out
    assert "ended 3 days before" in out
    assert server.data == b""


def test_the_client_certificate_is_sent_to_a_trusted_server_and_to_no_other(folder: Path, ca: Path) -> None:
    own = peer("Ann", root()).file(folder)
    for parties, name, shown in [((leaf(), middle()), NAME, 1), ((leaf(), middle()), "other", 0)]:
        asking = context(folder, *parties)
        asking.load_verify_locations(ca)
        asking.verify_mode = ssl.CERT_OPTIONAL
        with serving(asking) as server:
            run(server, "--ca", ca, "--name", name, "--cert", own)
            server.finish()
        assert sum(client is not None for client in server.clients) == shown


@pytest.mark.parametrize("module", [veritls, ssl])
@pytest.mark.parametrize("protocol", DIALOGUES)
def test_tls_is_started_by(protocol: str, module: Any, folder: Path, ca: Path) -> None:
    with serving(context(folder, module=module), DIALOGUES[protocol]) as server:
        [result] = as_json(server, "--starttls", protocol, "--ca", ca, "--name", NAME)
    assert result["status"] == "trusted", result
    assert result["negotiated"]["version"] == "TLSv1.3"
    assert server.data == b""


@pytest.mark.parametrize("protocol", DIALOGUES)
def test_after_starttls_a_server_that_is_not_trusted_still_shows_what_it_negotiates(
    protocol: str, folder: Path, ca: Path
) -> None:
    with serving(context(folder), DIALOGUES[protocol]) as server:
        [result] = as_json(server, "--starttls", protocol, "--ca", ca, "--name", "other.internal")
    assert result["report"]["kind"] == "name"
    assert result["negotiated"]["version"] == "TLSv1.3"


REFUSALS = {
    "smtp": [b"554 go away\r\n", b"220 hi\r\n250 no such thing\r\n", b"220 hi\r\n500 what\r\n500 what\r\n"],
    "imap": [b"* BYE\r\n", b"* OK hi\r\n* CAPABILITY IMAP4rev1\r\nx OK\r\n"],
    "pop3": [b"-ERR go away\r\n", b"+OK hi\r\n+OK\r\nTOP\r\n.\r\n", b"+OK hi\r\n-ERR no\r\n"],
    "ftp": [b"421 go away\r\n", b"220 hi\r\n500 what\r\n"],
    "postgres": [b"N", b"E\0\0\0\x05\0"],
}
GARBAGE = [b"", b"\xff\xfe\x00\x01\x1b[2J\r\n", b"SSH-2.0-OpenSSH_9.9\r\n", b"\r\n" * 50, b"x" * 70_000]


@pytest.mark.parametrize(
    ("protocol", "data"),
    [(protocol, data) for protocol in DIALOGUES for data in [*REFUSALS[protocol], *GARBAGE]],
)
def test_a_server_that_does_not_start_tls_is_no_connection(
    protocol: str, data: bytes, folder: Path, ca: Path
) -> None:
    with serving(context(folder), says(data)) as server:
        [result] = as_json(server, "--starttls", protocol, "--ca", ca, "--timeout", 5)
    assert result["status"] == "no connection"
    assert result["problem"] and result["problem"].isprintable()
    assert result["report"] is None


@pytest.mark.parametrize("protocol", [None, *DIALOGUES])
def test_a_server_that_says_nothing_is_given_up(protocol: str | None, folder: Path) -> None:
    with serving(context(folder), says(b"", "wait")) as server:
        options = ["--starttls", protocol] if protocol else []
        [result] = as_json(server, "--timeout", 0.3, *options)
    assert result["problem"] == "no answer within 0.3 seconds"


def test_a_server_that_drips_is_given_up(folder: Path) -> None:
    def dripping(sock: socket.socket) -> None:
        sock.settimeout(0.05)
        while True:
            sock.sendall(b"2")
            try:
                if not sock.recv(1):
                    raise ConnectionError("done")
            except TimeoutError:
                pass

    with serving(context(folder), dripping) as server:
        [result] = as_json(server, "--timeout", 0.4, "--starttls", "smtp")
    assert result["problem"] == "no answer within 0.4 seconds"


def test_a_server_that_does_not_speak_tls_says_so(folder: Path) -> None:
    with serving(context(folder), says(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        [result] = as_json(server)
    assert "does not speak TLS" in result["problem"]


def test_a_closed_port_is_no_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    [result] = as_json(f"127.0.0.1:{port}")
    assert "refused" in result["problem"]


def test_an_address_of_version_6_is_written_in_brackets(folder: Path, ca: Path) -> None:
    try:
        with serving(context(folder), host="::1") as server:
            [result] = as_json(f"[::1]:{server.port}", "--ca", ca, "--name", NAME)
    except OSError:
        pytest.skip("this machine has no IPv6")
    assert (result["status"], result["host"]) == ("trusted", "::1")


def test_an_address_is_the_name_that_the_certificate_must_be_for(good: Server, ca: Path) -> None:
    [result] = as_json(good, "--ca", ca)
    assert (
        result["report"]["sentence"]
        == f"the requested address is 127.0.0.1, but the certificate is for {NAME}"
    )


def test_the_date_of_the_verification_can_be_chosen(good: Server, ca: Path) -> None:
    later = f"{NOW + 40 * DAY:%Y-%m-%d}"
    [result] = as_json(good, "--ca", ca, "--name", NAME, "--at", later)
    assert result["report"]["kind"] == "expired"
    assert result["report"]["question"]["at"] == f"{later}T00:00:00+00:00"
    assert result["negotiated"]["version"] == "TLSv1.3"
    assert (
        as_json(good, "--ca", ca, "--name", NAME, "--at", f"{NOW:%Y-%m-%dT%H:%M}+00:00")[0]["problem"] is None
    )


def test_the_chain_is_shown_as_pem_on_request(good: Server, ca: Path) -> None:
    arguments = (good, "--ca", ca, "--name", NAME)
    assert "BEGIN CERTIFICATE" not in run(*arguments)[1]
    shown = run(*arguments, "--chain")[1]
    for party in (leaf(), middle()):
        assert party.certificate.public_bytes(Encoding.PEM).decode().strip() in shown


def test_many_servers_come_as_a_table_in_their_order_each_once(good: Server, folder: Path, ca: Path) -> None:
    with serving(context(folder, Party("db", names=[NAME]))) as bad:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            closed = f"127.0.0.1:{listener.getsockname()[1]}"
        hosts = folder / "hosts.txt"
        hosts.write_text(f"# ours\n\n{bad}   # the second\n{good}\n{bad}\n  {closed}\n")
        code, out, _ = run(good, "--file", hosts, "--ca", ca, "--name", NAME)
        results = as_json(good, "--file", hosts, "--ca", ca, "--name", NAME, "--jobs", 2)
    assert code == 1
    lines = [line for line in out.splitlines() if "127.0.0.1" in line]
    assert [line.split()[0] for line in lines] == [str(good), str(bad), closed]
    assert "trusted" in lines[0] and re.search(" (29|30) ", lines[0]) and "TLSv1.3" in lines[0]
    assert "not trusted" in lines[1] and "is self-signed" in lines[1]
    assert "no connection" in lines[2] and "refused" in lines[2]
    assert [result["status"] for result in results] == ["trusted", "not trusted", "no connection"]


def test_a_file_of_servers_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts.txt"
    hosts.write_bytes("one.example\r\n\r\ntwo.example:8443\r\n".encode("utf-8-sig"))
    assert in_file(hosts, 443) == [Target("one.example", 443), Target("two.example", 8443)]


@pytest.mark.parametrize("content", ["", "# none yet\n"])
def test_a_file_without_a_server_is_said_to_have_none(content: str, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts.txt"
    hosts.write_text(content)
    assert run("--file", hosts) == (2, "", f"veritls check: --file {hosts}: there is no HOST in it\n")


def test_an_address_that_only_a_resolver_takes_is_no_host_name(good: Server, ca: Path) -> None:
    port = str(good).rpartition(":")[2]
    assert run(f"127.1:{port}", "--ca", ca)[1] == f"127.1:{port} no connection: '127.1' is not a host name\n"


def test_one_second_is_no_seconds(ca: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"127.0.0.1:{silent.getsockname()[1]}"
        assert "within 1 second\n" in run(where, "--ca", ca, "--timeout", 1)[1]


def test_a_connection_that_fails_outweighs_those_that_are_trusted(good: Server, ca: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = f"127.0.0.1:{listener.getsockname()[1]}"
    assert run(good, closed, "--ca", ca, "--name", NAME)[0] == 2


WRONG = {
    "": "not HOST",
    "a b": "not HOST",
    "host\x1b[2J": "not HOST",
    "user@host": "not HOST",
    "https://example.org/": "is a URL",
    "host:": "1 to 65535",
    "host:0": "1 to 65535",
    "host:65536": "1 to 65535",
    "host:http": "1 to 65535",
    "host:٤٤٣": "1 to 65535",
    ":443": "not HOST",
    "[::1": "not [ADDRESS]",
    "[::1]443": "not [ADDRESS]",
    "[host]:443": "not [ADDRESS]",
    "a:b:c": "a:b:c",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_host_is_refused_with_a_message(text: str) -> None:
    code, out, err = run("--", text)
    assert (code, out) == (2, "")
    assert WRONG[text] in err and err.rstrip("\n").isprintable()


@pytest.mark.parametrize("host", ["x" * 64 + ".example", "a..b", "bücher." * 60, "-.example", "."])
def test_what_cannot_be_looked_up_is_no_connection(host: str) -> None:
    code, _, _ = run("--timeout", 5, "--", f"{host}:9")
    assert code == 2


def test_hosts_and_ports_are_told_apart() -> None:
    assert parse("example.org", 443) == Target("example.org", 443)
    assert parse("example.org:8443", 443) == Target("example.org", 8443)
    assert parse("::1", 443) == Target("::1", 443)
    assert parse("[2001:DB8::1]:25", 443) == Target("2001:db8::1", 25)
    assert parse("[::1]", 25) == Target("::1", 25)
    assert str(Target("::1", 25)) == "[::1]:25"


def test_a_file_with_something_wrong_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_bytes(b"good.example\n\n# a comment\nbad host\n")
    code, _, err = run("--file", path)
    assert code == 2 and "line 4" in err
    path.write_bytes(b"\xff\xfe\0\n")
    assert run("--file", path)[0] == 2
    path.write_bytes(b"a" * 2_000_000)
    assert "larger than" in run("--file", path)[2]
    path.write_bytes(b"# nothing\n")
    assert "no HOST" in run("--file", path)[2]
    assert in_file(path, 443) == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["host", "--file", "/does/not/exist"],
        ["host", "--ca", "/does/not/exist"],
        ["host", "--cert", "/does/not/exist"],
        ["host", "--ca", __file__],
        ["host", "--cert", __file__],
        ["host", "--key", __file__],
        ["host", "--at", "yesterday"],
        ["host", "--at", "1960-01-01"],
        ["host", "--at", "0001-01-01"],
        ["host", "--timeout", "0"],
        ["host", "--timeout", "nan"],
        ["host", "--jobs", "0"],
        ["host", "--starttls", "telnet"],
    ],
)
def test_wrong_arguments_exit_with_2_and_a_message(arguments: list[str]) -> None:
    code, out, err = run(*arguments)
    assert code == 2
    assert out == "" and err
    assert "Traceback" not in err


@pytest.mark.parametrize("option", ["--file", "--ca", "--cert"])
def test_a_file_that_cannot_be_read_is_named_with_its_option(option: str) -> None:
    assert run("host", option, "/does/not/exist")[2] == (
        f"veritls check: {option} /does/not/exist: No such file or directory\n"
    )


def test_what_to_do_is_said_in_options_of_the_command(folder: Path, ca: Path) -> None:
    arguments = ("--ca", ca, "--name", NAME)
    with serving(context(folder, Party("db", names=[NAME]))) as server:
        shown = run(server, *arguments)[1]
        [result] = as_json(server, *arguments)
    assert "(--ca)" in shown and any("(--ca)" in remedy for remedy in result["report"]["remedies"])
    assert "load_verify_locations" not in shown + str(result["report"]["remedies"])


def test_names_that_a_terminal_would_obey_are_not_sent_to_it(folder: Path, ca: Path) -> None:
    from cryptography import x509

    evil = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "\x1b[2J[red]\x07", _validate=False)])
    with serving(context(folder, Party(evil, middle(), names=()), middle())) as server:
        code, out, _ = run(server, "--ca", ca, "--name", NAME)
    assert code == 1
    assert all(line.isprintable() for line in out.splitlines())
    assert r"\x1b[2J[red]\x07" in out


def test_a_server_that_ends_the_handshake_is_no_connection(folder: Path, ca: Path) -> None:
    refusing = context(folder)
    refusing.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_ACCESS_DENIED
    with serving(refusing) as server:
        [result] = as_json(server, "--ca", ca, "--name", NAME)
    assert result["problem"] == "the server ended the handshake (alert access denied)"


def test_python_m_veritls_runs_the_command() -> None:
    import subprocess

    done = subprocess.run(
        [sys.executable, "-m", "veritls", "check", "host:0"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2 and "1 to 65535" in done.stderr
