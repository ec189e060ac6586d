"""What a task is, and all that it sees of the job it runs for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from datetime import datetime
from typing import ClassVar, Protocol

from tagapi.jobs.model import Job, Json

running_job: ContextVar[str | None] = ContextVar("running_job", default=None)
"""The id of the job whose attempt runs in this context: every log record of it carries it."""

request_in_context: ContextVar[str | None] = ContextVar("request_in_context", default=None)
"""The id of the HTTP request that is served in this context, or that started the job whose attempt runs in it."""


class TaskContext(Protocol):
    """A running attempt, as its task sees it. Safe to use from threads that the task starts."""

    @property
    def job_id(self) -> str:
        """The job's UUID: what a commit is signed with."""

    @property
    def arguments(self) -> Json:
        """What was asked, validated."""

    @property
    def submitted_at(self) -> datetime:
        """When it was asked, in UTC. "Today" is this moment's date, so that a retry computes the same."""

    @property
    def attempt_name(self) -> str:
        """`<job_id>-<epoch>`: unlike any other attempt's, for whatever is staged."""

    def progress(self, done: int, total: int) -> None:
        """Say how far the work is, in the task's own unit. Cheap: call it as often as there is news."""

    def check(self) -> None:
        """Raise JobCancelled where the attempt should stop. Call it between pieces of work."""

    def on_cancel(self, stop: Callable[[], None]) -> AbstractContextManager[object]:
        """Have `stop` called, from another thread, again and again once the attempt should stop, until
        it has left what `check` cannot reach: the end of the `with` block that this opens, or its own end."""

    def begin_commit(self, result: Json) -> None:
        """The point of no return: store the result to be. Raises JobCancelled, and then nothing may be written."""


class Task(ABC):
    """A named piece of work. An instance serves many jobs, several at once."""

    name: ClassVar[str]
    """`<namespace>.<work>`."""

    max_attempts: ClassVar[int] = 4
    """How often a job is tried when attempts end with Transient."""

    def ready(self) -> bool:
        """Whether an attempt could begin now. Nothing is claimed while a task is not ready."""
        return True

    @abstractmethod
    def run(self, context: TaskContext) -> Json:
        """Do the work and answer with the result.

        A task with an effect calls `context.begin_commit(result)` once, right before the
        effect, and its sink takes a job's commit only once. Raises Transient for what
        another attempt may mend, TaskFailed for what it will not.
        """

    def find_commit(self, job: Job) -> bool:
        """Whether this job's commit is in its sink, having made sure that it cannot get there later.

        Asked when an attempt passed `begin_commit` and nobody knows how it ended.
        """
        return False
