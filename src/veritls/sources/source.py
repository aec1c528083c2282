"""What a source is, and what it gives."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
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
    """What `SSLContext.follow` takes. One thread of the process, its watcher's, calls it at a time.

    A source may also have a `name`, a str for logs and metrics; its class's name stands there otherwise.
    """

    @property
    def provides(self) -> frozenset[Kind]:
        """The kinds that it has. Constant."""

    def load(self) -> Material:
        """What there is now. Raises whatever says why there is none; it is called again later then."""

    def wait(self, stop: threading.Event, timeout: float) -> Any:
        """Returns when there may be something new, when `stop` is set, or after `timeout` seconds."""
