"""Attempts that are kept alive or told to stop: past their limit, fenced off, or in a process that leaves."""

from __future__ import annotations

from functools import partial

import pytest

from tagapi.jobs import changes
from tagapi.jobs.errors import JobCancelled, TaskFailed, Transient
from tagapi.jobs.model import Job, JobState, Json
from tagapi.jobs.runner import RunnerLimits
from tagapi.jobs.task import TaskContext
from tests.unit.fakes import (
    LEASE,
    PATIENCE,
    RESULT,
    SECRET,
    Pause,
    Sink,
    World,
    elsewhere,
    interruptible,
    raising,
)

LIMITS = RunnerLimits()


# -- the heartbeat --------------------------------------------------------------------------


def test_the_heartbeat_keeps_the_lease() -> None:
    pause = Pause()
    world = World(interruptible(pause))
    job_id = world.submit()
    with elsewhere(world.run_next):
        pause.reached()
        taken = world.clock.now() + LEASE
        world.clock.advance(LIMITS.renew_every - 1)
        world.runner.heartbeat()
        assert world.job(job_id).lease_until == taken  # not yet
        world.clock.advance(1)
        world.runner.heartbeat()
        assert world.job(job_id).lease_until == world.clock.now() + LEASE
        pause.go_on()
    assert world.job(job_id).state is JobState.SUCCEEDED


def test_the_heartbeat_keeps_the_lease_of_a_long_commit() -> None:
    pause = Pause()
    world = World(lambda context: context.begin_commit(RESULT) or pause() or RESULT)
    job_id = world.submit()
    with elsewhere(world.run_next):
        pause.reached()
        for _ in range(20):
            world.clock.advance(LIMITS.renew_every)
            world.runner.heartbeat()
        assert world.change(job_id, partial(changes.recover, max_recoveries=3)).state is JobState.COMMITTING
        pause.go_on()
    assert world.job(job_id).state is JobState.SUCCEEDED


def test_the_heartbeat_sees_a_cancel_asked_elsewhere() -> None:
    pause = Pause()
    world = World(interruptible(pause))
    job_id = world.submit()
    with elsewhere(world.run_next):
        pause.reached()
        world.ask_to_cancel(job_id)
        world.runner.heartbeat()
    assert world.job(job_id).state is JobState.CANCELLED


def test_the_heartbeat_ends_an_attempt_past_its_limit() -> None:
    pause = Pause()
    world = World(interruptible(pause), limits=RunnerLimits(timeout=60))
    job_id = world.submit()
    with elsewhere(world.run_next) as attempt:
        pause.reached()
        world.clock.advance(60)
        world.runner.heartbeat()
        assert not attempt.done()  # at its limit, not past it
        world.clock.advance(1)
        world.runner.heartbeat()
    job = world.job(job_id)
    assert (job.state, job.attempt) == (JobState.FAILED, 1)
    assert job.error == "The attempt took longer than its limit of 60 s and was stopped."


def test_an_interrupted_attempt_keeps_its_lease_until_it_has_left() -> None:
    pause = Pause()
    world = World(lambda context: pause() or context.check() or {})
    job_id = world.submit()
    with elsewhere(world.run_next):
        pause.reached()
        world.ask_to_cancel(job_id)
        for _ in range(10):
            world.clock.advance(LIMITS.renew_every)
            world.runner.heartbeat()
        assert world.change(job_id, partial(changes.recover, max_recoveries=3)).state is JobState.RUNNING
        pause.go_on()
    assert world.job(job_id).state is JobState.CANCELLED


def test_the_first_reason_counts() -> None:
    """Told to stop for its time limit, then cancelled: it failed, for its time limit."""
    pause = Pause()
    world = World(lambda context: pause() or context.check() or {}, limits=RunnerLimits(timeout=60))
    job_id = world.submit()
    with elsewhere(world.run_next):
        pause.reached()
        world.clock.advance(61)
        world.runner.heartbeat()
        world.runner.cancel(job_id)
        pause.go_on()
    assert world.job(job_id).state is JobState.FAILED


# -- fenced attempts ------------------------------------------------------------------------


FENCED_ENDS = {
    "returns": lambda context: RESULT,
    "commits": lambda context: context.begin_commit(RESULT) or RESULT,
    "reports": lambda context: context.progress(1, 2) or RESULT,
    "fails": raising(TaskFailed(reason="no")),
    "breaks": raising(ValueError(SECRET)),
    "is_transient": raising(Transient(reason="away")),
    "says_cancelled": raising(JobCancelled()),
}


@pytest.mark.parametrize("end", FENCED_ENDS)
def test_a_fenced_attempt_writes_nothing(end: str) -> None:
    recovered: list[Job] = []

    def work(context: TaskContext) -> Json:
        recovered.append(world.recover(job_id))
        return FENCED_ENDS[end](context)

    world = World(work)
    job_id = world.submit()
    assert world.run_next()
    assert world.job(job_id) == recovered[0]
    assert world.job(job_id).state is JobState.WAITING
    assert world.runner.running() == 0


def test_a_fenced_attempt_never_reaches_its_effect() -> None:
    sink = Sink()
    world = World(lambda context: world.recover(job_id) and sink.work(context), sink.find)
    job_id = world.submit()
    world.run_next()
    assert sink.taken == []
    assert world.task.asked == 0


def test_an_attempt_fenced_in_its_commit_leaves_the_sink_alone() -> None:
    """To ask is to shut the door, and behind it stands the attempt that has taken over."""

    def work(context: TaskContext) -> Json:
        context.begin_commit(RESULT)
        world.recover(job_id)
        raise Transient(reason="the table changed")

    world = World(work)
    job_id = world.submit()
    world.run_next()
    assert (world.job(job_id).state, world.job(job_id).commit_unsettled) == (JobState.WAITING, True)
    assert world.task.asked == 0


@pytest.mark.parametrize("renewing", [True, False])
def test_the_heartbeat_stops_a_fenced_attempt(renewing: bool) -> None:
    pause = Pause()
    limits = RunnerLimits() if renewing else RunnerLimits(renew_every=1000)
    world = World(interruptible(pause), limits=limits)
    job_id = world.submit()
    with elsewhere(world.run_next):
        pause.reached()
        recovered = world.recover(job_id)
        world.runner.heartbeat()
    assert world.job(job_id) == recovered


def test_a_fenced_attempt_is_stopped_although_the_next_one_runs_in_the_same_process() -> None:
    old, new = Pause(), Pause()
    pauses = [old, new]
    world = World(lambda context: interruptible(pauses.pop(0))(context))
    job_id = world.submit()
    with elsewhere(world.run_next) as first:
        old.reached()
        world.recover(job_id)
        with elsewhere(world.run_next):
            new.reached()
            assert world.runner.running() == 2
            world.runner.heartbeat()
            assert first.result(PATIENCE)
            new.go_on()
    job = world.job(job_id)
    assert (job.state, job.attempt, job.recoveries) == (JobState.SUCCEEDED, 2, 1)


def test_a_fenced_attempt_that_ends_late_does_not_hide_the_next_one() -> None:
    old, new = Pause(), Pause()
    pauses = [old, new]
    world = World(lambda context: interruptible(pauses.pop(0))(context))
    job_id = world.submit()
    with elsewhere(world.run_next) as first:
        old.reached()
        world.recover(job_id)
        with elsewhere(world.run_next):
            new.reached()
            old.go_on()
            first.result(PATIENCE)
            assert world.runner.running() == 1
            assert world.service.cancel(job_id).state is JobState.CANCELLED


# -- leaving --------------------------------------------------------------------------------


def test_release_all_sends_running_jobs_back_uncounted() -> None:
    pause = Pause()
    world = World(interruptible(pause))
    job_id = world.submit()
    with elsewhere(world.run_next):
        pause.reached()
        world.runner.release_all()
    job = world.job(job_id)
    assert (job.state, job.attempt, job.not_before) == (JobState.WAITING, 0, world.clock.now())
    assert not world.run_next()
    claimed = world.registry.claim("elsewhere", LEASE)
    assert claimed is not None
    assert (claimed.id, claimed.attempt) == (job_id, 1)


def test_release_all_lets_a_commit_finish() -> None:
    pause, sink = Pause(), Sink()

    def work(context: TaskContext) -> Json:
        context.begin_commit(RESULT)
        pause()
        sink.commit(context)
        return RESULT

    world = World(work, sink.find)
    job_id = world.submit()
    with elsewhere(world.run_next):
        pause.reached()
        world.runner.release_all()
        pause.go_on()
    assert world.job(job_id).state is JobState.SUCCEEDED


def test_a_job_that_should_stop_is_cancelled_where_its_process_leaves() -> None:
    pause = Pause()
    world = World(interruptible(pause))
    job_id = world.submit()
    with elsewhere(world.run_next):
        pause.reached()
        world.ask_to_cancel(job_id)
        world.runner.release_all()
    assert world.job(job_id).state is JobState.CANCELLED


def test_a_process_that_leaves_begins_nothing_new_and_lets_the_rest_finish() -> None:
    pause = Pause()
    world = World(interruptible(pause))
    running, waiting = world.submit(), world.submit()
    with elsewhere(world.run_next):
        pause.reached()
        world.runner.refuse_new()
        assert not world.run_next()
        pause.go_on()
    assert (world.job(running).state, world.job(waiting).state) == (JobState.SUCCEEDED, JobState.QUEUED)


def test_a_job_claimed_while_the_process_begins_to_leave_goes_back() -> None:
    world = World(lambda context: context.check() or RESULT)
    world.registry.before_write = lambda before, after: world.runner.release_all()
    job_id = world.submit()
    assert world.run_next()
    assert (world.job(job_id).state, world.job(job_id).attempt) == (JobState.WAITING, 0)
    assert world.task.ran == 0
