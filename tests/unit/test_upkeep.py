"""What runs by the clock, called by hand: recovery of lapsed leases, retention of finished jobs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

import pytest

from tagapi.jobs import changes, steps
from tagapi.jobs.errors import JobNotFound, Transient
from tagapi.jobs.lists import Query
from tagapi.jobs.model import Job, JobState, Request
from tagapi.jobs.registry import Bounds, IdempotencyKey
from tagapi.upkeep import BATCH, COLLECTORS_EVERY, ORPHANS_EVERY, TABLES_HELD, WEBHOOKS_EVERY, Upkeep
from tests.clock import ManualClock
from tests.unit.fakes import PATIENCE, Door

BOUNDS = Bounds(queued=10_000, queued_per_owner=10_000)
LEASE = timedelta(seconds=30)
KEPT = timedelta(hours=24)


class House:
    """A registry on a manual clock, and its upkeep."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.registry = Door(self.clock)
        self.tended: list[str] = []
        self.collected: list[str] = []
        self.begun: list[str] = []
        self.swept: list[str] = []
        self.asked: dict[str, bool] = {}
        self.tidied: list[str] = []
        self.cleared: list[str] = []
        self.upkeep, self.other = (self._upkeep(worker) for worker in ("here", "there"))

    def _upkeep(self, worker: str) -> Upkeep:
        """The upkeep of one of the processes that share the registry."""
        return Upkeep(
            *(self.registry, worker, KEPT, 1, self._remove_files, lambda: self.tended.append(worker)),
            tend_collectors=lambda: self.collected.append(worker),
            begin_due=lambda: self.begun.append(worker),
            pause_orphans=lambda: self.swept.append(worker),
            sweep_files=self._sweep_files,
            tidy_webhooks=lambda: self.tidied.append(worker),
        )

    def _sweep_files(self, ended: Callable[[str], bool]) -> None:
        self.asked = {job_id: ended(job_id) for job_id in ("ended", "running", "queued", "unknown")}

    def _remove_files(self, job_ids: Sequence[str]) -> None:
        assert all(self.registry.get(job_id).finished for job_id in job_ids), "they are still known"
        self.cleared += job_ids

    def accepted(self, name: str, key: str | None = None) -> Job:
        request = Request(job_id=name, task="fake.work", owner="ann", arguments={})
        scoped = None if key is None else IdempotencyKey(owner="ann", route="r", value=key)
        return self.registry.add(request, BOUNDS, scoped).job

    def claimed(self) -> Job:
        job = self.registry.claim("worker", LEASE)
        assert job is not None
        return job

    def finished(self, name: str, key: str | None = None) -> Job:
        self.accepted(name, key)
        job = self.claimed()
        return self.registry.update(job.id, partial(changes.succeed, epoch=job.epoch, result={}))


@pytest.fixture
def house() -> House:
    return House()


def test_a_job_whose_lease_lapsed_waits_for_another_attempt(house: House) -> None:
    house.accepted("lost")
    lost = house.claimed()
    house.clock.advance(31)

    house.upkeep.recover()

    job = house.registry.get("lost")
    assert job.state is JobState.WAITING
    assert job.epoch > lost.epoch
    assert house.claimed().id == "lost"


def test_a_job_whose_lease_is_kept_is_left_alone(house: House) -> None:
    house.accepted("alive")
    alive = house.claimed()
    house.clock.advance(29)

    house.upkeep.recover()

    assert house.registry.get("alive") == alive


def test_a_job_that_is_lost_too_often_fails_with_the_reason(house: House) -> None:
    house.accepted("lost")
    for _ in range(2):
        house.claimed()
        house.clock.advance(31)
        house.upkeep.recover()

    job = house.registry.get("lost")
    assert job.state is JobState.FAILED
    assert job.error == "the process that ran it was lost 2 times"


def test_what_is_left_on_disk_is_swept_away_of_jobs_that_have_ended_alone(house: House) -> None:
    house.finished("ended")
    house.accepted("running")
    house.claimed()
    house.accepted("queued")

    house.upkeep.sweep()

    assert house.asked == {"ended": True, "running": False, "queued": False, "unknown": False}


def test_finished_jobs_go_after_their_time_with_their_keys_and_places(house: House) -> None:
    house.finished("old", key="again")
    house.clock.advance(KEPT.total_seconds() - 1)
    house.finished("young")
    house.upkeep.forget()
    assert house.registry.find(Query()).total == 2
    house.clock.advance(2)

    house.upkeep.forget()

    assert [job.id for job in house.registry.find(Query()).jobs] == ["young"]
    with pytest.raises(JobNotFound):
        house.registry.get("old")
    assert house.accepted("new", key="again").id == "new"


def test_more_than_a_batch_of_old_jobs_goes_in_one_run(house: House) -> None:
    for number in range(BATCH + 1):
        house.finished(f"job-{number}")
    house.clock.advance(KEPT.total_seconds() + 1)

    house.upkeep.forget()

    assert house.registry.find(Query()).total == 0


def test_a_job_that_still_waits_is_never_forgotten(house: House) -> None:
    house.accepted("waiting")
    house.clock.advance(10 * KEPT.total_seconds())

    house.upkeep.forget()

    assert house.registry.get("waiting").state is JobState.QUEUED


def test_one_process_tends_the_tables_for_all_and_another_once_it_is_gone(house: House) -> None:
    for upkeep in (house.other, house.upkeep, house.other):
        upkeep.tend()
    assert house.tended == ["there", "there"]
    house.clock.advance(TABLES_HELD)
    house.upkeep.tend()
    house.other.tend()
    assert house.tended == ["there", "there", "here"]


def test_one_process_at_a_time_tends_the_collectors_and_another_once_it_is_gone(house: House) -> None:
    for upkeep in (house.other, house.upkeep, house.other):
        upkeep.collect()
    assert house.collected == ["there", "there"]
    house.clock.advance(COLLECTORS_EVERY / 2)
    house.upkeep.collect()
    house.other.collect()
    assert house.collected == ["there", "there", "here"]


def test_every_process_begins_what_is_due_and_one_looks_whose_owners_are_gone(house: House) -> None:
    for upkeep in (house.other, house.upkeep, house.other):
        upkeep.begin_due()
        upkeep.pause_orphans()
    assert (house.begun, house.swept) == (["there", "here", "there"], ["there", "there"])
    house.clock.advance(ORPHANS_EVERY / 2)
    house.upkeep.pause_orphans()
    assert house.swept == ["there", "there", "here"]


def test_one_process_sees_to_what_is_kept_of_deliveries(house: House) -> None:
    for upkeep in (house.other, house.upkeep, house.other):
        upkeep.tidy_webhooks()
    house.clock.advance(WEBHOOKS_EVERY / 2)
    house.upkeep.tidy_webhooks()
    assert house.tidied == ["there", "there", "here"]


def test_what_is_due_is_looked_for_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tagapi.upkeep.SCHEDULES_EVERY", 0.05)
    looked = threading.Semaphore(0)

    def begin() -> None:
        looked.release()
        raise Transient(reason="the store hesitates")

    upkeep = Upkeep(Door(ManualClock()), "here", KEPT, 1, lambda _: None, lambda: None, begin_due=begin)
    upkeep.start()
    try:
        assert all(looked.acquire(timeout=PATIENCE) for _ in range(3))
    finally:
        upkeep.stop()


@pytest.mark.parametrize("error", [Transient(reason="the table hesitates"), ValueError("a fault of ours")])
def test_what_goes_wrong_with_the_collectors_stops_no_clock(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tagapi.upkeep.COLLECTORS_EVERY", 0.06)
    clock, tended = ManualClock(), threading.Semaphore(0)

    def tend() -> None:
        clock.advance(1)  # so that the next turn is due by the registry's clock, too
        tended.release()
        raise error

    upkeep = Upkeep(Door(clock), "here", KEPT, 1, lambda _: None, lambda: None, tend_collectors=tend)
    upkeep.start()
    try:
        assert all(tended.acquire(timeout=PATIENCE) for _ in range(3))
    finally:
        upkeep.stop()


def test_the_tables_are_left_alone_while_a_job_is_parked(house: House) -> None:
    house.accepted("parked")
    job = house.claimed()
    house.registry.update(job.id, partial(changes.begin_commit, epoch=job.epoch, result={}))
    for _ in range(steps.DOUBTS_AT_MOST):
        house.clock.advance(31)
        house.upkeep.recover()
        job = house.registry.claim("worker", LEASE) or house.registry.get("parked")
    assert job.state is JobState.PARKED
    house.upkeep.tend()
    assert house.tended == [], "what it has staged may still be committed"
    house.registry.update(job.id, partial(changes.settle_by_hand, by="root", verdict=changes.Verdict.COMPLETED))
    house.upkeep.tend()
    assert house.tended == ["here"]


def test_of_two_that_find_a_lost_job_one_says_so(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.accepted("lost")
    house.claimed()
    house.clock.advance(31)
    seen = house.registry.active()
    house.registry.active = lambda: seen  # type: ignore[method-assign]  # both looked before either wrote
    house.upkeep.recover()
    house.other.recover()
    assert [record.message for record in caplog.records].count("job_recovered") == 1


def test_the_files_of_a_forgotten_job_go_first(house: House) -> None:
    house.finished("old")
    house.clock.advance(KEPT.total_seconds() + 1)
    house.finished("young")
    house.upkeep.forget()
    assert house.cleared == ["old"]


@pytest.mark.parametrize("late", [2.0, 3600.0])
def test_a_run_that_is_late_is_a_run_all_the_same(late: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a freeze, or on a machine that was suspended."""
    monkeypatch.setattr("tagapi.upkeep.TABLES_FIRST", -late)
    tended = threading.Event()
    upkeep = Upkeep(Door(ManualClock()), "here", KEPT, 1, lambda _: None, tended.set)
    upkeep.start()
    try:
        assert tended.wait(PATIENCE)
    finally:
        upkeep.stop()
