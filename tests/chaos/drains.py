"""The part `drains`: SIGTERM under load. Every request on a connection that was made gets its whole answer.

A connection that is refused is no failure, and neither is a 503: both can be sent elsewhere.
"""

from __future__ import annotations

import time
from collections import Counter
from functools import partial

from tests.chaos.failpoints import HOLD, Order
from tests.chaos.frank import Failures, FrankClient
from tests.chaos.ground import Arena, Ground
from tests.chaos.process import ChaosServer, Store, open_store
from tests.chaos.report import Result
from tests.e2e.server import STOP_SECONDS

SETTINGS = {"TAGAPI_JOBS__DRAIN_SECONDS": "1"}
HELD = 30.0  # seconds: more than a drain lasts
SUBMITS = 60  # new jobs for each drain: more than are done by then
THREADS = 8


def run(arena: Arena, store_name: str, drains: int) -> Result:
    began = time.monotonic()
    wrong: list[str] = []
    totals: Counter[str] = Counter()
    longest = 0.0
    failures = Failures()
    ground = Ground(arena, connect=partial(FrankClient, failures=failures))  # type: ignore[arg-type]
    with open_store(store_name, arena.folder) as store:
        for number in range(drains):
            longest = max(longest, _drain(ground, store, failures, f"drain {number}", wrong, totals))
        server = ChaosServer(ground.folder, store)
        try:
            server.wait_alive()
            ground.finish(server)
            verdict = ground.verdict(server)
            server.stop()
        finally:
            server.kill()
    verdict.failed += wrong
    notes = {
        "drains": drains,
        "requests answered": failures.answered,
        "connections refused": failures.refused,
        "requests that were sent and not answered": len(failures.found),
        "attempts that had to be sent back, and failures by kind": dict(totals),
        "longest from SIGTERM to the end": f"{longest:.1f} s",
    }
    return Result("drains", store_name, verdict, time.monotonic() - began, notes)


def _drain(
    ground: Ground, store: Store, failures: Failures, name: str, wrong: list[str], totals: Counter[str]
) -> float:
    """One life that ends with SIGTERM; seconds from there to its end."""
    # One attempt does not end by itself: it has to be sent back to the queue.
    held = Order("mid_run", ground.chance.randint(1, 5), HOLD, HELD)
    server = ChaosServer(ground.folder, store, order=held, **SETTINGS)
    try:
        server.wait_alive()
        known = len(failures.found)
        ground.load.begin(server.url, SUBMITS, THREADS)
        time.sleep(ground.chance.uniform(0.5, 4.0))  # Spark begins to answer in the middle of that
        termed = time.monotonic()
        server.terminate()
        ended = server.wait_dead(STOP_SECONDS)
        took = time.monotonic() - termed
        ground.load.end()
        totals["attempts sent back"] += server.orders.done() is not None
        if not ended or server.exit_code():
            wrong.append(f"{name}: ended {ended}, exit code {server.exit_code()}")
        for one in failures.found[known:]:
            on = "on a used connection" if one.reused else "on a fresh connection"
            totals[f"{one.error[:60]} {on}"] += 1
            wrong.append(f"{name}: {one.request} {on}, {one.at - termed:+.2f} s of {took:.2f} s: {one.error}")
    finally:
        server.kill()
        ground.load.end()
    return took
