"""What a context shows of itself, as `SSLContext.list_identities` lists it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from veritls._loading.certificates import alternative_names, described
from veritls._value import shown_in


@shown_in("veritls")
@dataclass(frozen=True)
class OwnIdentity:
    """An own certificate of a context; see `SSLContext.list_identities`. It holds no key.

    `subject`: as in RFC 4514. `names`: those of subjectAltName, (kind, value) as `getpeercert` has them.
    `key`: the kind of its key, "ECDSA", "ED25519" or "RSA". `not_after`: when the certificate expires, aware,
    in UTC; None where `datetime` cannot express it. `sha256`: the fingerprint of the certificate, in
    hexadecimal digits. `chain`: the own certificate and the intermediates that were loaded with it, DER.
    """

    subject: str
    names: tuple[tuple[str, str], ...] = field(repr=False)
    key: str
    not_after: datetime | None
    sha256: str
    chain: tuple[bytes, ...] = field(repr=False)


def entry_of(chain: Sequence[bytes], key: str) -> OwnIdentity:
    """The entry of one identity: its chain, DER, and the kind of its key."""
    subject, until = described(chain[0])
    fingerprint = hashlib.sha256(chain[0]).hexdigest()
    return OwnIdentity(subject, alternative_names(chain[0]), key, until, fingerprint, tuple(chain))
