"""Options that several commands share, and the context for clients that they describe."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

import veritls
from veritls._context.server_name import on_the_wire
from veritls._explaining.reasons import words_of
from veritls._report.rendering import plain
from veritls.cli.reading import refuse_device
from veritls.peers import SPIFFE, URI, DNSPattern, Email, Matcher, Network, as_pin

CONNECTION = "How to connect"
TRUST = "Whom to trust"
OUTPUT = "Output"

CAFiles: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        "--ca",
        metavar="FILE",
        help="PEM file of CAs to trust instead of the system's; repeatable.",
        rich_help_panel=TRUST,
    ),
]
CRLFiles: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        "--crl",
        metavar="FILE",
        help="CRLs, PEM or DER: the certificate must not be revoked, and one must cover it; repeatable.",
        rich_help_panel=TRUST,
    ),
]
CRLChain: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--crl-chain",
        help="The CRLs must cover the intermediates, too.",
        rich_help_panel=TRUST,
    ),
]
Strict: TypeAlias = Annotated[
    bool,
    typer.Option("--strict", help="Refuse what departs from RFC 5280.", rich_help_panel=TRUST),
]
PartialChain: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--partial-chain",
        help="Every certificate of --ca is a trust anchor, self-signed or not.",
        rich_help_panel=TRUST,
    ),
]
Pins: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--pin",
        metavar="sha256/...",
        help="One of these keys must be in the path; repeatable.",
        rich_help_panel=TRUST,
    ),
]
Allowed: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--allow",
        metavar="NAME",
        help="Accept only this name in the certificate, in place of the host name (unless --name is given, "
        "too): DNS:*.example.org, IP:10.0.0.0/8, URI:..., email:... or spiffe://...; repeatable.",
        rich_help_panel=TRUST,
    ),
]
At: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="DATE",
        help="Verify as of this date: ISO 8601, UTC, or a time from now like +14d or +12h. A stapled OCSP "
        "response is ignored.",
        rich_help_panel=TRUST,
    ),
]


class StartTLS(StrEnum):
    """The protocols that `--starttls` takes."""

    SMTP = "smtp"
    IMAP = "imap"
    POP3 = "pop3"
    FTP = "ftp"
    POSTGRES = "postgres"


StartTLSProtocol: TypeAlias = Annotated[
    StartTLS | None,
    typer.Option(
        "--starttls",
        metavar="PROTOCOL",
        help="Start TLS by the command of smtp, imap, pop3, ftp or postgres.",
        rich_help_panel=CONNECTION,
    ),
]
WarnDays: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--warn-days",
        min=0,
        max=36500,
        metavar="DAYS",
        help="Exit with 3 if a certificate of a path has fewer days left.",
        rich_help_panel=OUTPUT,
    ),
]
OnlyFailing: TypeAlias = Annotated[
    bool,
    typer.Option("--only-failing", help="Print only what is not in order.", rich_help_panel=OUTPUT),
]


def timeout_option(words: str) -> Any:
    """`--timeout`. `words`: of what it is."""
    return typer.Option(min=0.1, max=600, metavar="SECONDS", help=words, rich_help_panel=CONNECTION)


def json_lines(words: str) -> Any:
    """`--json`. `words`: what it prints."""
    return typer.Option("--json", help=words, rich_help_panel=OUTPUT)


_KINDS: dict[str, type[Matcher]] = {"DNS": DNSPattern, "IP": Network, "URI": URI, "email": Email}
_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1)}
_LONGEST_MESSAGE = 500


@contextmanager
def argument(option: str, path: Path) -> Iterator[None]:
    """Makes the error about a file that `option` names a ValueError with both in its message."""
    try:
        refuse_device(path)
        yield
    except ssl.SSLError as error:
        words = words_of(error) if error.library else str(error)
        raise ValueError(f"{option} {path}: {words}") from None
    except OSError as error:
        if error.filename is None or error.strerror is None:
            raise ValueError(f"{option} {path}: {error}") from None
        raise ValueError(f"{option} {error.filename}: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{option} {path}: {error}") from None


def wrong_usage(command: str, why: Exception) -> typer.Exit:
    """Prints why a command's arguments cannot be used; returns what ends it with status 2."""
    typer.echo(f"veritls {command}: {plain(str(why), _LONGEST_MESSAGE)}", err=True)
    return typer.Exit(2)


def moment(text: str | None) -> datetime | None:
    """The time that `--at` names: ISO 8601, UTC where it names no zone, or +14d, +12h. Raises ValueError."""
    if text is None:
        return None
    from_now = re.fullmatch(r"\+(\d{1,18})([dh])", text, re.ASCII)
    if from_now is not None:
        try:
            return datetime.now(UTC) + int(from_now[1]) * _UNITS[from_now[2]]
        except OverflowError:
            raise ValueError(f"--at {text} is after the year 9999") from None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        example = "2027-01-31, 2027-01-31T12:00 or +14d"
        raise ValueError(f"--at {text!r} is no date in ISO 8601: give one like {example}") from None
    try:
        found = (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        raise ValueError(f"--at {text} is not within the years 1 to 9999 in UTC") from None
    if found < datetime(1970, 1, 1, tzinfo=UTC):
        raise ValueError(f"--at {text} is before 1970: give a later date")
    return found


def host_name(text: str | None) -> str | None:
    """A value of `--name`, if it is a host name or an address. Raises ValueError."""
    if text is not None:
        try:
            on_the_wire(text)
        except (TypeError, ValueError):
            raise ValueError(f"--name {text!r} is neither a host name nor an address") from None
    return text


def matcher(text: str) -> Matcher:
    """The pattern that a value of `--allow` writes. Raises ValueError."""
    word, colon, value = text.partition(":")
    kind: type[Matcher] | None = _KINDS.get(word) if colon else None
    if text.startswith("spiffe://"):
        kind, value = SPIFFE, text
    if kind is None:
        known = ", ".join(f"{each}:..." for each in _KINDS)
        raise ValueError(f"--allow {text!r} is no kind of name: give {known} or spiffe://...")
    try:
        return kind(value)
    except ValueError as why:
        raise ValueError(f"--allow {text!r}: {str(why).partition('): ')[2] or why}") from None


def pin(text: str) -> str:
    """A value of `--pin`, if it is a digest. Raises ValueError."""
    try:
        as_pin(text)
    except ValueError as why:
        raise ValueError(f"--pin {str(why).removeprefix('pinned_keys: ')}") from None
    return text


@dataclass(frozen=True)
class Trust:
    """Whom to trust, as the options say. The defaults are those of the options."""

    ca: Sequence[Path] = ()
    crl: Sequence[Path] = ()
    crl_chain: bool = False
    strict: bool = False
    partial_chain: bool = False
    pins: Sequence[str] = ()
    allowed: Sequence[str] = ()

    def context(self) -> veritls.SSLContext:
        """A context for clients that demands this. Raises ValueError, naming the option."""
        context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
        for path in self.ca:
            with argument("--ca", path):
                context.load_verify_locations(path)
        if not self.ca:
            context.load_default_certs()
        if self.crl_chain and not self.crl:
            raise ValueError("--crl-chain needs --crl, the CRLs of the chain")
        for path in self.crl:
            with argument("--crl", path):
                context.load_crls(path)
        if self.crl:
            every = ssl.VERIFY_CRL_CHECK_CHAIN
            context.verify_flags |= every if self.crl_chain else ssl.VERIFY_CRL_CHECK_LEAF
        if self.strict:
            context.verify_flags |= ssl.VERIFY_X509_STRICT
        if self.partial_chain:
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if self.pins:
            context.pinned_keys = [pin(each) for each in self.pins]
        if self.allowed:
            context.allowed_peers = [matcher(each) for each in self.allowed]
        return context
