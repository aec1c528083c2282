"""What `veritls audit` does with the key of a CA, and with files that are not what they should be."""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from tests.audit.support import INVALID, ROOT, Files, as_json, audit, server_context, with_verdict as having
from tests.check_servers import serving
from tests.support.certificates import Party, new_key, pem
from veritls.cli.auditing.identities import Workshop, issuer_of, stranger

KEYS = ["valid", *INVALID, "other-name"]


def test_what_is_made_with_the_key_ends_within_the_hour_and_is_written_nowhere(
    audited: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    real = os.open

    def noting(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_CREAT:
            written.append(str(path))
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(os, "open", noting)
    with serving(server_context(audited, ssl.CERT_REQUIRED)) as server:
        assert as_json(server, *audited.keys, "--require")[0] == 0
    # The key that veritls cannot use, for as long as OpenSSL takes to read it.
    assert {Path(each).name for each in written} == {"identity.pem"}
    assert list(tmp_path.iterdir()) == []
    issuer = issuer_of([ROOT.certificate], ROOT.key)
    workshop = Workshop("client", ("a.example",), "b.example", issuer, (ROOT.certificate,))
    for key in KEYS:
        shown = workshop.make(key)
        assert not isinstance(shown, str)
        made = x509.load_pem_x509_certificates(shown.chain)[0]
        assert made.not_valid_after_utc - made.not_valid_before_utc <= timedelta(hours=2)
        if key != "not-yet-valid":
            assert made.not_valid_after_utc <= datetime.now(UTC) + timedelta(hours=1)


def test_the_key_of_a_stranger_is_another_one_under_the_same_name_and_identifier() -> None:
    namesake = stranger(ROOT.certificate).certificate
    assert namesake.subject == ROOT.certificate.subject
    assert namesake.public_key() != ROOT.certificate.public_key()
    kind = x509.SubjectKeyIdentifier
    assert (
        namesake.extensions.get_extension_for_class(kind).value
        == ROOT.certificate.extensions.get_extension_for_class(kind).value
    )


@pytest.mark.parametrize("kind", ["RSA", "ED25519"])
def test_an_intermediate_ca_of_any_kind_of_key_can_issue(kind: str, audited: Files, tmp_path: Path) -> None:
    middle = Party("Middle", ROOT, ca=True, key=new_key(kind))
    ca, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    ca.write_bytes(ROOT.pem + middle.pem)
    key.write_bytes(middle.key_pem)
    context = server_context(audited, ssl.CERT_REQUIRED)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with serving(context) as server:
        code, result = as_json(server, "--require", "--ca", ca, "--ca-key", key)
    assert code == 0, result["sentences"]
    assert having(result, "as it must") == {"valid", "none", *INVALID}


def test_an_encrypted_key_is_opened_by_a_password_from_a_file(audited: Files, tmp_path: Path) -> None:
    key, password = tmp_path / "key.pem", tmp_path / "password"
    form = PrivateFormat.PKCS8
    key.write_bytes(ROOT.key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"secret")))
    given = ["127.0.0.1:1", "--ca", audited.ca, "--ca-key", key]
    assert "it is encrypted: give --password-file" in audit(*given)[2]
    password.write_bytes(b"wrong\n")
    code, _, err = audit(*given, "--password-file", password)
    assert code == 2
    assert "secret" not in err and "wrong" not in err
    password.write_bytes(b"secret\r\nnotes")
    with serving(server_context(audited, ssl.CERT_REQUIRED)) as server:
        assert as_json(server, *given[1:], "--require", "--password-file", password)[0] == 0


def wrong(audited: Files, folder: Path) -> dict[str, tuple[list[object], str]]:
    other = Party("Other", ca=True)
    files = {
        "other.key": other.key_pem,
        "other.crl": pem(other.crl(1)),
        "big.pem": b"x" * (1024 * 1024 + 1),
        "garbage.pem": b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n",
        "alone.pem": ROOT.pem,
        "mixed.pem": other.key_pem + ROOT.pem,
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    os.mkfifo(folder / "fifo")
    ca = ["--ca", audited.ca]
    return {
        "key without ca": (["--ca-key", audited.key], "--ca-key needs --ca"),
        "another's key": (
            [*ca, "--ca-key", folder / "other.key"],
            "it is not the key of a certificate in --ca",
        ),
        "no key": ([*ca, "--ca-key", audited.ca], "--ca-key"),
        "missing": (["--ca", folder / "missing"], "No such file or directory"),
        "folder": (["--ca", folder], f"veritls audit: --ca {folder}: Is a directory"),
        "fifo": (["--ca", folder / "fifo"], "it is not a regular file"),
        "fifo of a password": (
            [*audited.keys, "--password-file", folder / "fifo"],
            f"veritls audit: --password-file {folder / 'fifo'}: it is not a regular file",
        ),
        "big": (["--ca", folder / "big.pem"], "it is larger than 1 MiB"),
        "garbage": (["--ca", folder / "garbage.pem"], "--ca"),
        "another's crl": ([*audited.keys, "--crl", folder / "other.crl"], "it is a CRL of another CA"),
        "no crl": ([*audited.keys, "--crl", audited.ca], "--crl"),
        "peer without file": (["--peer", "valid"], "is not PEER=FILE"),
        "unknown peer": (["--peer", f"fine={audited.server}"], "there is no peer 'fine'"),
        "peer of nothing": (["--peer", f"none={audited.server}"], "is not PEER=FILE"),
        "peer without key": (["--peer", f"valid={folder / 'alone.pem'}"], "--peer"),
        "peer with another's key": (["--peer", f"valid={folder / 'mixed.pem'}"], "--peer"),
        "unknown fate": (["--expect", "valid=fine"], "is not PEER=accepted or PEER=refused"),
        "expected of nobody": (["--expect", "fine=refused"], "there is no peer 'fine'"),
        "both modes": (["--require", "--optional"], "exclude each other"),
        "no pattern": (["--allow", "web.internal"], "--allow"),
        "side": (["--side", "client"], "is a server"),
    }


def test_what_cannot_be_used_is_status_2_and_names_the_option(audited: Files, tmp_path: Path) -> None:
    for case, (arguments, words) in wrong(audited, tmp_path).items():
        code, out, err = audit("127.0.0.1:1", *arguments)
        assert (code, out) == (2, ""), case
        assert err.startswith("veritls audit: ") and words in err, (case, err)
        assert err.rstrip("\n").isprintable(), case


def test_a_context_is_tried_in_memory_where_no_starttls_is() -> None:
    assert "--starttls is for HOST:PORT" in audit("veritls:create_default_context", "--starttls", "smtp")[2]


def test_no_key_is_in_what_is_printed_of_a_peer(audited: Files) -> None:
    issuer = issuer_of([ROOT.certificate], ROOT.key)
    workshop = Workshop("client", ("a.example",), "b.example", issuer, (ROOT.certificate,))
    shown = workshop.make("valid")
    assert not isinstance(shown, str)
    for printed in (repr(shown), repr(issuer), repr(workshop)):
        assert "PRIVATE KEY" not in printed
