"""What is begun by the clock, again and again: a schedule, and every way in which one may change.

A schedule is a frozen value; its changes are pure, as a job's are, since the registry may apply one more than
once before it is written. This module knows no clock and no calendar: when a cron comes next is told by a
function that is handed in.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from tagapi.jobs.model import Json, Request

RUNS = uuid.UUID("5f8e1f0a-6f0c-4b56-9a57-0d3f2ab1c0de")
"""The name space of the ids of runs."""
MISSED_COUNTED = 100
"""Times of a cron that are counted one by one, where nobody was there to begin them: there may be half a million."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Every:
    """An interval, counted from the first run. Raises ValueError for less than a second."""

    seconds: int

    def __post_init__(self) -> None:
        if self.seconds < 1:
            raise ValueError("an interval is of one second at least")


@dataclass(frozen=True, kw_only=True, slots=True)
class Cron:
    """Minutes of a calendar, by the clocks of a place."""

    expression: str
    """Minute, hour, day of the month, month, day of the week."""

    timezone: str = "UTC"
    """Its name in the IANA's database."""


Timing = Every | Cron
NextOfCron = Callable[[Cron, datetime], datetime]
"""The first time of a cron that is later than a moment."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """A task that is begun by the clock, and how far that has come. Datetimes are aware."""

    id: str
    """A UUID, made before the first send, so that a repeated add finds itself."""

    task: str
    """The task's name, `<namespace>.<work>`."""

    owner: str
    """The name of the principal who asked: of every run, too."""

    arguments: Json
    """Of every run: validated, defaults filled in."""

    timing: Timing
    created_at: datetime
    next_at: datetime
    """When the next run is due. It stays, once it is past, until that run has begun."""

    labels: tuple[str, ...] = ()
    """Of every run, beside the one that says of which schedule it is."""

    lane: str | None = None
    asked: Json | None = None
    """What the client asked for, where the arguments were made of more than that, which may change."""

    number: int = 0
    """Grows by one with every schedule of a registry: the order of their creation."""

    version: int = 1
    """Raised by every write: what a compare-and-set compares."""

    token: str = ""
    """Random, of the last write: a writer whose reply was lost knows its own write by it."""

    paused: str | None = None
    """Why nothing is begun; None where it is."""

    runs: int = 0
    """How many were begun."""

    missed: int = 0
    """How many times had no run of their own, since nobody was there, or the run before was not over: another run
    stands for them. Of one stretch at most MISSED_COUNTED are counted, where a cron says them."""

    last_job_id: str | None = None
    """Of the last run."""

    last_due_at: datetime | None = None
    """The time that the last run was due at."""

    last_begun_at: datetime | None = None
    """When it was begun."""

    def __post_init__(self) -> None:
        for moment in (self.created_at, self.next_at, self.last_due_at, self.last_begun_at):
            if moment is not None and moment.tzinfo is None:
                raise ValueError("a schedule's times are aware")

    @property
    def namespace(self) -> str:
        return self.task.partition(".")[0]

    @property
    def due_at(self) -> datetime | None:
        """From when on its next run may begin; None while none may."""
        return None if self.paused is not None else self.next_at

    @property
    def compared(self) -> Json:
        """What has to be the same under one idempotency key, beside the timing."""
        return self.arguments if self.asked is None else self.asked

    def is_due(self, now: datetime) -> bool:
        return self.due_at is not None and self.due_at <= now


Change = Callable[[Schedule, datetime], Schedule]


def run_id(schedule_id: str, due: datetime) -> str:
    """The id of the job that is begun for this time: the same, whoever begins it and however often."""
    return str(uuid.uuid5(RUNS, f"{schedule_id} {due.astimezone(UTC).isoformat()}"))


def run_label(schedule_id: str) -> str:
    """The label of all runs of a schedule."""
    return f"schedule:{schedule_id}"


def run_of(schedule: Schedule) -> Request:
    """What is asked for when the next run begins."""
    return Request(
        job_id=run_id(schedule.id, schedule.next_at),
        task=schedule.task,
        owner=schedule.owner,
        arguments=schedule.arguments,
        labels=(*schedule.labels, run_label(schedule.id)),
        lane=schedule.lane,
    )


class Following(NamedTuple):
    next_at: datetime
    passed: int
    """How many times lie between, and are past as well."""


def first(timing: Timing, now: datetime, next_of: NextOfCron) -> datetime:
    """The first time of a timing that begins now."""
    return now + timedelta(seconds=timing.seconds) if isinstance(timing, Every) else next_of(timing, now)


def following(timing: Timing, due: datetime, now: datetime, next_of: NextOfCron) -> Following:
    """The first time after `due` that is not past. The grid of an interval stays, however late a run begins."""
    if isinstance(timing, Every):
        step = timedelta(seconds=timing.seconds)
        passed = max(0, (now - due) // step)
        return Following(due + (passed + 1) * step, passed)
    moment = due
    for passed in range(MISSED_COUNTED):
        moment = next_of(timing, moment)
        if moment > now:
            return Following(moment, passed)
    return Following(next_of(timing, now), MISSED_COUNTED)


# -- changes --------------------------------------------------------------------------------


def begun(schedule: Schedule, now: datetime, next_of: NextOfCron) -> Schedule:
    """The run that was due has begun, and stands for all that were due since."""
    following_run = following(schedule.timing, schedule.next_at, now, next_of)
    return replace(
        schedule,
        next_at=following_run.next_at,
        runs=schedule.runs + 1,
        missed=schedule.missed + following_run.passed,
        last_job_id=run_id(schedule.id, schedule.next_at),
        last_due_at=schedule.next_at,
        last_begun_at=now,
    )


def pause(schedule: Schedule, now: datetime, *, why: str) -> Schedule:
    """Begin nothing until it is resumed. What is running goes on; the first reason counts."""
    return schedule if schedule.paused is not None else replace(schedule, paused=why)


def resume(schedule: Schedule, now: datetime, *, next_of: NextOfCron) -> Schedule:
    """Go on with the next time that comes: what would have been due meanwhile was not wanted."""
    if schedule.paused is None:
        return schedule
    next_at = schedule.next_at
    if next_at <= now:
        next_at = following(schedule.timing, next_at, now, next_of).next_at
    return replace(schedule, paused=None, next_at=next_at)
