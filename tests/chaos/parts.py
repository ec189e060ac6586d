"""All parts, each as often as its size says, on each store that it makes sense on."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

from tests.brokers import BROKERS, NO_RABBIT
from tests.chaos import (
    away,
    bucket,
    cancels,
    carried,
    disk_full,
    drains,
    exporting,
    hiccups,
    insisting,
    kills,
    lost_claims,
    publishing,
    scans,
    schedules,
    stalled,
    webhooks,
    workers,
    zombies,
)
from tests.chaos.ground import Arena
from tests.chaos.report import Result
from tests.chaos.verdict import Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How often. What is counted over all stores is shared out among them."""

    kills: int = 200
    """On each store."""
    jobs: int = 10_000
    """On each store."""
    restarts: int = 10
    freezes: int = 3
    frozen_seconds: float = 10.0
    refusals: int = 100
    zombies: int = 50
    """Over all stores."""
    cancels: int = 100
    """In each state, on each store."""
    drains: int = 20
    """Over all stores."""
    asked_of_both: int = 20
    cancels_elsewhere: int = 10
    workers_killed: int = 5
    insisting: int = 2
    """Outages, on each store."""
    lost_claims: int = 50
    """On each store."""
    stalled: int = 200
    """Connections of each kind."""
    stalled_seconds: float = 20.0
    hiccups: int = 10
    """Rounds of all kinds, on each store."""
    publications: int = 300
    """On each platform, on each store."""
    exports: int = 200
    """On each store."""
    schedules: int = 1000
    """On each store."""
    scans: int = 100
    """Kills, on each store."""
    webhook_changes: int = 1000
    """On each store."""
    troubles: int = 50
    """Of workers of Celery, on each store, with each broker."""
    carried_jobs: int = 1000
    """On each store, with each broker."""
    bucket_kills: int = 30
    """On each store."""


Run = Callable[[Arena], Result]


def _kills(size: Size, stores: Sequence[str]) -> Iterator[tuple[str, Run]]:
    for store in stores:
        yield store, partial(kills.run, store_name=store, kills=size.kills, jobs=size.jobs)


def _redis_restart(size: Size, stores: Sequence[str]) -> Iterator[tuple[str, Run]]:
    if "redis" in stores:
        yield "redis", partial(away.restart, rounds=size.restarts)


def _redis_frozen(size: Size, stores: Sequence[str]) -> Iterator[tuple[str, Run]]:
    if "redis" in stores:
        yield "redis", partial(away.frozen, rounds=size.freezes, seconds=size.frozen_seconds)


def _disk_full(size: Size, stores: Sequence[str]) -> Iterator[tuple[str, Run]]:
    if "sqlite" in stores:
        yield "sqlite", partial(disk_full.run, refusals=size.refusals)


def _zombies(size: Size, stores: Sequence[str]) -> Iterator[tuple[str, Run]]:
    for store in stores:
        yield store, partial(zombies.run, store_name=store, zombies=-(-size.zombies // len(stores)))


def _cancels(size: Size, stores: Sequence[str]) -> Iterator[tuple[str, Run]]:
    for store in stores:
        yield store, partial(cancels.run, store_name=store, each=size.cancels)


def _drains(size: Size, stores: Sequence[str]) -> Iterator[tuple[str, Run]]:
    for store in stores:
        yield store, partial(drains.run, store_name=store, drains=-(-size.drains // len(stores)))


def _workers(size: Size, stores: Sequence[str]) -> Iterator[tuple[str, Run]]:
    for store in stores:
        counts = {"jobs": size.asked_of_both, "cancels": size.cancels_elsewhere, "kills": size.workers_killed}
        yield store, partial(workers.run, store_name=store, **counts)


def _insisting(size: Size, stores: Sequence[str]) -> Iterator[tuple[str, Run]]:
    for store in stores:
        yield store, partial(insisting.run, store_name=store, rounds=size.insisting)


def _lost_claims(size: Size, stores: Sequence[str]) -> Iterator[tuple[str, Run]]:
    for store in stores:
        yield store, partial(lost_claims.run, store_name=store, rounds=size.lost_claims)


def _stalled(size: Size, stores: Sequence[str]) -> Iterator[tuple[str, Run]]:
    yield (
        stores[0],
        partial(stalled.run, store_name=stores[0], count=size.stalled, seconds=size.stalled_seconds),
    )  # no store is touched by it


def _hiccups(size: Size, stores: Sequence[str]) -> Iterator[tuple[str, Run]]:
    for store in stores:
        yield store, partial(hiccups.run, store_name=store, rounds=size.hiccups)


def _publishing(size: Size, stores: Sequence[str]) -> Iterator[tuple[str, Run]]:
    for store in stores:
        yield store, partial(publishing.run, store_name=store, each=size.publications)


def _exporting(size: Size, stores: Sequence[str]) -> Iterator[tuple[str, Run]]:
    for store in stores:
        yield store, partial(exporting.run, store_name=store, each=size.exports)


def _schedules(size: Size, stores: Sequence[str]) -> Iterator[tuple[str, Run]]:
    for store in stores:
        yield store, partial(schedules.run, store_name=store, schedules=size.schedules)


def _scans(size: Size, stores: Sequence[str]) -> Iterator[tuple[str, Run]]:
    for store in stores:
        yield store, partial(scans.run, store_name=store, kills=size.scans)


def _bucket(size: Size, stores: Sequence[str]) -> Iterator[tuple[str, Run]]:
    for store in stores:
        yield store, partial(bucket.run, store_name=store, kills=size.bucket_kills)


def _webhooks(size: Size, stores: Sequence[str]) -> Iterator[tuple[str, Run]]:
    for store in stores:
        yield store, partial(webhooks.run, store_name=store, changes=size.webhook_changes)


def _carried(size: Size, stores: Sequence[str]) -> Iterator[tuple[str, Run]]:
    for store, kind in product(stores, ("redis",) if NO_RABBIT else BROKERS):
        counts = {"troubles": size.troubles, "jobs": size.carried_jobs}
        yield store, partial(_carried_by, kind, store_name=store, broker_name=kind, **counts)


def _carried_by(kind: str, arena: Arena, **more: Any) -> Result:
    """Each broker's jobs lie in a folder of their own."""
    return carried.run(replace(arena, folder=arena.folder / kind), **more)


PARTS: Mapping[str, Callable[[Size, Sequence[str]], Iterator[tuple[str, Run]]]] = {
    "kills": _kills,
    "redis_restart": _redis_restart,
    "redis_frozen": _redis_frozen,
    "disk_full": _disk_full,
    "zombies": _zombies,
    "cancels": _cancels,
    "drains": _drains,
    "workers": _workers,
    "insisting": _insisting,
    "lost_claims": _lost_claims,
    "stalled": _stalled,
    "hiccups": _hiccups,
    "publishing": _publishing,
    "exporting": _exporting,
    "schedules": _schedules,
    "scans": _scans,
    "webhooks": _webhooks,
    "carried": _carried,
    "bucket": _bucket,
}


def run_parts(names: Sequence[str], stores: Sequence[str], size: Size, arena: Arena) -> Iterator[Result]:
    """One after the other, each in a folder of its own; one that breaks off has failed."""
    for name in names:
        for store, run in PARTS[name](size, stores):
            arena.say(f"{name} on {store}")
            yield _guarded(name, store, run, replace(arena, folder=arena.folder / f"{name}-{store}"))


def _guarded(name: str, store: str, run: Run, arena: Arena) -> Result:
    began = time.monotonic()
    try:
        return run(arena)
    except Exception as error:
        trace = "".join(traceback.format_exception(error))
        return Result(name, store, Verdict(failed=[f"broken off: {trace}"]), time.monotonic() - began)
