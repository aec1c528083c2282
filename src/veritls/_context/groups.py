"""Key exchange groups (RFC 8446, section 4.2.7) by their IANA numbers, with OpenSSL's names for them."""

from veritls import _engine

NAMES: dict[int, tuple[str, ...]] = {
    0x11EC: ("X25519MLKEM768",),
    0x11EB: ("SecP256r1MLKEM768",),
    0x11ED: ("SecP384r1MLKEM1024",),
    0x0201: ("MLKEM768",),
    0x0202: ("MLKEM1024",),
    0x001D: ("x25519",),
    0x0017: ("secp256r1", "prime256v1", "P-256"),
    0x0018: ("secp384r1", "P-384"),
    0x0019: ("secp521r1", "P-521"),
}
"""number -> its name, then other names for it."""

DEFAULT: tuple[int, ...] = tuple(_engine.key_exchange_groups())
"""The groups that the engine has, which are the default; the preferred first."""


def name_of(number: int) -> str:
    """The name of a group."""
    return NAMES.get(number, (f"0x{number:04X}",))[0]


def number_of(name: str) -> int:
    """The number of a group that the engine has. Raises ValueError for any other."""
    for number in DEFAULT:
        if name.lower() in (known.lower() for known in NAMES.get(number, ())):
            return number
    raise ValueError(f"unknown group {name!r}: the groups are {', '.join(map(name_of, DEFAULT))}")


def select(text: str) -> tuple[int, ...]:
    """The groups of a list separated by colons, the preferred first; ``?`` before an entry lets it be
    unknown.

    Raises ValueError for an unknown name and an empty list.
    """
    chosen = []
    for entry in filter(None, text.split(":")):
        try:
            chosen.append(number_of(entry.lstrip("?*")))
        except ValueError:
            if not entry.startswith("?"):
                raise
    if not chosen:
        raise ValueError(f"no group in {text!r}")
    return tuple(dict.fromkeys(chosen))
