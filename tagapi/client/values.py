"""What the service tells of jobs and schedules, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

PENDING, STARTED, RETRY, SUCCESS, FAILURE, REVOKED = "PENDING", "STARTED", "RETRY", "SUCCESS", "FAILURE", "REVOKED"
"""What a status can be, of a job of any front."""
FINAL = frozenset({SUCCESS, FAILURE, REVOKED})

Told = Mapping[str, Any]


def moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a job is."""

    status: str = PENDING
    done: int = 0
    total: int | None = None
    percentage: float = 0.0
    phase: str | None = None
    """What it is at, where its task says."""

    def after(self, event: Event) -> Progress:
        phase = event.detail if event.kind == "phase" else None if event.kind == "started" else self.phase
        return replace(event.progress, phase=phase)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a job."""

    number: int
    """Of the job's first event 1, of its next one 2."""
    kind: str
    """`accepted`, `started`, `progress`, `phase`, `retried`, `finished`, …; `snapshot` where some are kept no more."""
    at: datetime | None
    progress: Progress
    """As it was then."""
    attempt: int | None
    detail: str | None
    final: bool
    """Nothing comes after it."""
    told: Told = field(repr=False)

    @property
    def status(self) -> str:
        return self.progress.status

    @classmethod
    def of(cls, told: Told) -> Event:
        kind, status = told["event"], told["status"]
        return cls(
            number=told["number"],
            kind=kind,
            at=moment(told.get("at")),
            progress=Progress(status=status, **_numbers(told.get("progress"))),
            attempt=told.get("attempt"),
            detail=told.get("detail"),
            final=kind != "snapshot" and (bool(told.get("final")) or kind == "finished"),
            told=told,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """A job as it is, in the words that hold for the jobs of all fronts."""

    id: str
    status: str
    """PENDING, STARTED, RETRY, SUCCESS, FAILURE or REVOKED."""
    task: str
    owner: str | None
    result: Any
    """Of one that succeeded; None else."""
    error: str | None
    """Why it failed, for people."""
    progress: Progress
    attempt: int
    max_attempts: int | None
    created_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    retry_of: str | None
    parked: bool
    """Nobody could find out whether it was done: an admin has to say."""
    told: Told = field(repr=False)

    @property
    def finished(self) -> bool:
        return self.status in FINAL

    @classmethod
    def of(cls, told: Told) -> JobStatus:
        status = told["status"]
        return cls(
            id=told["task_id"],
            status=status,
            task=told["task"],
            owner=told["owner"],
            result=told["result"] if status == SUCCESS else None,
            error=_error(told),
            progress=Progress(status=status, **_numbers(told["progress"])),
            attempt=told["attempt"],
            max_attempts=told["max_attempts"],
            created_at=moment(told["created_at"]),
            started_at=moment(told["started_at"]),
            completed_at=moment(told["completed_at"]),
            retry_of=told["retry_of"],
            parked=bool(told.get("parked")),
            told=told,
        )


def _error(told: Told) -> str | None:
    """The front tells what happened in `result`, and what kind of thing it was in `error`."""
    if told["status"] == FAILURE:
        return str(told["result"]).removeprefix("Error: ")
    return told["error"] if told["status"] == REVOKED else None


def _numbers(told: Told | None) -> dict[str, Any]:
    return {} if told is None else {name: told[name] for name in ("done", "total", "percentage")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A task that is begun by the clock."""

    id: str
    next_run: datetime | None
    job_id: str | None = None
    """Of the run that was begun at once, where one was."""
    told: Told = field(repr=False)

    @classmethod
    def of(cls, told: Told) -> Schedule:
        return cls(
            id=told["schedule_id"], next_run=moment(told.get("next_run")), job_id=told.get("celery_id"), told=told
        )
