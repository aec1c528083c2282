"""The command line. Every command but ``run`` and ``doctor`` needs the extra ``cli``."""

import contextlib
import logging
import os
import sys
import warnings

MISSING = "veritls: this command needs typer and rich, which are not installed: pip install 'veritls[cli]'"
CLOSED_PIPE = 141
"""The exit status where whatever reads the output has closed it, as of a program that SIGPIPE ended."""


def main(arguments: list[str] | None = None) -> None:
    """Runs the command ``veritls``.

    `arguments`: those of the command line, without the program; None, the default: `sys.argv`. Raises
    SystemExit with the status of the command; with 2, and a message on stderr, where typer or rich is not
    installed or the output cannot be written; with `CLOSED_PIPE` where whatever reads it has closed it.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["run"]:
        from veritls._compat.run import run

        run(arguments[1:])
        return
    try:
        try:
            _command(arguments)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # while its failure can be told
    except BrokenPipeError:
        raise _unread() from None
    except SystemExit as end:
        # click and rich end the program with 1 on a closed pipe, which is a result of most commands.
        if isinstance(end.__context__, BrokenPipeError):
            raise _unread() from None
        raise
    except OSError as why:
        if arguments[:1] == ["serve"]:
            raise
        # The commands explain those of servers and files: the output cannot be written.
        print(f"veritls: {why.strerror or why}", file=sys.stderr)
        _give_up_stdout()
        raise SystemExit(2) from None


def _command(arguments: list[str]) -> None:
    if arguments[:1] == ["doctor"]:
        from veritls._doctor.command import doctor

        doctor(arguments[1:])
        return
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ImportError:
        print(MISSING, file=sys.stderr)
        raise SystemExit(2) from None
    from veritls.cli.app import app

    if arguments[:1] == ["serve"]:
        app(arguments, prog_name="veritls")
        return
    # What these commands print says why a handshake was refused.
    log = logging.getLogger("veritls.handshake")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(action="ignore"):  # what a parser thinks of a peer's certificate
            app(arguments, prog_name="veritls")
    finally:
        log.setLevel(level)


def _unread() -> SystemExit:
    _give_up_stdout()
    return SystemExit(CLOSED_PIPE)


def _give_up_stdout() -> None:
    """What is still buffered would fail once more as Python ends, and its status would be 120."""
    with contextlib.suppress(OSError, ValueError), open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno(), sys.stdout.fileno())
