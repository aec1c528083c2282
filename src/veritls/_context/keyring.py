"""A context's own certificates and keys, as one immutable value: which replaces which."""

from __future__ import annotations

from types import MappingProxyType

from veritls import _engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Mapping

_KEY_PREFERENCE = ("ECDSA", "ED25519", "RSA")
"""Kinds of keys as the engine names them, the preferred first: ECDSA signs and verifies faster than RSA."""


class Keyring:
    """The identities of one context, in the order in which they were loaded. Immutable: `plus` gives the
    next.

    A certificate replaces those with the same kind of key that share a name with it.
    """

    def __init__(self, claims: Mapping[_engine.Identity, frozenset[Hashable]] = MappingProxyType({})) -> None:
        """`claims`: the kinds of key and names of each identity."""
        self._claims = claims

    def plus(self, identity: _engine.Identity, *, only_one: bool) -> Keyring:
        """With another identity. `only_one`: one of each kind of key is kept, whatever the names."""
        from veritls._loading.certificates import names

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

    @classmethod
    def of(cls, identities: Iterable[_engine.Identity], *, only_one: bool) -> Keyring:
        """Of these identities alone, loaded one after the other; `only_one` as of `plus`."""
        ring = cls()
        for each in identities:
            ring = ring.plus(each, only_one=only_one)
        return ring

    def without(self, certificates: Collection[bytes]) -> tuple[Keyring, int]:
        """Without the identities of these own certificates (DER), and how many there were."""
        kept = {each: claims for each, claims in self._claims.items() if each.chain[0] not in certificates}
        gone = len(self._claims) - len(kept)
        return (Keyring(kept) if gone else self), gone

    def preferred(self) -> list[_engine.Identity]:
        """All identities, the preferred first: by kind of key, then the newest."""

        def rank(identity: _engine.Identity) -> int:
            kind = identity.algorithm
            return _KEY_PREFERENCE.index(kind) if kind in _KEY_PREFERENCE else len(_KEY_PREFERENCE)

        newest_first = reversed(list(self._claims))
        return sorted(newest_first, key=rank)
