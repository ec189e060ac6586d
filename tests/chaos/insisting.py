"""The part `insisting`: the store goes away when an attempt has left Spark and has only its outcome to write.

It insists for longer than an attempt may take to leave Spark. That is no reason to take Spark away
from the attempt beside it, which goes on and completes at its first try.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tagapi.jobs.attempt import STUCK_AFTER
from tests.chaos.failpoints import HOLD, Order
from tests.chaos.ground import Arena, Ground
from tests.chaos.process import ChaosServer, Store, open_store
from tests.chaos.report import Result

AWAY = STUCK_AFTER + 3.0  # seconds
LEASE = {"TAGAPI_JOBS__LEASE_SECONDS": "60"}  # nobody takes the jobs over meanwhile
LEAVING_FOR = 2.0  # seconds that the outcome is held back, in which the store has to go
RUNS_FOR = 2 * AWAY  # seconds that the neighbour runs at most


def run(arena: Arena, store_name: str, rounds: int) -> Result:
    began = time.monotonic()
    wrong: list[str] = []
    with open_store(store_name, arena.folder) as store:
        ground = Ground(arena)
        server = ChaosServer(ground.folder, store, **LEASE)
        try:
            server.wait_alive()
            server.wait_ready()
            for _ in range(rounds):
                _round(ground, server, store, wrong)
            ground.finish(server)
            verdict = ground.verdict(server)
            code = server.stop()
        finally:
            server.kill()
    verdict.failed += wrong
    verdict.failed += [f"the exit code is {code}"] if code else []
    return Result("insisting", store_name, verdict, time.monotonic() - began, {"outages": rounds})


def _round(ground: Ground, server: ChaosServer, store: Store, wrong: list[str]) -> None:
    spark = server.spark().pid
    neighbour = _held(ground, server)
    insisting = _held(ground, server)
    server.orders.place(Order("leaving", do=HOLD, seconds=LEAVING_FOR))
    cancel = threading.Thread(target=ground.load.cancel, args=(server.another(), insisting), daemon=True)
    cancel.start()
    server.obeyed()
    with _away(store):
        time.sleep(AWAY)
    cancel.join(60)
    if (ended := server.wait(insisting, RUNS_FOR))["status"] != "cancelled":
        wrong.append(f"{insisting} was cancelled, and {ended['status']}")
    ended = server.wait(neighbour, 2 * RUNS_FOR)
    if (ended["status"], ended["attempt"]) != ("completed", 1):
        wrong.append(f"{neighbour}, beside it, {ended['status']} at attempt {ended['attempt']}")
    if server.spark().pid != spark:
        wrong.append("Spark was restarted")


def _held(ground: Ground, server: ChaosServer) -> str:
    """A job that runs, and is held in its session with Spark."""
    server.orders.place(Order("mid_run", do=HOLD, seconds=RUNS_FOR))
    job = ground.submit(server)
    server.obeyed()
    return job


@contextmanager
def _away(store: Store) -> Iterator[None]:
    """Redis does not answer; SQLite's file is locked by somebody who writes."""
    if store.valkey is not None:
        store.valkey.freeze()
        try:
            yield
        finally:
            store.valkey.thaw()
        return
    path = store.settings["TAGAPI_REGISTRY__URL"].removeprefix("sqlite:///")
    writer = sqlite3.connect(path, isolation_level=None, timeout=10)
    try:
        writer.execute("BEGIN IMMEDIATE")
        yield
        writer.execute("ROLLBACK")
    finally:
        writer.close()
