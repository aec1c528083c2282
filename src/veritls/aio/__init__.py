"""Event loops whose TLS transports call the engine directly, with no second asyncio layer between.

Use ``veritls.aio.run(main())``, or ``loop_factory=veritls.aio.EventLoop`` with `asyncio.Runner`, uvicorn and
pytest-asyncio. `UvloopEventLoop` is the same on uvloop, where that is installed. A veritls context given to
`create_connection`, `create_server`, `start_tls`, `connect_accepted_socket` or their Unix siblings, and
``ssl=True``, get an `SSLTransport`; everything else on the loop stays as it is.
"""

from typing import TYPE_CHECKING, Any

from veritls.aio.loop import EventLoop as EventLoop, run as run
from veritls.aio.transport import SSLTransport as SSLTransport

if TYPE_CHECKING:
    from veritls.aio.uv import UvloopEventLoop as UvloopEventLoop

__all__ = ["EventLoop", "SSLTransport", "UvloopEventLoop", "run"]


def __getattr__(name: str) -> Any:
    if name == "UvloopEventLoop":
        from veritls.aio.uv import UvloopEventLoop

        return UvloopEventLoop
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
