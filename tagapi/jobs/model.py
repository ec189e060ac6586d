"""What a job is, and which state may follow which: the table below is the only place that says so.

A job is a frozen value; how it changes is in `changes.py`. This module knows no clock, no
storage and no thread.
"""

from __future__ import annotations

import enum
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Json = Mapping[str, Any]

DEFAULT_LANE = "spark"
"""A lane is a class of work with attempts, a queue and a retention of its own: it waits for no other."""


class JobState(enum.Enum):
    """Where a job stands. The last three are final."""

    QUEUED = "queued"
    """Accepted; no attempt has begun."""

    RUNNING = "running"
    """An attempt holds the lease and works; a cancel still wins."""

    COMMITTING = "committing"
    """Past the point of no return: the result is stored, the effect is being written."""

    WAITING = "waiting"
    """An attempt ended without an outcome; another begins at `not_before`."""

    PARKED = "parked"
    """Past the point of no return, and whether the effect is there could not be found out: an admin settles it."""

    SUCCEEDED = "succeeded"
    """Done, with its effect."""

    FAILED = "failed"
    """Given up, with the reason in `error`, without an effect."""

    CANCELLED = "cancelled"
    """Stopped on request, without an effect."""

    @property
    def final(self) -> bool:
        return not TRANSITIONS[self]


_S = JobState

TRANSITIONS: Mapping[JobState, frozenset[JobState]] = {
    _S.QUEUED: frozenset({_S.RUNNING, _S.FAILED, _S.CANCELLED}),
    _S.WAITING: frozenset({_S.RUNNING, _S.FAILED, _S.CANCELLED}),
    _S.RUNNING: frozenset({_S.COMMITTING, _S.WAITING, _S.PARKED, _S.SUCCEEDED, _S.FAILED, _S.CANCELLED}),
    _S.COMMITTING: frozenset({_S.WAITING, _S.PARKED, _S.SUCCEEDED, _S.FAILED}),
    _S.PARKED: frozenset({_S.WAITING, _S.SUCCEEDED}),
    _S.SUCCEEDED: frozenset(),
    _S.FAILED: frozenset(),
    _S.CANCELLED: frozenset(),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What was asked: never changes, so it is stored apart from the moving part of a job."""

    job_id: str
    """A random UUID, made before the first send, so that a repeated add finds itself."""

    task: str
    """The task's name, `<namespace>.<work>`."""

    owner: str
    """The name of the principal who asked."""

    arguments: Json
    """Validated, defaults filled in: JSON values only."""

    labels: tuple[str, ...] = ()
    """What lists may filter by beside owner and state, such as `tag:3`."""

    request_id: str | None = None
    """Of the HTTP request that asked: what the records of both are found by."""

    lane: str | None = None
    """Which attempts it waits for; None is DEFAULT_LANE, of jobs that were accepted before there were lanes."""

    retry_of: str | None = None
    """The id of the finished job that this one does again."""

    kept_before: Json | None = None
    """What that one, or those before it, had kept of an effect that grows, where it did not grow to its end."""

    asked: Json | None = None
    """What the client asked for, where the arguments were made of more than that, which may change."""

    @property
    def compared(self) -> Json:
        """What has to be the same under one idempotency key."""
        return self.arguments if self.asked is None else self.asked

    @property
    def namespace(self) -> str:
        return self.task.partition(".")[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far an attempt is, in the task's own unit. `total` is null until it is known."""

    done: int = 0
    total: int | None = None

    @property
    def percentage(self) -> float:
        """0..100, two decimals; 0 while the total is unknown, 100 where there is nothing to do."""
        if self.total is None:
            return 0.0
        return round(100 * min(self.done, self.total) / self.total, 2) if self.total else 100.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    """A part of an attempt's work, with a name for people."""

    name: str
    began: datetime
    ended: datetime | None = None
    progress: Progress = Progress()
    place: int = 0
    """Which it is of the `places` that the whole work has, from 1; 0 where that is not known."""
    places: int = 0

    def percentage_of_all(self, progress: Progress) -> float:
        """How far the whole work is, where the phase is so far: it never falls from phase to phase."""
        if not self.place:
            return progress.percentage
        return round((100 * (self.place - 1) + progress.percentage) / self.places, 2)


PHASES_KEPT = 50
"""Of an attempt; more are a task's mistake, and the newest stay."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A fact about an effect outside, noted before the attempt went on."""

    step: str
    fact: Json
    at: datetime
    """By the registry's clock."""


JOURNAL_BYTES = 64 * 1024
"""Of a job's journal, as JSON."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """How a job will end, once what its journal names has been taken back."""

    state: JobState
    """FAILED or CANCELLED."""

    reason: str | None = None
    """The error to be."""

    cause: str | None = None


class EventKind(enum.Enum):
    """What can be told of a job's way."""

    ACCEPTED = "accepted"
    STARTED = "started"
    """An attempt began."""
    PROGRESS = "progress"
    """The newest of a row of reports: the ones before it are not kept."""
    RETRIED = "retried"
    """An attempt ended without an outcome; `detail` says why."""
    PHASE = "phase"
    """Another phase of the work began; `detail` is its name."""
    CANCEL_REQUESTED = "cancel requested"
    UNDOING = "undoing"
    """The job ends once what it did outside has been taken back; `detail` says why it ends."""
    LOOKED_AGAIN = "looked again"
    """Upkeep looked for what arrived outside after the end; `detail` says what it did about it."""
    COMMITTED = "committed"
    """The effect is known to be there."""
    PARKED = "parked"
    """Nobody could find out whether the effect is there; `detail` says why."""
    SETTLED = "settled"
    """An admin said what became of a parked job; `detail` says who and what."""
    FINISHED = "finished"
    """`detail` is the final state."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something that happened to a job, for those who follow it."""

    kind: EventKind
    at: datetime
    """By the registry's clock."""

    number: int
    """Grows within a job, from 1. Where one is missing, it was of a progress that is told by a later one,
    or of what a long history keeps no more: between the first event and the second."""

    attempt: int
    """Of which attempt; 0 before the first."""

    detail: str | None = None
    progress: Progress | None = None


EVENTS_KEPT = 100
"""Of a job; the first one and the newest stay."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One accepted request and how far it has come. Datetimes are aware."""

    request: Request
    number: int
    """Grows by one with every job of a registry: the order of acceptance."""

    submitted_at: datetime
    state: JobState = JobState.QUEUED
    version: int = 1
    """Raised by every write: what a compare-and-set compares."""

    token: str = ""
    """Random, of the last write: a writer whose reply was lost knows its own write by it."""

    epoch: int = 0
    """Raised by claim, retry, release and recover: a write of an older epoch is refused."""

    attempt: int = 0
    """How many attempts have begun."""

    tries: int = 0
    """How many attempts ended with something transient that the task met by itself."""

    recoveries: int = 0
    """How many attempts were lost with their process."""

    claim_token: str = ""
    """Of the claim that began the attempt: one whose reply was lost is sent again, and knows its job by it."""

    worker: str | None = None
    lease_until: datetime | None = None
    not_before: datetime | None = None
    """When WAITING: no attempt begins earlier."""

    cancel_requested: bool = False
    """A fact about the job, not a state."""

    commit_unsettled: bool = False
    """An attempt passed the point of no return and nobody knows yet whether its commit happened."""

    doubts: int = 0
    """How many attempts in a row ended without finding out what became of the commit."""

    progress: Progress = field(default_factory=Progress)
    phases: tuple[Phase, ...] = ()
    """Of this attempt, oldest first."""

    result: Json | None = None
    """Stored by begin_commit as the result to be; told to clients only once SUCCEEDED."""

    error: str | None = None
    """Why it FAILED, or waits for another attempt; what a CANCELLED one has to say, if anything."""

    cause: str | None = None
    """The same for who looks into it: `<Type>: <detail>`."""

    journal: tuple[Entry, ...] = ()
    """What its attempts did outside, oldest first. A job with one ends otherwise than SUCCEEDED only by an undo."""

    kept: Json | None = None
    """Of an effect that grows step by step: what is there, by the last step that was told, and exactly so once the
    job has ended. None where nothing has begun to grow. A job with it ends otherwise than SUCCEEDED only once
    nothing more of it can come."""

    ending: Ending | None = None
    """The next attempts take back what the journal names, or see to it that no step comes late; then it ends so."""

    undos: int = 0
    """How many attempts to take it back ended without having done so."""

    left: str | None = None
    """What could not be taken back, in words."""

    started_at: datetime | None = None
    """When the first attempt began."""

    finished_at: datetime | None = None
    events: tuple[Event, ...] = ()
    """What happened to the job, oldest first; EVENTS_KEPT at most."""

    def __post_init__(self) -> None:
        for moment in (self.submitted_at, self.lease_until, self.not_before, self.started_at, self.finished_at):
            if moment is not None and moment.tzinfo is None:
                raise ValueError("a job's times are aware")

    @property
    def id(self) -> str:
        return self.request.job_id

    @property
    def finished(self) -> bool:
        return self.state.final

    @property
    def lane(self) -> str:
        return self.request.lane or DEFAULT_LANE


Change = Callable[[Job, datetime], Job]


def new_token() -> str:
    """What a write is known by."""
    return secrets.token_hex(8)
