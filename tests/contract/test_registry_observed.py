"""What every registry tells of changes: each that this process writes, once, and none that it does not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from tagapi.jobs import changes
from tagapi.jobs.errors import QueueFull, StaleAttempt
from tagapi.jobs.model import Job, Request
from tagapi.jobs.observer import Observer
from tagapi.jobs.registry import Bounds, IdempotencyKey, JobRegistry
from tagapi.jobs.schedules import Every, Schedule
from tagapi.timetable import next_of
from tests.clock import START, ManualClock
from tests.contract.backends import BACKENDS, open_backend

LEASE = timedelta(seconds=30)
ROOM = Bounds(queued=10, queued_per_owner=10)


class Heard(Observer):
    """Keeps from which state to which each job went."""

    def __init__(self) -> None:
        self.moves: list[tuple[str, str]] = []

    def written(self, before: Job | None, after: Job) -> None:
        self.moves.append(("" if before is None else before.state.value, after.state.value))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=BACKENDS)
def registry(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[JobRegistry]:
    registry = open_backend(request.param, tmp_path, clock)
    yield registry
    registry.close()


@pytest.fixture
def heard(registry: JobRegistry) -> Heard:
    listening = Heard()
    registry.observed_by(listening)
    return listening


def asked(lane: str = "spark") -> Request:
    return Request(job_id=str(uuid4()), task="tags.compute", owner="ann", arguments={}, lane=lane)


def test_each_change_is_told_once(registry: JobRegistry, heard: Heard) -> None:
    job = registry.add(asked(), ROOM).job
    claimed = registry.claim("w1", LEASE)
    assert claimed is not None
    registry.update(job.id, partial(changes.succeed, epoch=claimed.epoch, result={}), "one token")
    registry.update(job.id, partial(changes.succeed, epoch=claimed.epoch, result={}), "one token")
    assert heard.moves == [("", "queued"), ("queued", "running"), ("running", "succeeded")]


def test_a_write_that_was_sent_again_is_told(
    registry: JobRegistry, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by the driver of a server that dropped the connection before it answered: the second finds its own version."""
    job, swap = registry.add(asked(), ROOM).job, registry._swap

    def sent_twice(before: Job, after: Job) -> bool:
        return swap(before, after) and swap(before, after)

    monkeypatch.setattr(registry, "_swap", sent_twice)
    registry.update(job.id, changes.request_cancel)
    assert heard.moves == [("", "queued"), ("queued", "cancelled")]


def test_what_is_not_written_is_not_told(registry: JobRegistry, heard: Heard) -> None:
    key = IdempotencyKey(owner="ann", route="/", value="one")
    job = registry.add(asked(), ROOM, key).job
    assert registry.add(asked(), ROOM, key).replayed
    with pytest.raises(QueueFull):
        registry.add(asked(), Bounds(queued=1, queued_per_owner=10))
    with pytest.raises(StaleAttempt):
        registry.update(job.id, partial(changes.renew, epoch=7, lease=LEASE))
    registry.update(job.id, lambda same, now: same)
    assert heard.moves == [("", "queued")]


def test_a_run_of_a_schedule_is_told_when_it_begins(registry: JobRegistry, heard: Heard, clock: ManualClock) -> None:
    schedule = Schedule(
        id="s1",
        task="tags.compute",
        owner="ann",
        arguments={},
        timing=Every(seconds=60),
        created_at=START,
        next_at=START,
        lane="spark",
    )
    registry.schedules.add(schedule, 10)
    clock.advance(1)
    assert registry.schedules.begin("s1", next_of, ROOM) is not None
    assert registry.schedules.begin("s1", next_of, ROOM) is None
    assert heard.moves == [("", "queued")]


def test_how_many_wait_in_a_lane(registry: JobRegistry) -> None:
    for lane in ("spark", "spark", "platforms"):
        registry.add(asked(lane), ROOM)
    assert [registry.queued_in(lane) for lane in ("spark", "platforms", "scans")] == [2, 1, 0]
    assert registry.claim("w1", LEASE, lane="spark") is not None
    assert [registry.queued_in(lane) for lane in ("spark", "platforms", "scans")] == [1, 1, 0]
