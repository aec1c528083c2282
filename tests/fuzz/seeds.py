"""Makes what fuzz targets start from, the same bytes each time: `python -m tests.fuzz.seeds`.

Identities for both ends and for a stranger, with keys that anyone can work out: nothing but these targets
trusts them. And inputs, each as its target reads it: see engine/fuzz.
"""

from __future__ import annotations

import datetime
import hashlib
import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.certificates import Party

SEEDS = Path(__file__).parents[2] / "engine" / "fuzz" / "seeds"

_START = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
_END = datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC)

Files = dict[str, bytes]
"""By name."""


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest(), "big")


def _party(name: str, issuer: Party | None = None, *, key: Any = None, **options: Any) -> Party:
    key = key or ed25519.Ed25519PrivateKey.from_private_bytes(_number(name).to_bytes(32, "big"))
    serial = _number(name) >> 193
    return Party(name, issuer, key=key, serial=serial, start=_START, end=_END, **options)


def _private(key: Any, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    found: bytes = key.private_bytes(Encoding.DER, form, NoEncryption())
    return found


ROOT = _party("fuzz root", ca=True)
FOREIGN_ROOT = _party("foreign root", ca=True)
PARTIES = {
    "server": _party("server", ROOT),
    "client": _party("client", ROOT, names=["client.example"]),
    "stranger": _party("stranger", FOREIGN_ROOT),
}
EXPENSIVE = _party(
    "Expensive", ROOT, ca=True, key=ec.derive_private_key(_number("expensive"), ec.SECP521R1())
)
BELOW = _party("Below", EXPENSIVE, ca=True)
DEEP = _party("deep", BELOW)
"""Whose issuer's signature costs seven times the usual one."""


def identities() -> Files:
    """Certificates and keys (PKCS#8), DER."""
    found = {"root": ROOT.der, "deep": DEEP.der}
    for name, party in PARTIES.items():
        found[name] = party.der
        found[f"{name}.key"] = _private(party.key)
    return found


def edit(at: int, what: int, place: int = 0, new: bytes = b"") -> bytes:
    """One change of the record with this number: see engine/fuzz/src/edits.rs."""
    return bytes([at, what]) + place.to_bytes(2, "big") + bytes([len(new)]) + new


def connection(flags: int, forth: Iterable[bytes] = (), back: Iterable[bytes] = (), size: int = 0) -> bytes:
    """A connection whose flights are changed: see engine/fuzz/src/handshake.rs."""
    changes = list(forth), list(back)
    return bytes([flags, size]) + b"".join(bytes([len(each)]) + b"".join(each) for each in changes)


PEERS = {"right": 0, "stranger": 1, "nobody": 2, "thief": 3}
VERSIONS = {"12": 4, "13": 8}
RETRY, RESUME, RECORDS, TAKES = 0x10, 0x20, 0x40, 0x80


def handshakes() -> Files:
    """Connections unchanged, of each kind, and those that are changed in one place."""
    found = {
        f"{version}-{peer}": connection(flag | who | TAKES)
        for (version, flag), (peer, who) in itertools.product(VERSIONS.items(), PEERS.items())
    }
    changes = {
        "flipped": [edit(2, 0, 9)],
        # A bit of the first message on the wire, and the same bit of the message: nothing is changed.
        "undone": [edit(0, 13, 5 * 8), edit(0, 0)],
        "dropped": [edit(3, 5)],
        "twice": [edit(1, 6)],
        "swapped": [edit(2, 11)],
        "split": [edit(0, 9, 3), edit(2, 9, 1)],
        "early-data": [edit(2, 7, 0, b"\x17early")],
        "ccs": [edit(1, 7, 0, b"\x94\x01")],
        "flood": [edit(3, 12, 70, b"\x15\x01\x5a")],
        "endless": [edit(2, 17, 9, b"\x0b")],
        "empty-certificate": [edit(1, 15, 0, b"\x0b\0\0\0\0"), edit(2, 15, 0, b"\x0b\0\0\0\0")],
        "key-updates": [edit(at, 7, 0, b"\x16\x18\0\0\x01\x01") for at in range(4, 8)],
        "unprotected": [edit(3, 14)],
    }
    for (version, flag), (name, forth) in itertools.product(VERSIONS.items(), changes.items()):
        found[f"{version}-{name}"] = connection(flag | RECORDS, forth)
        back = forth if name == "undone" else forth[:1]
        found[f"{version}-{name}-back"] = connection(flag, [], back, size=7)
    for version, flag in VERSIONS.items():
        # Finished, data and what is no record, at once.
        found[f"{version}-data-and-no-record"] = connection(flag, [edit(2, 8, 0, b"\x97no record")])
        found[f"{version}-retry"] = connection(flag | RETRY, size=1)
        found[f"{version}-resumed"] = connection(flag | RESUME | TAKES)
        found[f"{version}-resumed-changed"] = connection(flag | RESUME | RECORDS, changes["flipped"])
    return found


def _vector(length: int, content: bytes) -> bytes:
    return len(content).to_bytes(length, "big") + content


def hello(name: str | None, *, tls13: bool = True) -> bytes:
    """A ClientHello as a record (RFC 8446, sections 4.1.2 and 5.1)."""
    extensions = {10: _vector(2, b"\0\x1d\0\x17"), 13: _vector(2, b"\x08\x07\x04\x03\x08\x04"), 11: b"\x01\0"}
    if name is not None:
        extensions[0] = _vector(2, b"\0" + _vector(2, name.encode()))
    if tls13:
        extensions[43] = _vector(1, b"\x03\x04\x03\x03")
        extensions[51] = _vector(2, b"\0\x1d" + _vector(2, b"\x09" + bytes(31)))
    coded = b"".join(kind.to_bytes(2, "big") + _vector(2, content) for kind, content in extensions.items())
    suites = b"\x13\x01\x13\x03\xc0\x2b\xc0\x2f\xcc\xa9"
    body = b"\x03\x03" + bytes(32) + _vector(1, b"") + _vector(2, suites) + b"\x01\0" + _vector(2, coded)
    return record(22, b"\x01" + _vector(3, body))


def record(kind: int, content: bytes) -> bytes:
    return bytes([kind, 3, 3]) + _vector(2, content)


def hellos() -> Files:
    """The size of the pieces, and what comes in them."""
    whole = hello("localhost")
    pieces = b"".join(record(22, whole[start : start + 40]) for start in range(5, len(whole), 40))
    return {
        "named": b"\xff" + whole,
        "tls12": b"\x10" + hello("a.example", tls13=False),
        "no-name": b"\0" + hello(None),
        "odd-name": b"\x03" + hello("LOCAL host\0.example."),
        "in-records": b"\x07" + pieces,
        "alert-first": b"\xff" + record(21, b"\x01\x5a") + whole,
        "two": b"\xff" + whole + whole,
    }


def streams() -> Files:
    """The sizes of pieces, and a stream of records."""
    records = [
        record(22, bytes(40)),
        record(23, b""),
        record(20, b"\x01"),
        record(21, bytes(2)),
        record(23, bytes(300)),
    ]
    whole = b"".join(records)
    return {
        "byte-by-byte": b"\0\0\0\0" + whole,
        "by-header": b"\x01\0\x05\x01\0\x64\x02" + whole,
        "several": b"\0\x40\0\xfe" + whole,
        "no-record": b"\0\x40\0\x01" + records[0] + b"GET / HTTP/1.1\r\n\r\n",
        "too-long": b"\0\x40\0\x02" + records[1] + b"\x17\x03\x03\xff\xff" + bytes(64),
    }


def tickets() -> Files:
    """Secret, policy, epochs later, changes, and what is sealed."""
    content = _number("since").to_bytes(32, "big")[:8] + b"\x01\0\x02\0\x03" + b"a session of rustls"
    right = b"\x01\x02\0"
    return {
        "right": right + b"\0" + content,
        "other-policy": b"\x01\x03\0\0" + content,
        "old": b"\x01\x02\x02\0" + content,
        "flipped": right + b"\x01" + edit(0, 0, 50, b"\x01") + content,
        "cut": right + b"\x01" + edit(0, 4, 40) + content,
    }


def _prime(name: str) -> int:
    """A prime of 1,024 bits, the same each time."""
    digits = b"".join(_number(f"{name} {each}").to_bytes(32, "big") for each in range(4))
    candidate = int.from_bytes(digits, "big") | 3 << 1022 | 1
    while pow(2, candidate - 1, candidate) != 1 or (candidate - 1) % 65537 == 0:
        candidate += 2
    return candidate


def _rsa_key() -> rsa.RSAPrivateKey:
    p, q = _prime("p"), _prime("q")
    d = pow(65537, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(65537, p * q)
    crt = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    return rsa.RSAPrivateNumbers(p, q, d, *crt, public).private_key()


def keys() -> Files:
    """The length of a key, the key in each of its forms, and its certificate."""
    curve = ec.derive_private_key(_number("curve"), ec.SECP256R1())
    found = {}
    for name, key in {"p256": curve, "rsa": _rsa_key(), "ed25519": PARTIES["server"].key}.items():
        der = _party(name, ROOT, key=key).der
        found[name] = _vector(2, _private(key)) + der
        if name != "ed25519":
            found[f"{name}-traditional"] = _vector(2, _private(key, PrivateFormat.TraditionalOpenSSL)) + der
    return found | {"mismatch": _vector(2, _private(curve)) + PARTIES["server"].der}


def chains() -> Files:
    """How often the certificates are repeated, what is changed of each, and the certificates."""
    # A tenth of 256 parts into these certificates is the serial number: each is another, with the same key.
    serials = b"\xff\x0a"
    unsigned = BELOW.der[:-1] + bytes([BELOW.der[-1] ^ 1])
    expensive = EXPENSIVE.der
    return {
        "whole": b"\0\0" + DEEP.der + BELOW.der + expensive,
        "repeated": serials + DEEP.der + BELOW.der + expensive,
        "unsigned": serials + DEEP.der + unsigned + expensive,
        "unsigned-above": b"\x20\xf8" + DEEP.der + BELOW.der + expensive,
        "leaf": b"\xff\x20" + PARTIES["server"].der,
        "turned": serials + expensive + BELOW.der + DEEP.der,
    }


def files() -> dict[Path, bytes]:
    """Everything, by its place."""
    folders = {
        "identities": identities(),
        "server_handshake": handshakes(),
        "client_handshake": handshakes(),
        "client_hello_preview": hellos(),
        "record_reader": streams(),
        "tickets": tickets(),
        "identity": keys(),
        "chain_cost": chains(),
    }
    return {
        SEEDS / folder / name: content for folder, found in folders.items() for name, content in found.items()
    }


if __name__ == "__main__":
    for path, content in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
