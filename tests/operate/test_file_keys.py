"""`TicketKeys.from_file`: a secret that is rotated in place."""

from __future__ import annotations

import base64
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.operate.test_ticket_keys import SECRET, resumes, shared
from tests.resumption.attacks import World, attacker
from tests.resumption.meeting import meet
from tests.support.waiting import until
from veritls.tickets import TicketKeys

OTHER = bytes(range(100, 148))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("files"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ticket-secret"
    path.touch(mode=0o600)
    path.write_bytes(line(SECRET))
    return path


def line(*secrets: bytes) -> bytes:
    return b"".join(base64.b64encode(each) + b"\n" for each in secrets)


def of_file(path: Path) -> TicketKeys:
    """Ticket keys whose rounds the test makes itself: there is no thread."""
    from veritls.tickets._file import FileRefresher
    from veritls.tickets._secrets import EPOCH

    keys = TicketKeys._made(EPOCH, None)
    refresher = keys._refresher = FileRefresher(keys._keyring, path)
    refresher.load()
    return keys


def look(keys: TicketKeys, times: int = 2) -> None:
    assert keys._refresher is not None
    for _ in range(times):
        keys._refresher.round()


def test_a_file_has_base64_or_any_other_bytes(world: World, path: Path) -> None:
    one = shared(world, TicketKeys.from_secret(SECRET))
    for content in (SECRET, line(SECRET), line(SECRET).strip(), line(SECRET, OTHER), b"\n" + line(SECRET)):
        path.write_bytes(content)
        assert resumes(world, one, shared(world, TicketKeys.from_file(path)))
    path.write_bytes(line(OTHER))
    assert not resumes(world, one, shared(world, TicketKeys.from_file(path)))


def test_tickets_are_made_with_the_first_secret_and_opened_with_each(world: World, path: Path) -> None:
    old, new = (shared(world, TicketKeys.from_secret(each)) for each in (SECRET, OTHER))
    path.write_bytes(line(OTHER, SECRET))
    both = shared(world, TicketKeys.from_file(str(path)))
    assert resumes(world, old, both) and resumes(world, new, both) and resumes(world, both, new)
    assert not resumes(world, both, old)


def test_the_secret_before_a_rotation_still_opens_its_tickets(world: World, path: Path) -> None:
    keys = of_file(path)
    server, client = shared(world, keys), attacker(world, world.client)
    session = meet("sockets", server, client, "a.example").client.session
    path.write_bytes(line(OTHER))
    look(keys)
    assert meet("sockets", server, client, "a.example", session).resumed
    new = shared(world, TicketKeys.from_secret(OTHER))
    assert resumes(world, new, server) and resumes(world, server, new)
    # It makes no more, and one that comes later than the next epoch is not opened.
    now = keys._refresher._held  # type: ignore[union-attr]
    assert [secret == OTHER for secret, _ in now] == [True, False] and now[1][1] < now[0][1]


def test_a_change_counts_once_two_looks_found_the_same(world: World, path: Path) -> None:
    keys = of_file(path)
    server, old = shared(world, keys), shared(world, TicketKeys.from_secret(SECRET))
    for content in (line(OTHER)[:48], line(OTHER)):
        path.write_bytes(content)
        look(keys, 1)
        assert resumes(world, server, old)
    look(keys, 1)
    assert not resumes(world, server, old)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"x", SECRET[:16], line(SECRET)[:20], line(*[SECRET] * 9), bytes(5000), b"x" * 43 + b"\n"],
)
def test_what_is_no_secret_keeps_the_last_one_and_is_told_once(
    world: World, path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    keys = of_file(path)
    server, same = shared(world, keys), shared(world, TicketKeys.from_secret(SECRET))
    path.write_bytes(content)
    with caplog.at_level(logging.INFO, "veritls.tickets"):
        look(keys, 5)
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert resumes(world, server, same)
        caplog.clear()
        path.write_bytes(line(SECRET))
        look(keys, 2)
        assert [record.levelname for record in caplog.records] == ["INFO"]
    with pytest.raises(ValueError):
        path.write_bytes(content)
        TicketKeys.from_file(path)


@pytest.mark.parametrize("length", [20, 32, 43, 44, 63, 64])
def test_half_of_a_line_is_no_secret_after_whole_ones(world: World, path: Path, length: int) -> None:
    keys = of_file(path)
    path.write_bytes(line(OTHER)[:length])
    look(keys, 3)
    assert resumes(world, shared(world, keys), shared(world, TicketKeys.from_secret(SECRET)))


def test_letters_that_are_no_base64_are_a_secret_as_they_are(world: World, path: Path) -> None:
    for content in (b"x" * 32, b"letters" * 9):
        path.write_bytes(content)
        one = shared(world, TicketKeys.from_secret(content))
        assert resumes(world, one, shared(world, TicketKeys.from_file(path)))


def test_a_file_that_is_gone_keeps_the_last_secret(world: World, path: Path) -> None:
    keys = of_file(path)
    path.unlink()
    look(keys, 3)
    assert resumes(world, shared(world, keys), shared(world, TicketKeys.from_secret(SECRET)))
    path.mkdir()
    look(keys, 3)
    assert resumes(world, shared(world, keys), shared(world, TicketKeys.from_secret(SECRET)))
    with pytest.raises(OSError):
        TicketKeys.from_file(path)
    with pytest.raises(FileNotFoundError):
        TicketKeys.from_file(path / "none")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="regular file"):
        TicketKeys.from_file(tmp_path / "pipe")


def test_a_file_that_every_user_can_read_is_told(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "veritls.tickets"):
        TicketKeys.from_file(path)
        assert not caplog.records
        path.chmod(0o644)
        TicketKeys.from_file(path)
    (record,) = caplog.records
    assert record.levelname == "WARNING" and "every user" in record.getMessage()


def test_no_line_of_the_log_has_a_secret(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.chmod(0o644)
    with caplog.at_level(logging.DEBUG):
        keys = of_file(path)
        for content in (line(OTHER), line(SECRET)[:43], SECRET[:31]):
            path.write_bytes(content)
            look(keys)
    for secret in (SECRET, OTHER):
        for shown in (base64.b64encode(secret).decode()[:16], secret.hex()[:16], repr(secret[:16])[2:-1]):
            assert shown not in caplog.text + repr(keys) + repr(vars(keys._refresher))


ROTATES = """
import os, sys, threading, time
from veritls.tickets import TicketKeys
keys = TicketKeys.from_file(sys.argv[1])
for process in range(2):  # a pre-fork server, and a worker of it
    if process == 1 and os.fork() != 0:
        sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
    new = os.urandom(48)
    with open(sys.argv[1] + ".new", "wb") as file:
        file.write(new)
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    deadline = time.monotonic() + 20
    while keys._refresher._held[0][0] != new:
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)
os._exit(0)
"""


def test_a_process_and_one_forked_from_it_take_notice_of_a_rotation(path: Path) -> None:
    subprocess.run([sys.executable, "-c", ROTATES, str(path)], timeout=60, check=True)


def test_from_file_of_a_thread_takes_notice(world: World, path: Path) -> None:
    keys = TicketKeys.from_file(path)
    path.write_bytes(line(OTHER))
    until(lambda: keys._refresher._held[0][0] == OTHER, "it is taken over")  # type: ignore[union-attr]
    assert resumes(world, shared(world, keys), shared(world, TicketKeys.from_secret(OTHER)))
