"""The part `cancels`: in every state, and racing the commit. Cancelled means no commit, completed means one."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import requests

from tests.chaos.failpoints import HOLD, LOSE, Order
from tests.chaos.ground import Arena, Ground
from tests.chaos.process import ChaosServer, open_store
from tests.chaos.report import Result

ONE_AT_A_TIME = {"TAGAPI_JOBS__MAX_CONCURRENT": "1", "TAGAPI_JOBS__LEASE_SECONDS": "10"}
HELD = 60.0  # seconds: longer than anybody waits
COMMITTING_FOR = 0.25  # seconds that a commit is held
WAITS_FOR = 0.25  # seconds that a job whose Spark was lost waits for its next attempt
USUAL_RUNS = 5  # jobs by which the usual time of one is found


def run(arena: Arena, store_name: str, each: int) -> Result:
    began = time.monotonic()
    with open_store(store_name, arena.folder) as store:
        ground = Ground(arena)
        server = ChaosServer(ground.folder, store, **ONE_AT_A_TIME)
        try:
            server.wait_alive()
            server.wait_ready()
            cancels = Cancels(ground, server, each)
            cancels.run()
            ground.finish(server)
            verdict = ground.verdict(server)
            code = server.stop()
        finally:
            server.kill()
    verdict.failed += cancels.wrong
    verdict.failed += [f"the exit code is {code}"] if code else []
    told = {state: [f"{what} {count}" for what, count in seen.items()] for state, seen in cancels.seen.items()}
    notes = {state: ", ".join(seen) for state, seen in told.items()}
    return Result("cancels", store_name, verdict, time.monotonic() - began, notes)


class Cancels:
    """So many in each state."""

    def __init__(self, ground: Ground, server: ChaosServer, each: int) -> None:
        self._ground = ground
        self._server = server
        self._each = each
        self.seen: dict[str, Counter[str]] = {}
        self.wrong: list[str] = []

    def run(self) -> None:
        self._queued()
        for state, cancel in (
            ("running", self._running),
            ("waiting", self._waiting),
            ("committing", self._committing),
        ):
            self._times(state, cancel)
        usual = self._usual()
        for number in range(self._each):
            self._race(2 * usual * number / self._each)
        self._server.orders.place(None)

    def _times(self, state: str, cancel: Callable[[], None]) -> None:
        for _ in range(self._each):
            cancel()

    def _queued(self) -> None:
        """Behind a job that is held, nothing else begins."""
        first = self._held("mid_run", HELD)
        for job in [self._ground.submit(self._server) for _ in range(self._each)]:
            self._cancel("queued", job, "cancelled")
        self._cancel("running", first, "cancelled")

    def _running(self) -> None:
        self._cancel("running", self._held("mid_run", HELD), "cancelled")

    def _committing(self) -> None:
        """Past the point of no return a cancel is refused, and the job completes."""
        self._cancel("committing", self._held("committing", COMMITTING_FOR), "refused")

    def _waiting(self) -> None:
        """Between two attempts, or at the edges of it."""
        self._server.orders.place(Order("mid_run", do=LOSE))
        job = self._ground.submit(self._server)
        self._server.obeyed()
        time.sleep(self._ground.chance.uniform(0.02, WAITS_FOR))
        self._cancel("waiting", job)

    def _race(self, delay: float) -> None:
        job = self._ground.submit(self._server)
        time.sleep(delay)
        self._cancel("racing", job)

    def _held(self, at: str, seconds: float) -> str:
        """A job that is held at a failpoint."""
        self._server.orders.place(Order(at, do=HOLD, seconds=seconds))
        job = self._ground.submit(self._server)
        self._server.obeyed()
        return job

    def _cancel(self, state: str, job: str, wanted: str | None = None) -> None:
        """What a cancel is told, and what is the case once the job has ended: the same."""
        answer = _word(self._ground.load.cancel(self._server, job))
        ended = self._server.wait(job, 30, every=0.01)
        self.seen.setdefault(state, Counter())[f"{answer}, then {ended['status']}"] += 1
        if state == "waiting":
            self.seen[state]["without a second attempt"] += ended["attempt"] == 1
        if wanted is not None and answer != wanted:
            self.wrong.append(f"{job}: a cancel while {state} was {answer}")
        if (answer == "cancelled") != (ended["status"] == "cancelled") and answer != "still stopping":
            self.wrong.append(f"{job}: a cancel while {state} was {answer}, and the job {ended['status']}")

    def _usual(self) -> float:
        """Seconds from a submit until the job has completed."""
        times = []
        for _ in range(USUAL_RUNS):
            before = time.monotonic()
            self._server.wait(self._ground.submit(self._server), every=0.005)
            times.append(time.monotonic() - before)
        return sorted(times)[USUAL_RUNS // 2]


def _word(answer: requests.Response | None) -> str:
    words: dict[Any, str] = {200: "cancelled", 202: "still stopping", 409: "refused"}
    return "unanswered" if answer is None else words.get(answer.status_code, str(answer.status_code))
