"""What the changes of a job are made of: its history, its ends, its waits, its fence. Pure, as they are.

Everything that ends a job goes through `end`, so that one place sees to it that no word is said of
a job whose effect may be there.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from tagapi.jobs.errors import IllegalTransition, StaleAttempt
from tagapi.jobs.model import EVENTS_KEPT, TRANSITIONS, Ending, Event, EventKind, Job, JobState, Json

DOUBTS_AT_MOST = 20
"""Attempts in a row that could not find out what became of a commit: some seven minutes, as they come ever slower."""
UNDOS_AT_MOST = 40
"""Attempts to take back what a job did outside: some twenty minutes, as they come ever slower."""
LOST = "the process that ran it was lost"


def noted(job: Job, kind: EventKind, now: datetime, detail: str | None = None, **facts: Any) -> Job:
    """The job with one more event; progress takes the place of the progress before it."""
    events = job.events
    number = events[-1].number + 1 if events else 1
    event = Event(kind=kind, at=now, number=number, attempt=job.attempt, detail=detail, **facts)
    if events and kind is EventKind.PROGRESS is events[-1].kind:
        events = events[:-1]
    if len(events) >= EVENTS_KEPT:
        events = (events[0], *events[len(events) - EVENTS_KEPT + 2 :])
    return replace(job, events=(*events, event))


def _check(job: Job, state: JobState) -> None:
    if state not in TRANSITIONS[job.state]:
        raise IllegalTransition(job_id=job.id, state=job.state.value, wanted=state.value)


def to(job: Job, state: JobState, **facts: Any) -> Job:
    _check(job, state)
    return replace(job, state=state, **facts)


def end(
    job: Job, state: JobState, now: datetime, error: str | None = None, cause: str | None = None, **facts: Any
) -> Job:
    _check(job, state)
    if job.commit_unsettled and state is not JobState.SUCCEEDED:
        # Neither word may be said of a job whose effect may be there: it has to be settled first.
        raise IllegalTransition(job_id=job.id, state="not settled", wanted=state.value)
    if state is not JobState.SUCCEEDED and job.ending is not None:  # and nobody knows how to go on with it
        return undo_again(job, now, timedelta(seconds=1), error or state.value)
    if state is not JobState.SUCCEEDED and (job.journal or job.kept is not None):
        return _undo_first(job, Ending(state=state, reason=error, cause=cause), now)
    return _ended(job, state, now, error=error, cause=cause, **facts)


def _ended(job: Job, state: JobState, now: datetime, **facts: Any) -> Job:
    ended = to(job, state, finished_at=now, worker=None, lease_until=None, commit_unsettled=False, **facts)
    return noted(phase_ended(ended, now), EventKind.FINISHED, now, state.value)


def _undo_first(job: Job, ending: Ending, now: datetime) -> Job:
    """Before either word is said of a job that did something outside, or grew, an attempt brings that to its end.

    In the queue it is before all that came after the job, which has had its turn: somebody may wait for its end.
    """
    told = noted(job, EventKind.UNDOING, now, ending.reason or ending.state.value)
    return _undoing(told, min(now, job.submitted_at), timedelta(), ending=ending)


def _undoing(job: Job, now: datetime, delay: timedelta, **facts: Any) -> Job:
    """An attempt to take back begins at `now + delay`; whoever runs the job now is fenced off."""
    waiting = replace(job, state=JobState.WAITING, epoch=job.epoch + 1, worker=None, lease_until=None)
    return replace(waiting, not_before=now + delay, commit_unsettled=False, result=None, **facts)


def undo_again(job: Job, now: datetime, delay: timedelta, why: str) -> Job:
    """The attempt to take back ended before it had: another one does, or what is left is told."""
    tried = replace(job, undos=job.undos + 1)
    if tried.undos < UNDOS_AT_MOST:
        return _undoing(noted(tried, EventKind.RETRIED, now, why), now, delay, error=why)
    return end_undone(tried, now, remark=None, left=f"{why}; {_outside_in_words(job)}")


def end_undone(job: Job, now: datetime, remark: str | None, left: str | None, kept: Json | None = None) -> Job:
    ending = job.ending
    if ending is None:
        raise IllegalTransition(job_id=job.id, state=job.state.value, wanted="undone")
    state = JobState.FAILED if left else ending.state
    said = "; ".join(part for part in (ending.reason, remark, left) if part)
    cause = f"NotUndone: {left}" if left else ending.cause
    return _ended(job, state, now, error=said or None, cause=cause, left=left, result=None, kept=kept or job.kept)


def _outside_in_words(job: Job) -> str:
    told = [[entry.step, entry.fact] for entry in job.journal[-20:]] or job.kept
    return json.dumps(told, ensure_ascii=False)[:1000]


def phase_ended(job: Job, now: datetime) -> Job:
    if not job.phases or job.phases[-1].ended is not None:
        return job
    return replace(job, phases=(*job.phases[:-1], replace(job.phases[-1], ended=now)))


def wait(job: Job, now: datetime, delay: timedelta, why: str, **facts: Any) -> Job:
    """Another attempt at `now + delay`; the one that ends here is fenced off. A cancel that was asked is honoured."""
    if job.cancel_requested and job.state is JobState.RUNNING and not job.commit_unsettled and job.ending is None:
        return end(replace(job, epoch=job.epoch + 1), JobState.CANCELLED, now, result=None)
    return leave(noted(job, EventKind.RETRIED, now, why), JobState.WAITING, not_before=now + delay, **facts)


def doubt(job: Job, now: datetime, delay: timedelta, why: str, **facts: Any) -> Job:
    """The attempt ended, and what became of the commit is not known: the next one asks, or nobody does any more."""
    doubting = replace(job, doubts=job.doubts + 1)
    if doubting.doubts < DOUBTS_AT_MOST:
        return wait(doubting, now, delay, why, **facts)
    return leave(noted(doubting, EventKind.PARKED, now, why), JobState.PARKED, **{**facts, "error": why})


def leave(job: Job, state: JobState, **facts: Any) -> Job:
    """Nobody runs the job any more; whoever still does so is fenced off."""
    unsettled = in_doubt(job)
    return to(job, state, epoch=job.epoch + 1, worker=None, lease_until=None, commit_unsettled=unsettled, **facts)


def in_doubt(job: Job) -> bool:
    return job.commit_unsettled or job.state is JobState.COMMITTING


def fence(job: Job, epoch: int) -> None:
    if job.epoch != epoch:
        raise StaleAttempt(job_id=job.id, epoch=epoch, current=job.epoch)


def check_leased(job: Job, epoch: int) -> None:
    """An attempt runs, since its lease does."""
    if job.lease_until is None:
        raise StaleAttempt(job_id=job.id, epoch=epoch, current=f"nobody: the job is {job.state.value}")
