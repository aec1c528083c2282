"""asyncpg on the loops, against PostgreSQL that wants a client's certificate."""

from __future__ import annotations

from typing import Any

import pytest

from tests.aio.ends import LoopFactory, run
from tests.conftest import Files
from tests.ecosystem.parties import library
from tests.support.connections import SECONDS, client_context

postgres: Any = pytest.importorskip("tests.ecosystem.test_postgres")
start = postgres.start

BIG = 5_000_000


@pytest.mark.parametrize("client", ["client", None])
def test_asyncpg_upgrades_its_connection_and_is_known_by_its_certificate(
    files: Files, loop_factory: LoopFactory, start: Any, client: str | None
) -> None:
    context = client_context(files.ca)
    mode = "required" if client else "optional"
    if client:
        context.load_cert_chain(files.client)
    to: dict[str, Any] = {"host": "localhost", "database": postgres.DATABASES[mode], **postgres.USER}

    async def main() -> str:
        port = start(mode, files.server)
        connection: Any = await library("asyncpg").connect(**to, port=port, ssl=context, timeout=SECONDS)
        try:
            assert await connection.fetchval("select length($1::text)", "x" * BIG) == BIG
            assert await connection.fetchval(f"select repeat('x', {BIG})") == "x" * BIG
            return str(await connection.fetchval(postgres.SEEN))
        finally:
            await connection.close()

    assert ("CN=client" if client else "anonymous") in run(loop_factory, main())
