"""The part `schedules`: three processes begin what is due, and are killed and frozen, while the clock leaps.

It leaps by minutes around the days on which clocks are changed, in spring and in autumn, and by days or months in
between. Each run has its due time in its id; the calendar says in the end which times there were.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from tagapi.jobs.lists import Bounds, Query
from tagapi.jobs.model import Job
from tagapi.jobs.registry import JobRegistry
from tagapi.jobs.schedules import Cron, Every, Schedule, Timing
from tagapi.jobs.scheduling import Scheduling
from tagapi.jobs.service import JobService
from tagapi.registries import open_registry
from tagapi.timetable import next_of
from tests.chaos.calendars import Dial, every
from tests.chaos.ground import Arena
from tests.chaos.leaps import Clock
from tests.chaos.process import open_store
from tests.chaos.report import Result
from tests.chaos.schedule_books import Kept, Run, judge_ledger, judge_schedule
from tests.chaos.verdict import Verdict
from tests.contract.beginner import NoExecutor
from tests.e2e.server import ROOT, until

PROCESSES = 3
OWNERS = 7
BEFORE = timedelta(days=2)  # that the clock begins before the first change
WINDOW = timedelta(hours=4)  # before and after a change
AHEAD = timedelta(days=40)  # that the calendar is reckoned behind the end
STEPS = 16  # leaps in each window
PAUSE = 2.5  # seconds between two leaps, at most
SETTLED_SECONDS = 120.0
ALL = Query(limit=1_000_000)
CHANGES = (
    datetime(2026, 3, 8, 7, tzinfo=UTC),
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 4, 4, 15, tzinfo=UTC),
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC),
)
"""When the clocks of New York, Madrid and Lord Howe go on, and back."""
ZONES = (
    "UTC",
    "Europe/Madrid",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Shanghai",
    "Asia/Kathmandu",
    "America/Bogota",
)


class Players:
    """The processes that begin runs, of which there are always so many, some of them frozen for a while."""

    def __init__(self, command: Sequence[str], chance: random.Random, output: Path) -> None:
        self._command = command
        self._chance = chance
        self._output = output.open("ab")
        self._frozen: subprocess.Popen[bytes] | None = None
        self.done: Counter[str] = Counter()
        self._running = [self._start() for _ in range(PROCESSES)]

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, cwd=ROOT, stdin=subprocess.DEVNULL, stderr=self._output)

    def trouble(self) -> None:
        """Whatever may happen to one of them, or nothing."""
        self.thaw()
        what = self._chance.choice(("kill", "kill", "freeze", "freeze", "nothing"))
        number = self._chance.randrange(PROCESSES)
        if what == "kill":
            _end(self._running[number])
            self._running[number] = self._start()
        elif what == "freeze":
            self._frozen = self._running[number]
            self._frozen.send_signal(signal.SIGSTOP)
        self.done[what] += 1

    def thaw(self) -> None:
        if self._frozen is not None:
            self._frozen.send_signal(signal.SIGCONT)
            self._frozen = None

    def fallen(self) -> list[str]:
        """Those who ended by themselves."""
        return [f"a process ended with {one.returncode}" for one in self._running if one.poll() is not None]

    def close(self) -> None:
        for one in self._running:
            _end(one)
        self._output.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def run(
    arena: Arena, store_name: str, schedules: int, changes: Sequence[datetime] = CHANGES, steps: int = STEPS
) -> Result:
    """So many schedules, over some of the CHANGES with so many leaps around each."""
    began, folder = time.monotonic(), arena.folder
    folder.joinpath("data").mkdir(parents=True, exist_ok=True)
    chance, clock = random.Random(arena.seed), Clock(folder / "clock")
    clock.set(changes[0] - BEFORE)
    with open_store(store_name, folder) as store, ExitStack() as stack:
        url = store.settings["TAGAPI_REGISTRY__URL"]
        registry = stack.enter_context(closing(open_registry(url)))
        registry.now = clock.now  # type: ignore[method-assign]
        known = _make(registry, chance, schedules)
        command = [sys.executable, "-m", "tests.chaos.beginner", url, str(folder / "clock"), str(folder / "begun")]
        players = stack.enter_context(closing(Players(command, chance, folder / "output.txt")))
        leaps = _leap_through(clock, chance, players, changes, steps)
        end = until(lambda: _settled(registry, clock), "everything that is due has run", SETTLED_SECONDS, every=0.2)
        fallen = players.fallen()
        players.close()
        verdict = _judge(registry, known, end, (folder / "begun").read_text().split())
    verdict.failed += fallen
    notes = {
        "schedules": f"{schedules}, of {len({dial.zone for _, dial in known.values() if dial})} time zones",
        "leaps of the clock": f"{leaps}, from {changes[0] - BEFORE:%Y-%m-%d} to {end:%Y-%m-%d}",
        "processes killed, and frozen": f"{players.done['kill']}, {players.done['freeze']}",
    }
    return Result("schedules", store_name, verdict, time.monotonic() - began, notes)


Known = Mapping[str, tuple[Schedule, Dial | None]]
"""By id, with its dial where it has one."""


def _make(registry: JobRegistry, chance: random.Random, schedules: int) -> Known:
    bounds = Bounds(queued=100_000, queued_per_owner=100_000)
    door = Scheduling(registry, JobService(registry, NoExecutor(), bounds), next_of, lambda *_: None, at_most=schedules)
    known = {}
    for n in range(schedules):
        dial = None if n % 3 == 0 else _dial(chance, ZONES[n % len(ZONES)])
        seconds = 60 * chance.choice((45, 60, 90, 360, 1440)) + n
        timing: Timing = (
            Every(seconds=seconds) if dial is None else Cron(expression=dial.expression, timezone=dial.zone)
        )
        key = str(UUID(int=chance.getrandbits(128)))
        made = door.schedule("fake.work", {"n": n}, timing, owner=f"u{n % OWNERS}", key=key).schedule
        known[made.id] = (made, dial)
    return known


def _dial(chance: random.Random, zone: str) -> Dial:
    """Some times of the night, when clocks are changed, and some of the whole day."""
    whole_day = chance.random() < 0.4
    hours = range(24) if whole_day else sorted(chance.sample(range(5), chance.randint(1, 3)))
    minutes = sorted(chance.sample(range(0, 60, 5), chance.randint(1, 2)))
    weekdays = (0, 3, 6) if chance.random() < 0.2 else None
    return Dial(minutes=tuple(minutes), hours=tuple(hours), weekdays=weekdays, zone=zone)


def _leap_through(
    clock: Clock, chance: random.Random, players: Players, changes: Sequence[datetime], steps: int
) -> int:
    """Through the window of each change by many leaps, and over what lies between by one or two."""
    leaps = 0
    for change in changes:
        stops = [change - WINDOW - timedelta(days=1)]
        stops += sorted(change + (2 * chance.random() - 1) * WINDOW for _ in range(steps))
        for stop in [one for one in stops if one > clock.now()]:
            time.sleep(chance.uniform(0.0, PAUSE))  # wherever they are by then
            clock.set(stop)
            players.trouble()
            leaps += 1
    players.thaw()
    return leaps


def _settled(registry: JobRegistry, clock: Clock) -> datetime | None:
    """By when everything is begun and has run; until then the clock goes on a little, so that leases lapse."""
    now = clock.now()
    if not any(registry.schedules.ready()) and not registry.active() and not registry.queued():
        return now
    clock.leap(timedelta(seconds=5))
    return None


def _judge(registry: JobRegistry, known: Known, end: datetime, told: Sequence[str]) -> Verdict:
    verdict, jobs = Verdict(), registry.find(ALL).jobs
    of_schedule: dict[str, list[Job]] = defaultdict(list)
    for job in sorted(jobs, key=lambda job: job.number):
        of_schedule[job.request.labels[-1].removeprefix("schedule:")].append(job)
    found = {one.id: one for one in registry.schedules.get_all([*known])}
    verdict.lost += [f"{one} is unknown" for one in known.keys() - found.keys()]
    verdict.wrong += [f"{one} has runs and is unknown" for one in of_schedule.keys() - known.keys()]
    for schedule in found.values():
        made, dial = known[schedule.id]
        judge_schedule(verdict, _kept(schedule, of_schedule[schedule.id]), _due(made, dial, end + AHEAD), end)
    judge_ledger(verdict, told, {job.id: job for job in jobs})
    verdict.facts["taken over"] = sum(job.recoveries > 0 for job in jobs)
    verdict.facts["acknowledged"] = len(jobs)
    return verdict


def _due(made: Schedule, dial: Dial | None, end: datetime) -> Sequence[datetime]:
    if dial is not None:
        return dial.due(made.created_at, end)
    assert isinstance(made.timing, Every)
    return every(made.timing.seconds, made.created_at, end)


def _kept(schedule: Schedule, jobs: Sequence[Job]) -> Kept:
    runs = [Run(job=job.id, begun=job.submitted_at, finished=job.finished_at) for job in jobs]
    cron = isinstance(schedule.timing, Cron)
    return Kept(
        id=schedule.id, next_at=schedule.next_at, runs=schedule.runs, missed=schedule.missed, jobs=runs, cron=cron
    )
