"""The system's trust: what stands in its place, and what is said where it cannot be read."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

import veritls
from tests.check_servers import serving as answering
from tests.revocation.answers import serving
from tests.support.certificates import Party
from tests.support.memory import handshake, memory_pair
from veritls import _engine
from veritls._loading import trust
from veritls.errors import SSLCertVerificationError

ROOT, OTHER = Party("Root", ca=True), Party("Other", ca=True)
MIDDLE = Party("Middle", ROOT, ca=True)
LEAF = Party("localhost", MIDDLE)
ALONE = Party("localhost")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the environment's trust, nor what an earlier test had read of the system's."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(trust, "_system", None)


def refusal(*chain: Party) -> SSLCertVerificationError:
    """Why a default context does not trust a chain."""
    context = veritls.create_default_context()
    with pytest.raises(SSLCertVerificationError) as refused:
        context.verify_chain([each.der for each in chain], server_hostname="localhost")
    return refused.value


def unreadable(tmp_path: Path) -> dict[str, tuple[dict[str, str], str]]:
    """Environments in which nothing of the system's trust can be read, and what is said of each."""
    missing, empty, words, folder = (
        tmp_path / name for name in ("missing.pem", "empty.pem", "words.pem", "folder")
    )
    empty.write_text("")
    words.write_text("hello\\n")
    folder.mkdir()
    return {
        "missing file": (
            {"SSL_CERT_FILE": f"{missing}"},
            f"SSL_CERT_FILE names '{missing}', which cannot be read: No such file",
        ),
        "empty file": ({"SSL_CERT_FILE": f"{empty}"}, f"SSL_CERT_FILE names '{empty}', which cannot be read"),
        "no PEM": ({"SSL_CERT_FILE": f"{words}"}, f"SSL_CERT_FILE names '{words}', which cannot be read"),
        "folder as a file": ({"SSL_CERT_FILE": f"{folder}"}, "Is a directory"),
        "no name of a file": ({"SSL_CERT_FILE": ""}, "SSL_CERT_FILE names '', which cannot be read: No such"),
        "no name of a folder": ({"SSL_CERT_DIR": ":"}, "SSL_CERT_DIR names no folder"),
        "missing folder": (
            {"SSL_CERT_DIR": f"{missing}"},
            f"SSL_CERT_DIR names '{missing}', which cannot be read: No such file",
        ),
        "empty folder": (
            {"SSL_CERT_DIR": f"{folder}"},
            f"SSL_CERT_DIR names '{folder}', which contains no certificate",
        ),
    }


@pytest.mark.parametrize("chain", [(LEAF, MIDDLE), (LEAF,), (ALONE,), (LEAF, MIDDLE, ROOT)], ids=len)
@pytest.mark.parametrize(
    "case",
    [
        "missing file",
        "empty file",
        "no PEM",
        "folder as a file",
        "no name of a file",
        "no name of a folder",
        "missing folder",
        "empty folder",
    ],
)
def test_an_empty_trust_set_is_explained_by_what_could_not_be_read(
    case: str, chain: tuple[Party, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment, words = unreadable(tmp_path)[case]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    error = refusal(*chain)
    assert "the trust set contains no trust anchors (SSL_CERT_" in error.report.sentence
    assert words in error.report.sentence and error.report.sentence in str(error)
    assert any("ca-certificates" in remedy and "SSL_CERT_FILE" in remedy for remedy in error.report.remedies)


@pytest.mark.parametrize("errors", [[], ["'/etc/ssl/certs': Permission denied"]])
def test_a_system_without_certificates_is_told(errors: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_engine, "system_certificates", lambda: ([], errors, None))
    error = refusal(LEAF, MIDDLE)
    told = errors[0] if errors else "the system has no trusted certificates in the usual places"
    assert f"the trust set contains no trust anchors ({told})" in str(error)
    assert any("ca-certificates" in remedy for remedy in error.report.remedies)


def test_a_handshake_tells_it_too_on_either_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    client, server = veritls.create_default_context(), serving(LEAF, MIDDLE)
    client.load_cert_chain([LEAF.certificate, MIDDLE.certificate], LEAF.key)
    server.load_default_certs()
    server.verify_mode = ssl.CERT_REQUIRED
    trusting = veritls.create_default_context(cadata=ROOT.certificate)
    trusting.load_cert_chain([LEAF.certificate, MIDDLE.certificate], LEAF.key)
    for one, name in ((client, "client"), (trusting, "server")):
        ends = memory_pair(server, one)
        with pytest.raises(SSLCertVerificationError, match=r"missing\.pem") as refused:
            handshake(*ends)
        assert refused.value.report.question.purpose == ("server" if name == "client" else "client")


def test_what_was_read_counts_and_what_was_not_is_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ca.pem").write_bytes(OTHER.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "missing"))
    error = refusal(LEAF, MIDDLE)
    assert "missing" not in error.report.sentence
    assert any(f"SSL_CERT_DIR names '{tmp_path / 'missing'}'" in each for each in error.report.remedies)
    context = veritls.create_default_context()
    context.load_verify_locations(cadata=ROOT.certificate)
    assert context.verify_chain([LEAF.der, MIDDLE.der], server_hostname="localhost").trusted


def test_a_context_that_never_asked_for_the_systems_trust_says_nothing_of_it() -> None:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    with pytest.raises(SSLCertVerificationError) as refused:
        context.verify_chain([LEAF.der, MIDDLE.der])
    assert "the trust set contains no trust anchors;" in str(refused.value)
    assert any("load_default_certs" in remedy for remedy in refused.value.report.remedies)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_the_systems_trust_is_not_added_beside_what_the_environment_names(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "12345678.0"
    path.write_bytes(ROOT.pem)
    monkeypatch.setenv(variable, str(path if variable == "SSL_CERT_FILE" else tmp_path))
    monkeypatch.setattr(_engine, "system_certificates", lambda: ([OTHER.der], [], None))
    context = veritls.create_default_context()
    assert [entry.der for entry in context.list_trust()] == [ROOT.der]
    monkeypatch.setenv(variable, str(tmp_path / "missing"))
    assert veritls.create_default_context().list_trust() == []
    monkeypatch.delenv(variable)
    assert [entry.der for entry in veritls.create_default_context().list_trust()] == [OTHER.der]


def test_get_server_certificate_validates_where_ca_certs_names_a_file(tmp_path: Path) -> None:
    def asked(*parties: Party, ca: Party | None) -> Any:
        file = tmp_path / "ca.pem"
        if ca is not None:
            file.write_bytes(ca.pem)
        with answering(serving(*parties)) as server:
            address = (server.host, server.port)
            return veritls.get_server_certificate(address, ca_certs=None if ca is None else file, timeout=10)

    pem = ssl.DER_cert_to_PEM_cert(LEAF.der)
    assert asked(LEAF, MIDDLE, ca=None) == asked(LEAF, MIDDLE, ca=ROOT) == pem
    assert asked(ALONE, ca=None) == ssl.DER_cert_to_PEM_cert(ALONE.der)
    for parties, ca in (((LEAF, MIDDLE), OTHER), ((LEAF,), ROOT), ((ALONE,), ROOT)):
        with pytest.raises(ssl.SSLCertVerificationError):
            asked(*parties, ca=ca)
