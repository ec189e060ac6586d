"""Cancels: where they reach an attempt, and what happens when one meets the point of no return."""

from __future__ import annotations

import pytest

from tagapi.jobs.errors import AlreadyFinished, JobNotFound, Transient
from tagapi.jobs.model import Job, JobState, Json
from tagapi.jobs.runner import RunnerLimits
from tagapi.jobs.task import TaskContext
from tests.unit.fakes import (
    RESULT,
    Pause,
    Sink,
    SinkDown,
    World,
    elsewhere,
    interruptible,
)

LIMITS = RunnerLimits()


# -- cancel ---------------------------------------------------------------------------------


def test_a_cancel_before_the_attempt_leaves_nothing_to_run() -> None:
    world = World()
    job_id = world.submit()
    assert world.service.cancel(job_id).state is JobState.CANCELLED
    assert not world.run_next()


def test_a_cancel_interrupts_the_running_task() -> None:
    pause = Pause()
    world = World(interruptible(pause))
    job_id = world.submit()
    with elsewhere(world.run_next):
        pause.reached()
        assert world.service.cancel(job_id).state is JobState.CANCELLED
    job = world.job(job_id)
    assert (job.result, job.error, job.cancel_requested) == (None, None, True)
    with pytest.raises(AlreadyFinished):
        world.service.cancel(job_id)


def test_a_cancel_of_another_namespace_s_job_finds_nothing() -> None:
    world = World()
    job_id = world.submit()
    with pytest.raises(JobNotFound):
        world.service.cancel(job_id, namespace="other")
    assert world.job(job_id).state is JobState.QUEUED


def test_after_a_cancel_any_error_is_the_cancel_s() -> None:
    pause = Pause()

    def work(context: TaskContext) -> Json:
        context.on_cancel(pause.go_on)
        pause()
        raise SinkDown("operation interrupted")

    world = World(work)
    job_id = world.submit()
    with elsewhere(world.run_next):
        pause.reached()
        world.service.cancel(job_id)
    assert (world.job(job_id).state, world.job(job_id).error) == (JobState.CANCELLED, None)


def test_a_task_that_overlooks_the_cancel_is_cancelled_all_the_same() -> None:
    world = World(lambda context: world.ask_to_cancel(job_id) or RESULT)
    job_id = world.submit()
    world.run_next()
    assert (world.job(job_id).state, world.job(job_id).result) == (JobState.CANCELLED, None)


def test_a_retry_of_a_job_that_should_stop_is_none() -> None:
    def work(context: TaskContext) -> Json:
        world.ask_to_cancel(context.job_id)
        raise Transient(reason="Spark was away")

    world = World(work)
    job_id = world.submit()
    world.run_next()
    assert world.job(job_id).state is JobState.CANCELLED


def test_stop_is_called_again_until_the_attempt_has_left() -> None:
    """The first interrupt may come before the operation that it should stop."""
    pause, calls = Pause(), []

    def stop() -> None:
        calls.append(1)
        if len(calls) == 3:
            pause.go_on()

    def work(context: TaskContext) -> Json:
        context.on_cancel(stop)
        pause()
        context.check()
        return {}

    world = World(work)
    job_id = world.submit()
    with elsewhere(world.run_next):
        pause.reached()
        world.service.cancel(job_id)
    assert world.job(job_id).state is JobState.CANCELLED


def test_a_stop_that_raises_is_called_again_and_keeps_no_other_from_being_called() -> None:
    first, second, calls = Pause(), Pause(), []

    def stop() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise SinkDown("no such operation yet")
        first.go_on()

    def work(context: TaskContext) -> Json:
        context.on_cancel(stop)
        context.on_cancel(second.go_on)
        first()
        second()
        context.check()
        return {}

    world = World(work)
    job_id = world.submit()
    with elsewhere(world.run_next):
        first.reached()
        world.runner.cancel(job_id)
    assert world.job(job_id).state is JobState.CANCELLED


def test_a_stop_that_is_registered_late_is_called_too() -> None:
    pause, late = Pause(), Pause()

    def work(context: TaskContext) -> Json:
        context.on_cancel(pause.go_on)
        pause()
        context.on_cancel(late.go_on)
        late()
        context.check()
        return {}

    world = World(work)
    job_id = world.submit()
    with elsewhere(world.run_next):
        pause.reached()
        world.service.cancel(job_id)
    assert world.job(job_id).state is JobState.CANCELLED


# -- cancel against begin_commit ------------------------------------------------------------


def test_a_cancel_in_this_process_before_the_point_of_no_return_wins() -> None:
    pause, sink = Pause(), Sink()

    def work(context: TaskContext) -> Json:
        context.on_cancel(pause.go_on)
        pause()
        return sink.work(context)

    world = World(work, sink.find)
    job_id = world.submit()
    with elsewhere(world.run_next):
        pause.reached()
        assert world.service.cancel(job_id).state is JobState.CANCELLED
    assert sink.taken == []


def test_a_cancel_in_another_process_before_the_point_of_no_return_wins() -> None:
    sink = Sink()
    world = World(lambda context: world.ask_to_cancel(job_id) or sink.work(context), sink.find)
    job_id = world.submit()
    world.run_next()
    assert world.job(job_id).state is JobState.CANCELLED
    assert sink.taken == []


def test_after_the_point_of_no_return_the_job_wins() -> None:
    pause, sink = Pause(), Sink()

    def work(context: TaskContext) -> Json:
        context.on_cancel(pause.go_on)
        context.begin_commit(RESULT)
        pause()
        context.check()  # tells nothing any more
        sink.commit(context)
        return RESULT

    world = World(work, sink.find)
    job_id = world.submit()
    with elsewhere(world.run_next):
        pause.reached()
        with pytest.raises(AlreadyFinished) as refused:
            world.service.cancel(job_id)
        assert refused.value.state == "committing"
        world.runner.cancel(job_id)
        pause.go_on()
    assert (world.job(job_id).state, sink.taken) == (JobState.SUCCEEDED, [f"{job_id}-1"])


def test_a_cancel_that_slips_in_while_begin_commit_is_written_wins() -> None:
    sink = Sink()

    def slip_in(_: Job, after: Job) -> None:
        if after.state is JobState.COMMITTING:
            world.registry.before_write = lambda before, after: None
            world.ask_to_cancel(job_id)

    world = World(sink.work, sink.find)
    world.registry.before_write = slip_in
    job_id = world.submit()
    world.run_next()
    assert (world.job(job_id).state, world.job(job_id).result, sink.taken) == (JobState.CANCELLED, None, [])
    assert world.task.asked == 0


def test_a_begin_commit_that_slips_in_while_a_cancel_is_written_wins() -> None:
    cancelling, committed, sink = Pause(), Pause(), Sink()

    def slip_in(_: Job, after: Job) -> None:
        if after.cancel_requested:
            world.registry.before_write = lambda before, after: None
            cancelling.go_on()
            committed.reached()

    def work(context: TaskContext) -> Json:
        cancelling()
        context.begin_commit(RESULT)
        committed()
        sink.commit(context)
        return RESULT

    world = World(work, sink.find)
    world.registry.before_write = slip_in
    job_id = world.submit()
    with elsewhere(world.run_next):
        cancelling.reached()
        with pytest.raises(AlreadyFinished):
            world.service.cancel(job_id)
        committed.go_on()
    assert (world.job(job_id).state, sink.taken) == (JobState.SUCCEEDED, [f"{job_id}-1"])
