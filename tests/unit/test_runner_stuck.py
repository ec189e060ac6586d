"""Attempts whose thread does not come back: stuck where only an interrupt of Spark's reaches, or nobody knows where."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import pytest

from tagapi.jobs import changes
from tagapi.jobs.attempt import ABANDONED_AFTER, STUCK_AFTER
from tagapi.jobs.errors import Contended, StoreUnavailable, Transient
from tagapi.jobs.model import Job, JobState, Json
from tagapi.jobs.runner import RunnerLimits
from tagapi.jobs.task import TaskContext
from tests.unit.fakes import LEASE, RESULT, Pause, Sink, Work, World, elsewhere, interruptible


def deaf(pause: Pause) -> Work:
    """Work that is told to stop, and stays where it is."""

    def work(context: TaskContext) -> Json:
        with context.on_cancel(lambda: None):
            pause()
        context.check()
        return {}

    return work


def interrupt_and_wait(world: World) -> None:
    """Let the time limit pass, and then the time that an attempt has to leave."""
    world.clock.advance(61)
    world.runner.heartbeat()
    world.clock.advance(STUCK_AFTER)
    world.runner.heartbeat()
    assert world.restarts == 0
    world.clock.advance(1)
    world.runner.heartbeat()


def test_an_attempt_that_does_not_leave_has_spark_restarted_once() -> None:
    pause = Pause()
    world = World(deaf(pause), limits=RunnerLimits(timeout=60))
    job_id = world.submit()
    with elsewhere(world.run_next):
        pause.reached()
        interrupt_and_wait(world)
        assert world.restarts == 1
        for _ in range(3):
            world.clock.advance(STUCK_AFTER + 1)
            world.runner.heartbeat()
        assert world.restarts == 1, "the next one would cost the neighbours their work again"
        pause.go_on()
    assert world.job(job_id).state is JobState.FAILED


def test_a_restart_for_a_stuck_attempt_costs_its_neighbours_none_of_theirs() -> None:
    stuck, neighbour = Pause(), Pause()

    def work(context: TaskContext) -> Json:
        if context.arguments["stuck"]:
            return deaf(stuck)(context)
        with context.on_cancel(lambda: None):
            neighbour()
            raise Transient(reason="the Spark server was lost")

    world = World(work)
    first, second = world.submit(stuck=True), world.submit(stuck=False)
    with elsewhere(world.run_next), elsewhere(world.run_next):
        stuck.reached()
        neighbour.reached()
        world.ask_to_cancel(first)
        world.runner.heartbeat()
        world.clock.advance(STUCK_AFTER + 1)
        world.runner.heartbeat()
        assert world.restarts == 1
        neighbour.go_on()
        stuck.go_on()
    job = world.job(second)
    assert (job.state, job.tries, job.error) == (JobState.WAITING, 0, "the Spark server was lost")


def test_an_attempt_that_only_insists_on_its_outcome_is_not_stuck() -> None:
    """The store is away while an interrupted attempt, out of Spark, has its outcome to write."""
    pause, asked = Pause(), Pause()

    def refuse(_before: Job, after: Job) -> None:
        if after.state is JobState.FAILED and not asked.was_reached():
            asked()
            raise StoreUnavailable(retry_after=1)

    world = World(interruptible(pause), limits=RunnerLimits(timeout=60))
    job_id = world.submit()
    world.registry.before_write = refuse
    with elsewhere(world.run_next):
        pause.reached()
        world.clock.advance(61)
        world.runner.heartbeat()
        asked.reached()
        world.clock.advance(STUCK_AFTER + 1)
        world.runner.heartbeat()
        assert world.restarts == 0
        asked.go_on()
    assert world.job(job_id).state is JobState.FAILED


def test_an_attempt_that_has_left_spark_is_not_stuck_in_it() -> None:
    """It is told to stop while it writes a file on a slow disk: that is not Spark's fault, nor its neighbours'."""
    pause = Pause()

    def work(context: TaskContext) -> Json:
        with context.on_cancel(lambda: None):
            pass
        pause()
        context.check()
        return {}

    world = World(work, limits=RunnerLimits(timeout=60))
    job_id = world.submit()
    with elsewhere(world.run_next):
        pause.reached()
        interrupt_and_wait(world)
        assert world.restarts == 0
        pause.go_on()
    assert world.job(job_id).state is JobState.FAILED


def test_who_gets_stuck_after_the_restart_has_spark_restarted_too() -> None:
    first, before, second = Pause(), Pause(), Pause()

    def work(context: TaskContext) -> Json:
        if context.arguments["late"]:
            before()
            return deaf(second)(context)
        return deaf(first)(context)

    world = World(work, limits=RunnerLimits(timeout=60))
    world.submit(late=False)
    late = world.submit(late=True)
    with elsewhere(world.run_next), elsewhere(world.run_next):
        first.reached()
        before.reached()
        interrupt_and_wait(world)
        assert world.restarts == 1
        before.go_on()
        second.reached()
        world.clock.advance(STUCK_AFTER)
        world.runner.heartbeat()
        assert world.restarts == 1, "it has its time there, however long ago it was told to stop"
        world.clock.advance(1)
        world.runner.heartbeat()
        assert world.restarts == 2
        first.go_on()
        second.go_on()
    assert world.job(late).state is JobState.FAILED


def test_a_server_that_cannot_be_restarted_excuses_nobody() -> None:
    stuck, neighbour = Pause(), Pause()

    def work(context: TaskContext) -> Json:
        if context.arguments["stuck"]:
            return deaf(stuck)(context)
        with context.on_cancel(lambda: None):
            neighbour()
            raise Transient(reason="the network hesitated")

    world = World(work)
    world.restartable = False
    first, second = world.submit(stuck=True), world.submit(stuck=False)
    with elsewhere(world.run_next), elsewhere(world.run_next):
        stuck.reached()
        neighbour.reached()
        world.ask_to_cancel(first)
        world.runner.heartbeat()
        for _ in range(3):
            world.clock.advance(STUCK_AFTER + 1)
            world.runner.heartbeat()
        assert world.restarts == 1, "it is asked for once, and not with every beat"
        neighbour.go_on()
        stuck.go_on()
    assert world.job(second).tries == 1


# -- threads past hope ---------------------------------------------------------------------


def beats(world: World, seconds: float) -> None:
    """So much time, with the heartbeats of it."""
    for _ in range(int(seconds / 5)):
        world.clock.advance(5)
        world.runner.heartbeat()


def test_a_thread_that_hangs_is_given_up_and_another_attempt_takes_over(caplog: pytest.LogCaptureFixture) -> None:
    """It was told to stop, and is nobody knows where: a file that does not answer."""
    pause = Pause()
    world = World(lambda context: pause() or context.check() or {}, limits=RunnerLimits(timeout=60))
    job_id = world.submit()
    with elsewhere(world.run_next):
        pause.reached()
        world.ask_to_cancel(job_id)
        beats(world, ABANDONED_AFTER + 10)
        assert [record.message for record in caplog.records].count("attempt_abandoned") == 1
        beats(world, LEASE.total_seconds())
        job = world.change(job_id, partial(changes.recover, max_recoveries=3))
        assert job.state is JobState.CANCELLED, "nobody runs it any more, and whoever wakes up may write nothing"
        pause.go_on()
    assert world.job(job_id) == job


def test_a_commit_that_hangs_is_given_up_and_asked_about() -> None:
    pause = Pause()
    sink = Sink()

    def work(context: TaskContext) -> Json:
        context.begin_commit(RESULT)
        if world.task.ran == 1:
            pause()
            raise Transient(reason="the sink has shut me out")
        sink.commit(context)
        return RESULT

    world = World(work, sink.find, limits=RunnerLimits(timeout=60))
    job_id = world.submit()
    with elsewhere(world.run_next):
        pause.reached()
        beats(world, 60)
        assert world.change(job_id, partial(changes.recover, max_recoveries=3)).state is JobState.COMMITTING
        beats(world, 5 + LEASE.total_seconds())
        assert world.change(job_id, partial(changes.recover, max_recoveries=3)).commit_unsettled
        world.run_next()
        assert world.job(job_id).state is JobState.SUCCEEDED
        pause.go_on()
    assert len(sink.taken) == 1


def test_one_job_that_cannot_be_looked_after_costs_the_others_no_lease() -> None:
    pauses = [Pause(), Pause()]
    world = World(lambda context: interruptible(pauses[context.arguments["n"]])(context))
    jobs = [world.submit(n=0), world.submit(n=1)]

    def break_down(before: Job, _after: Job) -> None:
        if before.id == jobs[0]:
            raise ZeroDivisionError

    with elsewhere(world.run_next), elsewhere(world.run_next):
        for pause in pauses:
            pause.reached()
        world.registry.before_write = break_down
        lease = world.job(jobs[1]).lease_until
        world.clock.advance(RunnerLimits().renew_every)
        world.runner.heartbeat()
        assert world.job(jobs[1]).lease_until != lease
        world.registry.before_write = lambda before, after: None
        for pause in pauses:
            pause.go_on()


def test_an_interrupt_that_finds_no_thread_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pause = Pause()
    world = World(interruptible(pause))
    job_id = world.submit()
    with elsewhere(world.run_next):
        pause.reached()
        world.ask_to_cancel(job_id)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", _no_thread)
            world.runner.heartbeat()
        world.runner.heartbeat()
    assert world.job(job_id).state is JobState.CANCELLED


def _no_thread(_thread: Any) -> None:
    raise RuntimeError("can't start new thread")


# -- what counts as a try ------------------------------------------------------------------


def test_a_job_that_was_in_doubt_lost_and_overtaken_has_all_its_tries_still() -> None:
    errors: list[Exception] = [Contended(reason="somebody was faster") for _ in range(5)]
    errors += [Transient(reason="the Spark server was lost") for _ in range(3)]

    def work(_context: TaskContext) -> Json:
        raise errors.pop(0)

    world = World(work)
    job_id = world.submit()
    world.registry.claim("elsewhere", LEASE)
    world.recover(job_id)
    states = []
    for _ in range(8):
        assert world.run_next()
        states.append(world.job(job_id).state)
        world.clock.advance(60)
    assert states == [JobState.WAITING] * 8
    errors.append(Transient(reason="the Spark server was lost"))
    world.run_next()
    assert (world.job(job_id).state, world.task.max_attempts) == (JobState.FAILED, 4)


def test_what_breaks_while_the_process_leaves_runs_again() -> None:
    """A second Ctrl-C, and the interpreter takes no new work: the task has done nothing wrong."""

    def work(_context: TaskContext) -> Json:
        world.runner.refuse_new()
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    world = World(work)
    job_id = world.submit()
    assert world.run_next()
    job = world.job(job_id)
    assert (job.state, job.attempt, job.tries) == (JobState.WAITING, 0, 0)


def test_a_panic_of_a_sink_leaves_the_job_in_doubt_and_the_thread_alive() -> None:
    class Panic(BaseException):
        """As delta-rs raises it: no Exception."""

    def find(_job: Job) -> bool:
        raise Panic

    def work(context: TaskContext) -> Json:
        context.begin_commit(RESULT)
        raise Panic

    world = World(work, find)
    job_id = world.submit()
    assert world.run_next()
    job = world.job(job_id)
    assert (job.state, job.commit_unsettled, job.doubts) == (JobState.WAITING, True, 1)
