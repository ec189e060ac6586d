"""One attempt while it runs: its interrupts, its point of no return, its progress.

The threads that meet here: the one that runs the task, threads of the task's own, the
runner's heartbeat, and whoever cancels. The lock makes one question have one answer:
was the attempt told to stop before or after its point of no return?
"""

from __future__ import annotations

import enum
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

from tagapi.jobs import changes
from tagapi.jobs.errors import Busy, JobCancelled, StaleAttempt, StoreUnavailable
from tagapi.jobs.model import Change, Entry, Job, Json, Progress, new_token
from tagapi.jobs.registry import JobRegistry

log = logging.getLogger(__name__)

Written = TypeVar("Written")

PROGRESS_EVERY = 0.25  # seconds between two writes of how far an attempt is
INSIST_EVERY = 0.2  # seconds between tries to write while the store is away
STUCK_AFTER = 10.0  # seconds between an interrupt and giving up on the thread's own good will
ABANDONED_AFTER = 60.0  # seconds between an interrupt and giving up on the thread, wherever it is
RELEASED = 0.001  # seconds that what is let go of is held still
INTERRUPT_EVERY = 0.05  # seconds between calls of `stop`: it may come before the operation it should stop


class Interrupt(enum.Enum):
    """Why an attempt was told to stop. The first reason counts."""

    CANCEL = "cancel"
    """Its owner asked for it."""

    TIMEOUT = "timeout"
    """It took longer than its limit."""

    RELEASE = "release"
    """The process is leaving."""

    FENCED = "fenced"
    """Another attempt has replaced it: it may write nothing any more."""


def insist(
    write: Callable[[], Written],
    seconds: float,
    monotonic: Callable[[], float],
    in_doubt: Callable[[], bool] = lambda: True,
) -> Written:
    """Try a write again while the store is away, for so long. It has to know itself again: by a token.

    Raises StoreUnavailable after that, and at once where it is not `in_doubt`: then nothing was begun.
    """
    until = monotonic() + seconds
    while True:
        try:
            return write()
        except StoreUnavailable:
            if not in_doubt() or monotonic() >= until:
                raise
            time.sleep(INSIST_EVERY)


@dataclass(eq=False, slots=True)
class _Stretch:
    """A part of the work that only `stop` reaches."""

    stop: Callable[[], None]
    since: float
    given_up: bool = False
    """Spark was restarted under it, or cannot be: no use in doing so for its sake."""


class Attempt:
    """The TaskContext of one attempt."""

    def __init__(self, job: Job, registry: JobRegistry, monotonic: Callable[[], float], lease: float) -> None:
        """`lease` is its length in seconds, and for how long a write is begun anew while the store is away."""
        self.job = job
        self.began = self.renewed = monotonic()
        self.interrupted_by: Interrupt | None = None
        self.interrupted_at: float | None = None
        self.past_return_at: float | None = None
        """When begin_commit was entered: from then on interrupts come too late."""
        self.settled = not job.commit_unsettled
        """It is known what became of an earlier attempt's commit, and of this one's."""
        self.disturbed = False
        """Spark was restarted under it, to end an attempt that was stuck: a failure is not its own."""
        self.abandoned = False
        """Its thread is past hope: its lease is kept no longer, so that another attempt can take over."""
        self.left = threading.Event()
        """The task's thread is out of the task."""
        self.ended = threading.Event()
        """The outcome is written."""
        self._registry = registry
        self._lock = threading.Lock()
        self._stretches: list[_Stretch] = []
        self._monotonic = monotonic
        self._lease = lease
        self._told_to_stop = threading.Event()
        self._journal = list(job.journal)
        self._outside = bool(job.journal) or job.kept is not None
        """It does what no later commit of its own decides about."""
        self.all_phases: Sequence[str] = ()
        """Those of the task."""
        self._phase: str | None = None
        self._progress = self._told = Progress()
        self._told_at = -math.inf

    # -- what the task sees ----------------------------------------------------------------

    @property
    def job_id(self) -> str:
        return self.job.id

    @property
    def owner(self) -> str:
        return self.job.request.owner

    @property
    def arguments(self) -> Json:
        return self.job.request.arguments

    @property
    def submitted_at(self) -> datetime:
        return self.job.submitted_at

    @property
    def kept(self) -> Json | None:
        return self.job.kept

    @property
    def kept_before(self) -> Json | None:
        return self.job.request.kept_before

    @property
    def attempt_name(self) -> str:
        return f"{self.job.id}-{self.job.epoch}"

    def phase(self, name: str, total: int | None = None) -> None:
        self.check()
        self._told_at = -math.inf  # how far the last one came is told as well
        self.tell_progress()
        with self._lock:
            self._phase, self._progress, self._told_at = name, Progress(total=total), -math.inf
        self.tell_progress()

    def progress(self, done: int, total: int) -> None:
        self.check()
        with self._lock:  # several threads of a task may report: the highest counts
            if done <= self._progress.done and total == self._progress.total:
                return
            self._progress = Progress(done=done, total=total)
        self.tell_progress()

    def check(self) -> None:
        if self.interrupted_by is not None:
            raise JobCancelled
        if self._outside and self._monotonic() - self.renewed > self._lease:
            # It stood still for longer than its lease: another attempt may be at work outside by now.
            raise StaleAttempt(job_id=self.job.id, epoch=self.job.epoch, current="unknown: the lease has lapsed")

    def pause(self, seconds: float) -> None:
        self._told_to_stop.wait(seconds)
        self.check()

    def on_cancel(self, stop: Callable[[], None]) -> ExitStack:
        until, stretch = ExitStack(), _Stretch(stop, self._monotonic())
        with self._lock:
            self._stretches.append(stretch)
        until.callback(self._leave, stretch)
        return until

    def _leave(self, stretch: _Stretch) -> None:
        with self._lock:
            self._stretches.remove(stretch)

    def begin_commit(self, result: Json) -> None:
        with self._lock:
            self.check()
            self.past_return_at, self.settled = self._monotonic(), False
        try:
            self.write(partial(changes.begin_commit, epoch=self.job.epoch, result=result))
        except JobCancelled:  # asked elsewhere: so the point was not passed, and nothing was begun
            self.past_return_at, self.settled = None, True
            self.interrupted_by = Interrupt.CANCEL
            raise

    def journal(self, step: str, fact: Json) -> None:
        with self._lock:
            place = len(self._journal)
            noted = self.write(partial(changes.note, epoch=self.job.epoch, place=place, step=step, fact=fact))
            self._journal.append(noted.journal[place])
            self._outside = True

    def journaled(self) -> Sequence[Entry]:
        with self._lock:
            return tuple(self._journal)

    def grow(self, kept: Json) -> None:
        self._outside = True
        self.write(partial(changes.grow, epoch=self.job.epoch, kept=kept))

    def hold(self, name: str, seconds: float) -> None:
        self.check()
        if not self._registry.lock(f"job:{name}", self.job.id, seconds):
            raise Busy(reason=f"another job holds {name}")

    def release(self, name: str) -> None:
        if self.interrupted_by is Interrupt.FENCED:  # it is the next attempt's
            return
        with suppress(StoreUnavailable):
            self._registry.lock(f"job:{name}", self.job.id, RELEASED)

    # -- what the runner sees --------------------------------------------------------------

    def tell_progress(self) -> None:
        """Store what was reported last, unless that was done a moment ago: then the heartbeat does, later."""
        with self._lock:
            now, progress, phase = self._monotonic(), self._progress, self._phase
            if progress is self._told or now - self._told_at < PROGRESS_EVERY:
                return
            self._told, self._told_at = progress, now
        try:
            told = partial(
                changes.advance, epoch=self.job.epoch, progress=progress, phase=phase, all_phases=self.all_phases
            )
            self._registry.update(self.job.id, told)
        except StoreUnavailable:
            self._told = Progress()  # the work does not depend on it: it is told another time

    def write(self, change: Change) -> Job:
        """Write a change that must not be lost: tried again, under one token, while the store is away."""
        write = partial(self._registry.update, self.job.id, change, new_token())
        return insist(write, self._lease, self._monotonic)

    def interrupt(self, reason: Interrupt, now: float) -> None:
        """Tell the attempt to stop, unless it is past its point of no return or was told before.

        One that takes back what the job did outside goes on: a cancel asks for nothing else.
        """
        if reason is Interrupt.CANCEL and self.job.ending is not None:
            return
        with self._lock:
            if self.past_return_at is not None or self.interrupted_by is not None:
                return
            self.interrupted_by, self.interrupted_at = reason, now
            self._told_to_stop.set()
            try:
                threading.Thread(target=self._keep_stopping, name=f"stop-{self.job.id[:8]}", daemon=True).start()
            except RuntimeError:  # no thread can be had now: whoever asked asks again
                self.interrupted_by = self.interrupted_at = None
                self._told_to_stop.clear()
                log.exception("stop_failed")

    def stuck(self, now: float) -> bool:
        """Whether it was told to stop, and for STUCK_AFTER since then has been where only its `stop` reaches it.

        An attempt that merely insists on writing its outcome is not. Neither is one that was given up there:
        another restart would reach it no better, and costs its neighbours their work again.
        """
        told = self.interrupted_at
        if told is None or self.left.is_set():
            return False
        with self._lock:
            return any(not one.given_up and now - max(one.since, told) > STUCK_AFTER for one in self._stretches)

    def give_up(self) -> bool:
        """What it does now where only a `stop` reaches is past that; answers whether there is any such thing."""
        with self._lock:
            for one in self._stretches:
                one.given_up = True
            return bool(self._stretches)

    def hopeless(self, now: float, longest_commit: float) -> bool:
        """Whether its thread hangs: told to stop long ago, or for so many seconds past its point of no return."""
        if self.left.is_set():
            return False
        told = self.interrupted_at is not None and now - self.interrupted_at > ABANDONED_AFTER
        return told or (self.past_return_at is not None and now - self.past_return_at > longest_commit)

    def _keep_stopping(self) -> None:
        while not self.left.is_set():
            with self._lock:
                stretches = list(self._stretches)
            for one in stretches:
                try:
                    one.stop()
                except Exception:
                    log.warning("stop_failed", exc_info=True)
            self.left.wait(INTERRUPT_EVERY)


class OnBehalf:
    """The TaskContext for taking back what an earlier job has left: its journal, and the interrupts of this attempt.

    What is noted here is for this attempt alone: an earlier job never changes.
    """

    def __init__(self, attempt: Attempt, before: Job) -> None:
        self._attempt = attempt
        self._before = before
        self._noted: list[Entry] = []
        self.job_id, self.owner = before.id, before.request.owner
        self.arguments, self.submitted_at = before.request.arguments, before.submitted_at
        self.attempt_name = attempt.attempt_name
        self.phase, self.progress, self.check = attempt.phase, attempt.progress, attempt.check
        self.pause, self.on_cancel = attempt.pause, attempt.on_cancel
        self.hold, self.release = attempt.hold, attempt.release
        self.begin_commit, self.grow = attempt.begin_commit, attempt.grow
        self.kept = before.kept
        self.kept_before = before.request.kept_before

    def journal(self, step: str, fact: Json) -> None:
        self._noted.append(Entry(step=step, fact=fact, at=self.submitted_at))

    def journaled(self) -> Sequence[Entry]:
        return (*self._before.journal, *self._noted)
