"""Work whose effect grows step by step: cancelled and failed jobs say exactly what is there, and are gone on with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pytest

from tagapi.jobs import changes, steps
from tagapi.jobs.errors import Contended, TaskFailed, Transient
from tagapi.jobs.model import Job, JobState, Json
from tagapi.jobs.task import Task, TaskContext
from tests.unit.fakes import LEASE, World, next_attempt

NAME = "growing.work"
STEPS = 5


@dataclass
class Sink:
    """Takes rows step by step; each of a line of jobs once, and none behind a fence."""

    rows: list[int] = field(default_factory=list)
    fences: int = 0
    before: Callable[[int, TaskContext], None] = lambda step, context: None
    """Called before a step is taken."""
    after: Callable[[int, TaskContext], None] = lambda step, context: None
    """Called once it is taken, and before the job knows."""
    away: list[BaseException] = field(default_factory=list)


class Growing(Task):
    name = NAME

    def __init__(self, sink: Sink) -> None:
        self.sink = sink

    def run(self, context: TaskContext) -> Json:
        fences, behind = self.sink.fences, (context.kept_before or {"rows": 0})["rows"]
        context.grow(self._kept())
        for row in range(max(behind, len(self.sink.rows)), STEPS):
            context.check()
            self.sink.before(row, context)
            if fences != self.sink.fences:
                raise Contended(reason="a fence")
            self.sink.rows.append(row)
            self.sink.after(row, context)
            context.grow(self._kept())
        return self._kept()

    def stop_growing(self, context: TaskContext) -> Json:
        if self.sink.away:
            raise self.sink.away.pop(0)
        self.sink.fences += 1
        return self._kept()

    def _kept(self) -> Json:
        return {"rows": len(self.sink.rows)}


def a_world(sink: Sink) -> World:
    return World(other_tasks={NAME: Growing(sink)})


def submit(world: World) -> str:
    return world.service.submit(NAME, {}, owner="ann").job.id


def at_step(step: int, error: BaseException) -> Callable[[int, TaskContext], None]:
    """Raise this once, at this step."""
    left = [error]

    def raising(row: int, context: TaskContext) -> None:
        if row == step and left:
            raise left.pop()

    return raising


def test_what_grew_to_its_end_stays() -> None:
    world = a_world(sink := Sink())
    job_id = submit(world)
    world.run_next()
    job = world.job(job_id)
    assert (job.state, job.result, job.kept) == (JobState.SUCCEEDED, {"rows": 5}, {"rows": 5})
    assert (sink.rows, sink.fences) == ([0, 1, 2, 3, 4], 0)
    assert not world.run_next()


@pytest.mark.parametrize("error", [TaskFailed(reason="no"), RuntimeError("a bug")])
def test_a_failure_says_exactly_what_is_there(error: Exception) -> None:
    """The step was taken, and the job did not get to know: only the sink could say."""
    world = a_world(sink := Sink(after=at_step(2, error)))
    job_id = submit(world)
    world.run_next()
    between = world.job(job_id)
    assert (between.state, between.kept) == (JobState.WAITING, {"rows": 2})
    assert between.ending is not None
    world.run_next()
    job = world.job(job_id)
    assert (job.state, job.kept, job.left, job.result) == (JobState.FAILED, {"rows": 3}, None, None)
    assert (len(sink.rows), sink.fences) == (3, 1)


def test_a_cancel_says_exactly_what_is_there() -> None:
    world = a_world(sink := Sink())
    job_id = submit(world)
    sink.before = lambda row, context: world.ask_to_cancel(job_id) or world.runner.heartbeat() if row == 3 else None
    world.run_next()
    world.run_next()
    job = world.job(job_id)
    assert (job.state, job.kept, job.error) == (JobState.CANCELLED, {"rows": 4}, None)


def test_what_is_cancelled_ends_before_others_begin() -> None:
    """They wait for longer: what is left to do of it is short, and whoever cancels waits for that."""
    world = a_world(sink := Sink())
    job_id = submit(world)
    sink.before = lambda row, context: world.ask_to_cancel(job_id) or world.runner.heartbeat() if row == 3 else None
    others = [submit(world) for _ in range(2)]
    world.clock.advance(1)
    world.run_next()
    world.run_next()
    assert world.job(job_id).state is JobState.CANCELLED
    assert [world.job(other).state for other in others] == [JobState.QUEUED] * 2


def test_a_cancel_before_the_first_step_needs_no_look() -> None:
    world = a_world(sink := Sink())
    job_id = submit(world)
    world.ask_to_cancel(job_id)
    job = world.job(job_id)
    assert (job.state, job.kept, sink.fences) == (JobState.CANCELLED, None, 0)


def claim_elsewhere(world: World) -> Job:
    claimed = world.registry.claim("elsewhere", LEASE)
    assert claimed is not None
    return claimed


def test_a_process_that_is_lost_is_gone_on_behind() -> None:
    world = a_world(sink := Sink())
    job_id = submit(world)
    claimed = claim_elsewhere(world)
    sink.rows += [0, 1, 2]  # what the other process did, of which it told but two
    world.change(job_id, partial(changes.grow, epoch=claimed.epoch, kept={"rows": 2}))
    world.recover(job_id)
    next_attempt(world)
    job = world.job(job_id)
    assert (job.state, job.kept, sink.rows) == (JobState.SUCCEEDED, {"rows": 5}, [0, 1, 2, 3, 4])


def test_a_cancel_of_a_process_that_is_lost_waits_for_the_sink() -> None:
    world = a_world(sink := Sink())
    job_id = submit(world)
    claimed = claim_elsewhere(world)
    world.change(job_id, partial(changes.grow, epoch=claimed.epoch, kept={"rows": 0}))
    sink.rows += [0, 1]
    world.ask_to_cancel(job_id)
    world.recover(job_id)
    assert world.job(job_id).state is JobState.WAITING
    sink.away = [Transient(reason="away"), RuntimeError("a bug")]
    for _ in range(3):
        next_attempt(world)
    job = world.job(job_id)
    assert (job.state, job.kept, sink.fences) == (JobState.CANCELLED, {"rows": 2}, 1)


def test_a_sink_that_never_answers_is_a_failure_that_says_so() -> None:
    sink = Sink(after=at_step(2, TaskFailed(reason="no")), away=[Transient(reason="away")] * steps.UNDOS_AT_MOST)
    world = a_world(sink)
    job_id = submit(world)
    for _ in range(steps.UNDOS_AT_MOST + 1):
        next_attempt(world)
    job = world.job(job_id)
    assert (job.state, job.kept) == (JobState.FAILED, {"rows": 2})
    assert job.left is not None and "away" in job.left and '"rows": 2' in job.left


def test_a_retry_goes_on_behind_what_was_kept() -> None:
    """Also where the one in between had not begun."""
    world = a_world(sink := Sink(after=at_step(2, TaskFailed(reason="no"))))
    first = submit(world)
    world.run_next()
    world.run_next()
    second = world.service.retry(first, by="ann").job
    assert second.request.kept_before == {"rows": 3}
    world.ask_to_cancel(second.id)
    third = world.service.retry(second.id, by="ann").job
    assert third.request.kept_before == {"rows": 3}
    world.run_next()
    assert world.job(third.id).state is JobState.SUCCEEDED
    assert sink.rows == list(range(STEPS))
    again = world.service.retry(third.id, by="ann", force=True).job
    assert again.request.kept_before is None


def test_an_attempt_that_was_fenced_takes_no_step_more() -> None:
    """It stood still for longer than its lease, and somebody else ended the job."""
    world = a_world(sink := Sink())
    job_id = submit(world)

    def stand_still(row: int, context: TaskContext) -> None:
        if row == 2:
            world.ask_to_cancel(job_id)
            world.recover(job_id)
            other = claim_elsewhere(world)
            assert other.ending is not None
            sink.fences += 1
            world.change(job_id, partial(changes.undone, epoch=other.epoch, kept={"rows": len(sink.rows)}))

    sink.before = stand_still
    world.run_next()
    job = world.job(job_id)
    assert (job.state, job.kept, sink.rows) == (JobState.CANCELLED, {"rows": 2}, [0, 1])
