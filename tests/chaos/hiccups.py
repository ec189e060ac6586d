"""The part `hiccups`: the storage of the memberships hesitates, wherever it is asked, and under load.

While it stages, before a commit, after one, so that nobody hears of it, and when it is asked for
one: an attempt is lost at most. Every job completes with exactly one commit, and none fails.
"""

from __future__ import annotations

import time

from tests.chaos.failpoints import HICCUP, IN_STORAGE, Order
from tests.chaos.ground import Arena, Ground
from tests.chaos.process import ChaosServer, open_store
from tests.chaos.report import Result

ORDERS = (
    *(Order(name, do=HICCUP) for name in IN_STORAGE if name != "asking"),
    *(Order(name, do=HICCUP, then="asking") for name in ("before_commit", "after_commit")),
)
"""The table is asked for a commit where an attempt does not know what became of its own."""

JOBS = 3  # of the load, for each hiccup
ENDS_WITHIN = 60.0  # seconds


def run(arena: Arena, store_name: str, rounds: int) -> Result:
    began = time.monotonic()
    wrong: list[str] = []
    with open_store(store_name, arena.folder) as store:
        ground = Ground(arena)
        server = ChaosServer(ground.folder, store)
        try:
            server.wait_alive()
            server.wait_ready()
            for _ in range(rounds):
                _alone(ground, server, wrong)
                _under_load(ground, server)
                ground.finish(server)  # or what is left of the load takes the next order
            verdict = ground.verdict(server)
            code = server.stop()
        finally:
            server.kill()
    verdict.failed += wrong
    verdict.failed += [f"the exit code is {code}"] if code else []
    met = 2 * rounds * sum(2 if order.then else 1 for order in ORDERS)
    return Result("hiccups", store_name, verdict, time.monotonic() - began, {"hiccups": met})


def _alone(ground: Ground, server: ChaosServer, wrong: list[str]) -> None:
    """One job, one hiccup: it costs one attempt, or none where the commit is found to be there."""
    for order in ORDERS:
        server.orders.place(order)
        # Over everyone, so that there is something to stage and to commit, whatever was there before.
        answer = ground.load.submit(server, ground.mixture.everyone(ground.chance))
        assert answer is not None and answer.status_code == 202
        job = answer.json()["task_id"]
        server.obeyed()
        ended = server.wait(job, ENDS_WITHIN)
        attempts = 1 if order.name == "after_commit" and not order.then else 2
        if (ended["status"], ended["attempt"]) != ("completed", attempts):
            wrong.append(f"{job}, {order.name}, {order.then}: {ended['status']} at attempt {ended['attempt']}")


def _under_load(ground: Ground, server: ChaosServer) -> None:
    """Whoever comes by is hit."""
    ground.load.begin(server.url, JOBS * len(ORDERS))
    try:
        for order in ORDERS:
            server.orders.place(order)
            while server.orders.done() is None:
                # The load may be through before, and most of its jobs change nothing, so that they stage nothing.
                ground.load.submit(server, ground.mixture.everyone(ground.chance))
                time.sleep(0.1)
    finally:
        ground.load.end()
