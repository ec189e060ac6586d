"""Lives: a server is started, put under load and killed, again and again, and then left in peace to finish."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.chaos.failpoints import KILL, KILL_WORKER, NAMES, Order
from tests.chaos.ground import Arena, Ground
from tests.chaos.process import ChaosServer, Store
from tests.chaos.verdict import Verdict

LIFE_SECONDS = 12.0  # a life whose failpoint is not met ends at a random moment before this
IDLE_SECONDS = 2.0  # without an open job, after which the failpoint will not be met
RANDOM = "random"
SAY_EVERY = 20  # kills
TRIES = 4  # to meet a failpoint, before a kill at random takes its place
RARE = ("recovering", "recovered", "settling", "cancelling")
"""Failpoints that are met a few times in a life: the first hit is the one."""

MOST_HITS = 12
"""Of any other failpoint that a server lives to see."""


@dataclass(slots=True)
class Run:
    """What happened."""

    kills: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    """Failpoints that were not met, and given up."""
    sent: int = 0
    seconds: float = 0.0
    settling_seconds: float = 0.0
    """From the last start until every job had finished."""
    exit_code: int | None = None
    verdict: Verdict = field(default_factory=Verdict)


class Driver:
    """`kills` lives and a last one, `jobs` requests spread over them."""

    def __init__(self, arena: Arena, store: Store, kills: int, jobs: int, first: int = 0) -> None:
        """The failpoints come in turn, beginning with the `first`."""
        self._first = first
        self._store = store
        self._kills = kills
        self._jobs = jobs
        self._chance = random.Random(f"{arena.seed}-{store.name}")
        self._say = arena.say
        self._ground = Ground(arena)
        self._run = Run()

    def run(self) -> Run:
        began = time.monotonic()
        for number, name in enumerate(self._schedule(), 1):
            self._meet(name)
            if number % SAY_EVERY == 0:
                self._say(f"{self._store.name}: {self._progress()} after {time.monotonic() - began:.0f} s")
        self._last_life()
        self._run.sent = self._ground.load.sent
        self._run.seconds = time.monotonic() - began
        return self._run

    def _schedule(self) -> list[str]:
        """Every failpoint in its turn, and a kill at random after each round of them."""
        round_of = [*NAMES, RANDOM]
        return [round_of[(self._first + number) % len(round_of)] for number in range(self._kills)]

    def _meet(self, name: str) -> None:
        """Lives until the server dies at this failpoint, which may take several."""
        if name == RANDOM:
            self._live(None)
        elif not any(self._live(self._order(name)) for _ in range(TRIES)):
            self._run.missed[name] += 1

    def _order(self, name: str) -> Order:
        only_worker = self._chance.random() < 0.2
        most = 1 if name in RARE else max(1, min(MOST_HITS, self._jobs // (3 * self._kills)))
        return Order(name, self._chance.randint(1, most), KILL_WORKER if only_worker else KILL)

    def _live(self, order: Order | None) -> bool:
        """One life. Whether its order was carried out; where it was not, or there was none, it ends after its time."""
        seconds = self._chance.uniform(0.1, LIFE_SECONDS / 2) if order is None else LIFE_SECONDS
        server = ChaosServer(self._ground.folder, self._store, order=order)
        try:
            met = self._wait(server, order, time.monotonic() + seconds)
        finally:
            server.kill()
            self._ground.load.end()
        self._run.kills[_named(order) if met and order else RANDOM] += 1
        return met

    def _wait(self, server: ChaosServer, order: Order | None, until_dead: float) -> bool:
        """Put the server under load as soon as it answers, until it is time to kill it. Whether it met its order."""
        loaded, idle_since = False, until_dead
        while time.monotonic() < until_dead:
            if server.wait_dead(0.02):
                assert server.orders.done(), f"died by itself: {server.output.read_text(encoding='utf-8')}"
                return True
            if not loaded and server.answers():
                loaded = True
                self._ground.load.begin(server.url, self._share())
            if order is not None and order.do == KILL_WORKER and server.orders.done():
                time.sleep(self._chance.uniform(0, 3))  # its successor comes up, or is killed while it does
                return True
            load = self._ground.load
            if not loaded or load.open() or load.unsent():
                idle_since = time.monotonic()
            elif order is not None and time.monotonic() - idle_since > IDLE_SECONDS:
                break  # nothing happens here any more
        return False

    def _share(self) -> int:
        """How many new jobs a life gets."""
        load = self._ground.load
        return min(self._jobs // max(1, self._kills), self._jobs - load.sent - load.unsent())

    def _last_life(self) -> None:
        """In peace: whatever was accepted has to finish now."""
        began = time.monotonic()
        server = ChaosServer(self._ground.folder, self._store)
        try:
            server.wait_alive()
            self._ground.finish(server, self._jobs - self._ground.load.sent)
            self._run.settling_seconds = time.monotonic() - began
            self._run.verdict = self._ground.verdict(server)
            self._run.exit_code = server.stop()
            if self._run.exit_code:
                self._run.verdict.failed.append(f"the exit code is {self._run.exit_code}")
        finally:
            server.kill()

    def _progress(self) -> str:
        load = self._ground.load
        return f"{self._run.kills.total()} kills, {len(load.acknowledged)} jobs, {load.open()} not known to be done"


def _named(order: Order) -> str:
    return f"{order.name} (worker)" if order.do == KILL_WORKER else order.name
