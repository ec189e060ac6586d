"""Attempts, one at a time, on a manual clock: how each way of ending becomes one outcome."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tagapi.jobs.errors import JobCancelled, TaskFailed, Transient
from tagapi.jobs.model import Job, JobState, Json, Progress
from tagapi.jobs.outcome import LONGEST_RETRY, backoff
from tagapi.jobs.runner import RunnerLimits
from tagapi.jobs.task import TaskContext, running_job
from tests.unit.fakes import (
    RESULT,
    SECRET,
    Pause,
    Sink,
    SinkDown,
    World,
    elsewhere,
    next_attempt,
    raising,
)

LIMITS = RunnerLimits()


# -- ends -----------------------------------------------------------------------------------


def test_nothing_to_run() -> None:
    assert not World().run_next()


def test_a_job_without_a_commit_succeeds_with_what_its_task_returns() -> None:
    world = World(lambda context: {"sum": sum(context.arguments["numbers"])})
    job_id = world.submit(numbers=[1, 2])
    assert world.run_next()
    job = world.job(job_id)
    assert (job.state, job.result, job.error, job.attempt) == (JobState.SUCCEEDED, {"sum": 3}, None, 1)
    assert not world.run_next()


def test_a_job_with_a_commit_succeeds_with_its_effect() -> None:
    sink = Sink()
    world = World(sink.work, sink.find)
    job_id = world.submit()
    world.run_next()
    assert (world.job(job_id).state, world.job(job_id).result) == (JobState.SUCCEEDED, RESULT)
    assert sink.taken == [f"{job_id}-1"]
    assert world.task.asked == 0


def test_the_task_sees_its_job() -> None:
    seen: dict[str, object] = {}

    def work(context: TaskContext) -> Json:
        seen.update(id=context.job_id, name=context.attempt_name, at=context.submitted_at, logged=running_job.get())
        return {}

    world = World(work)
    submitted = world.clock.now()
    job_id = world.submit()
    world.clock.advance(3)
    world.run_next()
    assert seen == {"id": job_id, "name": f"{job_id}-1", "at": submitted, "logged": job_id}


def test_what_is_logged_after_an_attempt_is_not_its_job_s() -> None:
    world = World()
    world.submit()
    world.run_next()
    assert running_job.get() is None


def test_jobs_run_in_the_order_of_acceptance() -> None:
    order: list[int] = []
    world = World(lambda context: order.append(context.arguments["n"]) or {})
    for n in range(5):
        world.submit(n=n)
    while world.run_next():
        pass
    assert order == [0, 1, 2, 3, 4]


def test_a_task_that_gives_up_fails_with_its_reason() -> None:
    world = World(raising(TaskFailed(reason="tag 9 has no rule")))
    job_id = world.submit()
    world.run_next()
    job = world.job(job_id)
    assert (job.state, job.error, job.result) == (JobState.FAILED, "tag 9 has no rule", None)


@pytest.mark.parametrize("error", [ValueError(SECRET), SinkDown(SECRET), KeyboardInterrupt(SECRET)])
def test_an_unforeseen_error_tells_its_kind_and_no_user_data(error: BaseException) -> None:
    world = World(raising(error))
    job_id = world.submit()
    assert world.run_next()
    job = world.job(job_id)
    assert (job.state, job.error) == (JobState.FAILED, f"internal error: {type(error).__name__}")


def test_a_task_that_says_it_was_cancelled_is_believed() -> None:
    world = World(raising(JobCancelled()))
    job_id = world.submit()
    assert world.run_next()
    assert world.job(job_id).state is JobState.CANCELLED


def test_a_task_that_nobody_knows_fails() -> None:
    world = World()
    job_id = world.service.submit("fake.other", {}, owner="ann").job.id
    world.run_next()
    assert world.job(job_id).error == "this service knows no task fake.other"


def test_nothing_is_claimed_before_the_tasks_are_ready() -> None:
    world = World()
    job_id = world.submit()
    world.task.open = False
    assert not world.run_next()
    assert (world.job(job_id).state, world.job(job_id).epoch) == (JobState.QUEUED, 0)
    world.task.open = True
    assert world.run_next()


def test_progress_is_seen_while_the_task_runs() -> None:
    seen: list[Progress] = []

    def work(context: TaskContext) -> Json:
        for done in (1, 3, 2):  # the highest counts
            world.clock.advance(1)
            context.progress(done, 4)
            seen.append(world.job(job_id).progress)
        return {}

    world = World(work)
    job_id = world.submit()
    world.run_next()
    assert [news.done for news in seen] == [1, 3, 3]
    assert world.job(job_id).progress == Progress(done=4, total=4)


def test_progress_is_stored_four_times_a_second_at_most_and_the_last_of_it_always() -> None:
    def work(context: TaskContext) -> Json:
        version = world.job(job_id).version
        for done in range(100):
            context.progress(done, 100)
            world.clock.advance(0.01)
        writes.append(world.job(job_id).version - version)
        world.clock.advance(1)
        world.runner.heartbeat()
        seen.append(world.job(job_id).progress)
        return {}

    writes: list[int] = []
    seen: list[Progress] = []
    world = World(work)
    job_id = world.submit()
    world.run_next()
    assert (writes, seen) == ([4], [Progress(done=99, total=100)])


def test_progress_does_not_go_back_when_two_threads_of_a_task_report() -> None:
    """The write of 1 is held up on its way, and the write of 2 overtakes it."""
    held = Pause()

    def hold_the_first(_: Job, after: Job) -> None:
        if after.progress.done == 1:
            world.registry.before_write = lambda before, after: None
            held()

    def work(context: TaskContext) -> Json:
        with elsewhere(lambda: context.progress(1, 3)):
            held.reached()
            world.clock.advance(1)
            context.progress(2, 3)
            held.go_on()
        seen.append(world.job(job_id).progress)
        return {}

    seen: list[Progress] = []
    world = World(work)
    world.registry.before_write = hold_the_first
    job_id = world.submit()
    world.run_next()
    assert seen == [Progress(done=2, total=3)]


# -- retries --------------------------------------------------------------------------------


def test_something_transient_is_tried_again_after_a_while() -> None:
    world = World(raising(Transient(reason="Spark was away"), None))
    job_id = world.submit()
    world.run_next()
    job = world.job(job_id)
    assert (job.state, job.error, job.attempt) == (JobState.WAITING, "Spark was away", 1)
    assert not world.run_next()  # the clock has not moved
    next_attempt(world)
    job = world.job(job_id)
    assert (job.state, job.result, job.attempt) == (JobState.SUCCEEDED, RESULT, 2)


def test_a_job_that_succeeds_after_a_retry_tells_no_error() -> None:
    world = World(raising(Transient(reason="Spark was away"), None))
    job_id = world.submit()
    world.run_next()
    next_attempt(world)
    assert world.job(job_id).error is None


def test_it_is_given_up_after_the_last_attempt() -> None:
    world = World(raising(Transient(reason="Spark was away")))
    job_id = world.submit()
    world.run_next()
    delays = []
    for _ in range(world.task.max_attempts - 1):
        job = world.job(job_id)
        assert job.state is JobState.WAITING
        assert job.not_before is not None
        delays.append((job.not_before - world.clock.now()).total_seconds())
        next_attempt(world)
    job = world.job(job_id)
    assert (job.state, job.error, job.attempt) == (JobState.FAILED, "Spark was away", 4)
    assert all(longer > shorter for shorter, longer in pairwise(delays))


def test_delays_double_with_jitter_up_to_a_limit() -> None:
    for attempt, seconds in ((1, 0.25), (2, 0.5), (3, 1.0), (30, LONGEST_RETRY)):
        assert seconds <= backoff(attempt) <= 1.25 * seconds


def test_a_sink_may_be_away_for_a_night() -> None:
    """A commit that nobody can find out about is tried without an end: every 30 s, 2880 times a day."""
    assert backoff(3000) <= 1.25 * LONGEST_RETRY
