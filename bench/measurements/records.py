"""Data over blocking sockets: bulk in each direction, round trips, messages of every size."""

from __future__ import annotations

from bench.contestants import RUSTLS
from bench.harness import Case, Entrant
from bench.measurements.plan import LINEAR, Measurement, Plan
from bench.recipe import AES256, TLS12, TLS13, Recipe

UP, DOWN = "client to server", "server to client"
BULK_MESSAGE = 262_144
SMALL_MESSAGE = 64
_MB = 1_000_000
_NAMES = ("ssl", "veritls", "rtls", "utls", "pyOpenSSL", "TCP", RUSTLS)
_SIZES = (1, 16, 256, 4096, 16_384, 65_536, 262_144, 1_048_576)
_SIZES_QUICK = (1, 4096, 1_048_576)


def _transfer(plan: Plan, recipe: Recipe, size: int, *, up: bool) -> list[Entrant]:
    job = {"do": "transfer", "recipe": recipe.fields(), "size": size, "up": up}
    return [Entrant(name, name, job, per_unit=size / _MB, first=10) for name in plan.wanted(_NAMES)]


def _bulk(plan: Plan) -> list[Case]:
    recipe = plan.certificates.recipe
    recipes = {
        "TLSv1.3": recipe(version=TLS13),
        "TLSv1.3, AES-256-GCM": recipe(version=TLS13, suite=AES256),
        "TLSv1.2, AES-256-GCM": recipe(version=TLS12, suite=AES256),
    }
    if plan.quick:
        del recipes["TLSv1.2, AES-256-GCM"]
    return [
        Case(
            f"{direction}, {name}",
            _transfer(plan, each, BULK_MESSAGE, up=direction == UP),
            tags={"direction": direction, "version": name},
        )
        for direction in (UP, DOWN)
        for name, each in recipes.items()
    ]


def _round_trips(plan: Plan) -> list[Case]:
    recipe = plan.certificates.recipe
    recipes = {
        "TLSv1.3": recipe(version=TLS13),
        "TLSv1.3, sockets with a timeout": recipe(version=TLS13, timeout=30.0),
        "TLSv1.2": recipe(version=TLS12),
    }
    if plan.quick:
        del recipes["TLSv1.2"]
    cases = []
    for name, each in recipes.items():
        job = {"do": "echo", "recipe": each.fields(), "size": SMALL_MESSAGE}
        entrants = [Entrant(label, label, job, first=100) for label in plan.wanted(_NAMES)]
        cases.append(Case(name, entrants, tags={"version": name}))
    return cases


def _sizes(plan: Plan) -> list[Case]:
    recipe = plan.certificates.recipe()
    return [
        Case(f"{size:,} B", _transfer(plan, recipe, size, up=True), x=size)
        for size in (_SIZES_QUICK if plan.quick else _SIZES)
    ]


BULK = Measurement("bulk", "Bulk over blocking sockets, 256 KiB a `sendall`", "MB/s", _bulk, time=0.8)
ROUND_TRIPS = Measurement(
    "roundtrips", "64-byte round trips over blocking sockets", "round trips/s", _round_trips
)
SIZES = Measurement(
    "sizes",
    "Bulk by the size of a message, client to server, TLS 1.3",
    "MB/s",
    _sizes,
    x="bytes a `sendall`",
    order=LINEAR,
    expected="the time of a call is a constant and a part in proportion to the message",
    most_rounds=3,
    time=0.6,
)
