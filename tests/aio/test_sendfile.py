"""loop.sendfile over the transport."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import pytest

from tests.aio.ends import LoopFactory, connected, run
from tests.conftest import Files

CONTENT = bytes(range(256)) * (12 * 1024)  # 3 MiB: more than the kernel takes


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "file"
    file.write_bytes(CONTENT)
    return file


@pytest.mark.parametrize(
    ("offset", "count"), [(0, None), (1000, None), (0, 1), (5, 300_000), (3_000_000, 10**9), (10**9, None)]
)
def test_the_part_that_is_asked_for_is_sent_between_what_is_written(
    files: Files, loop_factory: LoopFactory, path: Path, offset: int, count: int | None
) -> None:
    async def main() -> None:
        expected = CONTENT[offset:][:count]
        async with connected(files) as (server, client):
            with path.open("rb") as file:
                client.transport.write(b"before" * 100_000)
                loop = asyncio.get_running_loop()
                sent = await loop.sendfile(client.transport, file, offset, count, fallback=False)
                client.transport.write(b"after")
                assert sent == len(expected)
                assert file.tell() == (offset + sent if sent else 0)
            client.transport.close()
            await server.told("eof")
            assert bytes(server.received) == b"before" * 100_000 + expected + b"after"

    run(loop_factory, main())


def test_what_is_no_regular_file_is_read_by_asyncio(files: Files, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        async with connected(files) as (server, client):
            loop: Any = asyncio.get_running_loop()
            assert await loop.sendfile(client.transport, io.BytesIO(CONTENT)) == len(CONTENT)
            assert await server.has(len(CONTENT)) == CONTENT
            with pytest.raises(asyncio.SendfileNotAvailableError):
                await loop.sendfile(client.transport, io.BytesIO(CONTENT), fallback=False)

    run(loop_factory, main())


def test_nothing_is_written_while_a_file_is_sent(files: Files, loop_factory: LoopFactory, path: Path) -> None:
    async def main() -> None:
        async with connected(files) as (server, client):
            server.transport.pause_reading()
            client.transport.write(CONTENT)
            loop = asyncio.get_running_loop()
            with path.open("rb") as file:
                sending = asyncio.ensure_future(loop.sendfile(client.transport, file))
                await asyncio.sleep(0)
                with pytest.raises(RuntimeError, match="sendfile is in progress"):
                    client.transport.write(b"between")
                with pytest.raises(RuntimeError, match="sendfile is in progress"):
                    await loop.sendfile(client.transport, file)
                server.transport.resume_reading()
                assert await sending == len(CONTENT)
            assert await server.has(2 * len(CONTENT)) == CONTENT * 2

    run(loop_factory, main())


@pytest.mark.parametrize("way", ["peer", "own"])
def test_a_connection_that_ends_ends_the_sending(
    files: Files, loop_factory: LoopFactory, path: Path, way: str
) -> None:
    async def main() -> None:
        async with connected(files) as (server, client):
            server.transport.pause_reading()
            loop = asyncio.get_running_loop()
            with path.open("rb") as file:
                client.transport.write(CONTENT * 3)
                sending = asyncio.ensure_future(loop.sendfile(client.transport, file))
                await asyncio.sleep(0)
                (server if way == "peer" else client).transport.abort()
                with pytest.raises(ConnectionError):
                    await sending
            await client.told("lost")

    run(loop_factory, main())


def test_a_cancelled_sending_leaves_the_connection_in_use(
    files: Files, loop_factory: LoopFactory, path: Path
) -> None:
    async def main() -> None:
        async with connected(files) as (server, client):
            server.transport.pause_reading()
            client.transport.write(CONTENT)
            with path.open("rb") as file:
                sending = asyncio.ensure_future(asyncio.get_running_loop().sendfile(client.transport, file))
                await asyncio.sleep(0)
                sending.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await sending
            client.transport.write(b"after")
            server.transport.resume_reading()
            assert await server.has(len(CONTENT) + 5) == CONTENT + b"after"

    run(loop_factory, main())


def test_a_closed_transport_or_a_text_file_is_refused(
    files: Files, loop_factory: LoopFactory, path: Path
) -> None:
    async def main() -> None:
        async with connected(files) as (_, client):
            loop: Any = asyncio.get_running_loop()
            with path.open("rb") as file:
                client.transport.write_eof()
                with pytest.raises(RuntimeError):
                    await loop.sendfile(client.transport, file)
                client.transport.close()
                with pytest.raises(RuntimeError):
                    await loop.sendfile(client.transport, file)

    run(loop_factory, main())
