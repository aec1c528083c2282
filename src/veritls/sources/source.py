"""What a source is, and what it gives."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from veritls._value import MISSING, Field, Value
from veritls.events.material import Kind as Kind

if TYPE_CHECKING:
    from cryptography import x509

    from veritls._loading.bundles import CertificateData
    from veritls._loading.identities import CertificateSource, KeySource, Password

    CRLs: TypeAlias = str | bytes | x509.CertificateRevocationList | Iterable[x509.CertificateRevocationList]
    """PEM text, PEM or DER bytes, or `cryptography` objects, one or several; never a path."""


def _hidden(default: Any = MISSING) -> Any:
    """A field that is not shown: a certificate's file may hold its key."""
    return Field(default, secret=True)


class Identity(Value):
    """An own certificate and its key, as contents or objects; never paths.

    `cert`: PEM or DER bytes, or `cryptography` certificates, the own one first, then its intermediates.
    `key`: the same of its key; None where it is in `cert`. `password`: of an encrypted key.
    """

    cert: CertificateSource = _hidden()
    key: KeySource | None = _hidden(None)
    password: Password = _hidden(None)


class Material(Value):
    """What a source has now: everything of each kind that it provides.

    `identity`: one or several. `trust`: the trust anchors; a mapping of SPIFFE trust domains to theirs lets
    each vouch for its own trust domain only. `intermediates`: certificates that help to build paths.
    `crls`: CRLs. None: the source has none of this kind; where it provides the kind, that is a failure.
    """

    identity: Identity | Iterable[Identity] | None = _hidden(None)
    trust: CertificateData | Mapping[str, CertificateData] | None = _hidden(None)
    intermediates: CertificateData | None = _hidden(None)
    crls: CRLs | None = _hidden(None)


@runtime_checkable
class Source(Protocol):
    """What `SSLContext.follow` takes: an object with these three members, for one secret store or another.

    The thread of its watcher, one for all contexts of the process, calls `wait` and then `load`, over and
    over; after a fork there is a new one in the child. A context that begins to follow calls `load` in its
    own thread. Never do two threads call `load` at a time; `wait` may run meanwhile.

    It may also have a `name`, a str for logs and metrics (its class's name stands there otherwise), and a
    `patience`: seconds, by default 0, for which a failure may last before it is told of, for a source that is
    written in several steps.
    """

    @property
    def provides(self) -> Collection[str]:
        """The kinds that it has, of "identity", "trust", "intermediates" and "crls". Read once, by `follow`.

        What it gives of other kinds is not used.
        """

    def load(self) -> Material:
        """What there is now, all of it. Raises whatever says why there is none; it is called again then.

        The text of what it raises is logged: it must hold no secret.
        It may take its time: handshakes do not wait for it. `follow` does, the first time.
        """

    def wait(self, stop: threading.Event, timeout: float) -> Any:
        """Returns when there may be something new, when `stop` is set, or after `timeout` seconds.

        ``stop.wait(timeout)`` is enough for a source that can only be asked; one that must not be asked so
        often (10 s) may wait longer on `stop`, and is read as often as that. The result is not used.
        """
