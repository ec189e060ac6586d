"""A world in one thread: a registry and a runner on one manual clock, a task made of two functions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from tagapi import timetable
from tagapi.jobs import changes
from tagapi.jobs.lists import Page, Query
from tagapi.jobs.model import Change, Job, Json
from tagapi.jobs.outcome import LONGEST_RETRY
from tagapi.jobs.registry import Bounds
from tagapi.jobs.runner import JobRunner, RunnerLimits
from tagapi.jobs.scheduling import Scheduling
from tagapi.jobs.service import JobService
from tagapi.jobs.task import Task, TaskContext
from tagapi.registries.memory import MemoryRegistry
from tests.clock import ManualClock

PATIENCE = 5.0  # seconds that a test waits for what should come at once
LEASE = timedelta(seconds=RunnerLimits().lease)
TASK = "fake.work"
RESULT = {"rows": 7}
SECRET = "ann@example.org"  # what must not come out of an error

Work = Callable[[TaskContext], Json]


class Door(MemoryRegistry):
    """The memory registry on a manual clock; `before_write` slips in between the reading and the writing of a job."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.clock = clock
        self.before_write: Callable[[Job, Job], None] = lambda before, after: None

    def now(self) -> datetime:
        return self.clock.now()

    def _swap(self, before: Job, after: Job) -> bool:
        self.before_write(before, after)
        return super()._swap(before, after)


class FakeTask(Task):
    """Does `work`; answers `find_commit` with `find`; counts how often it was asked either."""

    name = TASK

    def __init__(self, work: Work, find: Callable[[Job], bool]) -> None:
        self._work = work
        self._find = find
        self.ran = 0
        self.asked = 0
        self.open = True

    def ready(self) -> bool:
        return self.open

    def run(self, context: TaskContext) -> Json:
        self.ran += 1
        return self._work(context)

    def find_commit(self, job: Job) -> Json | None:
        self.asked += 1
        return job.result if self._find(job) else None


class ManualExecutor:
    """Runs nothing by itself: a test calls `run_next`."""

    def __init__(self, runner: JobRunner) -> None:
        self.runner = runner
        self.cancel, self.wait = runner.cancel, runner.wait
        self.woken = 0

    def wake(self, job: Job) -> None:
        self.woken += 1


class World:
    """Requests go in by `submit`, time passes by `clock.advance`, attempts happen in `run_next`."""

    def __init__(
        self,
        work: Work = lambda context: {},
        find: Callable[[Job], bool] = lambda job: False,
        limits: RunnerLimits | None = None,
        other_tasks: dict[str, Task] | None = None,
    ) -> None:
        self.clock = ManualClock()
        self.registry = Door(self.clock)
        self.task = FakeTask(work, find)
        self.restarts = 0
        self.restartable = True
        self.runner = JobRunner(
            self.registry,
            {TASK: self.task, **(other_tasks or {})},
            worker="here",
            limits=limits or RunnerLimits(),
            on_stuck=self._restart,
            monotonic=self.clock.monotonic,
        )
        self.executor = ManualExecutor(self.runner)
        self.service = JobService(self.registry, self.executor, Bounds(queued=100, queued_per_owner=100))
        self.scheduling = Scheduling(self.registry, self.service, timetable.next_of, timetable.check)
        self.run_next = self.runner.run_next

    def _restart(self) -> bool:
        self.restarts += 1
        return self.restartable

    # -- what clients and other processes do -------------------------------------------------

    def submit(self, **arguments: Any) -> str:
        return self.service.submit(TASK, arguments, owner="ann").job.id

    def job(self, job_id: str) -> Job:
        return self.registry.get(job_id)

    def everything(self) -> Page:
        return self.registry.find(Query())

    def ask_to_cancel(self, job_id: str) -> None:
        """As another process does it: the flag, and nothing else."""
        self.registry.update(job_id, changes.request_cancel)

    def change(self, job_id: str, change: Change) -> Job:
        return self.registry.update(job_id, change)

    def recover(self, job_id: str, max_recoveries: int = 3) -> Job:
        """Let the lease lapse, and have another process notice."""
        self.clock.advance(LEASE.total_seconds())
        return self.change(job_id, partial(changes.recover, max_recoveries=max_recoveries))

    def lose_in_commit(self, result: Json, **arguments: Any) -> str:
        """A job whose process died in the middle of its commit, waiting for its next attempt."""
        job_id = self.submit(**arguments)
        claimed = self.registry.claim("elsewhere", LEASE)
        assert claimed is not None
        assert claimed.id == job_id
        self.change(job_id, partial(changes.begin_commit, epoch=claimed.epoch, result=result))
        assert self.recover(job_id).commit_unsettled
        return job_id


class Pause:
    """A place where a task stands still until the test, or an interrupt, lets it go on."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._go_on = threading.Event()

    def __call__(self) -> None:
        self._reached.set()
        assert self._go_on.wait(PATIENCE), "nobody let the task go on"

    def reached(self) -> None:
        """Wait until the task stands here."""
        assert self._reached.wait(PATIENCE), "the task did not come here"

    def was_reached(self) -> bool:
        return self._reached.is_set()

    def go_on(self) -> None:
        self._go_on.set()


def interruptible(pause: Pause) -> Work:
    """Work that stands still until it is interrupted, and then says so."""

    def work(context: TaskContext) -> Json:
        context.on_cancel(pause.go_on)
        pause()
        context.check()
        return {"interrupted": False}

    return work


@contextmanager
def elsewhere(step: Callable[[], Any]) -> Iterator[Future[Any]]:
    """Run a step in another thread during the block, and have it finished at its end."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(step())
        except BaseException as error:  # handed to whoever asks for the result
            future.set_exception(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield future
    future.result(PATIENCE)
    thread.join(PATIENCE)


class SinkDown(Exception):
    """What a driver raises: not ours, and with who knows what in its text."""


@dataclass
class Sink:
    """Where effects go. A commit may fail before or after it has taken effect."""

    taken: list[str] = field(default_factory=list)
    fails_before: BaseException | None = None
    fails_after: BaseException | None = None

    def commit(self, context: TaskContext) -> None:
        if self.fails_before is not None:
            raise self.fails_before
        self.taken.append(context.attempt_name)
        if self.fails_after is not None:
            raise self.fails_after

    def work(self, context: TaskContext) -> Json:
        context.begin_commit(RESULT)
        self.commit(context)
        return RESULT

    def find(self, job: Job) -> bool:
        return any(name.startswith(job.id) for name in self.taken)


def raising(*errors: BaseException | None) -> Callable[..., Any]:
    """A step that raises these errors in turn (None: it answers RESULT), and the last one from then on."""
    left = list(errors)

    def step(_: object) -> Json:
        error = left.pop(0) if len(left) > 1 else left[0]
        if error is not None:
            raise error
        return RESULT

    return step


def next_attempt(world: World) -> None:
    """Run an attempt once every delay is over."""
    world.clock.advance(2 * LONGEST_RETRY)
    assert world.run_next()
