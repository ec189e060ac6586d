"""What a change of a job says to those who count: pure functions of the job before and after."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tagapi.jobs.lists import due
from tagapi.jobs.model import EventKind, Job, JobState

RUNS = frozenset({JobState.RUNNING, JobState.COMMITTING})
OUTCOMES = ("succeeded", "failed", "cancelled", "retried", "released", "lost", "parked", "undone")
"""Every way an attempt can end, as the job tells it."""


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt."""

    outcome: str
    """One of OUTCOMES."""

    seconds: float


def waited(before: Job, after: Job) -> float | None:
    """Seconds from when an attempt could have begun until it did; None where none did, or one that only takes back."""
    since = due(before)
    if after.state is not JobState.RUNNING or since is None or before.ending is not None:
        return None
    return max(0.0, (_at(after) - since).total_seconds())


def ended(before: Job, after: Job) -> Ended | None:
    """How an attempt ended, and how long it took; None where none did."""
    if before.state not in RUNS or after.state in RUNS:
        return None
    began = next((one.at for one in reversed(before.events) if one.kind is EventKind.STARTED), before.started_at)
    seconds = 0.0 if began is None else max(0.0, (_at(after) - began).total_seconds())
    return Ended(_outcome(before, after), seconds)


def _outcome(before: Job, after: Job) -> str:
    if after.recoveries > before.recoveries:
        return "lost"
    if after.attempt < before.attempt:
        return "released"
    if before.ending is not None:
        return "undone" if after.finished else "retried"
    if after.ending is not None:  # what it did is taken back by another attempt, before the job ends so
        return after.ending.state.value
    return after.state.value if after.finished or after.state is JobState.PARKED else "retried"


def _at(job: Job) -> datetime:
    """When the last change came, by the registry's clock: each that begins or ends an attempt leaves an event."""
    return job.events[-1].at
