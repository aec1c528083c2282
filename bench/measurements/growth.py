"""How a handshake's cost grows: with the chain, the trust set, the server's names, the CRL."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.harness import Case, Entrant
from bench.measurements.plan import CONSTANT, LINEAR, Measurement, Plan
from bench.recipe import Recipe

_NAMES = ("ssl", "veritls")
_ROUNDS = 5


def _series(
    counts: Sequence[int], quick: Sequence[int], word: str, recipe: Callable[[Plan, int], Recipe]
) -> Callable[[Plan], list[Case]]:
    def cases(plan: Plan) -> list[Case]:
        return [
            Case(
                f"{count:,} {word}",
                [
                    Entrant(name, name, {"do": "handshakes", "recipe": made.fields()})
                    for name in plan.wanted(_NAMES)
                ],
                x=count,
            )
            for count in (quick if plan.quick else counts)
            for made in [recipe(plan, count)]
        ]

    return cases


def _with_crl(plan: Plan, entries: int) -> Recipe:
    path = plan.certificates.revocation_list(entries)
    return plan.certificates.recipe(check="revocation list, leaf", check_file=path)


CHAIN = Measurement(
    "chain",
    "Handshakes by the length of the server's chain",
    "handshakes/s",
    _series((0, 1, 2, 4, 6), (0, 4), "intermediates", lambda plan, count: plan.certificates.chain(count)),
    x="intermediates",
    order=LINEAR,
    expected="one signature to verify for each certificate",
    most_rounds=_ROUNDS,
)
ANCHORS = Measurement(
    "anchors",
    "Handshakes by the size of the client's trust set",
    "handshakes/s",
    _series((1, 10, 150), (1, 150), "anchors", lambda plan, count: plan.certificates.anchors(count)),
    x="anchors",
    order=CONSTANT,
    expected="constant",
    most_rounds=_ROUNDS,
)
HOSTS = Measurement(
    "hosts",
    "Handshakes by the contexts that `sni_callback` chooses from",
    "handshakes/s",
    _series((1, 10, 1000), (1, 100), "contexts", lambda plan, count: plan.certificates.hosts(count)),
    x="contexts",
    order=CONSTANT,
    expected="constant",
    most_rounds=_ROUNDS,
)
REVOCATION = Measurement(
    "revocation",
    "Handshakes by the entries of a revocation list, VERIFY_CRL_CHECK_LEAF",
    "handshakes/s",
    _series((1, 100, 10_000, 100_000), (1, 10_000), "entries", _with_crl),
    x="entries",
    order=CONSTANT,
    expected="constant: a lookup",
    most_rounds=_ROUNDS,
)
