"""`sendfile`: what arrives, where the file stands afterwards, and what takes the other way."""

from __future__ import annotations

import bz2
import io
import os
import random
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.connections import in_thread, received

SIZE = 1_000_003


@pytest.fixture(scope="module")
def content() -> bytes:
    return random.Random(4).randbytes(SIZE)


@pytest.fixture
def path(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "file"
    path.write_bytes(content)
    return path


def sent(ends: tuple[Any, Any], file: Any, *args: Any) -> bytes:
    """What arrives of `sendfile(file, *args)`; its result has to be the length of that."""
    sender, receiver = ends
    receiving = in_thread(received, receiver)
    count = sender.sendfile(file, *args)
    sender.shutdown(socket.SHUT_WR)
    data: bytes = receiving.result(10)
    assert len(data) == count
    return data


@pytest.mark.parametrize("buffering", [-1, 0])
@pytest.mark.parametrize(
    ("offset", "count"), [(0, None), (1, None), (70_000, 300_000), (5, 1), (0, 2 * SIZE), (SIZE + 5, None)]
)
def test_what_is_asked_for_arrives_and_the_file_stands_after_it(
    ends: tuple[Any, Any], path: Path, content: bytes, offset: int, count: int | None, buffering: int
) -> None:
    expected = content[offset:][:count]
    with path.open("rb", buffering=buffering) as file:
        assert sent(ends, file, offset, count) == expected
        assert file.tell() == offset + len(expected)


def test_a_file_goes_from_where_it_stands(ends: tuple[Any, Any], path: Path, content: bytes) -> None:
    with path.open("rb") as file:
        file.read(1000)
        assert sent(ends, file) == content[1000:]
        assert file.tell() == SIZE


def test_a_regular_file_is_not_read_in_python(ends: tuple[Any, Any], path: Path, content: bytes) -> None:
    called = set()
    with path.open("rb") as file:
        sys.setprofile(lambda frame, event, what: called.add(getattr(what, "__name__", None)))
        try:
            data = sent(ends, file)
        finally:
            sys.setprofile(None)
    assert data == content
    assert "write_file" in called and not called & {"read", "readinto", "read1", "write"}


def test_what_was_written_to_the_file_and_is_still_buffered_is_sent(
    ends: tuple[Any, Any], path: Path, content: bytes
) -> None:
    with path.open("r+b") as file:
        file.seek(SIZE)
        file.write(b"the end")
        file.seek(SIZE - 3)
        file.write(b"***")
        assert sent(ends, file, 1) == content[1:-3] + b"***the end"


def test_what_reads_otherwise_than_its_descriptor_is_read(
    ends: tuple[Any, Any], tmp_path: Path, content: bytes
) -> None:
    with bz2.open(tmp_path / "compressed", "wb") as file:
        file.write(content)
    with bz2.open(tmp_path / "compressed", "rb") as file:
        assert sent(ends, file) == content


def test_what_has_no_descriptor_is_read(ends: tuple[Any, Any], content: bytes) -> None:
    assert sent(ends, io.BytesIO(content), 3, 100_000) == content[3:100_003]


def test_a_pipe_is_read_to_its_end(ends: tuple[Any, Any]) -> None:
    reader, writer = os.pipe()
    with open(writer, "wb") as end:
        end.write(b"through a pipe")
    sender, receiver = ends
    with open(reader, "rb") as file, pytest.raises(OSError, match="seek"):
        sender.sendfile(file)  # as with `ssl`: everything is sent, then the position cannot be set
    sender.shutdown(socket.SHUT_WR)
    assert received(receiver) == b"through a pipe"


def test_an_empty_file_sends_nothing(ends: tuple[Any, Any], tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    with (tmp_path / "empty").open("rb") as file:
        assert sent(ends, file) == b""


@pytest.mark.parametrize("arguments", [(0, 0), (0, -1), (0, 1.5), (-1,)])
def test_arguments_that_make_no_sense_are_refused_and_nothing_is_sent(
    ends: tuple[Any, Any], path: Path, arguments: Any
) -> None:
    with path.open("rb") as file, pytest.raises((ValueError, TypeError, OSError)):
        ends[0].sendfile(file, *arguments)
    with path.open("r", encoding="latin-1") as text, pytest.raises(ValueError, match="binary"):
        ends[0].sendfile(text)
    with path.open("ab") as unreadable, pytest.raises(OSError):
        ends[0].sendfile(unreadable, 1)
    ends[0].sendall(b"still here")
    assert ends[1].recv(100) == b"still here"


def test_a_non_blocking_socket_is_refused(ends: tuple[Any, Any], path: Path) -> None:
    ends[0].setblocking(False)
    with path.open("rb") as file, pytest.raises(ValueError, match="non-blocking"):
        ends[0].sendfile(file)


def test_after_a_timeout_the_file_stands_within_and_the_rest_can_be_sent(
    ends: tuple[Any, Any], tmp_path: Path
) -> None:
    size = 16 * 1024 * 1024  # more than the kernel takes
    (tmp_path / "large").write_bytes(random.Random(5).randbytes(size))
    sender, receiver = ends
    with (tmp_path / "large").open("rb") as file:
        sender.settimeout(0.2)
        with pytest.raises(TimeoutError, match="write"):
            sender.sendfile(file)
        there = file.tell()
        assert 0 < there < size
        sender.settimeout(10)
        receiving = in_thread(received, receiver)
        assert sender.sendfile(file) == size - there
    sender.shutdown(socket.SHUT_WR)
    assert receiving.result(10) == (tmp_path / "large").read_bytes()
