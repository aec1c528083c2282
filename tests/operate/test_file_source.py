"""FileSource: files that others renew, in every way in which they do it, and what can be wrong with them."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

import veritls
from tests.operate.rotating import CA, OTHER_CA, Mount, followed, serial_of, until, watchers
from tests.operate.test_follow import accepts, client, served, server
from tests.support.certificates import Party, pem
from tests.support.connections import SECONDS, tls_pair
from veritls.sources import FileSource, files

INTERVAL = 0.05


@pytest.fixture(autouse=True)
def no_watcher_is_left() -> Iterator[None]:
    yield
    until(lambda: not watchers())


@pytest.fixture(params=["watchfiles", "polling"])
def hints(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """With `watchfiles`, and without: the interval, which with it is too long to be waited for."""
    if request.param == "watchfiles":
        pytest.importorskip("watchfiles")
        return 10.0
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    return INTERVAL


@pytest.fixture
def mount(tmp_path: Path) -> Mount:
    return Mount(tmp_path)


def write(folder: Path, party: Party) -> str:
    (folder / "cert.pem").write_bytes(party.pem)
    (folder / "key.pem").write_bytes(party.key_pem)
    return serial_of(party)


def pair(folder: Path, **options: Any) -> FileSource:
    options.setdefault("interval", INTERVAL)
    return FileSource(cert=folder / "cert.pem", key=folder / "key.pem", **options)


def leaf() -> Party:
    return CA.issue("localhost")


def test_two_swaps_as_kubernetes_does_them_are_both_seen(mount: Mount, hints: float) -> None:
    serial = mount.put_identity(leaf(), ca_crt=CA.pem)
    source = FileSource(cert=mount / "tls.crt", key=mount / "tls.key", trust=mount / "ca.crt", interval=hints)
    context = server()
    with followed(context, source) as told:
        told.outcome("loaded")
        assert served(context) == serial
        for root in (OTHER_CA, CA):
            mount.clean()
            serial = mount.put_identity(leaf(), ca_crt=root.pem)
            told.outcome("loaded", 8)
            assert served(context) == serial
            assert [entry.der for entry in context.list_trust()] == [root.der]
        mount.clean()


def test_links_that_certbot_renews_are_followed(tmp_path: Path, hints: float) -> None:
    live, archive = tmp_path / "live", tmp_path / "archive"
    live.mkdir()
    archive.mkdir()

    def renew(number: int) -> str:
        party = leaf()
        for name, data in (("cert", party.pem), ("key", party.key_pem)):
            (archive / f"{name}{number}.pem").write_bytes(data)
            (live / "link").symlink_to(f"../archive/{name}{number}.pem")
            (live / "link").rename(live / f"{name}.pem")
        return serial_of(party)

    serial, context = renew(1), server()
    with followed(context, pair(live, interval=hints)) as told:
        told.outcome("loaded")
        assert served(context) == serial
        for number in (2, 3):
            serial = renew(number)
            told.outcome("loaded", 8)
            assert served(context) == serial


def test_a_link_above_that_is_replaced_is_followed(tmp_path: Path, hints: float) -> None:
    def version(name: str) -> str:
        (tmp_path / name).mkdir()
        (tmp_path / "link").symlink_to(name)
        serial = write(tmp_path / name, leaf())
        (tmp_path / "link").rename(tmp_path / "current")
        return serial

    serial, context = version("one"), server()
    with followed(context, pair(tmp_path / "current", interval=hints)) as told:
        told.outcome("loaded")
        assert served(context) == serial
        for name in ("two", "three"):
            serial = version(name)
            told.outcome("loaded", 8)
            assert served(context) == serial


@pytest.mark.parametrize("way", ["renamed", "written in place", "deleted before"])
def test_files_that_are_renewed_one_by_one_are_taken_when_they_fit(
    tmp_path: Path, hints: float, way: str
) -> None:
    write(tmp_path, leaf())
    context = server()
    with followed(context, pair(tmp_path, interval=hints)) as told:
        told.outcome("loaded")
        for _ in range(2):
            party = leaf()
            for name, data in (("cert.pem", party.pem), ("key.pem", party.key_pem)):
                if way == "renamed":
                    (tmp_path / "new").write_bytes(data)
                    (tmp_path / "new").rename(tmp_path / name)
                elif way == "written in place":
                    (tmp_path / name).write_bytes(data)
                else:
                    (tmp_path / name).unlink()
                    (tmp_path / name).write_bytes(data)
            told.outcome("loaded", 8)
            assert served(context) == serial_of(party)
        assert not [event for event in told.events if event.outcome == "failed"]


def test_halves_that_do_not_fit_keep_the_last_set_and_are_told_of_when_they_stay(tmp_path: Path) -> None:
    serial, party, context = write(tmp_path, leaf()), leaf(), server()
    with followed(context, pair(tmp_path)) as told:
        told.outcome("loaded")
        (tmp_path / "cert.pem").write_bytes(party.pem)
        event = told.outcome("failed")
        assert event.kind == "key_values_mismatch"
        assert served(context) == serial
        assert context.material_status.failures >= 1
        assert context.material_status.sentence == event.sentence
        (tmp_path / "key.pem").write_bytes(party.key_pem)
        assert told.outcome("loaded").status.failures == 0
        assert served(context) == serial_of(party)


def _instead(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def replace(path: Path) -> None:
        path.unlink()
        make(path)

    return replace


def _listen(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


BROKEN: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "blank": lambda path: path.write_bytes(b" \n"),
    "half": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "garbage": lambda path: path.write_bytes(bytes(range(256)) * 40),
    "a folder": _instead(lambda path: path.mkdir()),
    "a fifo": _instead(os.mkfifo),
    "a device": _instead(lambda path: path.symlink_to("/dev/zero")),
    "a loop": _instead(lambda path: path.symlink_to(path)),
    "a socket": _instead(_listen),
}


@pytest.mark.parametrize("name", ["cert.pem", "key.pem"])
@pytest.mark.parametrize("how", BROKEN)
def test_a_file_that_is_broken_is_an_error_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, how: str
) -> None:
    write(tmp_path, leaf())
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    BROKEN[how](Path(name))
    context = server()
    before = context._settings
    with pytest.raises((OSError, ValueError)) as caught:
        context.follow(pair(tmp_path))
    assert name in str(caught.value) or isinstance(caught.value, ssl.SSLError)
    assert context._settings is before


@pytest.mark.parametrize("how", ["a fifo", "a device", "a socket", "a folder"])
def test_what_is_no_file_is_not_even_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    write(tmp_path, leaf())
    monkeypatch.chdir(tmp_path)
    BROKEN[how](Path("key.pem"))
    opened: list[str] = []
    really_open = os.open

    def noting(path: Any, *args: Any) -> int:
        opened.append(str(path))
        return really_open(path, *args)

    monkeypatch.setattr(os, "open", noting)
    with pytest.raises(OSError):
        pair(tmp_path).load()
    assert not [path for path in opened if path.endswith("key.pem")]


@pytest.mark.parametrize("how", BROKEN)
def test_a_file_that_breaks_later_keeps_the_last_set_and_recovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(FileSource, "patience", 0.0)
    monkeypatch.chdir(tmp_path)
    serial, context = write(tmp_path, leaf()), server()
    with followed(context, pair(tmp_path)) as told:
        told.outcome("loaded")
        BROKEN[how](Path("key.pem"))
        event = told.outcome("failed")
        assert event.kind and event.sentence and event.sentence.isprintable()
        assert served(context) == serial
        key = tmp_path / "key.pem"
        if key.is_dir() and not key.is_symlink():
            key.rmdir()
        else:
            key.unlink(missing_ok=True)
        serial = write(tmp_path, leaf())
        told.outcome("loaded")
        assert served(context) == serial


@pytest.mark.parametrize("kind", ["trust", "crls", "intermediates"])
def test_several_in_one_file_that_is_half_written_keep_the_last_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(FileSource, "patience", 0.0)
    parts = [pem(each.crl()) if kind == "crls" else each.pem for each in (CA, OTHER_CA)]
    path, context = tmp_path / "several.pem", client()
    named: dict[str, Any] = {kind: path}
    path.write_bytes(b"".join(parts))

    def held() -> int:
        return sum(item.kind == kind for item in context.material_status.items)

    with followed(context, FileSource(**named, interval=INTERVAL)) as told:
        told.outcome("loaded")
        path.write_bytes(parts[0] + parts[1][:100])
        assert "cut off" in (told.outcome("failed").sentence or "")
        assert held() == 2
        path.write_bytes(b"".join(reversed(parts)))
        told.outcome("loaded")
        assert held() == 2


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied"), OSError(116, "Stale file handle")]
)
def test_what_the_system_refuses_keeps_the_last_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    monkeypatch.setattr(FileSource, "patience", 0.0)
    serial, context = write(tmp_path, leaf()), server()

    def refuse(path: str, most: int) -> Any:
        raise error

    with followed(context, pair(tmp_path)) as told:
        told.outcome("loaded")
        with monkeypatch.context() as patched:
            patched.setattr(files, "_read", refuse)
            write(tmp_path, leaf())
            event = told.outcome("failed")
            assert event.sentence and str(error.strerror) in event.sentence
            assert served(context) == serial
        told.outcome("loaded")


def test_a_folder_that_vanishes_and_comes_back_is_read_again(tmp_path: Path, hints: float) -> None:
    folder = tmp_path / "tls"
    folder.mkdir()
    serial, context = write(folder, leaf()), server()
    with followed(context, pair(folder, interval=hints)) as told:
        told.outcome("loaded")
        shutil.rmtree(folder)
        assert told.outcome("failed").kind == "missing"
        assert served(context) == serial
        (tmp_path / "new").mkdir()
        serial = write(tmp_path / "new", leaf())
        (tmp_path / "new").rename(folder)
        told.outcome("loaded")
        assert served(context) == serial


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    write(tmp_path, leaf())
    with open(tmp_path / "key.pem", "ab") as file:
        file.truncate(50 * 1024**3)  # a hole
    with pytest.raises(OSError, match="larger than"):
        server().follow(pair(tmp_path))


def test_what_changes_while_it_is_read_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set is of one moment: here both files are replaced after the first was read."""
    write(tmp_path, leaf())
    renewed = leaf()
    read, calls = files._read, []

    def replacing(path: str, most: int) -> Any:
        found = read(path, most)
        calls.append(path)
        if len(calls) == 1:
            write(tmp_path, renewed)
        return found

    monkeypatch.setattr(files, "_read", replacing)
    material = pair(tmp_path).load()
    identity: Any = material.identity
    assert (identity.cert, identity.key) == (renewed.pem, renewed.key_pem)
    assert len(calls) == 4


def test_a_file_that_changes_all_the_time_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, leaf())
    read = files._read

    def changing(path: str, most: int) -> Any:
        found = read(path, most)
        with open(path, "ab") as file:
            file.write(b"\n")
        return found

    monkeypatch.setattr(files, "_read", changing)
    with pytest.raises(OSError, match="changes all the time"):
        pair(tmp_path).load()


def test_content_counts_and_not_the_times_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS may show the states of before. The content is read in any case, every ten seconds."""
    monkeypatch.setattr("veritls._context.watching.PERIOD", 0.1)
    write(tmp_path, leaf())
    monkeypatch.setattr(files, "_state_of", lambda path: (1, 2, 3))
    monkeypatch.setattr(files, "_state", lambda found: (1, 2, 3))
    context = server()
    with followed(context, pair(tmp_path, interval=10.0)) as told:
        told.outcome("loaded")
        serial = write(tmp_path, leaf())
        told.outcome("loaded")
        assert served(context) == serial


def test_files_that_are_touched_are_no_new_generation(tmp_path: Path) -> None:
    write(tmp_path, leaf())
    source, context = pair(tmp_path), server()
    with followed(context, source) as told:
        told.outcome("loaded")
        checked = context.material_status.checked
        os.utime(tmp_path / "cert.pem")
        until(lambda: context.material_status.checked != checked)
        assert context.generation == 1
        assert not told.events


def test_one_file_with_certificate_and_key_is_enough(tmp_path: Path) -> None:
    party = leaf()
    (tmp_path / "both.pem").write_bytes(party.key_pem + party.pem)
    context = server()
    with followed(context, FileSource(cert=str(tmp_path / "both.pem"))):
        assert served(context) == serial_of(party)


def test_an_encrypted_key_is_decrypted_with_the_password(tmp_path: Path) -> None:
    party = leaf()
    (tmp_path / "cert.pem").write_bytes(party.pem)
    secret = party.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (tmp_path / "key.pem").write_bytes(secret)
    context = server()
    with followed(context, pair(tmp_path, password=lambda: "secret")):
        assert served(context) == serial_of(party)
    with pytest.raises(ssl.SSLError):
        context.follow(pair(tmp_path, password="wrong"))


def test_crls_and_intermediates_are_read_from_lists_and_hashed_folders(tmp_path: Path) -> None:
    middle = Party("Middle", CA, ca=True)
    party = middle.issue("localhost")
    (tmp_path / "hashed").mkdir()
    (tmp_path / "hashed" / "0123abcd.0").write_bytes(CA.pem)
    (tmp_path / "hashed" / "0123abcd.r0").write_bytes(pem(CA.crl()))
    (tmp_path / "hashed" / "README").write_bytes(b"no PEM")
    (tmp_path / "other.pem").write_bytes(OTHER_CA.pem)
    (tmp_path / "middle.pem").write_bytes(middle.pem)
    (tmp_path / "middle.crl").write_bytes(pem(middle.crl(party)))
    source = FileSource(
        trust=[tmp_path / "hashed", tmp_path / "other.pem"],
        crls=[tmp_path / "hashed", tmp_path / "middle.crl"],
        intermediates=tmp_path / "middle.pem",
    )
    assert source.provides == {"trust", "crls", "intermediates"}
    context = client()
    with followed(context, source):
        kinds = [entry.kind for entry in context.list_trust()]
        assert kinds == ["anchor", "anchor", "intermediate", "crl", "crl"]
        assert accepts(context, middle)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        peer = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
        peer.load_cert_chain(bytearray(party.pem), bytearray(party.key_pem))
        with pytest.raises(ssl.SSLCertVerificationError, match="revoked"), tls_pair(peer, context):
            pass


def test_a_file_that_appears_in_a_hashed_folder_is_taken(tmp_path: Path, hints: float) -> None:
    (tmp_path / "0123abcd.0").write_bytes(OTHER_CA.pem)
    context = client()
    with followed(context, FileSource(trust=tmp_path, interval=hints)) as told:
        told.outcome("loaded")
        (tmp_path / "new").write_bytes(CA.pem)
        (tmp_path / "new").rename(tmp_path / "0123abcd.1")
        told.outcome("loaded", 8)
        assert accepts(context, CA)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, TypeError),
        ({"key": "key.pem"}, TypeError),
        ({"password": "x", "trust": "ca.pem"}, TypeError),
        ({"cert": 5}, TypeError),
        ({"cert": bytearray(b"x")}, TypeError),
        ({"cert": ["cert.pem"]}, TypeError),
        ({"trust": []}, ValueError),
        ({"trust": ["ca.pem", ""]}, ValueError),
        ({"cert": ""}, ValueError),
        ({"trust": 5}, TypeError),
        ({"trust": {"example.org": "bundle.pem"}}, TypeError),
        ({"trust": "a\0b"}, ValueError),
        ({"trust": "ca.pem", "interval": 0}, ValueError),
        ({"trust": "ca.pem", "interval": 11}, ValueError),
        ({"trust": "ca.pem", "interval": "1"}, TypeError),
        ({"crls": ["x"] * 1001}, ValueError),
    ],
)
def test_arguments_are_checked(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        FileSource(**options)


def test_its_name_is_printable_and_bounded_and_its_repr_has_no_password(tmp_path: Path) -> None:
    source = FileSource(cert=tmp_path / "\x1b[31m\n" / "x.pem", password="hunter2")
    assert source.name.isprintable() and source.name.startswith("files /")
    assert len(FileSource(trust="x" * 5000 + "/a").name) <= 120
    assert "hunter2" not in repr(source)
    assert FileSource(trust=["/a/x", "/b/y", "/b/z"]).name == "files /a and 1 more"


def test_without_inotify_instances_it_polls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watching = pytest.importorskip("watchfiles")

    def fails(*_: Any, **__: Any) -> Any:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(watching, "watch", fails)
    write(tmp_path, leaf())
    context = server()
    with followed(context, pair(tmp_path)) as told:
        told.outcome("loaded")
        serial = write(tmp_path, leaf())
        told.outcome("loaded", SECONDS)
        assert served(context) == serial
