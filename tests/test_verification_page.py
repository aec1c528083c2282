"""docs/verification.md: its picture is the code's table, its fields are the report's, its code runs."""

from __future__ import annotations

import contextlib
import io
import re
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import veritls
from tests.reports.broken import root
from tests.reports.picture import PAGE, drawn
from tests.support.certificates import Party, pem
from tests.support.connections import SECONDS, in_thread
from veritls._explaining.verify_errors import VERIFY_ERRORS
from veritls._report.checks import STEPS
from veritls.policy import RULES

TEXT = PAGE.read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.S)


def block(words: str) -> str:
    [found] = [each for each in BLOCKS if words in each]
    return str(found)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the page names, as the current one."""
    monkeypatch.chdir(tmp_path)
    server = Party("server", root(), names=["localhost"])
    web = x509.UniformResourceIdentifier("spiffe://example.org/ns/a/sa/web")
    client = Party("web", root(), names=[web])
    Path("ca.pem").write_bytes(root().pem)
    Path("crl.pem").write_bytes(pem(root().crl()))
    for name, party in (("server", server), ("client", client)):
        Path(f"{name}.pem").write_bytes(party.pem)
        Path(f"{name}.key").write_bytes(party.key_pem)
    return tmp_path


def run(code: str) -> tuple[dict[str, Any], str]:
    out, names = io.StringIO(), dict[str, Any]()
    with contextlib.redirect_stdout(out):
        exec(compile(code, str(PAGE), "exec"), names)
    return names, out.getvalue()


def server_context() -> Any:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("server.pem", "server.key")
    return context


@contextlib.contextmanager
def listening() -> Any:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS)
        yield listener, listener.getsockname()


def accepts(listener: socket.socket, context: Any) -> Callable[[], None]:
    def accept() -> None:
        raw, _ = listener.accept()
        raw.settimeout(SECONDS)
        with contextlib.suppress(OSError), raw, context.wrap_socket(raw, server_side=True) as tls:
            tls.recv(1)

    return accept


def connect(context: Any, address: Any, name: str = "localhost") -> Any:
    raw = socket.create_connection(address, timeout=SECONDS)
    return context.wrap_socket(raw, server_hostname=name)


def test_the_picture_and_the_table_are_those_of_the_code() -> None:
    assert drawn(TEXT) == TEXT, "run: python -m tests.reports.picture"


def test_every_kind_of_refusal_that_has_a_number_belongs_to_a_check_of_the_table() -> None:
    from veritls._report.checks import step_of

    assert {kind for kind in VERIFY_ERRORS if step_of(kind) not in STEPS} == {"other"}


def test_every_block_of_code_is_run_here() -> None:
    asked = set(re.findall(r'block\("([\w.]+)"\)', Path(__file__).read_text("utf-8")))
    assert sorted(map(block, asked)) == sorted(BLOCKS)


def test_the_fields_of_the_report_are_those_of_the_page(here: Path) -> None:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations("ca.pem")
    with pytest.raises(veritls.SSLCertVerificationError) as refused:
        context.verify_chain(
            [ssl.PEM_cert_to_DER_cert(Path("server.pem").read_text())], server_hostname="db.internal"
        )
    report = refused.value.report
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", TEXT, re.M))
    assert set(report.as_dict()) == set(rows)
    for field, of in (("certificates", report.certificates), ("checks", report.checks)):
        assert set(vars(of[0])) == set(re.findall(r"`(\w+)`", rows[field]))
    assert set(re.findall(r"`(\w+)`", rows["question"])) <= set(vars(report.question))
    assert set(report.as_dict()["certificates"][0]) - set(vars(report.certificates[0])) == {
        "pem",
        "days_left",
    }
    assert "chain_length" in report.as_dict()["question"]


def test_the_refusal_is_caught_and_printed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as (listener, address):
        connection = socket.create_connection(address, timeout=SECONDS)
        monkeypatch.setattr(socket, "create_connection", lambda *_, **__: connection)
        serving = in_thread(accepts(listener, server_context()))
        _, out = run(block("error.report"))
        serving.result(SECONDS)
    assert "Hostname mismatch" in out
    assert "the requested name is db.internal, but the certificate is for localhost" in out
    assert '"kind": "name"' in out


def test_a_chain_is_verified_without_a_connection(here: Path) -> None:
    _, out = run(block("verify_chain"))
    assert (
        out == "the server's certificate for localhost is trusted: verified up to the trust anchor "
        "CN=Example Root 29\n"
    )


@pytest.mark.parametrize("path", ["ns/a/sa/web", "ns/a/sa/other"])
def test_the_server_that_checks_spiffe_ids_admits_only_the_right_clients(
    path: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = x509.UniformResourceIdentifier(f"spiffe://example.org/{path}")
    party = Party("web", root(), names=[uri])
    Path("client.pem").write_bytes(party.certificate.public_bytes(Encoding.PEM))
    Path("client.key").write_bytes(party.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    client = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations("ca.pem")
    client.load_cert_chain("client.pem", "client.key")
    with listening() as (listener, address):
        monkeypatch.setattr(socket, "create_server", lambda *_, **__: listener)
        code = block("tls.accept")
        assert len(code.strip().splitlines()) <= 15
        serving = in_thread(run, code)
        with connect(client, address) as tls:
            if path.endswith("web"):
                assert tls.recv(100) == f"hello {uri.value}".encode()
                serving.result(SECONDS)
            else:
                with pytest.raises(ssl.SSLError):
                    tls.recv(100)
                assert isinstance(serving.exception(SECONDS), ssl.SSLCertVerificationError)


def test_a_client_with_bundles_trusts_the_server_that_it_named_and_no_other(here: Path) -> None:
    context = run(block("spiffe_bundles"))[0]["context"]
    ids = ("example.org/ns/prod/sa/db", "example.org/ns/prod/sa/web", "example.com/ns/prod/sa/db")
    kinds = []
    for text in ids:
        party = Party("db", root(), names=[x509.UniformResourceIdentifier(f"spiffe://{text}")])
        try:
            kinds.append(str(context.verify_chain([party.der]).kind))
        except veritls.SSLCertVerificationError as refused:
            kinds.append(str(refused.report.kind))
    assert kinds == ["None", "not_allowed", "trust_domain"]


def test_a_server_without_a_pinned_key_is_refused(here: Path) -> None:
    names, _ = run(block("pinned_keys"))
    with listening() as (listener, address):
        serving = in_thread(accepts(listener, server_context()))
        with pytest.raises(veritls.SSLCertVerificationError) as refused:
            connect(names["context"], address)
        serving.result(SECONDS)
    assert [each.name for each in refused.value.report.checks if each.verdict == "failed"] == ["pinned keys"]


def test_trust_on_first_use_refuses_another_certificate(here: Path) -> None:
    names, _ = run(block("same_as_before"))
    with listening() as (listener, address):
        for _ in range(2):
            serving = in_thread(accepts(listener, server_context()))
            connect(names["context"], address).close()
            serving.result(SECONDS)
        names["seen"]["localhost"] = "another"
        serving = in_thread(accepts(listener, server_context()))
        with pytest.raises(ssl.SSLCertVerificationError, match="another certificate than before"):
            connect(names["context"], address)
        serving.result(SECONDS)


def test_revocation_lists_count(here: Path) -> None:
    names, _ = run(block("VERIFY_CRL_CHECK_LEAF"))
    with listening() as (listener, address):
        serving = in_thread(accepts(listener, server_context()))
        connect(names["context"], address).close()
        serving.result(SECONDS)
    server = x509.load_pem_x509_certificate(Path("server.pem").read_bytes())
    Path("crl.pem").write_bytes(pem(root().crl(server.serial_number)))
    names, _ = run(block("VERIFY_CRL_CHECK_LEAF"))
    with listening() as (listener, address):
        serving = in_thread(accepts(listener, server_context()))
        with pytest.raises(ssl.SSLCertVerificationError, match="was revoked on"):
            connect(names["context"], address)
        serving.result(SECONDS)


def test_a_server_without_an_ocsp_response_is_refused(here: Path) -> None:
    names, _ = run(block("require_ocsp"))
    with listening() as (listener, address):
        serving = in_thread(accepts(listener, server_context()))
        with pytest.raises(veritls.SSLCertVerificationError) as refused:
            connect(names["context"], address)
        serving.result(SECONDS)
    assert refused.value.report.kind == "ocsp_missing"


def test_the_table_of_modes_is_the_codes() -> None:
    """Every cell that the rule decides; `ssl` names the modes."""
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in TEXT.splitlines()
        if line.startswith(("| server | CERT_", "| client | CERT_"))
    ]
    assert [(side, mode) for side, mode, *_ in rows] == [
        ("server" if server_side else "client", mode.name) for server_side, mode in RULES
    ]
    assert RULES[False, ssl.CERT_OPTIONAL] is RULES[False, ssl.CERT_REQUIRED]
    for side, mode, asks, none, valid, invalid, name in rows:
        if (side, mode) == ("client", "CERT_OPTIONAL"):
            assert (asks, none, valid, invalid, name) == ("the same as CERT_REQUIRED", "", "", "", "")
            continue
        rule = RULES[side == "server", ssl.VerifyMode[mode]]
        happens = rule.request or side == "client"
        assert side == "client" or asks == ("yes" if rule.request else "no")
        assert none.startswith("SSLError" if rule.require else "goes on")
        assert valid == ("goes on" if happens else "cannot happen")
        assert invalid.startswith(
            "cannot happen" if not happens else "SSLError" if rule.validate else "goes on"
        )
        assert name.startswith("checked where" if rule.name_matters else "ne" if side == "server" else "not")
