"""The Workload APIs of docs/howto/spiffe.md."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.operate.workload_api import Domain, WorkloadAPI, response


@contextmanager
def attested(folder: Path) -> Iterator[None]:
    """Sockets in the folder for a server, for a client, and for another workload of the trust domain."""
    domain = Domain("example.org")
    with ExitStack() as stack:
        for name in ("server", "client", "other"):
            api = stack.enter_context(WorkloadAPI(folder / f"{name}.sock"))
            api.send(response(domain.svid(f"/{name}")))
        yield
