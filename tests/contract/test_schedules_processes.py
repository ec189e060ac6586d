"""Three processes begin runs of many schedules, and are killed at any moment: each time has one run, or is counted."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import pytest

from tagapi.jobs.lists import Query
from tagapi.jobs.model import Job
from tagapi.jobs.registry import JobRegistry
from tagapi.jobs.schedules import Every, Schedule, run_id, run_label
from tagapi.registries import open_registry
from tests.contract.backends import valkey
from tests.contract.beginner import opened

ROOT = Path(__file__).parents[2]
PROCESSES, SCHEDULES, KILLS = 3, 40, 12
SECOND = timedelta(seconds=1)
CLOCKS_AGREE = timedelta(seconds=0.05)  # of processes that share a server: each finds its clock out for itself


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/jobs.db"
    valkey().client().flushdb()
    return valkey().url


@contextmanager
def beginner(url: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-m", "tests.contract.beginner", url], cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def runs_of(registry: JobRegistry, schedule: Schedule) -> list[Job]:
    """In the order in which they were begun."""
    found = registry.find(Query(namespace="fake", label=run_label(schedule.id), limit=1000))
    return sorted(found.jobs, key=lambda job: job.number)


def wait_for_more(registry: JobRegistry, jobs: int) -> int:
    """Until somebody has begun more than so many runs; how many there are then."""
    deadline = time.monotonic() + 30
    while (total := registry.find(Query(limit=1)).total) <= jobs:
        assert time.monotonic() < deadline, "nobody begins anything"
        time.sleep(0.01)
    return total


def test_whoever_is_killed_each_run_is_begun_once(url: str) -> None:
    chance, begun = random.Random(1), 0
    with closing(open_registry(url)) as registry:
        known = [
            opened(registry).schedule("fake.work", {}, Every(seconds=1), owner=f"u{n % 3}", key=str(uuid4())).schedule
            for n in range(SCHEDULES)
        ]
        with ExitStack() as last:
            running = [last.enter_context(beginner(url)) for _ in range(PROCESSES)]
            for _ in range(KILLS):
                begun = wait_for_more(registry, begun)
                time.sleep(chance.random() / 2)  # wherever they are by then
                running.pop(chance.randrange(PROCESSES)).kill()
                running.append(last.enter_context(beginner(url)))
            wait_for_more(registry, begun)
        for schedule in registry.schedules.get_all([one.id for one in known]):
            assert_each_time_has_one_run_or_is_counted(schedule, runs_of(registry, schedule))


def assert_each_time_has_one_run_or_is_counted(schedule: Schedule, runs: list[Job]) -> None:
    first = schedule.created_at + SECOND
    times = (schedule.next_at - first) // SECOND
    by_id = {run_id(schedule.id, first + n * SECOND): n for n in range(times)}
    due = [by_id[job.id] for job in runs]
    assert due == sorted(set(due))
    assert len(runs) == schedule.runs > 1
    assert schedule.runs + schedule.missed == times
    for before, after in pairwise(runs):
        assert before.finished_at is not None
        assert before.finished_at <= after.submitted_at + CLOCKS_AGREE
