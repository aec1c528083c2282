"""Chains that cost a verifier the most, each made anew so that no cache knows them: see `tests.bounds`."""

from __future__ import annotations

import itertools
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, mldsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import veritls
from tests.support import hostile
from tests.support.der import tlv
from tests.support.hostile import (
    Key,
    alternative_names,
    basic_constraints,
    certificate,
    constraints,
    fake_key,
    filled,
    real_key,
)

LOCAL = alternative_names(["localhost"])


@dataclass
class Shape:
    """What one peer sends, and the trust anchors of the other. `key`: of its own certificate."""

    anchors: list[bytes]
    chain: list[bytes]
    key: Key | None = None
    name: str | None = None
    ocsp: bytes | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def identity(self, folder: Path) -> Path:
        """The chain and its key in one PEM file."""
        assert self.key is not None
        private = self.key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path = folder / "identity.pem"
        path.write_text(private.decode() + "".join(map(ssl.DER_cert_to_PEM_cert, self.chain)))
        return path

    def context(self, protocol: int = veritls.PROTOCOL_TLS_CLIENT) -> veritls.SSLContext:
        """Who has to verify it."""
        context = veritls.SSLContext(protocol)
        context.check_hostname = False
        context.verify_mode = veritls.CERT_REQUIRED
        context.load_verify_locations(cadata=b"".join(self.anchors))
        for setting, value in self.settings.items():
            setattr(context, setting, value)
        return context


class CA:
    """A key and its certificate; its own where no `parent` signs it."""

    def __init__(self, name: str, parent: CA | None = None, *extensions: bytes, private: Any = None) -> None:
        self.name, self.key = name, real_key(private)
        signer, issuer = (parent.key, parent.name) if parent is not None else (self.key, name)
        self.der = certificate(name, issuer, self.key, signer, basic_constraints(), *extensions)

    def issue(self, *extensions: bytes, key: Key | None = None) -> tuple[bytes, Key]:
        """A peer's certificate, with its key."""
        own = key or real_key()
        return certificate("peer", self.name, own, self.key, *(extensions or (LOCAL,))), own


def ordinary() -> Shape:
    """What everything is measured by: a leaf and one P-256 intermediate, and nothing is wrong."""
    root = CA("root")
    between = CA("between", root)
    leaf, key = between.issue()
    return Shape([root.der], [leaf, between.der], key)


def ring(trusted: str) -> Shape:
    """CAs of one name that issue each other, and certificates of that name that lead nowhere."""
    own, stranger = real_key(), fake_key("stranger", signature=8)
    leaf = certificate("a", "a", own, stranger, LOCAL)
    between = [
        certificate("a", "a", fake_key(upper), fake_key(lower, signature=8), basic_constraints())
        for upper, lower in itertools.product(range(5), repeat=2)
    ]
    # webpki reads a certificate with the name and the key of one below it, and counts it as nothing.
    chain = filled([leaf, *between], lambda _: certificate("a", "a", own, stranger))
    return Shape([CA(trusted).der], chain, own)


def wide() -> Shape:
    """As many issuers of the peer as fit, each the anchor's by name."""
    own, stranger = real_key(), fake_key("stranger", signature=8)
    leaf = certificate("peer", "b", own, stranger, LOCAL)
    chain = filled([leaf], lambda at: certificate("b", "root", fake_key(at), stranger, basic_constraints()))
    return Shape([CA("root").der], chain, own)


def ladder() -> Shape:
    """Six names, each step with as many CAs as fit, from the peer to the anchor."""
    own, stranger = real_key(), fake_key("stranger", signature=8)
    leaf = certificate("peer", "0", own, stranger, LOCAL)
    steps = ["0", "1", "2", "3", "4", "5", "root"]

    def more(at: int) -> bytes:
        lower = at % 6
        return certificate(steps[lower], steps[lower + 1], fake_key(at), stranger, basic_constraints())

    return Shape([CA("root").der], filled([leaf], more), own)


def deep() -> Shape:
    """One chain as long as fits, all signatures right, up to the anchor's name."""
    own = real_key()
    below = real_key()
    chain = [certificate("peer", "0", own, below, LOCAL)]
    for at in range(150):
        above = real_key()
        chain.append(
            certificate(str(at), str(at + 1) if at < 149 else "root", below, above, basic_constraints())
        )
        below = above
    return Shape([CA("root").der], chain, own)


def anchored(private: Callable[[], Any]) -> Shape:
    """An anchor with a costly key, whose name as many certificates bear as fit."""
    root, own, stranger = CA("root", private=private()), real_key(), fake_key("stranger")
    signs = Key(stranger.public, root.key.algorithm, lambda data: bytes(len(root.key.sign(b""))))
    leaf = certificate("peer", "root", own, signs, LOCAL)
    more = filled([leaf], lambda at: certificate("root", "root", fake_key(at), signs, basic_constraints()))
    return Shape([root.der], more, own)


def mesh(*extensions: bytes, kind: Callable[[], Any] = lambda: None) -> Shape:
    """A CA that the anchor signed, above CAs that sign each other, all in order but for the name."""
    root = CA("root")
    top = CA("top", root, constraints(["other.example"]), *extensions)
    keys = [real_key(kind()) for _ in range(5)]
    chain = [certificate("peer", "0", real_key(), keys[0], LOCAL)]
    chain += [certificate(str(at), "top", key, top.key, basic_constraints()) for at, key in enumerate(keys)]
    for upper, lower in itertools.permutations(range(5), 2):
        chain.append(certificate(str(lower), str(upper), keys[lower], keys[upper], basic_constraints()))
    return Shape([root.der], [*chain, top.der])


def namesakes() -> Shape:
    """A path of six CAs of one name, all in order but for the constraint at its top."""
    root = CA("root")
    top = CA("b", root, constraints(["other.example"]))
    above, chain = top, [top.der]
    for _ in range(5):
        below = CA("b", above)
        chain.insert(0, below.der)
        above = below
    leaf, key = above.issue()
    return Shape([root.der], [leaf, *chain], key)


def in_order(*names: str) -> Shape:
    """A chain of intermediates of these names, the peer's issuer first, with many extensions."""
    filler = [hostile.extension(b"\x2b\x06" + bytes([at]), b"\x05\x00") for at in range(100)]
    above = [CA("root")]
    for name in reversed(names):
        above.append(CA(name, above[-1], *filler))
    leaf, key = above[-1].issue()
    return Shape([above[0].der], [leaf, *(each.der for each in reversed(above[1:]))], key)


def straight(private: Callable[[], Any]) -> Shape:
    """The longest path that there can be, all in order."""
    above = [CA("root", private=private())]
    for at in range(6):
        above.append(CA(str(at), above[-1], private=private()))
    leaf, key = above[-1].issue(key=real_key(private()))
    return Shape([above[0].der], [leaf, *(each.der for each in reversed(above[1:]))], key)


def many_names(count: int = 3_500, **settings: Any) -> Shape:
    """A good chain for thousands of names, none of them one that is wanted."""
    root = CA("root")
    leaf, key = root.issue(alternative_names([f"n{at}.example" for at in range(count)]))
    return Shape([root.der], [leaf], key, None if settings else "localhost", settings=settings)


def constrained(bases: int, names: int) -> Shape:
    """A CA with many name constraints above a peer with many names."""
    root = CA("root")
    top = CA("top", root, constraints([f"c{at}.example" for at in range(bases)]))
    leaf, key = top.issue(alternative_names([f"n{at}.c{bases - 1}.example" for at in range(names)]))
    return Shape([root.der], [leaf, top.der], key, "localhost")


def many_extensions() -> Shape:
    """A good chain with as many extensions as fit, under VERIFY_X509_STRICT."""
    root = CA("root")
    one = (
        hostile.extension(b"\x2b\x06" + bytes([0x81 | at >> 7, at & 0x7F]), b"\x05\x00")
        for at in range(4_000)
    )
    leaf, key = root.issue(LOCAL, *one)
    strict = {"verify_flags": veritls.VERIFY_X509_STRICT}
    return Shape([root.der], [leaf], key, settings=strict)


def large() -> Shape:
    """A CA as large as fits, which keys of P-521 sign that share a name."""
    roots = [CA("root", private=ec.generate_private_key(ec.SECP521R1())) for _ in range(8)]
    stranger = Key(b"", roots[0].key.algorithm, lambda data: roots[0].key.sign(b"another"))
    filler = hostile.extension(b"\x2b\x06\x01", tlv(4, bytes(58_000)))
    own = real_key()
    between = certificate("between", "root", real_key(), stranger, basic_constraints(), filler)
    leaf = certificate("peer", "between", own, stranger, LOCAL)
    return Shape([root.der for root in roots], [leaf, between], own)


def many_answers() -> Shape:
    """A good chain with an OCSP response of hundreds of answers, and eight signers with RSA-8192."""
    root = CA("root")
    between = CA("between", root)
    leaf, key = between.issue()
    signer = real_key(_rsa(8192))
    usage = hostile.extension(b"\x55\x1d\x25", tlv(0x30, bytes.fromhex("06082b06010505070309")))
    signers = [between.issue(usage, key=signer)[0] for _ in range(8)]
    response = hostile.ocsp_response(leaf, between.der, signers, signer.algorithm)
    return Shape([root.der], [leaf, between.der], key, ocsp=response)


@cache
def _rsa(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


SHAPES: dict[str, Callable[[], Shape]] = {
    "ring of namesakes, anchor unknown": lambda: ring("root"),
    "ring of namesakes, anchor of that name": lambda: ring("a"),
    "wide, all the anchor's by name": wide,
    "ladder of names": ladder,
    "deep": deep,
    "under an anchor with RSA-8192": lambda: anchored(lambda: _rsa(8192)),
    "under an anchor with P-521": lambda: anchored(lambda: ec.generate_private_key(ec.SECP521R1())),
    "under an anchor with ML-DSA-65": lambda: anchored(mldsa.MLDSA65PrivateKey.generate),
    "mesh of CAs, signed": mesh,
    "mesh of CAs, signed, P-521": lambda: mesh(kind=lambda: ec.generate_private_key(ec.SECP521R1())),
    "six namesakes, signed": namesakes,
    "3,500 names": many_names,
    "3,500 names, 100 allowed peers": lambda: many_names(
        allowed_peers=[veritls.DNSPattern(f"m{at}.example") for at in range(100)]
    ),
    "3,500 names, pinned keys": lambda: many_names(pinned_keys=[bytes(32)]),
    "1,500 constraints, 1,500 names": lambda: constrained(1_500, 1_500),
    "60 constraints, 1,500 names": lambda: constrained(60, 1_500),
    "4,000 extensions": many_extensions,
    "58 kB under P-521": large,
    "path of eight, P-521 throughout": lambda: straight(lambda: ec.generate_private_key(ec.SECP521R1())),
    "OCSP: many answers and signers": many_answers,
}
"""Every shape by its name."""
