"""Whom a certificate names, once it was validated."""

from __future__ import annotations

from dataclasses import dataclass

from veritls._report.rendering import counted, plain


@dataclass(frozen=True, repr=False)
class PeerIdentity:
    """Whom a validated certificate names.

    `subject`: as in RFC 4514. `names`: the first 100 of subjectAltName, (kind, value) as `getpeercert` has
    them; `names_left_out` counts the others. `spiffe_id`: of a workload (X509-SVID, 5.2): its one URI.
    The text is the certificate's, with whatever characters it has there; the repr escapes and shortens it.
    """

    subject: str
    names: tuple[tuple[str, str], ...]
    names_left_out: int = 0
    spiffe_id: str | None = None

    def __repr__(self) -> str:
        names = counted(len(self.names) + self.names_left_out, "name")
        spiffe = f", spiffe_id={plain(self.spiffe_id)!r}" if self.spiffe_id is not None else ""
        return f"<PeerIdentity {plain(self.subject)!r}, {names}{spiffe}>"
