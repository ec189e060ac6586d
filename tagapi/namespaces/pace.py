"""How far a job is, and how long it will take at this pace: pure functions, for every front."""

from __future__ import annotations

import math
from datetime import datetime

from tagapi.jobs.model import EventKind, Job, JobState


def percentage(job: Job) -> float:
    """0..100, of all phases together. What has succeeded is complete, however much there was to do."""
    if job.state is JobState.SUCCEEDED:
        return 100.0
    return job.phases[-1].percentage_of_all(job.progress) if job.phases else job.progress.percentage


def seconds_left(job: Job, now: datetime) -> int | None:
    """How long this attempt, or its phase, will take at its pace; None while that is not known, or none runs."""
    done, total, began = job.progress.done, job.progress.total, _began(job)
    if job.state not in (JobState.RUNNING, JobState.COMMITTING) or began is None or not done or not total:
        return None
    taken = max(0.0, (now - began).total_seconds())
    return math.ceil(taken * max(0, total - done) / done)


def _began(job: Job) -> datetime | None:
    """When that began of which the progress tells."""
    if job.phases:
        return job.phases[-1].began
    return next((event.at for event in reversed(job.events) if event.kind is EventKind.STARTED), job.started_at)
