"""The pool: attempts begin when there is work, and its threads outlive whatever goes wrong around a job."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from tagapi.executors.thread_pool import ThreadPoolExecutor
from tagapi.jobs.model import DEFAULT_LANE, Job, JobState
from tagapi.jobs.registry import Bounds
from tagapi.jobs.runner import JobRunner, RunnerLimits
from tagapi.jobs.service import JobService
from tagapi.registries.memory import MemoryRegistry
from tests.unit.fakes import PATIENCE, RESULT, TASK, FakeTask, Pause, SinkDown, Work, elsewhere, interruptible


class Watched(MemoryRegistry):
    """Tells when a job has finished, and breaks down once where it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.finished = threading.Event()
        self.breaks: set[str] = set()
        self.broke = threading.Event()

    def _break(self, where: str) -> None:
        if where in self.breaks:
            self.breaks.remove(where)
            self.broke.set()
            raise SinkDown("the registry is away")

    def next_due_at(self, lane: str = DEFAULT_LANE) -> datetime | None:
        self._break("next_due_at")
        return super().next_due_at(lane)

    def _next_due(self, now: datetime, lane: str) -> str | None:
        self._break("claim")
        return super()._next_due(now, lane)

    def _swap(self, before: Job, after: Job) -> bool:
        swapped = super()._swap(before, after)
        if swapped and after.finished:
            self.finished.set()
        return swapped


class Leaving(JobRunner):
    """Tells when it has begun to leave."""

    def __init__(self, registry: Watched, task: FakeTask) -> None:
        super().__init__(registry, {TASK: task}, "here", RunnerLimits())
        self.leaving = threading.Event()

    def refuse_new(self) -> None:
        super().refuse_new()
        self.leaving.set()


class Pool:
    def __init__(
        self, work: Work, threads: int = 1, breaks: str | None = None, task: type[FakeTask] = FakeTask
    ) -> None:
        self.registry = Watched()
        self.registry.breaks = {breaks} if breaks else set()
        self.task = task(work, lambda job: False)
        self.runner = Leaving(self.registry, self.task)
        self.executor = ThreadPoolExecutor(self.runner, self.registry, {DEFAULT_LANE: threads})
        self.service = JobService(self.registry, self.executor, Bounds(queued=100, queued_per_owner=100))

    def submit(self) -> str:
        return self.service.submit(TASK, {}, owner="ann").job.id

    def state(self, job_id: str) -> JobState:
        return self.service.get(job_id).state


@contextmanager
def started(pool: Pool) -> Iterator[Pool]:
    pool.executor.start()
    try:
        yield pool
    finally:
        pool.executor.stop(drain_seconds=PATIENCE)


def test_a_job_begins_when_it_is_submitted() -> None:
    with started(Pool(lambda context: RESULT)) as pool:
        assert_runs_a_job(pool)


def test_no_more_attempts_run_than_there_are_threads() -> None:
    pause = Pause()
    with started(Pool(interruptible(pause), threads=1)) as pool:
        first = pool.submit()
        pause.reached()
        second = pool.submit()
        assert (pool.state(first), pool.state(second)) == (JobState.RUNNING, JobState.QUEUED)
        pause.go_on()


def test_a_cancel_reaches_the_attempt() -> None:
    pause = Pause()
    with started(Pool(interruptible(pause))) as pool:
        job_id = pool.submit()
        pause.reached()
        assert pool.service.cancel(job_id).state is JobState.CANCELLED


def test_stop_lets_running_attempts_finish_and_begins_no_other() -> None:
    pause = Pause()
    pool = Pool(interruptible(pause))
    pool.executor.start()
    first = pool.submit()
    pause.reached()
    second = pool.submit()
    with elsewhere(lambda: pool.executor.stop(drain_seconds=PATIENCE)):
        assert pool.runner.leaving.wait(PATIENCE)
        pause.go_on()
    assert (pool.state(first), pool.state(second)) == (JobState.SUCCEEDED, JobState.QUEUED)


def test_stop_sends_back_what_does_not_finish_in_time() -> None:
    pause = Pause()
    pool = Pool(interruptible(pause))
    pool.executor.start()
    job_id = pool.submit()
    pause.reached()
    pool.executor.stop(drain_seconds=0)
    job = pool.service.get(job_id)
    assert (job.state, job.attempt) == (JobState.WAITING, 0)


def test_the_threads_outlive_a_registry_that_is_away_for_a_claim() -> None:
    assert_outlives("claim")


def test_the_threads_outlive_a_registry_that_is_away_while_they_idle() -> None:
    assert_outlives("next_due_at")


def assert_outlives(breaks: str) -> None:
    with started(Pool(lambda context: RESULT, threads=1, breaks=breaks)) as pool:
        assert pool.registry.broke.wait(PATIENCE)
        assert_runs_a_job(pool)


def assert_runs_a_job(pool: Pool) -> None:
    job_id = pool.submit()
    assert pool.registry.finished.wait(PATIENCE)
    assert pool.state(job_id) is JobState.SUCCEEDED


def test_the_threads_outlive_a_task_that_cannot_say_whether_it_is_ready() -> None:
    class Unsure(FakeTask):
        def ready(self) -> bool:
            if not asked.is_set():
                asked.set()
                raise ValueError("what Spark's client may raise")
            return True

    asked = threading.Event()
    pool = Pool(lambda context: RESULT, task=Unsure)
    with started(pool):
        assert asked.wait(PATIENCE)
        assert_runs_a_job(pool)


def test_the_registry_is_left_alone_until_the_tasks_are_ready() -> None:
    class Watching(FakeTask):
        def ready(self) -> bool:
            self.asked += 1
            if self.asked == 3:
                asked_thrice.set()
            return self.open

    asked_thrice = threading.Event()
    pool = Pool(lambda context: RESULT, task=Watching, breaks="claim")
    pool.task.open = False
    with started(pool):
        job_id = pool.submit()
        assert asked_thrice.wait(PATIENCE)
        assert not pool.registry.broke.is_set()
        pool.task.open = True
        assert pool.registry.finished.wait(PATIENCE)
        assert pool.state(job_id) is JobState.SUCCEEDED
