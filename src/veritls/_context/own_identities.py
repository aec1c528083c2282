"""Own certificates and keys, and which replaces which."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from types import MappingProxyType

from veritls import _engine
from veritls._loading.certificates import UNSUPPORTED, decoded


def names(der: bytes) -> frozenset[Hashable]:
    """Whom a certificate is for: the entries of subjectAltName, DNS names in lower case; else its subject."""
    try:
        shown = decoded(der)
    except ValueError:
        return frozenset({_engine.names(der)[0]})
    found = ((kind, text) for kind, text in shown.get("subjectAltName", ()) if text != UNSUPPORTED)
    lower = frozenset((kind, text.lower() if kind == "DNS" else text) for kind, text in found)
    return lower or frozenset({shown["subject"]})


class Keyring:
    """The identities of one context, in the order in which they came. Never changed: `plus` gives the next.

    A certificate replaces those with the same kind of key that share a name with it.
    """

    def __init__(self, claims: Mapping[_engine.Identity, frozenset[Hashable]] = MappingProxyType({})) -> None:
        """`claims`: the kinds of key and names that each identity holds."""
        self._claims = claims

    def plus(self, identity: _engine.Identity, *, only_one: bool) -> Keyring:
        """With another identity. `only_one`: of each kind of key, whatever the names."""
        algorithm = identity.algorithm
        known = () if only_one else names(identity.chain[0])
        claims: frozenset[Hashable] = frozenset((algorithm, name) for name in known) or frozenset({algorithm})
        replaced = [each for each, kept in self._claims.items() if kept & claims]
        renewed: dict[_engine.Identity, frozenset[Hashable]] = {}
        for each, kept in self._claims.items():
            if each not in replaced:
                renewed[each] = kept
            elif each is replaced[-1]:
                renewed[identity] = claims
        return Keyring({**renewed, identity: claims})

    def preferred(self) -> list[_engine.Identity]:
        """All of them, the one to prefer first: ECDSA signs and verifies faster than RSA; then the newest."""
        newest_first = list(self._claims)[::-1]
        return sorted(newest_first, key=lambda each: each.algorithm)
