"""`veritls check`: whom it trusts, as its options say, and what it exits with."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from typer.testing import CliRunner

from tests.check_servers import Server, serving
from tests.revocation.answers import serving as server_of
from tests.revocation.responses import response
from tests.support.certificates import DAY, NOW, Party, alternative_names, pem
from tests.test_check import as_json, run
from veritls.cli.app import app

ROOT = Party("Root", ca=True)
MIDDLE = Party("Middle", ROOT, ca=True, end=NOW + 10 * DAY)
SPIFFE = x509.UniformResourceIdentifier("spiffe://example.org/node/7")
NAMES: list[str | x509.GeneralName] = ["localhost", "a.example.org", SPIFFE]
LEAF = Party("server", MIDDLE, names=NAMES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("options")


@pytest.fixture(scope="module")
def ca(folder: Path) -> Path:
    return file(folder, "ca.pem", ROOT.pem)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(server_of(LEAF, MIDDLE)) as server:
        yield server
        assert server.data == b""


def file(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def outcome(server: Server, ca: Path, *options: object) -> tuple[str, str | None]:
    """The status of the server, and the kind of its refusal."""
    named = () if "--allow" in options else ("--name", "localhost")
    [result] = as_json(server, "--ca", ca, *named, *options)
    return result["status"], result["report"]["kind"]


def test_a_crl_must_cover_the_certificate_and_not_list_it(server: Server, folder: Path, ca: Path) -> None:
    clean = file(folder, "clean.pem", pem(MIDDLE.crl()))
    revoking = file(folder, "revoking.pem", pem(MIDDLE.crl(LEAF)))
    others = file(folder, "others.pem", pem(ROOT.crl()))
    assert outcome(server, ca, "--crl", clean) == ("trusted", None)
    assert outcome(server, ca, "--crl", revoking) == ("not trusted", "revoked")
    assert outcome(server, ca, "--crl", others) == ("not trusted", "revocation_unknown")


def test_the_crls_of_the_whole_chain_must_cover_the_intermediates(
    server: Server, folder: Path, ca: Path
) -> None:
    own = file(folder, "own.pem", pem(MIDDLE.crl()))
    roots = file(folder, "roots.pem", pem(ROOT.crl()))
    revoking = file(folder, "revokes-ca.pem", pem(ROOT.crl(MIDDLE, number=2)))
    assert outcome(server, ca, "--crl", own, "--crl-chain") == ("not trusted", "revocation_unknown")
    assert outcome(server, ca, "--crl", own, "--crl", roots, "--crl-chain") == ("trusted", None)
    assert outcome(server, ca, "--crl", own, "--crl", revoking, "--crl-chain") == ("not trusted", "revoked")


def test_a_stapled_response_can_be_required(ca: Path) -> None:
    leaf = Party("localhost", ROOT)
    with serving(server_of(leaf)) as server:
        assert outcome(server, ca) == ("trusted", None)
        assert outcome(server, ca, "--require-ocsp") == ("not trusted", "ocsp_missing")
    stapling = server_of(leaf)
    stapling.load_verify_locations(cadata=ROOT.certificate)
    stapling.set_ocsp_response(response(leaf))
    with serving(stapling) as server:
        assert outcome(server, ca, "--require-ocsp") == ("trusted", None)


def test_the_profile_of_rfc_5280_can_be_demanded(ca: Path) -> None:
    with serving(server_of(Party("localhost", ROOT, authority_key=None))) as server:
        assert outcome(server, ca) == ("trusted", None)
        status, kind = outcome(server, ca, "--strict")
        assert (status, kind) == ("not trusted", "strict_authority_key_missing")
        assert "VERIFY" not in run(server, "--ca", ca, "--name", "localhost", "--strict")[1]


def test_an_intermediate_is_an_anchor_with_partial_chain(server: Server, folder: Path) -> None:
    middle = file(folder, "middle.pem", MIDDLE.pem + Party("Other", ca=True).pem)
    assert outcome(server, middle) == ("not trusted", "unknown_issuer")
    shown = run(server, "--ca", middle, "--name", "localhost")[1]
    assert "Or accept CN=Middle as a trust anchor (--partial-chain)." in shown
    assert outcome(server, middle, "--partial-chain") == ("trusted", None)


def test_one_of_the_pinned_keys_must_be_in_the_path(server: Server, ca: Path) -> None:
    pins = {party: f"sha256/{b64encode(party.pin).decode()}" for party in (LEAF, MIDDLE, ROOT)}
    other = f"sha256/{b64encode(bytes(32)).decode()}"
    for pin in pins.values():
        assert outcome(server, ca, "--pin", other, "--pin", pin) == ("trusted", None)
    assert outcome(server, ca, "--pin", other) == ("not trusted", "not_pinned")


@pytest.mark.parametrize(
    ("allowed", "status"),
    [
        ("DNS:a.example.org", "trusted"),
        ("DNS:*.example.org", "trusted"),
        ("spiffe://example.org/node/*", "trusted"),
        ("DNS:b.example.org", "not trusted"),
        ("IP:127.0.0.0/8", "not trusted"),
    ],
)
def test_a_name_that_is_allowed_takes_the_place_of_the_host_name(
    allowed: str, status: str, server: Server, ca: Path
) -> None:
    assert outcome(server, ca, "--allow", allowed)[0] == status


def test_a_spiffe_id_can_be_allowed_and_the_host_name_verified_too(folder: Path, ca: Path) -> None:
    workload = Party("", ROOT, names=(), san=alternative_names(SPIFFE))
    pattern = "spiffe://example.org/node/*"
    with serving(server_of(workload)) as server:
        assert outcome(server, ca, "--allow", pattern) == ("trusted", None)
        assert outcome(server, ca, "--allow", pattern, "--name", "localhost") == ("not trusted", "name")
        assert outcome(server, ca, "--allow", pattern, "--at", "+1d") == ("trusted", None)
        assert outcome(server, ca, "--allow", "spiffe://example.org/x") == ("not trusted", "not_allowed")


def test_a_date_from_now_can_be_given(server: Server, ca: Path) -> None:
    assert outcome(server, ca, "--at", "+9d") == ("trusted", None)
    assert outcome(server, ca, "--at", "+11d") == ("not trusted", "expired")
    assert outcome(server, ca, "--at", "+48h") == ("trusted", None)


def test_a_certificate_of_the_path_that_expires_soon_has_an_exit_status_of_its_own(
    server: Server, ca: Path
) -> None:
    arguments = (server, "--ca", ca, "--name", "localhost")
    assert run(*arguments, "--warn-days", 5)[0] == 0
    code, out, _ = run(*arguments, "--warn-days", 14)
    assert code == 3
    assert "expires soon: CN=Middle has 9 days left, fewer than 14" in out
    [result] = as_json(*arguments, "--warn-days", 14)
    assert (result["status"], result["days_left"]) == ("expires soon", 9)


def test_the_gravest_status_is_that_of_the_command(server: Server, ca: Path) -> None:
    with serving(server_of(Party("other", ROOT, names=["other"]))) as bad:
        arguments = ("--ca", ca, "--name", "localhost", "--warn-days", 14)
        assert run(server, bad, *arguments)[0] == 1
    assert run(server, f"127.0.0.1:{bad.port}", *arguments, "--timeout", 2)[0] == 2


def test_only_those_that_are_not_in_order_are_printed_on_demand(server: Server, ca: Path) -> None:
    with serving(server_of(Party("other", ROOT, names=["other"]))) as bad:
        arguments = (server, bad, "--ca", ca, "--name", "localhost", "--only-failing")
        assert [result["port"] for result in as_json(*arguments)] == [bad.port]
        code, out, _ = run(*arguments)
    assert code == 1
    assert str(bad) in out and str(server) not in out
    assert run(server, "--ca", ca, "--name", "localhost", "--only-failing") == (0, "", "")


def test_servers_can_be_read_from_standard_input(server: Server, ca: Path) -> None:
    arguments = ["check", "--file", "-", "--json", "--ca", str(ca), "--name", "localhost"]
    done = CliRunner().invoke(app, arguments, input=f"# ours\n{server}\n")
    assert [json.loads(line)["port"] for line in done.stdout.splitlines()] == [server.port]
    assert CliRunner().invoke(app, arguments, input="x" * 2_000_000).exit_code == 2
    assert CliRunner().invoke(app, arguments, input=b"\xff\xfe\x00\n").exit_code == 2
    assert "no HOST" in CliRunner().invoke(app, arguments, input="").stderr


def test_standard_input_without_an_end_is_refused() -> None:
    command = [sys.executable, "-m", "veritls", "check", "--file", "-"]
    with open("/dev/zero", "rb") as endless:
        done = subprocess.run(command, stdin=endless, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "larger than 1,048,576 bytes" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--crl", "/does/not/exist"], "--crl /does/not/exist: No such file or directory"),
        (["--crl", __file__], "does not contain a CRL"),
        (["--crl-chain"], "--crl-chain needs --crl"),
        (["--pin", "sha256/x"], "--pin 'sha256/x' is not base64"),
        (["--pin", "sha256/AAAA"], "a SHA-256 digest has 32"),
        (["--pin", "\x1b[2J"], "is not base64"),
        (["--allow", "example.org"], "--allow 'example.org' is no kind of name"),
        (["--allow", "DNS:*.*.org"], "--allow 'DNS:*.*.org'"),
        (["--require-ocsp", "--at", "+1d"], "--require-ocsp and --at exclude each other"),
        (["--warn-days", "-1"], "--warn-days"),
        (["--warn-days", "x"], "--warn-days"),
        (["--at", "+9999999d"], "--at +9999999d is after the year 9999"),
        (["--at", f"+{'9' * 18}d"], "is after the year 9999"),
        (["--at", "9999-12-31T23:59:59-14:00"], "is not within the years 1 to 9999 in UTC"),
        (["--name", ""], "--name '' is neither a host name nor an address"),
        (["--name", "*.example.org"], "--name '*.example.org' is neither a host name nor an address"),
        (["--name", "a\x1b[2J"], "is neither a host name nor an address"),
        (["a..b"], "'a..b' is no host name"),
        ([f"{'a' * 64}.example.org"], "is no host name"),
        (["--ca", "/dev/zero"], "--ca /dev/zero: it is a device"),
        (["--crl", "/dev/zero"], "--crl /dev/zero: it is a device"),
        (["--cert", "/dev/zero"], "--cert /dev/zero: it is a device"),
        (["--cert", __file__, "--key", "/dev/zero"], "--key /dev/zero: it is a device"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(arguments: list[str], words: str) -> None:
    code, out, err = run("localhost", *arguments)
    assert (code, out) == (2, "")
    assert words in " ".join(err.split()) and "Traceback" not in err
    assert all(line.isprintable() for line in err.splitlines())
    assert not {"load_crls", "pinned_keys", "allowed_peers", "DNSPattern"} & set(
        err.replace("(", " ").split()
    )


def test_revocation_flags_are_set_for_crls_only() -> None:
    from veritls.cli.options import Trust

    assert not Trust().context().verify_flags & (ssl.VERIFY_CRL_CHECK_LEAF | ssl.VERIFY_X509_STRICT)
