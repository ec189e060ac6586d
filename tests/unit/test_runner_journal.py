"""Work with effects in somebody else's system: noted before, found again, taken back before any other end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

import pytest

from tagapi.jobs import changes
from tagapi.jobs.errors import NotUndone, StaleAttempt, TaskFailed, Transient
from tagapi.jobs.model import EventKind, JobState, Json
from tagapi.jobs.runner import RunnerLimits
from tagapi.jobs.task import Task, TaskContext
from tests.unit.fakes import LEASE, PATIENCE, World, elsewhere, next_attempt

NAME = "outside.work"


class Killed(BaseException):
    """The process is gone: nothing of the attempt is written any more."""


@dataclass
class Outside:
    """Somebody else's system, and a task that makes two things there."""

    things: list[str] = field(default_factory=list)
    fails: dict[str, BaseException] = field(default_factory=dict)
    undo_fails: list[BaseException] = field(default_factory=list)
    between: Callable[[TaskContext], None] = lambda context: None

    def make(self, context: TaskContext, name: str) -> None:
        if any(entry.step == name and "id" in entry.fact for entry in context.journaled()):
            return
        context.check()
        if not any(entry.step == name for entry in context.journaled()):
            context.journal(name, {"about": "create"})
        if name not in self.things:
            if name in self.fails:
                raise self.fails.pop(name)
            self.things.append(name)
        context.journal(name, {"id": name})


class OutsideTask(Task):
    name = NAME

    def __init__(self, outside: Outside) -> None:
        self.outside = outside
        self.looked: list[str] = []

    def run(self, context: TaskContext) -> Json:
        self.outside.make(context, "first")
        self.outside.between(context)
        self.outside.make(context, "second")
        return {"made": list(self.outside.things)}

    def undo(self, context: TaskContext) -> str | None:
        if self.outside.undo_fails:
            raise self.outside.undo_fails.pop(0)
        for entry in context.journaled():
            if entry.step in self.outside.things:
                self.outside.things.remove(entry.step)
        return "taken back"


def a_world(outside: Outside) -> World:
    return World(other_tasks={NAME: OutsideTask(outside)})


def submit(world: World) -> str:
    return world.service.submit(NAME, {}, owner="ann").job.id


def test_what_went_well_stays() -> None:
    outside = Outside()
    world = a_world(outside)
    job_id = submit(world)
    world.run_next()
    job = world.job(job_id)
    assert (job.state, job.result) == (JobState.SUCCEEDED, {"made": ["first", "second"]})
    assert [(entry.step, entry.fact) for entry in job.journal] == [
        ("first", {"about": "create"}),
        ("first", {"id": "first"}),
        ("second", {"about": "create"}),
        ("second", {"id": "second"}),
    ]
    assert not world.run_next()


def test_a_failure_takes_back_what_was_made_before_it_is_told() -> None:
    outside = Outside(fails={"second": TaskFailed(reason="refused")})
    world = a_world(outside)
    job_id = submit(world)
    world.run_next()
    waiting = world.job(job_id)
    assert (waiting.state, outside.things) == (JobState.WAITING, ["first"])
    world.run_next()
    job = world.job(job_id)
    assert (job.state, job.error, outside.things) == (JobState.FAILED, "refused; taken back", [])
    assert [event.kind for event in job.events][-3:] == [EventKind.UNDOING, EventKind.STARTED, EventKind.FINISHED]


def test_a_cancel_takes_back_and_does_not_interrupt_that() -> None:
    outside = Outside()
    world = a_world(outside)
    outside.between = lambda context: world.ask_to_cancel(context.job_id) or world.runner.heartbeat()  # type: ignore[func-returns-value]
    job_id = submit(world)
    world.run_next()
    assert world.job(job_id).state is JobState.WAITING
    assert world.service._registry.get(job_id).cancel_requested
    world.run_next()
    job = world.job(job_id)
    assert (job.state, outside.things) == (JobState.CANCELLED, [])


def test_a_lost_process_is_followed_by_one_that_goes_on_with_what_is_there() -> None:
    outside = Outside(fails={"second": Killed()})
    world = a_world(outside)
    job_id = submit(world)
    claimed = world.registry.claim("elsewhere", LEASE)
    assert claimed is not None
    for place, fact in enumerate(({"about": "create"}, {"id": "first"})):
        world.change(job_id, partial(changes.note, epoch=claimed.epoch, place=place, step="first", fact=fact))
    outside.things.append("first")
    world.recover(job_id)
    outside.fails.clear()
    world.run_next()
    assert outside.things == ["first", "second"]
    assert world.job(job_id).state is JobState.SUCCEEDED


def test_an_undo_that_fails_is_tried_again_until_it_succeeds() -> None:
    outside = Outside(
        fails={"second": TaskFailed(reason="refused")},
        undo_fails=[Transient(reason="away"), RuntimeError("a bug"), Transient(reason="away")],
    )
    world = a_world(outside)
    job_id = submit(world)
    world.run_next()
    for _ in range(3):
        next_attempt(world)
        assert world.job(job_id).state is JobState.WAITING
    next_attempt(world)
    assert (world.job(job_id).state, outside.things) == (JobState.FAILED, [])


def test_what_stays_for_good_is_named_and_a_cancelled_job_with_it_is_a_failure() -> None:
    outside = Outside(undo_fails=[NotUndone(left="first is still there")])
    world = a_world(outside)
    outside.between = lambda context: world.ask_to_cancel(context.job_id) or world.runner.heartbeat()  # type: ignore[func-returns-value]
    job_id = submit(world)
    world.run_next()
    world.run_next()
    job = world.job(job_id)
    assert (job.state, job.left, job.error) == (JobState.FAILED, "first is still there", "first is still there")


def test_an_attempt_past_its_limit_is_taken_back_too() -> None:
    outside, world = Outside(), None
    entered, go_on = threading.Event(), threading.Event()

    def stand(context: TaskContext) -> None:
        entered.set()
        context.pause(PATIENCE)
        go_on.wait(PATIENCE)

    outside.between = stand
    world = a_world(outside)
    job_id = submit(world)
    with elsewhere(world.run_next):
        assert entered.wait(PATIENCE)
        world.clock.advance(RunnerLimits().timeout + 1)
        world.change(job_id, partial(changes.renew, epoch=1, lease=LEASE))
        world.runner.heartbeat()
        go_on.set()
    world.run_next()
    assert world.job(job_id).state is JobState.FAILED
    assert "limit" in str(world.job(job_id).error)
    assert outside.things == []


def test_a_process_that_stood_still_does_nothing_outside_when_it_goes_on() -> None:
    outside = Outside()
    world = a_world(outside)
    job_id = submit(world)

    def freeze(context: TaskContext) -> None:
        world.clock.advance(LEASE.total_seconds() + 1)  # and no heartbeat
        with pytest.raises(StaleAttempt):
            context.check()
        raise StaleAttempt(job_id=job_id, epoch=1, current=2)

    outside.between = freeze
    world.run_next()
    assert outside.things == ["first"]
    assert world.job(job_id).state is JobState.RUNNING  # its lease has lapsed: another one takes over
    outside.between = lambda context: None
    world.recover(job_id)
    world.run_next()
    assert (world.job(job_id).state, outside.things) == (JobState.SUCCEEDED, ["first", "second"])


def test_who_waits_for_what_another_job_holds_uses_up_no_try() -> None:
    held: list[str] = []

    def work(context: TaskContext) -> Json:
        context.hold("audience", 60)
        held.append(context.job_id)
        return {}

    world = World(work)
    assert world.registry.lock("job:audience", "another job", 100)
    job_id = world.submit()
    for _ in range(2 * 4):
        next_attempt(world)
        if held:
            break
    assert held == [job_id]
    assert world.job(job_id).tries == 0


def test_phases_and_times_are_told() -> None:
    def work(context: TaskContext) -> Json:
        context.phase("read", 10)
        context.progress(10, 10)
        world.clock.advance(5)
        context.phase("write", 2)
        context.progress(1, 2)
        return {}

    world = World(work)
    job_id = world.submit()
    world.run_next()
    job = world.job(job_id)
    assert [(phase.name, phase.progress.done, phase.progress.total) for phase in job.phases] == [
        ("read", 10, 10),
        ("write", 2, 2),
    ]
    first = job.phases[0]
    assert first.ended is not None
    assert first.ended - first.began == timedelta(seconds=5)


def test_what_is_left_is_taken_back_however_many_retries_come_between() -> None:
    outside = Outside(undo_fails=[NotUndone(left="first is still there")])
    world = a_world(outside)
    outside.fails["second"] = TaskFailed(reason="refused")
    first = submit(world)
    world.run_next()
    world.run_next()
    second = world.service.retry(first, by="ann").job
    world.ask_to_cancel(second.id)  # it never began
    third = world.service.retry(second.id, by="ann").job
    seen: list[list[str]] = []
    outside.between = lambda context: seen.append(list(outside.things))
    world.run_next()
    assert seen == [["first"]], "made anew: the old one had been taken back"
    assert world.job(third.id).state is JobState.SUCCEEDED


def test_a_predecessors_leftovers_are_taken_back_first() -> None:
    outside = Outside(undo_fails=[NotUndone(left="first is still there")])
    world = a_world(outside)
    outside.fails["second"] = TaskFailed(reason="refused")
    job_id = submit(world)
    world.run_next()
    world.run_next()
    assert world.job(job_id).left
    again = world.service.retry(job_id, by="ann").job
    assert again.request.retry_of == job_id
    seen: list[list[str]] = []
    outside.between = lambda context: seen.append(list(outside.things))
    world.run_next()
    assert seen == [["first"]]  # made anew: the old one had been taken back
    assert world.job(again.id).state is JobState.SUCCEEDED
    assert world.service.retry(job_id, by="ann").job.id == again.id
