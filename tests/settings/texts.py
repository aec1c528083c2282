"""What a program reads where a setting, a file or a name is refused.

The texts stand in texts.toml, which `python -m tests.settings.texts` prints anew. One that changes on purpose
changes in the code and in that file.
"""

from __future__ import annotations

import copy
import itertools
import json
import pickle
import re
import ssl
import sys
import tempfile
import threading
import tomllib
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from pathlib import Path, PurePosixPath
from typing import Any
from unittest import mock

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

import veritls
from tests.ecosystem.parties import library
from tests.revocation.responses import response
from tests.support.certificates import NOW, Party, der, pem
from veritls import peers, tickets
from veritls._context import combining
from veritls._context.material import prepared
from veritls._loading import certificates as shown
from veritls._value import TicketSecret, Value
from veritls.sources import Identity, Material
from veritls.tickets import TicketKeys, _file as ticket_file

FILE = Path(__file__).with_name("texts.toml")
EXPECTED: dict[str, list[str]] = tomllib.loads(FILE.read_text()).get("texts", {}) if FILE.exists() else {}
SEVERAL = "..."
"""What stands for the words of a library, or of the interpreter, which change with it."""

ROOT = Party("Root", ca=True)
LEAF, OTHER = ROOT.issue("localhost"), ROOT.issue("localhost")
STRANGER = Party("Root", ca=True)
ENCRYPTED = LEAF.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
_DAMAGED = "-----BEGIN {0}-----\nAAAA\n-----END {0}-----\n"

Case = Callable[[Path], object]
"""What is refused; it is given a folder for its files."""


def context(side: str = "server") -> veritls.SSLContext:
    return veritls.SSLContext(
        veritls.PROTOCOL_TLS_CLIENT if side == "client" else veritls.PROTOCOL_TLS_SERVER
    )


def put(name: str, value: Any, side: str = "server") -> Case:
    return lambda _: setattr(context(side), name, value)


def call(name: str, *arguments: Any, side: str = "server", **options: Any) -> Case:
    return lambda _: getattr(context(side), name)(*arguments, **options)


def wrapped(name: Any) -> Case:
    return lambda _: context("client").wrap_bio(veritls.MemoryBIO(), veritls.MemoryBIO(), False, name)


def loaded(method: str, content: bytes, **options: Any) -> Case:
    """A file with `content`, given to a method that loads it."""

    def load(folder: Path) -> None:
        path = folder / "file.pem"
        path.write_bytes(content)
        getattr(context(), method)(path, **options)

    return load


def _set_up(context: veritls.SSLContext, side: str, **settings: Any) -> None:
    for name, value in settings.items():
        setattr(context, name, value)
    bios = veritls.MemoryBIO(), veritls.MemoryBIO()
    context.wrap_bio(*bios, server_side=side == "server", server_hostname="localhost")


def used(side: str = "server", *, on: str = "", **settings: Any) -> Case:
    """A connection of a context with these settings; `on`: of a context for that side only."""
    return lambda _: _set_up(context(on or side), side, **settings)


def _without_groups(_: Path) -> None:
    first, second = context(), context()
    first.set_groups("x25519")
    second.set_groups("secp256r1")
    combined = second._settings.after(first._settings)
    combined.protocol.recipe(True)


def _without_suites(_: Path) -> None:
    server = context()
    server.set_ciphers("TLSv1")
    _set_up(server, "server", maximum_version=ssl.TLSVersion.TLSv1_2)


def _while_cert_none(_: Path) -> None:
    server = context()
    server.verify_mode, server.allowed_peers = ssl.CERT_REQUIRED, [veritls.DNSPattern("a.example")]
    server.verify_mode = ssl.CERT_NONE


async def _callback(report: object) -> None:
    """What cannot be awaited."""


def _awaited_later(_: Path) -> None:
    client = context("client")
    client.load_verify_locations(cadata=ROOT.der)
    client.set_verify_callback(lambda report: _callback(report))
    client.verify_chain([LEAF.der])


def _clock_before_1970(_: Path) -> None:
    with mock.patch("veritls._context.asking.datetime", wraps=datetime) as clock:
        clock.now.return_value = datetime.fromtimestamp(-5, tz=NOW.tzinfo)
        context().verify_chain([LEAF.der])


def _unregistered(_: Path) -> None:
    class Odd(Value):
        field: int = 0

    combining.combined(Odd(), Odd())


def _stapled(answer: Any) -> Case:
    """A response for a server to staple; what goes wrong with one that is fetched is logged."""

    def staple(_: Path) -> None:
        server = context()
        server.load_verify_locations(cadata=ROOT.der)
        server.load_cert_chain([LEAF.certificate], LEAF.key)
        with mock.patch("veritls._context.ocsp_renewal._log") as log:
            server.set_ocsp_response(answer)
            server.set_ocsp_response(None)
        if log.error.called:
            raise log.error.call_args.kwargs["exc_info"]

    return staple


def _crl_of_a_stranger(_: Path) -> None:
    server = context()
    server.load_verify_locations(cadata=ROOT.der)
    server.load_crls(pem(STRANGER.crl()))


def _pkcs12(key: Any, certificate: Any) -> bytes:
    return pkcs12.serialize_key_and_certificates(b"it", key, certificate, None, NoEncryption())


def _in_hsm(_: Path) -> None:
    key = mock.Mock(spec=LEAF.key)
    key.private_bytes.side_effect = NotImplementedError("it stays in the token")
    context().load_cert_chain([LEAF.certificate], key)


_BUNDLES = {"a.example": ROOT.der}


def _too_many_intermediates(_: Path) -> None:
    with mock.patch("veritls._context.trust_store.MOST_INTERMEDIATES", 0):
        context().load_intermediates(ROOT.der)


def _without_allowed_peers(_: Path) -> None:
    client = context("client")
    client.check_hostname, client.spiffe_bundles = False, _BUNDLES


_NOT_CALLABLE: Any = 7
_CHAIN = LEAF.pem + ROOT.pem


class _Source:
    """A source that gives one thing, and is never new."""

    name = "a source"

    def __init__(self, given: Any, *provides: str) -> None:
        self.given, self.provides = given, provides

    def load(self) -> Any:
        return self.given

    def wait(self, stop: threading.Event, timeout: float) -> None:
        stop.wait(timeout)


class _Str(_Source):
    provides: Any = "trust"

    def __init__(self) -> None:
        pass


def _followed(*provides: str, **material: Any) -> Case:
    return lambda _: context().follow(_Source(Material(**material), *provides))


def _a_setter_while_following(_: Path) -> None:
    server = context()
    server.follow(_Source(Material(trust=ROOT.pem), "trust"))
    try:
        server.load_verify_locations(cadata=ROOT.der)
    finally:
        server.follow(None)


def _trust_after(first: Any, then: bytes) -> Case:
    def follow(_: Path) -> None:
        server, source = context(), _Source(Material(trust=first), "trust")
        server.follow(source)
        follower: Any = server._settings.followed
        server.follow(None)
        later = prepared(Material(trust=then), frozenset({"trust"}), source.name)
        follower._renewed(server._settings, later, former=server._settings.trust)

    return follow


def _out_of_date(start: Any, end: Any) -> Case:
    def follow(_: Path) -> None:
        server = context()
        server.load_cert_chain(LEAF.pem, LEAF.key)
        other = ROOT.issue("localhost", start=start, end=end)
        server.follow(_Source(Material(identity=Identity(other.pem, other.key)), "identity"))

    return follow


def _keys(**arguments: Any) -> Case:
    return lambda _: TicketKeys.from_secret(bytes(32), **arguments)


def _of_redis(_: Path) -> None:
    library("redis")
    TicketKeys.from_redis(b"redis://localhost", secret=bytes(32))  # type: ignore[arg-type]


def _ticket_file(content: bytes) -> Case:
    def load(folder: Path) -> None:
        path = folder / "secrets"
        path.write_bytes(content)
        TicketKeys.from_file(path)

    return load


_OWN = Identity(LEAF.pem, LEAF.key)

CASES: dict[str, Case] = {
    # Protocol.
    "a protocol that is not offered": lambda _: veritls.SSLContext(99),
    "a version that is none": put("minimum_version", 0x9999),
    "a version that is too old": put("maximum_version", ssl.TLSVersion.TLSv1_1),
    "versions that leave none": used(
        minimum_version=ssl.TLSVersion.TLSv1_3, maximum_version=ssl.TLSVersion.TLSv1_2
    ),
    "suites that leave none": _without_suites,
    "groups that leave none": _without_groups,
    "options that are too large": put("options", 1 << 64),
    "an application protocol that is empty": call("set_alpn_protocols", [""]),
    "NPN": call("set_npn_protocols", ["http/1.1"]),
    "client_sigalgs": call("set_client_sigalgs", "ed25519"),
    "server_sigalgs": call("set_server_sigalgs", "ed25519"),
    "PSK of a client": call("set_psk_client_callback", None),
    "PSK of a server": call("set_psk_server_callback", None),
    "the private core": call("_wrap_socket"),
    "the private core over BIOs": call("_wrap_bio"),
    "the private ALPN": call("_set_alpn_protocols"),
    "ciphers of another type": call("set_ciphers", 7),
    "ciphers that are none": call("set_ciphers", "nothing"),
    "a security level": call("set_ciphers", "ALL:@SECLEVEL=5"),
    "TLS 1.3 suites that are none": call("set_ciphersuites", "nothing"),
    "a curve of another type": call("set_ecdh_curve", 7),
    "a group that is unknown": call("set_groups", "nothing"),
    "no group": call("set_groups", "?nothing"),
    "a negative number of tickets": put("num_tickets", -1),
    "too many tickets": put("num_tickets", 256),
    "tickets of a client": put("num_tickets", 1, "client"),
    "DH parameters that are none": loaded("load_dh_params", LEAF.pem),
    # The peer.
    "a verify_mode of another type": put("verify_mode", "required"),
    "a verify_mode that is none": put("verify_mode", 17),
    "CERT_NONE with check_hostname": put("verify_mode", ssl.CERT_NONE, "client"),
    "CERT_NONE with allowed_peers": _while_cert_none,
    "pinned keys under CERT_NONE": used(pinned_keys=[bytes(32)]),
    "a verify_flag that is not offered": put("verify_flags", ssl.VERIFY_ALLOW_PROXY_CERTS),
    "common names": put("hostname_checks_common_name", True),
    "an unknown_revocation_status": put("unknown_revocation_status", "maybe"),
    "a verify callback that cannot be called": call("set_verify_callback", _NOT_CALLABLE),
    "a verify callback to await": call("set_verify_callback", _callback),
    "a verify callback that is to be awaited after all": _awaited_later,
    "max_resumption_age of another type": put("max_resumption_age", "1"),
    "max_resumption_age below 0": put("max_resumption_age", timedelta(days=-1)),
    "allowed_peers as one text": put("allowed_peers", "a.example"),
    "allowed_peers of another type": put("allowed_peers", ["a.example"]),
    "matches of another type": lambda _: veritls.URI("urn:x").matches(_NOT_CALLABLE),
    "a pattern of another type": lambda _: veritls.URI(_NOT_CALLABLE),
    "a pattern of no kind": lambda _: peers.Matcher("a.example"),
    "a DNS name that is none": lambda _: veritls.DNSPattern("a.*.example"),
    "a DNS name that IDNA does not know": lambda _: veritls.DNSPattern("\u00e4" * 64 + ".example"),
    "a network that is none": lambda _: veritls.Network("10.0.0.1/8"),
    "a URI that is none": lambda _: veritls.URI("\u00e4"),
    "a SPIFFE ID that is none": lambda _: veritls.SPIFFE("spiffe:a"),
    "a SPIFFE ID with ** in it": lambda _: veritls.SPIFFE("spiffe://a/**/b"),
    "an address that is none": lambda _: veritls.Email("a.example"),
    "pinned_keys as one text": put("pinned_keys", "sha256/"),
    "a pin of another type": put("pinned_keys", [7]),
    "a pin that is not base64": put("pinned_keys", ["sha256/!"]),
    "a pin that is too short": put("pinned_keys", [bytes(31)]),
    # The context.
    "sni_callback of a client": put("sni_callback", print, "client"),
    "sni_callback that cannot be called": put("sni_callback", 7),
    "a misspelt setting": put("verify_mod", ssl.CERT_REQUIRED),
    "a method that is set": put("set_ciphers", "ALL"),
    "a context that is pickled": call("__reduce__"),
    "a ticket secret that is pickled": lambda _: pickle.dumps(TicketSecret.drawn()),
    "ticket keys that are none": put("ticket_keys", bytes(32)),
    "ticket keys of a client": put("ticket_keys", TicketKeys.from_secret(bytes(32)), "client"),
    "ticket keys of a constructor": lambda _: TicketKeys(),
    "ticket keys that are pickled": lambda _: pickle.dumps(TicketKeys.from_secret(bytes(32))),
    "ticket keys that are copied": lambda _: copy.copy(TicketKeys.from_secret(bytes(32))),
    "a ticket secret of another type": lambda _: TicketKeys.from_secret("x" * 32),  # type: ignore[arg-type]
    "a ticket secret that is short": lambda _: TicketKeys.from_secret(bytes(31)),
    "a policy version of another type": _keys(policy_version=1),
    "a policy version that is empty": _keys(policy_version=""),
    "an epoch of another type": lambda _: tickets.as_period(1.5),
    "an epoch of no time": lambda _: tickets.as_period(0),
    "a Redis that is no text": _of_redis,
    "a file of ticket secrets that is empty": _ticket_file(b"\n"),
    "a file of ticket secrets that is too long": _ticket_file(bytes(5000)),
    "a file of too many ticket secrets": _ticket_file(b"x\n" * 9),
    "a file of no base64": _ticket_file(b"x" * 43 + b"\n"),
    "half of a file of ticket secrets": lambda _: ticket_file.secrets_of(TicketSecret(b"x" * 43), True),
    "a ticket secret that is no file": lambda _: TicketKeys.from_file("/dev/null"),
    "a field that is neither": _unregistered,
    "at of another type": call("verify_chain", [LEAF.der], at=7),
    "at without a zone": call("verify_chain", [LEAF.der], at=datetime(2030, 1, 1)),
    "at after 9999": call(
        "verify_chain",
        [LEAF.der],
        at=datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-1))),
    ),
    "at before 1970": call("verify_chain", [LEAF.der], at=datetime(1960, 1, 1, tzinfo=NOW.tzinfo)),
    "a clock before 1970": _clock_before_1970,
    "a purpose that is none": call("verify_chain", [LEAF.der], purpose="both"),
    "an empty chain": call("verify_chain", []),
    "a chain of another type": call("verify_chain", 7),
    "a certificate of another type": call("verify_chain", [7]),
    "an empty certificate": call("verify_chain", [b""]),
    # Names and sides.
    "a name of another type": wrapped(7),
    "a name with a zero byte": wrapped("a\0b"),
    "an empty name": wrapped(""),
    "a name that IDNA does not know": wrapped("a..\u00e4"),
    "a name that is too long": wrapped(".".join(["a" * 60] * 5)),
    "a name that is none": wrapped("exa mple.org"),
    "no name": wrapped(None),
    "a server of a client's context": used("server", on="client"),
    "a client of a server's context": used("client", on="server"),
    # Trust.
    "nothing to trust": call("load_verify_locations"),
    "a purpose of another type": call("load_default_certs", "server"),
    "cadata of another type": call("load_verify_locations", cadata=7),
    "cadata that is not ASCII": call("load_verify_locations", cadata="\u00e4"),
    "empty cadata as text": call("load_verify_locations", cadata=""),
    "empty cadata as bytes": call("load_verify_locations", cadata=b""),
    "empty cadata as a list": call("load_verify_locations", cadata=[]),
    "cadata that holds something else": call("load_verify_locations", cadata=[7]),
    "cadata that is damaged": call("load_verify_locations", cadata=b"junk"),
    "intermediates of another type": call("load_intermediates", None),
    "intermediates that hold something else": call("load_intermediates", [7]),
    "no intermediates": call("load_intermediates", []),
    "too many intermediates": _too_many_intermediates,
    "bundles with check_hostname": put("spiffe_bundles", _BUNDLES, "client"),
    "bundles without allowed_peers": _without_allowed_peers,
    "bundles of another type": put("spiffe_bundles", [ROOT.der]),
    "no bundles": put("spiffe_bundles", {}),
    "a trust domain of another type": put("spiffe_bundles", {7: ROOT.der}),
    "a trust domain that is none": put("spiffe_bundles", {"spiffe://a.example": ROOT.der}),
    "a bundle of a leaf": put("spiffe_bundles", {"a.example": [ROOT.der, LEAF.der]}),
    "too many trust domains": put("spiffe_bundles", dict.fromkeys(map(str, range(1001)), ROOT.der)),
    "too many certificates in bundles": put("spiffe_bundles", {"a.example": [ROOT.der] * 10_001}),
    "identities that are no tuples": call("replace_identities", [LEAF.pem]),
    # Files.
    "an empty file": loaded("load_verify_locations", b""),
    "empty data": call("load_cert_chain", bytearray(b" ")),
    "no certificate in a file": loaded("load_verify_locations", b"hello"),
    "a certificate that is cut off": loaded("load_verify_locations", LEAF.pem[:200]),
    "a damaged certificate": loaded("load_verify_locations", _DAMAGED.format("CERTIFICATE").encode()),
    "two certificates in a block": loaded(
        "load_verify_locations", ssl.DER_cert_to_PEM_cert(LEAF.der + ROOT.der).encode()
    ),
    "a damaged certificate in DER": call("load_cert_chain", bytearray(LEAF.der[:-1])),
    "certfile of another type": call("load_cert_chain", 7),
    "certfile that holds something else": call("load_cert_chain", [7]),
    "no certificate": call("load_cert_chain", []),
    "no key with certificates": call("load_cert_chain", [LEAF.certificate]),
    "no key in DER": call("load_cert_chain", LEAF.der),
    "no key in a file": loaded("load_cert_chain", LEAF.pem),
    "keyfile of another type": call("load_cert_chain", [LEAF.certificate], 7),
    "a key of another certificate": call("load_cert_chain", [LEAF.certificate], OTHER.key),
    "a key that stays where it is": _in_hsm,
    "a damaged key": loaded("load_cert_chain", LEAF.pem + _DAMAGED.format("PRIVATE KEY").encode()),
    "an encrypted key without a password": call("load_cert_chain", LEAF.pem, ENCRYPTED),
    "a wrong password": call("load_cert_chain", LEAF.pem, ENCRYPTED, "wrong"),
    "a password of another type": call("load_cert_chain", LEAF.pem, ENCRYPTED, 7),
    "a password callback that gives another type": call("load_cert_chain", LEAF.pem, ENCRYPTED, lambda: 7),
    "a password that is too long": call("load_cert_chain", LEAF.pem, ENCRYPTED, "x" * 1025),
    "PKCS#12 of another type": call("load_pkcs12", 7),
    "damaged PKCS#12": call("load_pkcs12", bytearray(b"junk")),
    "PKCS#12 without a key": call("load_pkcs12", _pkcs12(None, LEAF.certificate)),
    "PKCS#12 without a certificate": call("load_pkcs12", _pkcs12(LEAF.key, None)),
    # CRLs and OCSP responses.
    "no CRL in a file": loaded("load_crls", LEAF.pem),
    "a damaged CRL": loaded("load_crls", _DAMAGED.format("X509 CRL").encode()),
    "a CRL that cannot be used": call("load_crls", bytearray(der(ROOT.crl())[:-1])),
    "CRLs of another type": call("load_crls", 7),
    "CRLs that hold something else": call("load_crls", [7]),
    "a CRL of a stranger": _crl_of_a_stranger,
    "an OCSP response of another type": _stapled(7),
    "an OCSP response that is damaged": _stapled(b"junk"),
    "an OCSP response about none of ours": _stapled(response(OTHER)),
    "a fetched OCSP response of another type": _stapled(lambda *_: "text"),
    "a fetched OCSP response about another certificate": _stapled(lambda *_: response(OTHER)),
    "what is no certificate": lambda _: shown.decoded(b"junk"),
    # Sources.
    "what is no source": call("follow", 7),
    "a source that provides nothing": _followed(),
    "a source that provides a text": lambda _: context().follow(_Str()),
    "max_stale of another type": call("follow", _Source(None, "trust"), max_stale="1"),
    "max_stale that is not positive": call("follow", _Source(None, "trust"), max_stale=0),
    "max_stale without a source": call("follow", None, max_stale=1),
    "a load of another type": call("follow", _Source(7, "trust")),
    "a kind that is provided and missing": _followed("trust", "identity", identity=_OWN),
    "an identity of another type": _followed("identity", identity=7),
    "an identity by path": _followed("identity", identity=Identity("cert.pem", b"")),
    "no identity among several": _followed("identity", identity=[]),
    "too many identities": _followed("identity", identity=itertools.repeat(_OWN)),
    "trust of a source that is empty": _followed("trust", trust=b" "),
    "CRLs among trust": _followed("trust", trust=ROOT.pem + pem(ROOT.crl())),
    "no CRLs of a source": _followed("crls", crls=[]),
    "CRLs of a source by path": _followed("crls", crls=PurePosixPath("crls.pem")),
    "something else among CRLs of a source": _followed("crls", crls=ROOT.pem),
    "an expired certificate of a source": _out_of_date(NOW - timedelta(days=9), NOW - timedelta(days=1)),
    "a certificate of a source that is not valid yet": _out_of_date(
        NOW + timedelta(days=1), NOW + timedelta(days=9)
    ),
    "trust for all after trust by domain": _trust_after({"a.example": ROOT.pem}, ROOT.pem),
    "trust without an anchor after trust with one": _trust_after(ROOT.pem, LEAF.pem),
    "a setter of what is followed": _a_setter_while_following,
}
"""Everything that is refused before a connection."""


def text(name: str) -> list[str]:
    """The exception's type and its text, without what is another in each run."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            CASES[name](Path(folder))
        except Exception as error:
            words = str(error.args[-1] if error.args else "")
            return [type(error).__name__, words.replace(folder, "<folder>")]
    raise AssertionError(f"{name} is not refused")


def matches(expected: list[str], found: list[str]) -> bool:
    pattern = re.escape(expected[1]).replace(re.escape(SEVERAL), ".*")
    return expected[0] == found[0] and re.fullmatch(pattern, found[1], re.DOTALL) is not None


def as_toml(names: Iterable[str]) -> str:
    """The file: texts of it that still match stay as they are."""
    lines = ["# What is refused before a connection, with what; see texts.py.", "", "[texts]"]
    for name in names:
        found = text(name)
        kept = EXPECTED.get(name)
        lines.append(f"{json.dumps(name)} = {json.dumps(kept if kept and matches(kept, found) else found)}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(as_toml(CASES))
