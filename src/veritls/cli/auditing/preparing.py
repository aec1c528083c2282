"""From the options of ``veritls audit`` to what is tried, and on what."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from veritls.cli.auditing.contexts import Shown
from veritls.cli.auditing.fitness import unfit
from veritls.cli.auditing.http_answers import checked
from veritls.cli.auditing.identities import Issuer, Workshop, in_file, issuer_of
from veritls.cli.auditing.judging import Audit, judge, may_refuse_later, spelt
from veritls.cli.auditing.memory import Context
from veritls.cli.auditing.peers import KEYS, NOTHING, PEERS, VALID, Demands, Fate, Side
from veritls.cli.auditing.server import Server
from veritls.cli.auditing.subject import (
    imported,
    name_for,
    names_a_context,
    of_the_program,
    other_name_for,
    side_of,
)
from veritls.cli.options import argument
from veritls.cli.reading import content, password_in
from veritls.cli.target import PORTS, parse
from veritls.peers import Matcher

_NAME = "peer.veritls-audit.example"
"""What certificates are made for where nothing else is asked for: `.example` is nobody's (RFC 2606)."""

_LATER = (
    "TLS let them in, and nothing was sent: whether the application refuses them later is not known. "
    "--http / tells, where the server speaks HTTP"
)
_ASKS_LATER = (
    "in {versions} it asked for no certificate in the handshake: whether it asks later (post-handshake "
    "authentication, renegotiation) is not known"
)
_TELLS_MORE = ". --http PATH tells what PATH answers to clients that were not asked"
_UNVERIFIED = "verify_mode is CERT_NONE: this client verifies no server"
_ANY_NAME = "check_hostname is off: every server that the CA has issued a certificate to can stand in for it"

_ONE_NAME = (
    "its sni_callback may choose another context for another name: only {name} was asked for. Try the "
    "others, one by one, with --name"
)


@dataclass(frozen=True)
class Options:
    """The options, as they are given; None, False or empty where they are not."""

    subject: str
    mode: ssl.VerifyMode | None = None
    allowed: Sequence[Matcher] = ()
    expected: Sequence[str] = ()
    ca: Path | None = None
    ca_key: Path | None = None
    password_file: Path | None = None
    crl: Path | None = None
    peers: Sequence[str] = ()
    side: Side | None = None
    name: str | None = None
    starttls: str | None = None
    http: str | None = None
    timeout: float = 10.0
    patience: float = 1.0


def audited(options: Options) -> Audit:
    """The result. Raises ValueError, naming the option, for what cannot be used."""
    expected = tuple(_expected(each) for each in options.expected)
    of = _of_context if names_a_context(options.subject) else _of_server
    known = bool(options.ca or options.peers or options.allowed or options.crl)
    return replace(of(options, expected), clients_known=known)


def _expected(text: str) -> tuple[str, Fate]:
    key, equals, fate = text.partition("=")
    for each in get_args(Fate):
        if equals and fate == each:
            return _known(key, "--expect", text), each
    raise ValueError(f"--expect {text!r} is not PEER=accepted or PEER=refused")


def _known(key: str, option: str, text: str) -> str:
    if key not in KEYS:
        raise ValueError(f"{option} {text!r}: there is no peer {key!r}: {', '.join(KEYS)}")
    return key


def _password(path: Path | None) -> bytes | None:
    if path is None:
        return None
    with argument("--password-file", path):
        return password_in(path)


def _anchors(path: Path | None) -> list[x509.Certificate]:
    if path is None:
        return []
    with argument("--ca", path):
        return x509.load_pem_x509_certificates(content(path))


def _issuer(options: Options, certificates: list[x509.Certificate]) -> Issuer | None:
    if options.ca_key is None:
        return None
    if not certificates:
        raise ValueError("--ca-key needs --ca, the certificate of that CA")
    password = _password(options.password_file)
    with argument("--ca-key", options.ca_key):
        try:
            key: Any = load_pem_private_key(content(options.ca_key), password)
        except TypeError as why:
            needed = "not encrypted" in str(why)
            raise ValueError(
                "it is not encrypted: leave --password-file out"
                if needed
                else "it is encrypted: give --password-file"
            ) from None
        except UnsupportedAlgorithm as why:
            raise ValueError(str(why)) from None
        return issuer_of(certificates, key)


def _crl(path: Path | None, issuer: Issuer | None) -> x509.CertificateRevocationList | None:
    if path is None:
        return None
    with argument("--crl", path):
        data = content(path)
        pem = b"-----BEGIN" in data
        crl = x509.load_pem_x509_crl(data) if pem else x509.load_der_x509_crl(data)
        if issuer is not None and crl.issuer != issuer.certificate.subject:
            raise ValueError("it is a CRL of another CA than --ca-key's")
        return crl


def _given(texts: Sequence[str]) -> dict[str, tuple[Path, Shown]]:
    found: dict[str, tuple[Path, Shown]] = {}
    for text in texts:
        key, equals, name = text.partition("=")
        if not (equals and name) or key == NOTHING.key:
            raise ValueError(f"--peer {text!r} is not PEER=FILE")
        _known(key, "--peer", text)
        with argument("--peer", Path(name)):
            try:
                found[key] = Path(name), in_file(content(Path(name)))
            except (TypeError, UnsupportedAlgorithm) as why:
                raise ValueError(str(why)) from None
    return found


def _fit(
    given: Mapping[str, tuple[Path, Shown]],
    side: Side,
    anchors: Sequence[x509.Certificate],
    crl: x509.CertificateRevocationList | None,
) -> tuple[tuple[str, Shown], ...]:
    """What the user gave, if what happens to it can prove anything. `side`: of the peers."""
    chains = {key: x509.load_pem_x509_certificates(shown.chain) for key, (_, shown) in given.items()}
    for key, (path, shown) in given.items():
        why = unfit(key, chains[key], shown.weak, side, anchors, chains.get(VALID.key, ()), crl)
        if why is not None:
            raise ValueError(f"--peer {path}: {why}")
    return tuple((key, shown) for key, (_, shown) in given.items())


def _workshop(
    options: Options,
    side: Side,
    names: Sequence[str],
    allowed: Sequence[Matcher],
    known: Sequence[x509.Certificate] = (),
) -> Workshop:
    """`side`: of the peers. `known`: anchors besides those of `--ca`."""
    certificates = _anchors(options.ca)
    issuer = _issuer(options, certificates)
    crl = _crl(options.crl, issuer)
    return Workshop(
        side=side,
        names=tuple(names),
        other_name=other_name_for(allowed, names[0]),
        issuer=issuer,
        anchors=tuple([issuer.certificate] if issuer is not None else [*certificates, *known]),
        revoked=next((each.serial_number for each in crl or ()), None),
        given=_fit(_given(options.peers), side, certificates, crl),
    )


def _made(demands: Demands, workshop: Workshop) -> dict[str, Shown | str | None]:
    given = frozenset(key for key, _ in workshop.given)
    rows = [peer for peer in PEERS if demands.tried(peer, given)]
    return {peer.key: None if peer is NOTHING else workshop.make(peer.key) for peer in rows}


def _of_server(options: Options, expected: tuple[tuple[str, Fate], ...]) -> Audit:
    if options.side == "client":
        raise ValueError("--side client: what listens on HOST:PORT is a server; give MODULE:CONTEXT")
    if options.starttls is not None and options.http is not None:
        raise ValueError("--http and --starttls exclude each other: HTTP has no command for TLS")
    path = checked(options.http) if options.http is not None else None
    target = parse(options.subject, PORTS[options.starttls])
    demands = Demands("server", options.mode, bool(options.allowed), options.crl is not None, expected)
    names = [name_for(options.allowed) or _NAME]
    workshop = _workshop(options, "client", names, options.allowed)
    server = Server(
        target, options.name or target.host, options.starttls, options.timeout, options.patience, path
    )
    made = _made(demands, workshop)
    audit = judge(str(target), demands, made, server.try_all)
    if path is not None:
        return replace(audit, notes=[*_asks_later(audit), f"HTTP was asked for {path} only"])
    if audit.having("fails open") and options.starttls is None and server.announces_http(_best(made)):
        audit = may_refuse_later(audit)
    if audit.having("fails open"):
        return replace(audit, notes=[*_asks_later(audit), _LATER])
    return replace(audit, notes=[each + _TELLS_MORE for each in _asks_later(audit)])


def _asks_later(audit: Audit) -> list[str]:
    versions = " and ".join(map(spelt, audit.unasked))
    return [_ASKS_LATER.format(versions=versions)] if versions else []


def _best(made: Mapping[str, Shown | str | None]) -> Shown | None:
    """What the valid peer shows, if it can."""
    valid = made.get(VALID.key)
    return valid if isinstance(valid, Shown) else None


def _of_context(options: Options, expected: tuple[tuple[str, Fate], ...]) -> Audit:
    if options.starttls is not None:
        raise ValueError("--starttls is for HOST:PORT: a context is tried in memory")
    if options.http is not None:
        raise ValueError("--http is for HOST:PORT: a context is tried in memory")
    context = imported(options.subject)
    with of_the_program(f"{options.subject}: reading it", ValueError):
        side = side_of(context, options.side)
        allowed = options.allowed or getattr(context, "allowed_peers", None) or ()
        checks_crls = bool(context.verify_flags & ssl.VERIFY_CRL_CHECK_LEAF)
        mode = options.mode if options.mode is not None else _mode(context, side)
        trusted, notes = _trusted(context), _notes(context, side, options.name or _NAME)
    if side == "client" and options.mode is not None:
        raise ValueError("--require and --optional are for servers: every client has to verify its server")
    name = options.name or _NAME
    demands = Demands(
        side,
        mode,
        name=bool(allowed) or side == "client",
        revocation=checks_crls or options.crl is not None,
        overrides=expected,
    )
    named = [each for each in (name_for(allowed),) if each is not None]
    # A server has the name that is asked for, too.
    names = list(dict.fromkeys([*named, name])) if side == "client" else named or [name]
    known = [x509.load_der_x509_certificate(der) for der in trusted]
    workshop = _workshop(options, "client" if side == "server" else "server", names, allowed, known)
    subject = Context(context, side, name)
    audit = judge(options.subject, demands, _made(demands, workshop), subject.try_all)
    later = _asks_later(audit) if getattr(context, "post_handshake_auth", None) else []
    return replace(audit, notes=[*later, *notes])


def _mode(context: ssl.SSLContext, side: Side) -> ssl.VerifyMode | None:
    """Its own; None where it asks for nothing, and its sni_callback may choose one that does."""
    chooses = side == "server" and getattr(context, "sni_callback", None) is not None
    return None if chooses and context.verify_mode == ssl.CERT_NONE else context.verify_mode


def _trusted(context: ssl.SSLContext) -> list[bytes]:
    """One of its trust anchors is enough."""
    return context.get_ca_certs(binary_form=True)[:1]


def _notes(context: ssl.SSLContext, side: Side, name: str) -> list[str]:
    if side == "server":
        chooses = getattr(context, "sni_callback", None) is not None
        return [_ONE_NAME.format(name=name)] if chooses else []
    if context.verify_mode == ssl.CERT_NONE:
        return [_UNVERIFIED]
    named = context.check_hostname or getattr(context, "allowed_peers", None) is not None
    return [] if named else [_ANY_NAME]
