"""The store goes away while an attempt runs: what must be written is written later, and once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tagapi.jobs.errors import StoreUnavailable
from tagapi.jobs.model import EventKind, Job, JobState, Json
from tagapi.jobs.runner import RunnerLimits
from tagapi.jobs.task import TaskContext
from tests.unit.fakes import World

SHORT = RunnerLimits(lease=1.0)


class Outage:
    """Refuses writes, either before they happen or after: then only the reply is lost."""

    def __init__(self, world: World) -> None:
        self._swap = world.registry._swap
        world.registry._swap = self.swap  # type: ignore[method-assign]
        self._clock = world.clock
        self.refused = self.unheard = 0
        self.each_takes = 0.0
        """Seconds until a refusal is told: a store that does not answer is waited for."""
        self.on_loss: Callable[[], None] = lambda: None

    def swap(self, before: Job, after: Job) -> bool:
        if self.refused:
            self.refused -= 1
            self._clock.advance(self.each_takes)
            raise StoreUnavailable(retry_after=1)
        written = self._swap(before, after)
        if self.unheard:
            self.unheard -= 1
            self.on_loss()
            raise StoreUnavailable(retry_after=1)
        return written


def ended(world: World, job_id: str) -> tuple[JobState, int]:
    """How the job ended, and how many endings are told of it."""
    job = world.job(job_id)
    return job.state, sum(event.kind is EventKind.FINISHED for event in job.events)


@pytest.mark.parametrize("lost", ["refused", "unheard"])
def test_an_outcome_is_written_once_the_store_is_back(lost: str) -> None:
    def work(_: TaskContext) -> Json:
        setattr(outage, lost, 2)
        return {"rows": 1}

    world = World(work)
    outage = Outage(world)
    job_id = world.submit()
    world.run_next()
    assert ended(world, job_id) == (JobState.SUCCEEDED, 1)
    assert world.job(job_id).attempt == 1


@pytest.mark.parametrize("lost", ["refused", "unheard"])
def test_the_point_of_no_return_is_passed_once_the_store_is_back(lost: str) -> None:
    effects: list[str] = []

    def work(context: TaskContext) -> Json:
        setattr(outage, lost, 2)
        context.begin_commit({"rows": 1})
        effects.append(context.job_id)
        return {"rows": 1}

    world = World(work)
    outage = Outage(world)
    job_id = world.submit()
    world.run_next()
    assert ended(world, job_id) == (JobState.SUCCEEDED, 1)
    assert effects == [job_id]


def test_a_renewal_between_a_lost_reply_and_the_next_try_does_no_harm() -> None:
    def renew_then_lose(before: Job, after: Job) -> bool:
        swap = outage._swap
        assert swap(before, after)
        if after.state is JobState.COMMITTING and not renewed:
            renewed.append(after.id)
            world.clock.advance(RunnerLimits().renew_every)
            world.runner.heartbeat()
            raise StoreUnavailable(retry_after=1)
        return True

    renewed: list[str] = []
    world = World(lambda context: context.begin_commit({"rows": 1}) or {"rows": 1})
    outage = Outage(world)
    world.registry._swap = renew_then_lose  # type: ignore[method-assign]
    job_id = world.submit()
    world.run_next()
    assert (ended(world, job_id), renewed) == ((JobState.SUCCEEDED, 1), [job_id])
    assert world.job(job_id).result == {"rows": 1}


def test_an_outcome_that_cannot_be_written_is_found_out_by_the_next_attempt() -> None:
    def work(context: TaskContext) -> Json:
        context.begin_commit({"rows": 1})
        committed.append(context.job_id)
        outage.refused, outage.each_takes = 1000, 0.4
        return {"rows": 1}

    committed: list[str] = []
    world = World(work, find=lambda job: job.id in committed, limits=SHORT)
    outage = Outage(world)
    job_id = world.submit()
    world.run_next()
    assert world.job(job_id).state is JobState.COMMITTING
    assert 1000 - outage.refused == 3, "it insists for a lease's time, however long each answer takes"

    outage.refused = 0
    world.clock.advance(2)
    world.recover(job_id)
    world.run_next()
    assert ended(world, job_id) == (JobState.SUCCEEDED, 1)
    assert committed == [job_id], "the work was not done twice"


def test_progress_that_cannot_be_stored_does_not_stop_the_work() -> None:
    def work(context: TaskContext) -> Json:
        outage.refused = 1
        context.progress(1, 2)
        world.clock.advance(1)
        context.progress(2, 2)
        seen.append(world.job(job_id).progress.done)
        return {}

    seen: list[int] = []
    world = World(work)
    outage = Outage(world)
    job_id = world.submit()
    world.run_next()
    assert (seen, world.job(job_id).state) == ([2], JobState.SUCCEEDED)


def test_a_time_limit_is_kept_while_the_store_is_away() -> None:
    def work(context: TaskContext) -> Json:
        world.clock.advance(SHORT.timeout + 1)
        away = world.registry.get_all
        world.registry.get_all = raising  # type: ignore[method-assign]
        with pytest.raises(StoreUnavailable):
            world.runner.heartbeat()
        world.registry.get_all = away  # type: ignore[method-assign]
        context.check()
        return {}

    def raising(_: object) -> list[Job]:
        raise StoreUnavailable(retry_after=1)

    world = World(work, limits=SHORT)
    job_id = world.submit()
    world.run_next()
    assert world.job(job_id).state is JobState.FAILED
    assert "took longer" in (world.job(job_id).error or "")


@pytest.mark.parametrize("lost", ["refused", "unheard"])
def test_a_claim_is_sent_again_until_it_is_answered(lost: str) -> None:
    world = World(lambda _: {"rows": 1})
    outage = Outage(world)
    job_id = world.submit()
    setattr(outage, lost, 1)
    world.run_next()
    job = world.job(job_id)
    assert ended(world, job_id) == (JobState.SUCCEEDED, 1)
    assert (job.attempt, job.recoveries) == (1, 0)


def test_a_claim_is_not_sent_any_more_once_its_lease_is_over() -> None:
    world = World(lambda _: {"rows": 1}, limits=SHORT)
    outage = Outage(world)
    world.submit()
    outage.refused, outage.each_takes = 100, 0.5
    with pytest.raises(StoreUnavailable):
        world.run_next()
    assert 100 - outage.refused == 2


def test_a_claim_that_began_nothing_is_left_to_the_next_one() -> None:
    """Where the queue could not even be read, nobody has to insist."""
    world = World(lambda _: {"rows": 1})
    world.submit()
    asked = []

    def away(*_: object) -> str | None:
        asked.append(1)
        raise StoreUnavailable(retry_after=1)

    world.registry._next_due = away  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        world.run_next()
    assert asked == [1]


def test_a_claim_that_is_answered_while_the_process_leaves_goes_back_to_the_queue() -> None:
    world = World(lambda _: {"rows": 1})
    outage = Outage(world)
    job_id = world.submit()
    outage.unheard = 1
    outage.on_loss = world.runner.refuse_new
    world.run_next()
    job = world.job(job_id)
    assert (job.state, job.attempt, job.recoveries) == (JobState.WAITING, 0, 0)
