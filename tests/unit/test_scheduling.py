"""The door to schedules, on a registry in memory and a manual clock: who may do what, and what is begun when."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from tagapi import timetable
from tagapi.jobs.errors import (
    JobError,
    KeyReused,
    OwnerQueueFull,
    QueueFull,
    ScheduleNotFound,
    ShuttingDown,
    StoreUnavailable,
    TooManySchedules,
    Unusable,
)
from tagapi.jobs.lists import Bounds
from tagapi.jobs.model import JobState
from tagapi.jobs.schedule_registry import ScheduleQuery
from tagapi.jobs.schedules import Cron, Every, Schedule, run_id, run_label
from tagapi.jobs.scheduling import LONGEST, OWNER_GONE, Scheduled, Scheduling
from tagapi.jobs.service import JobService
from tests.unit.fakes import RESULT, TASK, World

HOUR = 3600
HOURLY = Every(seconds=HOUR)
KEY = {"route": "/monitors", "key": "k1"}


class House:
    """A world, and the schedules of its task."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self.world = World(lambda context: RESULT)
        self.clock, self.registry = self.world.clock, self.world.registry
        bounds = bounds or Bounds(queued=100, queued_per_owner=100)
        self.service = JobService(self.registry, self.world.executor, bounds, {TASK: "spark"})
        self.gone: set[str] = set()
        self.scheduling = self.opened()

    def opened(self) -> Scheduling:
        """What another process has of the same registry."""
        return Scheduling(
            self.registry,
            self.service,
            timetable.next_of,
            timetable.check,
            at_most=20,
            may=lambda schedule: schedule.owner not in self.gone,
        )

    def schedule(self, timing: Every | Cron = HOURLY, owner: str = "ann", **facts: Any) -> Scheduled:
        return self.scheduling.schedule(TASK, {"n": 1}, timing, owner=owner, **facts)

    def now(self, schedule: Schedule | Scheduled) -> Schedule:
        """As it is by now."""
        return self.registry.schedules.get(getattr(schedule, "schedule", schedule).id)

    def jobs(self) -> int:
        return self.world.everything().total

    def later(self, seconds: float) -> None:
        """Time passes, and upkeep looks."""
        self.clock.advance(seconds)
        self.scheduling.begin_due()


@pytest.fixture
def house() -> House:
    return House()


# -- asked for ------------------------------------------------------------------------------


def test_a_schedule_begins_with_its_first_time(house: House) -> None:
    scheduled = house.schedule(labels=("tag:1",))
    assert (scheduled.job, scheduled.replayed) == (None, False)
    house.later(HOUR - 1)
    assert house.jobs() == 0
    house.later(1)
    (job,) = house.world.everything().jobs
    assert job.request.labels == ("tag:1", run_label(scheduled.schedule.id))
    assert house.world.executor.woken == 1
    assert house.world.run_next()
    assert house.world.job(job.id).state is JobState.SUCCEEDED


def test_one_that_begins_at_once_is_answered_with_its_first_run(house: House) -> None:
    scheduled = house.schedule(at_once=True)
    assert scheduled.job is not None
    assert scheduled.job.id == run_id(scheduled.schedule.id, scheduled.schedule.created_at)
    assert scheduled.schedule == house.now(scheduled)
    assert (scheduled.schedule.runs, scheduled.schedule.last_job_id) == (1, scheduled.job.id)
    assert (house.jobs(), house.world.executor.woken) == (1, 1)
    house.world.run_next()
    house.later(HOUR)
    assert house.jobs() == 2


def test_runs_are_in_the_lane_of_their_task_or_in_one_of_their_own(house: House) -> None:
    for lane in (None, "monitors"):
        scheduled = house.schedule(lane=lane, at_once=True)
        assert scheduled.job is not None
        assert scheduled.schedule.lane == scheduled.job.lane == (lane or "spark")


def test_a_cron_begins_by_the_clocks_of_its_place(house: House) -> None:
    scheduled = house.schedule(Cron(expression="0 3 * * *", timezone="Asia/Kolkata"))
    assert scheduled.schedule.next_at.isoformat() == "2024-03-01T21:30:00+00:00"


@pytest.mark.parametrize(
    ("timing", "least", "field"),
    [
        (Every(seconds=21_599), 21_600, "every_seconds"),
        (Every(seconds=LONGEST + 1), 1, "every_seconds"),
        (Cron(expression="0 */5 * * *"), 21_600, "cron"),
        (Cron(expression="never"), 1, "cron"),
        (Cron(expression="0 3 * * *", timezone="Mars/Olympus"), 1, "timezone"),
    ],
)
def test_a_timing_that_cannot_be_used_is_refused(house: House, timing: Any, least: float, field: str) -> None:
    with pytest.raises(Unusable) as refused:
        house.schedule(timing, least=least)
    assert refused.value.field == field
    assert house.scheduling.find(ScheduleQuery()).total == 0


def test_an_owner_has_so_many(house: House) -> None:
    for _ in range(20):
        house.schedule()
    with pytest.raises(TooManySchedules):
        house.schedule()
    house.schedule(owner="bob")


def test_a_service_that_stops_takes_and_begins_nothing(house: House) -> None:
    house.schedule()
    house.service.refuse_new()
    with pytest.raises(ShuttingDown):
        house.schedule()
    house.later(HOUR)
    assert house.jobs() == 0


@pytest.mark.parametrize(
    ("bounds", "refusal"),
    [(Bounds(queued=1, queued_per_owner=9), QueueFull), (Bounds(queued=9, queued_per_owner=1), OwnerQueueFull)],
)
def test_one_whose_first_run_finds_no_room_is_not_accepted(bounds: Bounds, refusal: type[JobError]) -> None:
    house = House(bounds)
    house.service.submit(TASK, {}, owner="ann")
    with pytest.raises(refusal):
        house.schedule(at_once=True)
    assert (house.scheduling.find(ScheduleQuery()).total, house.jobs()) == (0, 1)
    house.schedule()


def test_one_that_somebody_else_began_meanwhile_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upkeep of another process finds room in the moment after this one found none."""
    house, roomy = House(Bounds(queued=1, queued_per_owner=1)), Bounds(queued=9, queued_per_owner=9)
    house.service.submit(TASK, {}, owner="ann")
    remove = house.registry.schedules.remove

    def late(schedule_id: str, version: int | None = None) -> bool:
        house.registry.schedules.begin(schedule_id, timetable.next_of, roomy)
        return remove(schedule_id, version)

    monkeypatch.setattr(house.registry.schedules, "remove", late)
    scheduled = house.schedule(at_once=True)
    assert scheduled.job is not None
    assert house.now(scheduled).runs == 1


# -- under a key ----------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [True, False])
def test_a_key_that_comes_again_is_the_same_schedule(house: House, at_once: bool) -> None:
    first = house.schedule(at_once=at_once, **KEY)
    house.clock.advance(10)
    again = house.schedule(at_once=at_once, **KEY)
    known = house.scheduling.known(TASK, HOURLY, {"n": 1}, owner="ann", **KEY)
    assert again == known == replace(first, replayed=True)
    assert (house.jobs(), house.scheduling.find(ScheduleQuery()).total) == (int(at_once), 1)


def test_a_key_with_another_request_is_refused(house: House) -> None:
    house.schedule(**KEY)
    with pytest.raises(KeyReused):
        house.schedule(Every(seconds=2 * HOUR), **KEY)
    with pytest.raises(KeyReused):
        house.scheduling.schedule(TASK, {"n": 2}, HOURLY, owner="ann", **KEY)
    with pytest.raises(KeyReused):
        house.scheduling.known("fake.other", HOURLY, {"n": 1}, owner="ann", **KEY)


def test_a_key_is_one_owner_s_on_one_route_while_its_schedule_is_kept(house: House) -> None:
    first = house.schedule(**KEY)
    others = [house.schedule(owner="bob", **KEY), house.schedule(route="/other", key="k1"), house.schedule()]
    assert len({one.schedule.id for one in (first, *others)}) == 4
    assert house.scheduling.known(TASK, HOURLY, {"n": 1}, owner="ann", route="/monitors", key="k2") is None
    house.scheduling.unschedule(first.schedule.id)
    assert not house.schedule(**KEY).replayed


# -- whose it is ----------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [{"owner": "bob"}, {"namespace": "tags"}, {"owner": "bob", "namespace": "fake"}])
@pytest.mark.parametrize("order", ["get", "unschedule", "pause", "resume"])
def test_a_foreign_schedule_is_an_unknown_one(house: House, order: str, wrong: dict[str, str]) -> None:
    schedule = house.schedule().schedule
    by = {"by": "bob"} if order == "pause" else {}
    answers = []
    for schedule_id in (schedule.id, str(uuid4())):
        with pytest.raises(ScheduleNotFound) as refused:
            getattr(house.scheduling, order)(schedule_id, **by, **wrong)
        answers.append(str(refused.value).replace(schedule_id, "it"))
    assert answers[0] == answers[1]
    assert house.now(schedule) == schedule


def test_its_owner_pauses_resumes_and_removes_it(house: House) -> None:
    mine = {"namespace": "fake", "owner": "ann"}
    schedule = house.schedule().schedule
    assert house.scheduling.get(schedule.id, **mine) == schedule
    assert house.scheduling.pause(schedule.id, by="ann", **mine).paused == "ann asked for it"
    assert house.scheduling.pause(schedule.id, by="root").paused == "ann asked for it"
    house.later(1.5 * HOUR)
    assert house.jobs() == 0
    assert house.scheduling.resume(schedule.id, **mine).paused is None
    house.later(HOUR / 2)
    assert house.jobs() == 1
    house.scheduling.unschedule(schedule.id, **mine)
    assert house.world.run_next(), "what has begun goes on"
    house.later(9 * HOUR)
    assert house.jobs() == 1
    with pytest.raises(ScheduleNotFound):
        house.scheduling.unschedule(schedule.id, **mine)


# -- by the clock ---------------------------------------------------------------------------


def test_of_two_processes_that_look_one_begins(house: House) -> None:
    house.schedule()
    house.clock.advance(HOUR)
    other = house.opened()
    seen = list(house.registry.schedules.ready())
    house.registry.schedules.ready = lambda: iter(seen)  # type: ignore[method-assign]  # both looked before
    house.scheduling.begin_due()
    other.begin_due()
    assert (house.jobs(), house.world.executor.woken) == (1, 1)


def test_those_without_room_wait_and_the_others_do_not() -> None:
    house = House(Bounds(queued=3, queued_per_owner=2))
    for _ in range(3):
        house.schedule()
    for owner in ("bob", "eve"):
        house.schedule(owner=owner)
    for seconds, wanted in ((HOUR, ["ann", "ann", "bob"]), (1, ["ann", "eve"]), (1, [])):
        house.later(seconds)
        owners = [job.request.owner for job in house.world.everything().jobs if job.state is JobState.QUEUED]
        assert sorted(owners) == wanted
        while house.world.run_next():
            pass


def test_what_goes_wrong_with_one_keeps_no_other_waiting(house: House, caplog: pytest.LogCaptureFixture) -> None:
    broken, fine = house.schedule().schedule, house.schedule().schedule
    zone = Cron(expression="0 3 * * *", timezone="Gone/Zone")
    house.registry.schedules.update(broken.id, lambda one, now: replace(one, timing=zone))
    house.later(HOUR)
    (job,) = house.world.everything().jobs
    assert job.request.job_id == run_id(fine.id, fine.next_at)
    (record,) = [record for record in caplog.records if record.message == "schedule_not_begun"]
    assert record.__dict__["schedule"] == broken.id


def test_a_store_that_is_away_ends_the_round(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        house.schedule()
    asked = []

    def away(*facts: Any) -> None:
        asked.append(facts)
        raise StoreUnavailable(retry_after=1)

    with monkeypatch.context() as patched:
        patched.setattr(house.registry.schedules, "_begin", away)
        with pytest.raises(StoreUnavailable):
            house.later(HOUR)
    assert len(asked) == 1
    house.later(1)
    assert house.jobs() == 3


# -- owners who are gone --------------------------------------------------------------------


def test_a_run_of_an_owner_who_is_gone_is_not_begun(house: House) -> None:
    scheduled, other = house.schedule(), house.schedule(owner="bob")
    house.gone.add("ann")
    house.later(HOUR)
    assert [job.request.owner for job in house.world.everything().jobs] == ["bob"]
    assert (house.now(scheduled).paused, house.now(other).paused) == (OWNER_GONE, None)


def test_schedules_of_owners_who_are_gone_are_paused_before_they_are_due(house: House) -> None:
    mine = [house.schedule() for _ in range(3)]
    house.scheduling.pause(mine[0].schedule.id, by="ann")
    bob = house.schedule(owner="bob")
    house.scheduling.pause_orphans()
    assert house.now(mine[1]).paused is None
    house.gone.add("ann")
    house.scheduling.pause_orphans()
    assert [house.now(one).paused for one in (*mine, bob)] == ["ann asked for it", OWNER_GONE, OWNER_GONE, None]
    house.gone.clear()
    house.scheduling.pause_orphans()
    assert house.now(mine[1]).paused == OWNER_GONE, "somebody has to want it again"


def test_all_pages_are_looked_through(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tagapi.jobs.scheduling.READ_AT_ONCE", 2)
    mine = [house.schedule() for _ in range(7)]
    house.gone.add("ann")
    house.scheduling.pause_orphans()
    assert {house.now(one).paused for one in mine} == {OWNER_GONE}
