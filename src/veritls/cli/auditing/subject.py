"""What is audited, as a user writes it: HOST[:PORT], or MODULE:CONTEXT, which is imported."""

from __future__ import annotations

import importlib
import ipaddress
import re
import ssl
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from veritls.cli.auditing.outcomes import words
from veritls.cli.auditing.peers import Side
from veritls.peers import SPIFFE, DNSPattern, Matcher, Network

_CONTEXT = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_OTHER_NAME = "other.veritls-audit.example"
_SIDES: dict[int, Side] = {ssl.PROTOCOL_TLS_SERVER: "server", ssl.PROTOCOL_TLS_CLIENT: "client"}


def names_a_context(text: str) -> bool:
    """Whether it is MODULE:CONTEXT; a port is a number, which no name in Python is."""
    return _CONTEXT.fullmatch(text) is not None


@contextmanager
def of_the_program(doing: str, *plain: type[Exception]) -> Iterator[None]:
    """For code of the audited program, which may raise anything, SystemExit with status 0 too: makes that a
    ValueError that says what was done, unless it is `plain`: then its own words are enough. Ctrl-C goes on.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise
    except plain as why:
        raise ValueError(f"{doing.partition(': ')[0]}: {why}") from None
    except BaseException as why:
        raise ValueError(f"{doing} raised {type(why).__name__}: {words(why)}") from None


def imported(text: str) -> ssl.SSLContext:
    """The context that MODULE:CONTEXT names, or that what it names returns. Runs the module's code.

    Raises ValueError with a message for the user.
    """
    module, _, attribute = text.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")
    with of_the_program(f"{text}: importing {module}", ModuleNotFoundError):
        found: Any = importlib.import_module(module)
    with of_the_program(f"{text}: reading it", AttributeError):
        for part in attribute.split("."):
            found = getattr(found, part)
    if callable(found) and not isinstance(found, ssl.SSLContext):
        with of_the_program(f"{text}: calling it"):
            found = found()
    if not isinstance(found, ssl.SSLContext):
        raise ValueError(f"{text} is no SSLContext and makes none, but {type(found).__name__}")
    return found


def side_of(context: ssl.SSLContext, stated: Side | None) -> Side:
    """The side that a context is for. Raises ValueError where it may be either, or is for the other."""
    side = _SIDES.get(context.protocol)
    if side is None and stated is None:
        raise ValueError("the context may be a server's or a client's: give --side server or --side client")
    if side is not None and stated not in (None, side):
        raise ValueError(f"--side {stated}: the context is for a {side}")
    return side or stated or "server"


def name_for(patterns: Sequence[Matcher]) -> str | None:
    """A name that matches the first pattern; None where there is none."""
    return _name_for(patterns[0]) if patterns else None


def other_name_for(patterns: Sequence[Matcher], name: str) -> str | None:
    """A name of the first pattern's kind that matches none of them; None where each of those tried does.

    `name`: that of the valid peer. A DNS name is below it: where the CA is constrained to names, others would
    be refused for that.
    """
    names = [_OTHER_NAME]
    first = patterns[0] if patterns else None
    if isinstance(first, SPIFFE):
        domain = first.value.split("/")[2]
        names = [f"spiffe://{domain}/veritls-audit-other/other/one", f"spiffe://{_OTHER_NAME}/other"]
    elif isinstance(first, DNSPattern) or (first is None and _is_dns(name)):
        base = first.value.removeprefix("*.") if first is not None else name
        names.insert(0, f"other.veritls-audit.{base}")
    return next((name for name in names if not any(each.matches(name) for each in patterns)), None)


def _is_dns(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return True
    return False


def _name_for(pattern: Matcher) -> str:
    if isinstance(pattern, DNSPattern):
        return pattern.value.replace("*", "veritls-audit", 1)
    if isinstance(pattern, Network):
        return str(ipaddress.ip_network(pattern.value)[0])
    if isinstance(pattern, SPIFFE):
        segments = pattern.value.split("/")
        return "/".join("veritls-audit" if each in ("*", "**") else each for each in segments)
    return pattern.value
