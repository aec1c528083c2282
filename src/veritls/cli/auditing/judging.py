"""What happened, beside what had to: which rows fail open, and what the whole is worth."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from veritls._report.rendering import counted, listing
from veritls.cli.auditing.contexts import Shown
from veritls.cli.auditing.http_answers import REFUSALS
from veritls.cli.auditing.outcomes import Outcome
from veritls.cli.auditing.peers import PEERS, VALID, VERSIONS, Demands, Fate, Peer, other

Verdict = Literal[
    "as it must",
    "fails open",
    "open in TLS",
    "refuses too much",
    "proves nothing",
    "unknown",
    "not offered",
    "either will do",
]
"""proves nothing: a refusal where the valid peer was not accepted. open in TLS: TLS let it in, and HTTP
may refuse it: it was not tried."""

_MOST_LISTED = 20


@dataclass(frozen=True)
class Cell:
    """One peer under one version."""

    outcome: Outcome
    verdict: Verdict


@dataclass(frozen=True)
class Row:
    """One peer. `fate`: what must happen to it, None where either will do. `cells`: by version; empty where
    it was not tried, and `not_tried` says why.
    """

    peer: Peer
    fate: Fate | None
    cells: Mapping[str, Cell]
    not_tried: str = ""


@dataclass(frozen=True)
class Audit:
    """The result. `target`: what was audited, in words. `requested`: whether a server asks for certificates,
    None where that is not known. `notes`: what is to be known of it besides. `clients_known`: whether the
    user said whose certificates a server verifies.
    """

    target: str
    demands: Demands
    rows: Sequence[Row]
    requested: bool | None
    notes: Sequence[str] = ()
    clients_known: bool = False

    def having(self, verdict: Verdict) -> list[Row]:
        """The rows with such a cell."""
        return [row for row in self.rows if any(cell.verdict == verdict for cell in row.cells.values())]

    @property
    def versions(self) -> list[str]:
        """Those that are spoken."""
        cells = [row.cells for row in self.rows if row.cells]
        return [each for each in VERSIONS if any(row[each].verdict != "not offered" for row in cells)]

    @property
    def status(self) -> int:
        """The exit status: 1: something fails open; 2: that is not known; 0: nothing fails open."""
        if self.having("fails open"):
            return 1
        doubtful = self.having("unknown") or self.having("open in TLS") or self._uncontrolled
        return 2 if not self.versions or doubtful or (self.open_to_all and self.clients_known) else 0

    @property
    def status_words(self) -> str:
        """The status in words."""
        if self.open_to_all:
            return "asks for no certificate"
        return ("nothing fails open", "fails open", "inconclusive")[self.status]

    @property
    def _uncontrolled(self) -> list[str]:
        """The versions in which the valid peer was not accepted, where that is a control."""
        if self.open_to_all:
            return []
        valid = next(row for row in self.rows if row.peer is VALID)
        return [
            each for each in self.versions if not valid.cells or valid.cells[each].outcome.what != "accepted"
        ]

    @property
    def open_to_all(self) -> bool:
        """Whether a server asks for no certificate, and nobody says that it must."""
        asks = self.requested is not False or self.demands.side == "client"
        return not (asks or any(row.fate == "refused" for row in self.rows))

    @property
    def unasked(self) -> list[str]:
        """The versions in whose handshake a server asked no client for a certificate."""
        return [version for version in self.versions if self._asked(version) == {False}]

    def _asked(self, version: str) -> set[bool | None]:
        return {row.cells[version].outcome.requested for row in self.rows if row.cells} - {None}

    def _peers(self, rows: Sequence[Row]) -> str:
        side = other(self.demands.side)
        return listing([row.peer.described(side) for row in rows], _MOST_LISTED)

    def sentences(self) -> list[tuple[str, str]]:
        """The result in words, each with its kind: "open", "doubt", "good" or "note"."""
        told: list[tuple[str, str]] = []
        if not self.versions:
            whys = dict.fromkeys(cell.outcome.evidence for row in self.rows for cell in row.cells.values())
            told.append(("doubt", f"could not be audited: {'; '.join(whys)}"))
            return told
        if rows := self.having("fails open"):
            told.append(("open", f"fails open: it accepts {self._peers(rows)}"))
        if rows := self.having("open in TLS"):
            later = "The server speaks HTTP, and may refuse there: add --http / to ask"
            told.append(("doubt", f"TLS lets in {self._peers(rows)}. {later}"))
        if rows := self.having("unknown"):
            told.append(("doubt", f"could not be tried: {self._peers(rows)}"))
        told += self._about_control()
        if self.open_to_all:
            told.append(("note", "asks clients for no certificate: whoever connects is let in"))
            if self.clients_known:
                told.append(("doubt", "whether it has to ask is not said: give --require or --optional"))
        rows = [row for row in self.having("refuses too much") if row.peer is not VALID]
        if rows:
            told.append(("doubt", f"refuses whom it should accept: {self._peers(rows)}"))
        if not told:
            told.append(("good", "nothing fails open: each peer that was tried got what it must"))
        if left := sum(bool(row.not_tried) for row in self.rows):
            words = "they need what the table says, or --peer PEER=FILE"
            told.append(("note", f"not tried: {left} of {counted(len(self.rows), 'peer')} ({words})"))
        told += [("note", f"{spelt(each)} is not spoken") for each in VERSIONS if each not in self.versions]
        return told + [("note", each) for each in self.notes]

    def _about_control(self) -> list[tuple[str, str]]:
        versions = self._uncontrolled
        if not versions:
            return []
        valid = next(row for row in self.rows if row.peer is VALID)
        if not valid.cells:
            return [
                (
                    "doubt",
                    "no valid certificate was tried: it may refuse everybody, and what it refused "
                    "proves nothing",
                )
            ]
        where = " and ".join(map(spelt, versions))
        words = valid.cells[versions[0]].outcome.evidence
        return [
            (
                "doubt",
                f"refuses whom it should accept: the valid certificate, in {where} ({words}). "
                "What else it refuses there proves nothing",
            )
        ]

    def as_dict(self) -> dict[str, Any]:
        """The result with JSON's types."""
        side = other(self.demands.side)
        return {
            "target": self.target,
            "side": self.demands.side,
            "mode": self.demands.mode.name if self.demands.mode is not None else None,
            "status": self.status_words,
            "requests_certificates": self.requested if self.demands.side == "server" else None,
            "versions": self.versions,
            "sentences": [words for _, words in self.sentences()],
            "peers": [
                {
                    "peer": row.peer.key,
                    "shows": row.peer.described(side),
                    "must_be": row.fate,
                    "not_tried": row.not_tried or None,
                    "got": {
                        version: {
                            "outcome": cell.outcome.what,
                            "evidence": cell.outcome.in_words(),
                            "detail": cell.outcome.detail or None,
                            "http": cell.outcome.http,
                            "verdict": cell.verdict,
                        }
                        for version, cell in row.cells.items()
                    },
                }
                for row in self.rows
            ],
        }


def spelt(version: str) -> str:
    """A version as people write it."""
    return version.replace("v", " ")


def _requested(outcomes: Iterable[Outcome]) -> bool | None:
    """Whether a server asks for certificates, by what those got that have one; None where nothing tells."""
    known = {each.requested for each in outcomes if each.what == "accepted"} - {None}
    return None if not known else True in known


def _beside(outcome: Outcome, valid: Outcome | None) -> Outcome:
    """What an answer means, where the valid peer got that one; None: it was not tried."""
    status = outcome.http
    if outcome.what != "accepted" or status is None:
        return outcome
    if status in REFUSALS:
        return replace(outcome, what="refused")
    usual = valid.http if valid is not None and valid.what == "accepted" else None
    if status == usual or 200 <= status < 300:
        return outcome
    than = f", where the valid peer got HTTP {usual}" if usual is not None else ""
    return replace(outcome, what="unknown", evidence=f"{outcome.evidence}{than}")


def _verdict(outcome: Outcome, fate: Fate | None, offered: bool, controlled: bool) -> Verdict:
    if not offered:
        return "not offered"
    what = outcome.what
    if what == "closed":
        what = "refused" if controlled else "unknown"
    if what in ("unknown", "no version"):
        return "unknown"
    if fate is None:
        return "either will do"
    if what == "accepted":
        return "as it must" if fate == "accepted" else "fails open"
    if fate == "accepted":
        return "refuses too much"
    return "as it must" if controlled else "proves nothing"


def _tried(
    made: Mapping[str, Shown | str | None], able: Sequence[Peer], try_all: Callable[..., list[Outcome]]
) -> dict[str, dict[str, Outcome]]:
    """What each peer got, by version and key.

    The valid one comes first, and once more after all others: a server that took only the first few
    connections has refused the others for that. Whoever was closed upon without an alert is tried again,
    alone: it may have been one too many at a time.
    """
    got: dict[str, dict[str, Outcome]] = {version: {} for version in VERSIONS}

    def trying(peers: Sequence[Peer], versions: Iterable[str] = VERSIONS) -> dict[tuple[str, str], Outcome]:
        tried = [(version, peer.key) for version in versions for peer in peers]
        outcomes = try_all([(made[key], VERSIONS[version]) for version, key in tried])
        return dict(zip(tried, outcomes, strict=True))

    control = [peer for peer in able if peer is VALID]
    for peers in (control, [peer for peer in able if peer is not VALID]):
        for (version, key), outcome in trying(peers).items():
            got[version][key] = outcome
    first = {version: outcomes[VALID.key] for version, outcomes in got.items() if VALID.key in outcomes}
    accepted = [version for version, each in first.items() if _beside(each, each).what == "accepted"]
    for peer, version in itertools.product(able, accepted):
        if got[version][peer.key].what == "closed":
            got[version] |= {key: outcome for (_, key), outcome in trying([peer], [version]).items()}
    for (version, key), outcome in trying(control, accepted).items():
        again = _beside(outcome, got[version][key])
        if again.what != "accepted":
            got[version][key] = replace(again, evidence=f"after the others: {again.evidence}")
    return got


def judge(
    target: str,
    demands: Demands,
    made: Mapping[str, Shown | str | None],
    try_all: Callable[..., list[Outcome]],
) -> Audit:
    """Tries every peer with every version. `made`: what each shows, by key, or why it cannot be made."""
    able = [peer for peer in PEERS if peer.key in made and not isinstance(made[peer.key], str)]
    got = _tried(made, able, try_all)
    offered = {
        version: any(each.what != "no version" for each in got[version].values()) for version in VERSIONS
    }
    # Whoever asks in one version has to in the other, too.
    requested = _requested(each for version in VERSIONS for each in got[version].values())
    rows = []
    for peer in PEERS:
        if peer.key not in made:
            continue
        fate, cells = demands.fate(peer, requested is not False), {}
        for version in VERSIONS if peer in able else ():
            valid = got[version].get(VALID.key)
            outcome = _beside(got[version][peer.key], valid)
            controlled = valid is not None and _beside(valid, valid).what == "accepted"
            cells[version] = Cell(outcome, _verdict(outcome, fate, offered[version], controlled))
        why = made[peer.key]
        rows.append(Row(peer, fate, cells, why if isinstance(why, str) else ""))
    return Audit(target, demands, rows, requested)


def may_refuse_later(audit: Audit) -> Audit:
    """The result for a server that speaks HTTP and was not asked by it: whom TLS lets in, after it has asked
    for a certificate, may be refused there.
    """

    def later(cell: Cell) -> Cell:
        asked = cell.verdict == "fails open" and cell.outcome.requested is not False
        return replace(cell, verdict="open in TLS") if asked else cell

    if audit.requested is False:
        return audit
    rows = [replace(row, cells={key: later(each) for key, each in row.cells.items()}) for row in audit.rows]
    return replace(audit, rows=rows)
