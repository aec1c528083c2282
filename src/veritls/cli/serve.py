"""``veritls serve``: uvicorn on a loop of `veritls.aio`, with a context that follows files."""

import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from veritls import PROTOCOL_TLS_SERVER, SSLContext
from veritls._explaining.reasons import words_of
from veritls._report.rendering import plain
from veritls.serving.uvicorn import options
from veritls.sources import FileSource

MISSING = "uvicorn is not installed: pip install 'veritls[serve]'"
_LONGEST = 500


def _listener(host: str, port: int) -> socket.socket:
    if not host:
        raise ValueError("--host is empty, which would be every address: give 0.0.0.0 or :: for that")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as why:
        number = getattr(why, "errno", None) or 0  # negative where the name was not found
        words = os.strerror(number) if number > 0 else str(getattr(why, "strerror", why)).partition(" (")[0]
        raise ValueError(f"cannot listen on {host}, port {port}: {words}") from None


def _context(cert: Path, key: Path | None, trust: Path | None, crls: Path | None, mode: Any) -> SSLContext:
    options = {"--cert": cert, "--key": key, "--trust": trust, "--crls": crls}
    given = {option: path for option, path in options.items() if path is not None}
    for option, path in given.items():
        if not path.exists():
            raise ValueError(f"{option} {path}: there is no such file")
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.verify_mode = mode
    if crls is not None:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    try:
        context.follow(FileSource(cert=cert, key=key, trust=trust, crls=crls))
    except (ssl.SSLError, OSError, ValueError) as why:
        named = ", ".join(f"{option} {path}" for option, path in given.items())
        raise ValueError(f"{named}: cannot be used: {_words(why)}") from None
    return context


def _words(why: Exception) -> str:
    if isinstance(why, ssl.SSLError) and why.library:
        return words_of(why)
    return why.strerror if isinstance(why, OSError) and why.strerror else str(why)


def _application(name: str) -> Any:
    from uvicorn.importer import ImportFromStringError, import_from_string

    if not name.partition(":")[0] or not name.partition(":")[2]:
        raise ValueError(f"{name!r} names no application: give one as module:name, like app:app")
    sys.path.insert(0, "")
    try:
        app = import_from_string(name)
    except ImportFromStringError as why:
        raise ValueError(str(why)) from None
    if not callable(app):
        raise ValueError(f"{name} is no application: it cannot be called")
    return app


def _log() -> None:
    """What the library logs goes to stderr, unless the application set up logging."""
    log = logging.getLogger("veritls")
    if log.hasHandlers():
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)-8s %(name)s: %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)


@contextmanager
def _told_to_end(server: Any) -> Iterator[None]:
    """SIGINT and SIGTERM end the server, and nothing else: uvicorn raises them again when it has ended, for
    the handlers that were there before, and those of Python would end the process with another status."""

    def told(*_: object) -> None:
        if not server.started:
            raise SystemExit(0)

    before = {each: signal.signal(each, told) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def serve(
    name: str,
    host: str,
    port: int,
    *,
    cert: Path,
    key: Path | None,
    trust: Path | None,
    crls: Path | None,
    mode: ssl.VerifyMode,
    http: str,
) -> None:
    """Serves until it is told to end. Raises ValueError, with a sentence, for what cannot be used."""
    try:
        import uvicorn
    except ImportError:
        raise ValueError(MISSING) from None

    context = _context(cert, key, trust, crls, mode)
    app = _application(name)
    given: Any = options(lambda: context, http)
    try:
        config = uvicorn.Config(app, proxy_headers=False, **given)
        config.load()
    except ImportError as why:
        raise ValueError(f"--http {http} cannot be used: {why}") from None
    _log()
    with _listener(host, port) as listener:
        where = f"[{host}]" if ":" in host else host
        words = {
            ssl.CERT_NONE: "clients are not asked for a certificate",
            ssl.CERT_OPTIONAL: "a client may have a certificate",
            ssl.CERT_REQUIRED: "a client must have a certificate",
        }
        print(
            f"veritls serve: {plain(name)} on https://{where}:{listener.getsockname()[1]}; {words[mode]}",
            file=sys.stderr,
            flush=True,
        )
        server = uvicorn.Server(config)
        try:
            with _told_to_end(server):
                server.run(sockets=[listener])
        except SystemExit as why:  # so do newer versions end where the application does not start
            if server.started or not why.code:
                raise
    if not server.started:
        raise ValueError("the application did not start: what it raised is above")
    context.follow(None)


def explained(why: Exception) -> str:
    """The sentence of an error, for one line."""
    return plain(str(why), _LONGEST)
