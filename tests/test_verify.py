"""`veritls verify`: chains in files, in every form in which people have them, and what else files are."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from rich.console import Console
from typer.testing import CliRunner

from tests.support.certificates import DAY, NOW, Party, key_usage, pem
from tests.support.connections import SECONDS
from veritls.cli import certificate_files, verifying
from veritls.cli.app import app

ROOT = Party("Root", ca=True)
MIDDLE = Party("Middle", ROOT, ca=True)
LEAF = Party("leaf", MIDDLE, names=["db.internal"])
EXPIRED = Party("old", MIDDLE, names=["db.internal"], end=NOW - 3 * DAY)
NAME = ["--name", "db.internal"]


@pytest.fixture
def ca(tmp_path: Path) -> list[object]:
    path = tmp_path / "ca.pem"
    path.write_bytes(ROOT.pem)
    return ["--ca", path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "chains"
    path.mkdir()
    return path


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def verify(*arguments: object, given: bytes | None = None, columns: int = 300) -> tuple[int, str, str]:
    environment = {"COLUMNS": str(columns)}
    done = CliRunner().invoke(app, ["verify", *map(str, arguments)], input=given, env=environment)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


def as_json(*arguments: object, given: bytes | None = None) -> tuple[int, list[dict[str, Any]]]:
    code, out, err = verify("--json", *arguments, given=given)
    assert err == ""
    return code, [json.loads(line) for line in out.splitlines()]


def store(party: Party, *above: Party, password: bytes | None = None) -> bytes:
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    others = [each.certificate for each in above]
    return pkcs12.serialize_key_and_certificates(b"x", party.key, party.certificate, others, encryption)


def test_a_chain_is_reported_as_a_handshake_would(ca: list[object], folder: Path) -> None:
    chain = put(folder, "chain.pem", LEAF.pem + MIDDLE.pem)
    code, out, _ = verify(chain, *ca, *NAME)
    assert code == 0
    assert out.startswith(f"{chain} trusted: the server's certificate for db.internal is trusted")
    assert "host name" in out and "not checked (give --name)" not in out
    code, out, _ = verify(chain, *ca, "--name", "web.internal")
    assert code == 1
    assert "the requested name is web.internal, but the certificate is for db.internal" in out


def test_without_a_name_the_report_says_that_none_was_checked(ca: list[object], folder: Path) -> None:
    chain = put(folder, "chain.pem", LEAF.pem + MIDDLE.pem)
    code, out, _ = verify(chain, *ca)
    assert code == 0
    assert "host name: not checked (give --name)" in out


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("chain.der", LEAF.der + MIDDLE.der),
        ("with-key.pem", LEAF.key_pem + LEAF.pem + MIDDLE.pem),
        ("mixed.p12", store(LEAF, ROOT, MIDDLE)),
        ("store", store(LEAF, MIDDLE)),
        ("only.p12", pkcs12.serialize_key_and_certificates(
            None, None, None, [MIDDLE.certificate, LEAF.certificate], NoEncryption())),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)  # fmt: skip
def test_a_chain_may_be_in(name: str, data: bytes, ca: list[object], folder: Path) -> None:
    code, [result] = as_json(put(folder, name, data), *ca, *NAME)
    assert (code, result["status"]) == (0, "trusted"), result


def test_an_encrypted_store_needs_its_password(ca: list[object], folder: Path) -> None:
    path = put(folder, "me.p12", store(LEAF, MIDDLE, password=b"secret"))
    password = put(folder.parent, "password", b"secret\n")
    code, [result] = as_json(path, *ca)
    assert (code, result["status"]) == (2, "not readable")
    assert result["problem"] == "PKCS#12 that is encrypted, or malformed: give --password-file"
    assert as_json(path, *ca, "--password-file", password)[0] == 0
    password.write_bytes(b"wrong")
    code, [result] = as_json(path, *ca, "--password-file", password)
    assert code == 2
    assert "the password of --password-file is wrong" in result["problem"]
    assert "wrong\n" not in result["problem"]


def test_a_store_whose_keys_take_for_ever_to_derive_is_given_up(
    ca: list[object], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(3_000_000).build(b"x")
    data = pkcs12.serialize_key_and_certificates(b"x", LEAF.key, LEAF.certificate, None, form)
    path = put(folder, "slow.p12", data)
    password = put(folder.parent, "password", b"x")
    monkeypatch.setattr(certificate_files, "PKCS12_SECONDS", 0.5)
    code, [result] = as_json(path, *ca, "--password-file", password)
    assert code == 2
    assert "its keys take more than 0.5 seconds to derive" in result["problem"]


def test_stdin_is_a_file(ca: list[object]) -> None:
    code, [result] = as_json("-", *ca, *NAME, given=LEAF.pem + MIDDLE.pem)
    assert (code, result["status"], result["file"]) == (0, "trusted", "stdin")


def test_intermediates_help_and_are_not_trusted(ca: list[object], folder: Path) -> None:
    chain, helping = put(folder, "leaf.pem", LEAF.pem), put(folder, "middle.pem", MIDDLE.pem)
    assert as_json(chain, *ca)[0] == 1
    assert as_json(chain, *ca, "--intermediates", helping)[0] == 0
    assert as_json(chain, "--ca", helping)[0] == 1
    assert as_json(chain, "--ca", helping, "--partial-chain")[0] == 0


def test_a_clients_certificate_is_verified_as_one(ca: list[object], folder: Path) -> None:
    from cryptography.x509 import ExtendedKeyUsage
    from cryptography.x509.oid import ExtendedKeyUsageOID

    usage = (ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)
    client = Party("Ann", ROOT, extra=[usage])
    path = put(folder, "ann.pem", client.pem)
    assert as_json(path, *ca, "--purpose", "client")[0] == 0
    code, [result] = as_json(path, *ca)
    assert (code, result["report"]["kind"]) == (1, "purpose")
    code, _, err = verify(path, *ca, *NAME, "--purpose", "client")
    assert (code, "--name is for servers" in err) == (2, True)


def test_the_demands_of_the_options_are_made(ca: list[object], folder: Path) -> None:
    chain = put(folder, "chain.pem", LEAF.pem + MIDDLE.pem)
    crl = put(folder.parent, "crl.pem", pem(MIDDLE.crl(LEAF)))
    odd = put(folder, "odd.pem", Party("odd", ROOT, usage=key_usage(), authority_key=None).pem)
    demands: list[tuple[list[object], str]] = [
        (["--crl", crl], "revoked"),
        (["--pin", f"sha256/{'A' * 43}="], "not_pinned"),
        (["--allow", "DNS:*.example.org"], "not_allowed"),
        (["--at", "+40d"], "expired"),
    ]
    for options, kind in demands:
        code, [result] = as_json(chain, *ca, *options)
        assert (code, result["report"]["kind"]) == (1, kind)
    assert as_json(odd, *ca, "--strict")[0] == 1
    assert as_json(chain, *ca, "--allow", "DNS:db.internal")[0] == 0


def test_few_days_are_status_3_and_worse_outweighs_it(ca: list[object], folder: Path) -> None:
    chain = put(folder, "chain.pem", LEAF.pem + MIDDLE.pem)
    assert as_json(chain, *ca, "--warn-days", 5)[0] == 0
    code, [result] = as_json(chain, *ca, "--warn-days", 365)
    assert (code, result["status"]) == (3, "expires soon")
    put(folder, "old.pem", EXPIRED.pem + MIDDLE.pem)
    assert as_json(folder, *ca, "--warn-days", 365)[0] == 1


class TestAFolder:
    @pytest.fixture(autouse=True)
    def files(self, folder: Path) -> None:
        put(folder, "a.pem", LEAF.pem + MIDDLE.pem)
        put(folder, "deep/er/b.crt", LEAF.der + MIDDLE.der)
        put(folder, "deep/old.pem", EXPIRED.pem + MIDDLE.pem)
        put(folder, "key.pem", LEAF.key_pem)
        put(folder, "key.der", LEAF.key_der)
        put(folder, "README", b"nothing of that kind")
        put(folder, "empty", b"")
        put(folder, ".hidden/c.pem", b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")

    def test_every_file_is_told_of_by_name_and_what_is_no_certificate_changes_nothing(
        self, ca: list[object], folder: Path
    ) -> None:
        code, results = as_json(folder, *ca, *NAME)
        got = {str(Path(each["file"]).relative_to(folder)): each["status"] for each in results}
        assert got == {
            "README": "no certificate",
            "a.pem": "trusted",
            "deep/er/b.crt": "trusted",
            "deep/old.pem": "not trusted",
            "empty": "no certificate",
            "key.der": "no certificate",
            "key.pem": "no certificate",
        }
        assert code == 1
        (folder / "deep/old.pem").unlink()
        assert as_json(folder, *ca, *NAME)[0] == 0

    def test_a_certificate_that_is_broken_is_status_2(self, ca: list[object], folder: Path) -> None:
        (folder / "deep/old.pem").unlink()
        for name, data in [
            ("broken.pem", b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"),
            ("broken.der", LEAF.der[:-5]),
            ("big.pem", LEAF.pem * 2000),
        ]:
            path = put(folder, name, data)
            code, results = as_json(folder, *ca)
            assert (code, [each["file"] for each in results if each["status"] == "not readable"]) == (
                2,
                [str(path)],
            )
            path.unlink()

    def test_a_table_has_a_row_for_each_and_only_those_that_fail_where_that_is_asked(
        self, ca: list[object], folder: Path
    ) -> None:
        code, out, err = verify(folder, *ca, *NAME)
        rows = [line for line in out.splitlines() if str(folder) in line]
        assert (code, len(rows), err) == (1, 7, "")
        code, out, _ = verify(folder, *ca, *NAME, "--only-failing")
        [row] = [line for line in out.splitlines() if str(folder) in line]
        assert (code, "old.pem" in row, "expired 3 days ago" in row) == (1, True, True)
        assert [each["status"] for each in as_json(folder, *ca, "--only-failing")[1]] == ["not trusted"]

    def test_no_certificate_anywhere_is_status_2(self, ca: list[object], folder: Path) -> None:
        (folder / "empty").rename(folder.parent / "empty")
        nothing = folder / "nothing"
        nothing.mkdir()
        assert as_json(nothing, *ca) == (2, [])
        put(nothing, "README", b"text")
        code, [result] = as_json(nothing, *ca)
        assert (code, result["status"]) == (2, "no certificate")

    def test_number_and_depth_are_bounded(
        self, ca: list[object], folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(certificate_files, "DEEPEST", 1)
        code, _, err = verify(folder, *ca)
        assert (code, "more than 1 folders deep" in err) == (2, True)
        monkeypatch.undo()
        monkeypatch.setattr(certificate_files, "MOST_FILES", 3)
        code, _, err = verify(folder, *ca)
        assert (code, "more than 3 files" in err) == (2, True)

    def test_links_to_folders_pipes_and_files_that_cannot_be_read_hold_up_nothing(
        self, ca: list[object], folder: Path
    ) -> None:
        (folder / "circle").symlink_to(folder)
        (folder / "link.pem").symlink_to(folder / "a.pem")
        (folder / "broken-link").symlink_to(folder / "nowhere")
        os.mkfifo(folder / "pipe")
        results = as_json(folder, *ca)[1]
        got = {Path(each["file"]).name: each for each in results}
        assert "circle" not in got
        assert got["link.pem"]["status"] == "trusted"
        assert got["broken-link"]["problem"] == "No such file or directory"
        assert got["pipe"]["problem"] == "it is not a regular file"


def test_a_folder_in_a_folder_that_cannot_be_read_is_told_of(
    ca: list[object], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, "secret/a.pem", LEAF.pem)
    put(folder, "b.pem", LEAF.pem + MIDDLE.pem)
    real = os.scandir

    def scandir(path: Path) -> Any:
        if Path(path).name == "secret":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    code, results = as_json(folder, *ca)
    assert (code, [each["status"] for each in results]) == (2, ["trusted", "not readable"])


def test_a_list_of_cas_is_no_chain(ca: list[object], folder: Path) -> None:
    code, [result] = as_json(put(folder, "many.pem", LEAF.pem * 65), *ca)
    assert (code, result["status"]) == (2, "not readable")
    assert "65 certificates: more than the 64 of a chain" in result["problem"]


def test_a_file_is_verified_once_and_files_come_in_their_order(ca: list[object], folder: Path) -> None:
    first, second = put(folder, "b.pem", LEAF.pem), put(folder, "a.pem", LEAF.pem)
    results = as_json(first, second, first, folder, *ca)[1]
    assert [each["file"] for each in results] == [str(first), str(second)]


def test_the_names_of_files_reach_the_terminal_escaped(ca: list[object], folder: Path) -> None:
    put(folder, "a\x1b[2J\n.pem", LEAF.pem)
    put(folder, "b.pem", LEAF.pem)
    for arguments in ([folder], [folder / "a\x1b[2J\n.pem"]):
        out = verify(*arguments, *ca)[1]
        assert "\x1b" not in out and r"a\x1b[2J\n.pem" in out
        code, _, err = verify(folder / "a\x1b[2J\n.pem", "--ca", folder / "\x1b")
        assert (code, "\x1b" in err) == (2, False)


def test_a_folder_in_place_of_a_file_is_named(folder: Path) -> None:
    chain = put(folder, "chain.pem", LEAF.pem)
    error = verify(chain, "--password-file", folder)[2]
    assert error == f"veritls verify: --password-file {folder}: Is a directory\n"


@pytest.mark.parametrize("option", ["--ca", "--crl", "--intermediates", "--password-file"])
def test_an_option_whose_file_cannot_be_read_is_named(option: str, folder: Path) -> None:
    chain = put(folder, "chain.pem", LEAF.pem)
    code, out, err = verify(chain, option, folder / "missing")
    assert (code, out) == (2, "")
    assert err == f"veritls verify: {option} {folder / 'missing'}: No such file or directory\n"


def test_what_is_piped_is_neither_cut_nor_folded_and_a_progress_bar_is_for_terminals(
    ca: list[object], folder: Path
) -> None:
    names = [f"host-{number}.{'x' * 40}.internal" for number in range(6)]
    long = Party("leaf", MIDDLE, names=names)
    for number in range(3):
        put(folder, f"{number}.pem", long.pem + MIDDLE.pem)
    command = [sys.executable, "-m", "veritls", "verify", str(folder), *map(str, ca)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=os.environ | {"COLUMNS": "40"}
    )
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line for line in done.stdout.splitlines() if str(folder) in line]
    assert len(rows) == 3
    assert all(
        re.search(r"trusted +\d+ +the server's certificate for host-0.* trust anchor", row) for row in rows
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--name", ""], "--name '' is neither a host name nor an address"),
        (["--name", "*.internal"], "--name '*.internal' is neither a host name nor an address"),
        (["--name", "db.internal:443"], "is neither a host name nor an address"),
        (["--intermediates", "/dev/zero"], "--intermediates /dev/zero: it is a device"),
        (["--at", "9999-12-31T23:59:59-14:00"], "is not within the years 1 to 9999 in UTC"),
    ],
)
def test_an_option_that_cannot_be_used_ends_it_with_2(
    arguments: list[str], words: str, ca: list[object], folder: Path
) -> None:
    code, out, err = verify(put(folder, "chain.pem", LEAF.pem), *ca, *arguments)
    assert (code, out) == (2, "") and words in err


def test_a_certificate_that_is_cut_off_is_not_passed_over_in_a_folder(ca: list[object], folder: Path) -> None:
    whole = LEAF.pem + MIDDLE.pem
    put(folder, "whole.pem", whole)
    for at in (len(b"-----BEGIN CERTIFICATE-----"), 300):
        put(folder, f"{at}.pem", whole[:at])
    code, found = as_json(folder, *ca, *NAME)
    assert code == 2
    assert [each["status"] for each in found] == ["not readable", "not readable", "trusted"]
    assert "cut off" in found[0]["problem"]


def test_a_link_to_itself_in_a_folder_is_told_of_and_the_next_file_is_read(
    ca: list[object], folder: Path
) -> None:
    (folder / "a.pem").symlink_to(folder / "a.pem")
    put(folder, "b.pem", LEAF.pem + MIDDLE.pem)
    code, found = as_json(folder, *ca, *NAME)
    assert code == 2
    assert [each["status"] for each in found] == ["not readable", "trusted"]


@pytest.mark.parametrize("arguments", [["verify", "-"], ["check", "--file", "-"]])
def test_standard_input_that_is_closed_is_said_to_be(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "veritls", *arguments]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *command], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "standard input is closed" in done.stdout + done.stderr and "Traceback" not in done.stderr


def test_ctrl_c_ends_the_derivation_of_keys(
    ca: list[object], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    presses_it = "import os, signal, time; os.kill(os.getppid(), signal.SIGINT); time.sleep(600)"
    monkeypatch.setattr(certificate_files, "_READER", ("-c", presses_it))
    monkeypatch.setattr(certificate_files, "PKCS12_SECONDS", 600)
    for number in range(3):
        put(folder, f"{number}.p12", store(LEAF))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored
    try:
        code, out, _ = verify(folder, *ca, "--jobs", 1)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (code, out) == (130, "")
    assert not certificate_files._deriving


def test_ctrl_c_while_files_are_handed_out_ends_what_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    started, stopped = threading.Event(), threading.Event()
    monkeypatch.setattr(verifying, "stop_deriving", stopped.set)

    def derives(file: Any) -> Any:
        started.set()
        stopped.wait(SECONDS)

    class InterruptedAfterOne(list[Any]):
        def __iter__(self) -> Iterator[Any]:
            yield self[0]
            assert started.wait(SECONDS)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files = InterruptedAfterOne(["first", "second"])
        verifying.verify_all(files, cast(verifying.Question, derives), 1, Console(file=io.StringIO()))
    assert stopped.is_set(), "the first file was waited for"
