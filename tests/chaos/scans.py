"""The part `scans`: a small internet is scanned while the service is killed at each step of a scan, and at random.

Of each type of scan one is made in peace first, and looked at: what it finds is what each later one has to find.
"""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import requests

from tag_tasks.assets.survey import PHASES
from tag_tasks.delta.commits import vacuum
from tests.chaos.failpoints import IN_SCANS, KILL, KILL_WORKER, PHASE, Order
from tests.chaos.ground import Arena
from tests.chaos.process import ChaosServer, open_store
from tests.chaos.report import Result
from tests.chaos.scan_books import Key, judge, keys_of, left_behind, unvacuumed
from tests.chaos.scan_jobs import (
    ADD,
    ADDRESS_MONITOR,
    ADDRESSES,
    AGAIN,
    DOMAIN_MONITOR,
    DOMAINS,
    SYNC,
    TENDING,
    Scans,
    Town,
    planted,
    scope_file,
)
from tests.chaos.table_log import read_log
from tests.chaos.verdict import Verdict
from tests.e2e.assets_client import ROOT, pages
from tests.e2e.server import Late, make_sample, until
from tests.internet.lab import OUTSIDE, Lab

RANDOM, RANDOM_WITHIN = "at random", 3.0  # seconds
AFTER_A_KILL = ("recovering", "recovered", "settling")
"""Moments that come when a job's process was lost before."""
COMMIT = ("committing", "before_commit", "after_commit", "committed")
MOMENTS = (
    *("before_accept", "after_accept", "after_claim", *(PHASE.format(name=name) for name in PHASES), *IN_SCANS),
    *("staged", *COMMIT, "leaving", *AFTER_A_KILL, "cancelling", RANDOM),
)
SLOW = {PHASE.format(name=name): name for name in ("alt_dns", "service_detection")}
"""Phases that are asked for only where somebody is to be killed in them, since they take long."""
BUSY, BUSY_SECONDS = 4, 20.0  # open jobs; with more of them the next kill waits a while
ALONE = 0.4  # the chance that a scan is alone in its scope
WAITED = 15.0  # seconds for which a moment is waited for
TRIES = 4  # for each kill that is asked for, at most, on average
END_SECONDS = 180.0
SAY_EVERY = 10  # kills


def run(
    arena: Arena, store_name: str, kills: int, moments: Sequence[str] = MOMENTS, seconds: float = math.inf
) -> Result:
    """So many kills, and at least one at each of the moments; none after so many `seconds`."""
    began, town = time.monotonic(), Town()
    data, temporary = arena.folder / "data", arena.folder / "tmp"
    temporary.mkdir(parents=True)
    if not (data / "sources").is_dir():
        make_sample(arena.folder, 100)
    with Lab(sites=town.sites) as lab, open_store(store_name, arena.folder) as store:
        variables = lab.settings(arena.folder / "scope.yaml")
        (arena.folder / "scope.yaml").write_text(scope_file(lab, TRIES * max(kills, len(moments)) + len(TENDING)))
        variables |= {"TAGAPI_ASSETS__PER_SECOND": "0", "TMPDIR": str(temporary)}
        siege = Siege(arena, lab, lambda order: ChaosServer(arena.folder, store, order=order, **variables), store_name)
        try:
            siege.make_peace()
            siege.run(kills, moments, began + seconds)
            verdict = siege.end(data, temporary)
        finally:
            siege.server.kill()
        verdict.wrong += [f"{host} was asked, and is outside" for host in town.trespasses]
        verdict.wrong += [f"{at}:{port} was contacted, and is outside" for at, port in lab.accepted if at == OUTSIDE]
        verdict.facts["connections to the lab"] = len(lab.accepted)
    verdict.failed += [f"no kill {moment}" for moment in moments if not siege.kills[moment]]
    notes = {
        "kills": ", ".join(f"{where} {count}" for where, count in sorted(siege.kills.items())),
        "kills in all": siege.kills.total(),
        "scans": len(siege.scans.every),
    }
    return Result("scans", store_name, verdict, time.monotonic() - began, notes)


class Siege:
    """Lives of a service that scans."""

    def __init__(self, arena: Arena, lab: Lab, start: Callable[[Order | None], ChaosServer], store_name: str) -> None:
        self.kills: Counter[str] = Counter()
        self._say = arena.say
        self._chance = random.Random(f"{arena.seed}-{store_name}")
        self.scans = Scans(lab, self._chance)
        self._lab = lab
        self._start = start
        self._truth: dict[str, frozenset[Key]] = {}
        self.server = start(None)

    def make_peace(self) -> None:
        """Find out what each type of scan finds: all that was planted, at least."""
        self.server.wait_ready()
        for kind in (DOMAINS, ADDRESSES, DOMAIN_MONITOR, ADDRESS_MONITOR, ADD, SYNC):
            one = self.scans.add(kind, self.scans.scope() if kind in TENDING else None, stopped=False)
            self.scans.push(self.server)
            until(lambda: self.scans.over(self.server), f"{kind} ends", END_SECONDS)
            rows = pages(self.server, f"{one.job}/result/")
            self._truth[kind] = frozenset(keys_of(rows, assets=kind in TENDING))
            self.scans.synced = self.scans.synced or str(one.job)
        for kind, keys in planted(self._lab).items():
            kinds = {name for name, _ in keys}
            assert keys == {key for key in self._truth[kind] if key[0] in kinds}, f"{kind} found {self._truth[kind]}"
        self._truth[AGAIN] = self._truth[DOMAIN_MONITOR]

    def run(self, kills: int, moments: Sequence[str], end: float) -> None:
        for number in range(TRIES * max(kills, len(moments))):
            if time.monotonic() > end or (self.kills.total() >= kills and all(self.kills[one] for one in moments)):
                return
            self._wait_for_room()
            moment = min(moments, key=lambda one: (self.kills[one], self._chance.random()))
            first = moment
            if moment in AFTER_A_KILL:
                first = self._chance.choice(COMMIT if moment == "settling" else IN_SCANS)
            if self._killed(first) and first != moment:
                self._live_again(Order(moment))
                self._met(moment)
            self._live_again(None)
            if number % SAY_EVERY == 0:
                self._say(f"{len(self.scans.every)} scans, {self.kills.total()} kills")

    # -- a kill ----------------------------------------------------------------------------

    def _killed(self, moment: str) -> bool:
        """Have some scans begun, and the service killed at the moment. Whether it was."""
        self._add(moment)
        if moment == RANDOM:
            self.scans.push(self.server)
            time.sleep(self._chance.uniform(0, RANDOM_WITHIN))
            self.server.kill()
            self.kills[moment] += 1
            return True
        hit = self._chance.randint(1, 8) if moment in IN_SCANS[:4] else 1
        self.server.orders.place(Order(moment, hit, self._chance.choice((KILL, KILL_WORKER))))
        return self._met(moment)

    def _add(self, moment: str) -> None:
        """One that finds much for a new scope, and often another one, into the same or of no scope."""
        scope, slow = self.scans.scope(), SLOW.get(moment)
        stopped = True if moment == "cancelling" else None
        self.scans.add(DOMAIN_MONITOR, scope, stopped, slow)
        if self._chance.random() < ALONE:
            return
        other = self._chance.choice((DOMAINS, ADDRESSES, ADDRESS_MONITOR, ADD, SYNC, AGAIN))
        self.scans.add(other, scope if other in TENDING else None, slow=slow)

    def _met(self, moment: str) -> bool:
        """Whether the service is killed at the moment that its order names."""
        late = time.monotonic() + WAITED
        while self.server.orders.done() is None and time.monotonic() < late and not self.scans.over(self.server):
            self.scans.push(self.server)
            time.sleep(0.02)
        met = self.server.orders.done() is not None
        self.server.orders.place(None)
        self.kills[moment] += met
        return met

    def _live_again(self, order: Order | None) -> None:
        """With this service where it lives, or whose worker comes again; with the next one where it does not."""
        if self.server.exit_code() is not None or not self.server.answers() or order is not None:
            self.server.kill()
            self.server = self._start(order)
        if order is None:
            self.server.wait_alive()

    def _wait_for_room(self) -> None:
        with suppress(Late):
            until(lambda: self._open() <= BUSY, "there is room", BUSY_SECONDS, every=0.1)

    def _open(self) -> int:
        self.scans.push(self.server)
        with suppress(requests.RequestException, AssertionError):
            return len(self.server.read(f"{ROOT}/active/")["data"]["active_tasks"])
        return BUSY + 1

    # -- in the end ------------------------------------------------------------------------

    def end(self, data: Path, temporary: Path) -> Verdict:
        """In peace: whatever was accepted has to end now, and what was left behind has to go."""

        def settled() -> bool:
            self.scans.push(self.server)
            return self.scans.over(self.server)

        self.server.wait_ready()
        with suppress(Late):  # then the verdict names what is stuck
            until(settled, "every scan ends", END_SECONDS, every=0.2)
            until(lambda: not [*left_behind(data, temporary)], "nothing is left", 10)
        verdict = judge(self.server, self.scans, self._truth, data / "assets")
        verdict.wrong += left_behind(data, temporary)
        if code := self.server.stop():
            verdict.failed.append(f"the exit code is {code}")
        verdict.wrong += [f"{path} was left behind" for path in self._vacuumed(data / "assets", verdict)]
        return verdict

    def _vacuumed(self, table: Path, verdict: Verdict) -> Sequence[str]:
        """What even the vacuum has left."""
        verdict.facts["files left to the vacuum"] = len(unvacuumed(table, read_log(table)))
        vacuum(str(table), 0)
        return unvacuumed(table, read_log(table))
