"""Commits whose end is in doubt: nothing is said of them before their sink was asked."""

from __future__ import annotations

from functools import partial

import pytest

from tagapi.jobs import changes
from tagapi.jobs.changes import Verdict
from tagapi.jobs.errors import JobCancelled, StaleAttempt, TaskFailed, Transient
from tagapi.jobs.model import Job, JobState, Json
from tagapi.jobs.runner import RunnerLimits
from tagapi.jobs.steps import DOUBTS_AT_MOST
from tagapi.jobs.task import TaskContext
from tests.unit.fakes import (
    LEASE,
    RESULT,
    SECRET,
    Sink,
    SinkDown,
    World,
    next_attempt,
    raising,
)

LIMITS = RunnerLimits()


# -- an earlier attempt may have committed --------------------------------------------------


def test_found_the_job_finishes_with_the_stored_result() -> None:
    world = World(find=lambda job: True)
    job_id = world.lose_in_commit(RESULT)
    assert world.run_next()
    job = world.job(job_id)
    assert (job.state, job.result, job.recoveries) == (JobState.SUCCEEDED, RESULT, 1)
    assert (world.task.ran, world.task.asked) == (0, 1)


def test_not_found_the_work_runs_again() -> None:
    sink = Sink()
    world = World(sink.work, sink.find)
    job_id = world.lose_in_commit({"rows": 1})
    world.run_next()
    job = world.job(job_id)
    assert (job.state, job.result, job.commit_unsettled) == (JobState.SUCCEEDED, RESULT, False)
    assert sink.taken == [f"{job_id}-{job.epoch}"]


def test_not_found_a_failure_is_a_failure() -> None:
    world = World(raising(TaskFailed(reason="no rule")))
    job_id = world.lose_in_commit(RESULT)
    world.run_next()
    assert (world.job(job_id).state, world.job(job_id).error) == (JobState.FAILED, "no rule")


UNANSWERED = {
    "a driver's error": SinkDown(SECRET),
    "our own error": TaskFailed(reason="the table cannot be used"),
    "something transient": Transient(reason="the table is busy"),
}


@pytest.mark.parametrize("why", UNANSWERED)
def test_unanswered_the_next_attempt_asks_again(why: str) -> None:
    answers = raising(*[UNANSWERED[why]] * 6, None)
    world = World(find=lambda job: bool(answers(job)))
    job_id = world.lose_in_commit(RESULT)
    assert world.run_next()
    for _ in range(6):  # more often than a task has attempts
        job = world.job(job_id)
        assert (job.state, job.commit_unsettled, job.result) == (JobState.WAITING, True, RESULT)
        assert job.recoveries == 1
        assert SECRET not in (job.error or "")
        next_attempt(world)
    job = world.job(job_id)
    assert (job.state, job.result, world.task.ran) == (JobState.SUCCEEDED, RESULT, 0)


def parked(world: World) -> str:
    """A job about which every attempt asked in vain."""
    job_id = world.lose_in_commit(RESULT)
    while world.job(job_id).state is JobState.WAITING:
        next_attempt(world)
    return job_id


def test_a_question_that_is_never_answered_is_asked_so_often_and_no_more() -> None:
    world = World(find=raising(TaskFailed(reason="the tables have other columns")))
    job_id = parked(world)
    job = world.job(job_id)
    assert (job.state, job.error) == (JobState.PARKED, "the tables have other columns")
    assert world.task.asked == DOUBTS_AT_MOST - 1  # the loss was the first doubt
    world.clock.advance(7 * 24 * 3600)
    assert not world.run_next()


def test_a_parked_job_that_an_admin_has_asked_about_again_ends_as_it_should() -> None:
    answers = raising(*[SinkDown(SECRET)] * (DOUBTS_AT_MOST - 1), None)
    world = World(find=lambda job: bool(answers(job)))
    job_id = parked(world)
    assert world.service.settle(job_id, Verdict.RETRY, by="root").state is JobState.WAITING
    assert world.run_next()
    assert (world.job(job_id).state, world.job(job_id).result) == (JobState.SUCCEEDED, RESULT)


ANSWERS = pytest.mark.parametrize(("found", "state"), [(True, JobState.SUCCEEDED), (False, JobState.CANCELLED)])


@ANSWERS
def test_a_cancelled_unsettled_job_is_asked_about_first(found: bool, state: JobState) -> None:
    world = World(find=lambda job: found)
    job_id = world.lose_in_commit(RESULT)
    world.ask_to_cancel(job_id)
    world.run_next()
    assert (world.job(job_id).state, world.task.ran) == (state, 0)


@ANSWERS
def test_a_cancel_during_the_question_waits_for_the_answer(found: bool, state: JobState) -> None:
    def find(job: Job) -> bool:
        world.ask_to_cancel(job.id)
        world.runner.cancel(job.id)
        return found

    world = World(find=find)
    job_id = world.lose_in_commit(RESULT)
    world.run_next()
    assert (world.job(job_id).state, world.task.ran) == (state, 0)


@pytest.mark.parametrize("why", ["cancel", "timeout", "release"])
def test_an_interrupted_question_leaves_the_job_unsettled(why: str) -> None:
    def find(job: Job) -> bool:
        if why == "cancel":
            world.ask_to_cancel(job.id)
            world.runner.cancel(job.id)
        elif why == "release":
            world.runner.release_all()
        else:
            world.clock.advance(LIMITS.timeout + 1)
            world.runner.heartbeat()
        raise SinkDown("interrupted")

    world = World(find=find)
    job_id = world.lose_in_commit(RESULT)
    assert world.run_next()
    job = world.job(job_id)
    assert (job.state, job.commit_unsettled, job.result) == (JobState.WAITING, True, RESULT)


def test_an_unsettled_job_of_a_task_that_is_not_known_here_stays_unsettled() -> None:
    """As during a deployment: a process of the older version claims what it does not know."""
    world = World()
    job_id = world.service.submit("fake.newer", {}, owner="ann").job.id
    claimed = world.registry.claim("elsewhere", LEASE)
    assert claimed is not None
    world.change(job_id, partial(changes.begin_commit, epoch=claimed.epoch, result=RESULT))
    world.recover(job_id)
    assert world.run_next()
    assert (world.job(job_id).state, world.job(job_id).commit_unsettled) == (JobState.WAITING, True)


@pytest.mark.parametrize(("found", "state"), [(True, JobState.SUCCEEDED), (False, JobState.FAILED)])
def test_a_job_lost_too_often_is_asked_about_and_not_run_again(found: bool, state: JobState) -> None:
    world = World(find=lambda job: found, limits=RunnerLimits(max_recoveries=0))
    job_id = world.lose_in_commit(RESULT)
    world.run_next()
    job = world.job(job_id)
    assert (job.state, world.task.ran) == (state, 0)
    assert job.error == (None if found else "the process that ran it was lost 1 times")


# -- a commit that raises -------------------------------------------------------------------


@pytest.mark.parametrize("error", [Transient(reason="no answer"), SinkDown(SECRET), JobCancelled()])
def test_a_commit_that_raised_and_happened_is_a_success(error: BaseException) -> None:
    sink = Sink(fails_after=error)
    world = World(sink.work, sink.find)
    job_id = world.submit()
    world.run_next()
    job = world.job(job_id)
    assert (job.state, job.result, job.error) == (JobState.SUCCEEDED, RESULT, None)
    assert (world.task.ran, world.task.asked) == (1, 1)


def test_a_commit_that_raised_and_did_not_happen_is_a_failure() -> None:
    sink = Sink(fails_before=SinkDown(SECRET))
    world = World(sink.work, sink.find)
    job_id = world.submit()
    world.run_next()
    job = world.job(job_id)
    assert (job.state, job.error, job.result) == (JobState.FAILED, "internal error: SinkDown", None)


def test_a_commit_that_was_refused_for_the_moment_is_tried_again_once_it_is_known_not_to_be_there() -> None:
    sink = Sink(fails_before=Transient(reason="the table changed"))
    world = World(sink.work, sink.find)
    job_id = world.submit()
    world.run_next()
    job = world.job(job_id)
    assert (job.state, job.error) == (JobState.WAITING, "the table changed")
    sink.fails_before = None
    next_attempt(world)
    job = world.job(job_id)
    assert (job.state, job.attempt, sink.taken) == (JobState.SUCCEEDED, 2, [f"{job_id}-{job.epoch}"])


def test_a_commit_that_is_refused_every_time_fails_in_the_end() -> None:
    sink = Sink(fails_before=Transient(reason="the table changed"))
    world = World(sink.work, sink.find)
    job_id = world.submit()
    world.run_next()
    for _ in range(world.task.max_attempts - 1):
        next_attempt(world)
    assert (world.job(job_id).state, world.job(job_id).error) == (JobState.FAILED, "the table changed")


def test_a_commit_that_raised_and_that_nobody_knows_of_is_asked_about_again() -> None:
    sink = Sink(fails_after=SinkDown("the reply was lost"))
    answers = raising(SinkDown(SECRET), None)
    world = World(sink.work, lambda job: bool(answers(job)))
    job_id = world.submit()
    world.run_next()
    job = world.job(job_id)
    assert (job.state, job.commit_unsettled, job.result) == (JobState.WAITING, True, RESULT)
    next_attempt(world)
    job = world.job(job_id)
    assert (job.state, job.result) == (JobState.SUCCEEDED, RESULT)
    assert (world.task.ran, len(sink.taken)) == (1, 1)


def test_what_a_driver_said_of_a_commit_is_told_to_nobody() -> None:
    sink = Sink(fails_after=SinkDown("the reply was lost"))
    world = World(sink.work, raising(SinkDown(SECRET)))
    job_id = world.submit()
    world.run_next()
    assert world.job(job_id).error == "internal error: SinkDown"


def test_a_begin_commit_that_could_not_be_written_is_no_commit() -> None:
    def break_down(_: Job, after: Job) -> None:
        if after.state is JobState.COMMITTING:
            raise SinkDown("the registry is away")

    sink = Sink()
    world = World(sink.work, sink.find)
    world.registry.before_write = break_down
    job_id = world.submit()
    world.run_next()
    assert (world.job(job_id).state, sink.taken) == (JobState.FAILED, [])


def test_an_outcome_that_could_not_be_written_is_found_out_by_the_next_attempt() -> None:
    def break_down(_: Job, after: Job) -> None:
        if after.state is JobState.SUCCEEDED:
            raise SinkDown("the registry is away")

    sink = Sink()
    world = World(sink.work, sink.find)
    world.registry.before_write = break_down
    job_id = world.submit()
    with pytest.raises(SinkDown):
        world.run_next()
    assert world.runner.running() == 0
    world.registry.before_write = lambda before, after: None
    world.recover(job_id)
    assert world.run_next()
    assert (world.job(job_id).state, len(sink.taken)) == (JobState.SUCCEEDED, 1)


def test_a_stale_write_names_both_attempts() -> None:
    seen: list[StaleAttempt] = []

    def work(context: TaskContext) -> Json:
        world.recover(job_id)
        try:
            context.begin_commit(RESULT)
        except StaleAttempt as error:
            seen.append(error)
            raise
        return RESULT

    world = World(work)
    job_id = world.submit()
    world.run_next()
    assert [(error.epoch, error.current) for error in seen] == [(1, 2)]
