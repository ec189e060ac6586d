"""What a task is, and all that it sees of the job it runs for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from datetime import datetime
from typing import ClassVar, Protocol

from tagapi.jobs.model import DEFAULT_LANE, Entry, Job, Json

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
    def owner(self) -> str:
        """The name of who asked."""

    @property
    def arguments(self) -> Json:
        """What was asked, validated."""

    @property
    def submitted_at(self) -> datetime:
        """When it was asked, in UTC. "Today" is this moment's date, so that a retry computes the same."""

    @property
    def attempt_name(self) -> str:
        """`<job_id>-<epoch>`: unlike any other attempt's, for whatever is staged."""

    def phase(self, name: str, total: int | None = None) -> None:
        """Begin the next phase of the work, with a name for people; `progress` counts within it."""

    def progress(self, done: int, total: int) -> None:
        """Say how far the work is, in the task's own unit. Cheap: call it as often as there is news."""

    def check(self) -> None:
        """Raise JobCancelled where the attempt should stop. Call it between pieces of work, and before effects outside.

        An attempt with effects outside whose lease has lapsed unseen, since its process stood still, stops here too.
        """

    def pause(self, seconds: float) -> None:
        """Wait for so long. Raises JobCancelled as soon as the attempt should stop."""

    def on_cancel(self, stop: Callable[[], None]) -> AbstractContextManager[object]:
        """Have `stop` called, from another thread, again and again once the attempt should stop, until
        it has left what `check` cannot reach: the end of the `with` block that this opens, or its own end."""

    def begin_commit(self, result: Json) -> None:
        """The point of no return: store the result to be. Raises JobCancelled, and then nothing may be written."""

    def journal(self, step: str, fact: Json) -> None:
        """Note a fact about an effect outside: durable before this returns, refused where another took over.

        Note what is about to be done, do it, note what came of it. A cancel does not keep it from being noted.
        Raises StaleAttempt, and JournalFull beyond JOURNAL_BYTES.
        """

    def journaled(self) -> Sequence[Entry]:
        """What this attempt and those before it noted, oldest first."""

    @property
    def kept(self) -> Json | None:
        """What this job's earlier attempts, or this one, said last by `grow`."""

    @property
    def kept_before(self) -> Json | None:
        """What a job kept that failed or was cancelled, and that this one does again: it goes on behind that."""

    def grow(self, kept: Json) -> None:
        """Say what there is of an effect that grows: once before its first step, and after each. Durable, and fenced.

        From the first time on, a cancel or a failure keeps what is there, and `stop_growing` says how much that is.
        """

    def hold(self, name: str, seconds: float) -> None:
        """Be the one job that holds `name`, from now on for so long. Raises Busy where another does."""

    def release(self, name: str) -> None:
        """Hold it no longer, also once the attempt should stop."""


class Task(ABC):
    """A named piece of work. An instance serves many jobs, several at once."""

    name: ClassVar[str]
    """`<namespace>.<work>`."""

    max_attempts: ClassVar[int] = 4
    """How often a job is tried when attempts end with Transient."""

    lane: ClassVar[str] = DEFAULT_LANE
    """Whose threads run it. What one task of a lane needs to begin, the lane needs."""

    phases: ClassVar[Sequence[str]] = ()
    """Those that an attempt goes through, in order: so that its progress can be told as one."""

    time_limit: ClassVar[float | None] = None
    """Seconds that an attempt may take; None is the service's own limit."""

    def ready(self) -> bool:
        """Whether an attempt could begin now. Nothing of its lane is claimed while a task is not ready."""
        return True

    @abstractmethod
    def run(self, context: TaskContext) -> Json:
        """Do the work and answer with the result.

        A task with an effect calls `context.begin_commit(result)` once, right before the
        effect, and its sink takes a job's commit only once. One whose effect grows step by
        step calls `context.grow` after each instead, and its sink takes each step only once. One
        with effects in somebody else's system, which takes no part in a commit, keeps a journal
        of them. Raises
        Transient for what another attempt may mend, TaskFailed for what it will not.
        """

    def find_commit(self, job: Job) -> Json | None:
        """The result of this job's commit where its sink has it; else None, having made sure that it cannot come later.

        Asked when an attempt passed `begin_commit` and nobody knows how it ended; `job.result` is what it said then.
        """
        return None

    def undo(self, context: TaskContext) -> str | None:
        """Take back what the journal names, so that nothing of the job is left outside. May be run again.

        Run in attempts of its own, which no cancel interrupts, before a job with a journal ends FAILED or CANCELLED.
        Answers with what is to be said of it, if anything. Raises NotUndone for what stays there for good.
        """
        return None

    def stop_growing(self, context: TaskContext) -> Json:
        """See to it that no step of an earlier attempt can come any more, and answer with what is there.

        Asked of a job that called `grow`, in an attempt of its own, before it ends FAILED or CANCELLED. May be asked
        again. Raises Transient while that cannot be said.
        """
        raise NotImplementedError(f"{self.name} grows, and does not say how far")

    def look_again(self, job: Job) -> str | None:
        """Remove what arrived outside after the job ended. Answers with what was done, if anything was.

        Asked about an hour and about a day after the end of a job with a journal.
        """
        return None
