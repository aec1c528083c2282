"""Cipher suites by their IANA numbers, with the names that OpenSSL and so `ssl` give them.

`select` reads OpenSSL's cipher-string language (``man openssl-ciphers``) over the suites that exist here.
"""

from __future__ import annotations

from ssl import PROTOCOL_TLS_SERVER, SSLContext as _StandardContext, SSLError

from veritls._value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERSIONS = {0x0303: "TLSv1.2", 0x0304: "TLSv1.3"}


class Suite(Value):
    """One cipher suite, in the terms of ``SSLContext.get_ciphers()``."""

    number: int
    name: str
    protocol: str
    bits: int
    symmetric: str
    exchange: str = "any"
    authentication: str = "any"

    @property
    def tags(self) -> frozenset[str]:
        """The words of the cipher-string language that select this suite."""
        cipher = {"AES", f"AES{self.bits}", "AESGCM"} if "aes" in self.symmetric else {"CHACHA20"}
        own = {f"a{self.authentication}"} | ({"ECDSA"} if self.authentication == "ECDSA" else set())
        exchange = {"ECDHE", "EECDH", "kECDHE", "kEECDH", "ECDH"}
        fips = {"FIPS"} if "aes" in self.symmetric else set()
        return frozenset(
            {"ALL", "DEFAULT", "HIGH", self.protocol, self.name}
            | cipher
            | own
            | exchange
            | fips
            | self._suite_b
        )

    @property
    def _suite_b(self) -> frozenset[str]:
        """The words of Suite B (RFC 6460) that select this suite."""
        if self.authentication != "ECDSA" or "aes" not in self.symmetric:
            return frozenset()
        return frozenset(
            (
                "SUITEB128",
                "SUITEB128ONLY" if self.bits == 128 else "SUITEB128C2",
                f"SUITEB{self.bits * 3 // 4}",
            )
        )

    def __repr__(self) -> str:
        return f"<Suite {self.name}>"

    def described(self) -> dict[str, Any]:
        """The suite as ``SSLContext.get_ciphers()`` documents it."""
        encryption = "AESGCM" if "aes" in self.symmetric else "CHACHA20/POLY1305"
        words = (
            f"{self.name:<30} {self.protocol} Kx={self.exchange:<8} Au={self.authentication:<5} "
            f"Enc={encryption}({self.bits}){'':<12} Mac=AEAD"
        )
        return {
            "id": 0x03000000 | self.number,
            "name": self.name,
            "protocol": self.protocol,
            "description": words,
            "strength_bits": self.bits,
            "alg_bits": self.bits,
            "aead": True,
            "symmetric": self.symmetric,
            "digest": None,
            "kea": "kx-any" if self.exchange == "any" else "kx-ecdhe",
            "auth": f"auth-{self.authentication.lower()}",
        }


def _tls13(number: int, name: str, bits: int, symmetric: str) -> Suite:
    return Suite(number, name, "TLSv1.3", bits, symmetric)


def _tls12(number: int, authentication: str, cipher: str, bits: int, symmetric: str) -> Suite:
    name = f"ECDHE-{authentication}-{cipher}"
    return Suite(number, name, "TLSv1.2", bits, symmetric, "ECDH", authentication)


_ALL = (
    _tls13(0x1302, "TLS_AES_256_GCM_SHA384", 256, "aes-256-gcm"),
    _tls13(0x1303, "TLS_CHACHA20_POLY1305_SHA256", 256, "chacha20-poly1305"),
    _tls13(0x1301, "TLS_AES_128_GCM_SHA256", 128, "aes-128-gcm"),
    _tls12(0xC02C, "ECDSA", "AES256-GCM-SHA384", 256, "aes-256-gcm"),
    _tls12(0xC030, "RSA", "AES256-GCM-SHA384", 256, "aes-256-gcm"),
    _tls12(0xCCA9, "ECDSA", "CHACHA20-POLY1305", 256, "chacha20-poly1305"),
    _tls12(0xCCA8, "RSA", "CHACHA20-POLY1305", 256, "chacha20-poly1305"),
    _tls12(0xC02B, "ECDSA", "AES128-GCM-SHA256", 128, "aes-128-gcm"),
    _tls12(0xC02F, "RSA", "AES128-GCM-SHA256", 128, "aes-128-gcm"),
)

SUITES: dict[int, Suite] = {suite.number: suite for suite in _ALL}
"""Every suite that the engine has, in the order of OpenSSL's ``ALL``."""

_TLS12 = tuple(suite for suite in _ALL if suite.protocol == "TLSv1.2")

MAX_LEVEL = 2
"""OpenSSL's security level, which the engine always enforces: RSA from 2048 bits, no SHA-1 signatures."""

_SEPARATORS = r"[:, ;]+"
_WORD = r"@?[^:, ;@]+"


def _chosen(word: str) -> list[Suite]:
    wanted = set(word.split("+"))
    return [suite for suite in _TLS12 if wanted <= suite.tags]


def select(text: str) -> tuple[Suite, ...]:
    """The TLS 1.2 suites that a cipher string selects, the preferred first. Unknown words select nothing.

    The result is empty where the string selects only suites of OpenSSL's that do not exist here: "TLSv1"
    leaves TLS 1.3, as with `ssl`. Raises ValueError where it selects nothing with OpenSSL either, and for an
    ``@SECLEVEL`` above `MAX_LEVEL`.
    """
    import re

    active: list[Suite] = []
    killed: set[Suite] = set()
    for word in re.findall(_WORD, text):
        if word == "@STRENGTH":
            active.sort(key=lambda suite: -suite.bits)
        elif word.startswith("@SECLEVEL="):
            level = word.partition("=")[2]
            if not (level.isdigit() and int(level) <= MAX_LEVEL):
                raise ValueError(f"{word} is not supported: the security level is {MAX_LEVEL}")
        elif word[0] in "!-":
            chosen = _chosen(word[1:])
            active = [suite for suite in active if suite not in chosen]
            killed |= set(chosen) if word[0] == "!" else set()
        elif word[0] == "+":
            moved = [suite for suite in active if suite in _chosen(word[1:])]
            active = [suite for suite in active if suite not in moved] + moved
        else:
            active += [suite for suite in _chosen(word) if suite not in active and suite not in killed]
    if not active and not _selects_with_openssl(text):
        raise ValueError("No cipher can be selected.")
    return tuple(active)


def _selects_with_openssl(text: str) -> bool:
    try:
        _StandardContext(PROTOCOL_TLS_SERVER).set_ciphers(text)
    except (SSLError, ValueError):
        return False
    return True


def select_tls13(text: str) -> tuple[Suite, ...]:
    """The TLS 1.3 suites of a list of names. Raises ValueError for a name that does not exist."""
    import re

    by_name = {suite.name: suite for suite in _ALL if suite.protocol == "TLSv1.3"}
    names = [name for name in re.split(_SEPARATORS, text) if name]
    if not names or not set(names) <= set(by_name):
        raise ValueError("No cipher suite can be selected.")
    return tuple(by_name[name] for name in dict.fromkeys(names))


DEFAULT_TLS13 = tuple(SUITES[number] for number in (0x1301, 0x1302, 0x1303))
DEFAULT_TLS12 = tuple(SUITES[number] for number in (0xC02C, 0xC030, 0xC02B, 0xC02F, 0xCCA9, 0xCCA8))
"""The suites of a new context. OpenSSL orders those of TLS 1.3 differently: decision 0011."""


def describe(number: int) -> tuple[str, str, int]:
    """A suite as `SSLSocket.cipher()` gives it: name, protocol version, secret bits."""
    suite = SUITES[number]
    return suite.name, suite.protocol, suite.bits
