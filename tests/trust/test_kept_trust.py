"""Trusted certificates are read and parsed once for all contexts, and again where they may have changed."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import veritls
from tests.support.certificates import Party
from veritls import _engine
from veritls._loading import pem, trust

ONE, OTHER, THIRD = (Party(f"Root {number}", ca=True) for number in range(3))
LEAF = Party("localhost", ONE)
LONG_AFTER = 10_000_000_000


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "_files", {})
    monkeypatch.setattr(trust, "_folders", {})
    monkeypatch.setattr(trust, "_system", None)
    trust._shared.cache_clear()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every file had been written ten seconds ago."""
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + LONG_AFTER)


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sources that are parsed, in order."""
    sources: list[str] = []
    parse = trust._in_pem

    def noted(data: bytes, where: str, **options: Any) -> trust.Batch:
        sources.append(where)
        return parse(data, where, **options)

    monkeypatch.setattr(trust, "_in_pem", noted)
    return sources


def trusted(path: Path) -> list[bytes]:
    """What a new context trusts."""
    return [entry.der for entry in veritls.create_default_context(cafile=path).list_trust()]


def engines(context: Any) -> _engine.TrustSet:
    found: _engine.TrustSet = context._settings.trust.frozen(partial_chain=False)
    return found


def rewritten(path: Path, content: bytes) -> None:
    """Writes into the file until it shows: the clock of a file system may stand for some milliseconds."""
    before = os.stat(path).st_ctime_ns
    while os.stat(path).st_ctime_ns == before:
        path.write_bytes(content)


def test_a_file_is_parsed_once_for_all_contexts(tmp_path: Path, later: None, parsed: list[str]) -> None:
    (tmp_path / "ca.pem").write_bytes(ONE.pem)
    for _ in range(3):
        assert trusted(tmp_path / "ca.pem") == [ONE.der]
    assert len(parsed) == 1


def test_a_file_that_was_changed_less_than_two_seconds_ago_is_read_again(
    tmp_path: Path, parsed: list[str]
) -> None:
    (tmp_path / "ca.pem").write_bytes(ONE.pem)
    os.utime(tmp_path / "ca.pem", (0, 0))
    assert trusted(tmp_path / "ca.pem") == trusted(tmp_path / "ca.pem") == [ONE.der]
    assert len(parsed) == 2


def in_place(path: Path) -> None:
    times = os.stat(path)
    padding = b"\n" * (times.st_size - len(OTHER.pem))
    rewritten(path, OTHER.pem + padding)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def by_another_file(path: Path) -> None:
    path.with_name("new").write_bytes(OTHER.pem)
    path.with_name("new").rename(path)


def by_a_link(path: Path) -> None:
    path.with_name("new").write_bytes(OTHER.pem)
    path.unlink()
    path.symlink_to(path.with_name("new"))


@pytest.mark.parametrize("change", [in_place, by_another_file, by_a_link])
def test_a_changed_file_is_seen_by_the_next_context(
    change: Callable[[Path], None], tmp_path: Path, later: None
) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(ONE.pem + b"\n" * 100)
    earlier = veritls.create_default_context(cafile=path)
    change(path)
    assert trusted(path) == trusted(path) == [OTHER.der]
    assert earlier.verify_chain([LEAF.der]).trusted


def test_a_file_that_is_gone_or_cannot_be_used_any_more_is_an_error(tmp_path: Path, later: None) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(ONE.pem)
    assert trusted(path) == [ONE.der]
    rewritten(path, b"nothing")
    with pytest.raises(veritls.SSLError, match="does not contain a certificate"):
        trusted(path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        trusted(path)


def test_a_file_that_changes_while_it_is_read_is_not_kept(
    tmp_path: Path, later: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(ONE.pem)
    read = pem.content_of

    def read_and_changed(*arguments: Any) -> bytes:
        content = read(*arguments)
        rewritten(path, OTHER.pem)
        return content

    monkeypatch.setattr(trust, "content_of", read_and_changed)
    assert trusted(path) == [ONE.der]
    monkeypatch.setattr(trust, "content_of", read)
    assert trusted(path) == [OTHER.der]


def test_what_is_kept_is_bounded(tmp_path: Path, later: None) -> None:
    for number in range(2 * trust.MOST_KEPT):
        (tmp_path / f"{number}.pem").write_bytes(Party(f"Root {number}", ca=True).pem)
        assert len(trusted(tmp_path / f"{number}.pem")) == 1
    assert len(trust._files) == trust.MOST_KEPT == trust._shared.cache_info().currsize
    (tmp_path / "large.pem").write_bytes(ONE.pem + b"\n" * trust.LARGEST_KEPT)
    assert trusted(tmp_path / "large.pem") == [ONE.der]
    assert str(tmp_path / "large.pem") not in trust._files


def test_what_is_kept_of_folders_is_bounded(
    tmp_path: Path, later: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(trust.MOST_KEPT + 1):
        (tmp_path / str(number)).mkdir()
        assert trusted_in(hashed(tmp_path / str(number))) == [ONE.der]
    assert len(trust._folders) == trust.MOST_KEPT
    monkeypatch.setattr(trust, "_folders", {})
    monkeypatch.setattr(trust, "LARGEST_KEPT", len(ONE.der) - 1)
    assert trusted_in(tmp_path / "0" / "certs") == [ONE.der] and not trust._folders


def test_contexts_with_the_same_certificates_share_one_set(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(ONE.pem)
    first = veritls.create_default_context(cafile=tmp_path / "ca.pem")
    second = veritls.create_default_context(cadata=ONE.pem.decode())
    assert engines(first) is engines(second)
    second.load_verify_locations(cadata=OTHER.der)
    assert engines(first) is not engines(second)
    assert [len(each.list_trust()) for each in (first, second)] == [1, 2]


def test_a_set_that_notes_what_was_used_is_not_shared(tmp_path: Path) -> None:
    (tmp_path / "12345678.0").write_bytes(ONE.pem)
    first, second = (veritls.create_default_context(capath=tmp_path) for _ in range(2))
    assert engines(first) is not engines(second)
    first.verify_chain([LEAF.der])
    assert [len(each.get_ca_certs()) for each in (first, second)] == [1, 0]


def test_the_systems_trust_is_read_again_where_its_files_changed(
    tmp_path: Path, later: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "ca.pem").write_bytes(ONE.pem)
    found = {"der": ONE.der, "states": _engine.FileStates([str(tmp_path / "ca.pem")])}
    monkeypatch.setattr(_engine, "system_certificates", lambda: ([found["der"]], [], found["states"]))

    def trusted_now() -> list[bytes]:
        return [entry.der for entry in veritls.create_default_context().list_trust()]

    assert trusted_now() == [ONE.der]
    found["der"] = OTHER.der
    assert trusted_now() == [ONE.der]
    rewritten(tmp_path / "ca.pem", OTHER.pem)
    assert trusted_now() == [OTHER.der]
    found |= {"der": THIRD.der, "states": None}
    assert trusted_now() == [THIRD.der]
    found |= {"der": ONE.der}
    assert trusted_now() == [ONE.der]


def test_the_engine_tells_the_states_of_the_systems_files() -> None:
    ders, _, states = _engine.system_certificates()
    assert states is None or states.unchanged()
    assert ders == _engine.system_certificates()[0]


def hashed(folder: Path) -> Path:
    """A folder with a certificate in a file, to which a link leads under its hashed name."""
    (folder / "certs").mkdir()
    (folder / "certs" / "one.pem").write_bytes(ONE.pem + b"\n" * 100)
    (folder / "certs" / "12345678.0").symlink_to("one.pem")
    return folder / "certs"


def trusted_in(folder: Path) -> list[bytes]:
    return [entry.der for entry in veritls.create_default_context(capath=folder).list_trust()]


def test_a_hashed_folder_is_parsed_once_for_all_contexts(
    tmp_path: Path, later: None, parsed: list[str]
) -> None:
    folder = hashed(tmp_path)
    for _ in range(3):
        assert trusted_in(folder) == [ONE.der]
    assert len(parsed) == 1


def test_a_hashed_folder_that_was_changed_less_than_two_seconds_ago_is_read_again(
    tmp_path: Path, parsed: list[str]
) -> None:
    folder = hashed(tmp_path)
    assert trusted_in(folder) == trusted_in(folder) == [ONE.der]
    assert len(parsed) == 2


def what_the_link_leads_to(folder: Path) -> None:
    in_place(folder / "one.pem")


def the_link(folder: Path) -> None:
    (folder / "other.pem").write_bytes(OTHER.pem)
    (folder / "12345678.0").unlink()
    (folder / "12345678.0").symlink_to("other.pem")


def the_folder(folder: Path) -> None:
    folder.rename(folder.with_name("old"))
    folder.mkdir()
    (folder / "12345678.0").write_bytes(OTHER.pem)


@pytest.mark.parametrize("change", [what_the_link_leads_to, the_link, the_folder])
def test_a_changed_hashed_folder_is_seen_by_the_next_context(
    change: Callable[[Path], None], tmp_path: Path, later: None
) -> None:
    folder = hashed(tmp_path)
    earlier = veritls.create_default_context(capath=folder)
    change(folder)
    assert trusted_in(folder) == trusted_in(folder) == [OTHER.der]
    assert earlier.verify_chain([LEAF.der]).trusted


@pytest.mark.skipif(sys.platform == "darwin", reason="the system keeps its trust in no files")
@pytest.mark.parametrize("change", [what_the_link_leads_to, the_link, the_folder, Path.rmdir])
def test_a_change_of_the_systems_folder_shows_in_its_states(
    change: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = hashed(tmp_path)
    if change is Path.rmdir:
        for entry in list(folder.iterdir()):
            entry.unlink()
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))  # the engine's way to the usual places; see `in_system`
    _, _, states = _engine.system_certificates()
    assert states is not None and states.unchanged()
    change(folder)
    assert not states.unchanged()


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems take UTF-8 names only")
def test_a_path_that_is_no_text_or_leads_nowhere_has_a_state(tmp_path: Path) -> None:
    odd = os.fsdecode(bytes(tmp_path) + b"/\xff")
    states = _engine.FileStates([odd, str(tmp_path / "missing\0")])
    assert states.unchanged() and states.newest == 0
    Path(odd).write_bytes(b"")
    assert not states.unchanged() and _engine.FileStates([odd]).newest > 0


def test_a_file_that_is_added_to_a_hashed_folder_or_removed_is_seen(tmp_path: Path, later: None) -> None:
    folder = hashed(tmp_path)
    assert trusted_in(folder) == [ONE.der]
    (folder / "87654321.0").write_bytes(OTHER.pem)
    assert trusted_in(folder) == [ONE.der, OTHER.der]
    (folder / "12345678.0").unlink()
    assert trusted_in(folder) == [OTHER.der]


def test_a_hashed_folder_that_changes_while_it_is_read_is_not_kept(
    tmp_path: Path, later: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = hashed(tmp_path)
    read = pem.read_file

    def read_and_changed(*arguments: Any) -> bytes:
        content = read(*arguments)
        rewritten(folder / "one.pem", OTHER.pem)
        return content

    monkeypatch.setattr(trust, "read_file", read_and_changed)
    assert trusted_in(folder) == [ONE.der]
    monkeypatch.setattr(trust, "read_file", read)
    assert trusted_in(folder) == [OTHER.der]


def test_threads_have_one_content_or_the_other_while_a_file_is_replaced(tmp_path: Path, later: None) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(ONE.pem + OTHER.pem)
    seen: list[tuple[bytes, ...]] = []

    def load() -> None:
        seen.extend(tuple(trusted(path)) for _ in range(20))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(20):
        (tmp_path / "new").write_bytes(THIRD.pem if number % 2 == 0 else ONE.pem + OTHER.pem)
        (tmp_path / "new").rename(path)
    for thread in threads:
        thread.join(60)
    assert len(seen) == 80
    assert set(seen) <= {(ONE.der, OTHER.der), (THIRD.der,)}
    assert trusted(path) == [ONE.der, OTHER.der]
