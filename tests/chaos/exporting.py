"""The part `exporting`: documents are exported, and read, while the service is killed at every step and at random."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence

from tests.chaos.exports import NO_LIMIT, SINCE, Exports
from tests.chaos.failpoints import KILL, KILL_WORKER, Order
from tests.chaos.ground import Arena
from tests.chaos.process import ChaosServer, open_store
from tests.chaos.report import Result
from tests.e2e.server import make_sample, until

DOCUMENTS = 3000
AT_ONCE = 3  # exports for each kill
STEPS = 12  # of an export, at most, at whose how-manieth one it is killed
RANDOM = "at random"
MOMENTS = (
    *("before_accept", "after_accept", "after_claim", "delivering", "before_commit", "after_commit", "delivered"),
    *("growing", "grown", "stopping", "stopped", "leaving", "recovering", "recovered", "cancelling", RANDOM),
)
AFTER_A_KILL = frozenset({"recovering", "recovered"})
"""Moments that come when a job's process was lost before."""
AT_THE_END = frozenset({"stopping", "stopped", "cancelling"})
"""Moments of one that is cancelled."""
IN_STEPS = frozenset({"delivering", "before_commit", "after_commit", "delivered", "growing", "grown"})
WAITED = 20.0  # seconds for which a moment is waited for
RANDOM_WITHIN = 2.0  # seconds
LOOK_EVERY = 0.05  # seconds


def run(arena: Arena, store_name: str, each: int, moments: Sequence[str] = MOMENTS) -> Result:
    """At least `each` exports, and at least one kill at each of the moments."""
    began, chance = time.monotonic(), random.Random(f"{arena.seed}-{store_name}")
    kills: Counter[str] = Counter()
    arena.folder.mkdir(parents=True, exist_ok=True)
    exports = Exports(make_sample(arena.folder, 100, documents=DOCUMENTS), chance)
    with open_store(store_name, arena.folder) as store:
        server = ChaosServer(arena.folder, store)
        try:
            while len(exports.every) < each or not all(kills[moment] for moment in moments):
                if len(exports.every) > 4 * each + 100:
                    break
                server = _up(server, lambda: ChaosServer(arena.folder, store))
                moment = min(moments, key=lambda one: (kills[one], chance.random()))
                first = chance.choice(sorted(IN_STEPS)) if moment in AFTER_A_KILL else moment
                kills[first] += _killed(server, exports, first, chance)
                if not server.answers():
                    server.kill()
                    server = ChaosServer(arena.folder, store, order=Order(moment) if first != moment else None)
                    kills[moment] += first != moment and _obeyed(server)
                arena.say(f"{len(exports.every)} exports, {kills.total()} kills")
            server = _up(server, lambda: ChaosServer(arena.folder, store))
            _let_end(server, exports)
            verdict = exports.judge(server)
            if code := server.stop():
                verdict.failed.append(f"the exit code is {code}")
        finally:
            server.kill()
    verdict.failed += [f"no kill {moment}" for moment in moments if not kills[moment]]
    notes = {
        "exports": len(exports.every),
        "kills": ", ".join(f"{where} {count}" for where, count in sorted(kills.items())),
        "kills in all": kills.total(),
    }
    return Result("exporting", store_name, verdict, time.monotonic() - began, notes)


def _killed(server: ChaosServer, exports: Exports, moment: str, chance: random.Random) -> int:
    """Have some exports begun, and the service killed at the moment; 1 where it was."""
    for _ in range(AT_ONCE):
        one = exports.add()
        if moment in AT_THE_END:  # one that goes on for a while, so that it is stopped on its way
            one.language, one.start, one.limit, one.stopped, one.grown = "en", SINCE[0], NO_LIMIT, True, True
    if moment == RANDOM:
        exports.push(server)
        time.sleep(chance.uniform(0, RANDOM_WITHIN))
        server.kill()
        return 1
    hit = 1 if moment in AT_THE_END else chance.randrange(1, (STEPS if moment in IN_STEPS else AT_ONCE + 1))
    server.orders.place(Order(moment, hit, chance.choice((KILL, KILL_WORKER))))
    until_ = time.monotonic() + WAITED
    while server.orders.done() is None and time.monotonic() < until_ and not exports.over(server):
        exports.push(server)
    met = server.orders.done() is not None
    server.orders.place(None)
    return int(met)


def _obeyed(server: ChaosServer) -> bool:
    """Whether it is killed at the moment that its order names; then it has to be started again."""
    until_ = time.monotonic() + WAITED
    while server.orders.done() is None and time.monotonic() < until_:
        time.sleep(LOOK_EVERY)
    met = server.orders.done() is not None
    server.orders.place(None)
    return met


def _up(server: ChaosServer, start: Callable[[], ChaosServer]) -> ChaosServer:
    """A service that is ready: this one, or the next where it was killed."""
    if server.exit_code() is not None or not server.answers():
        server.kill()
        server = start()
    server.wait_ready()
    return server


def _let_end(server: ChaosServer, exports: Exports) -> None:
    def settled() -> bool:
        exports.push(server)
        return exports.over(server)

    until(settled, "every export ends", 120 + len(exports.every), every=0.2)
