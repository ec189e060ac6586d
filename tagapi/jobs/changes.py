"""Every way a job may change: pure functions `change(job, now, ...) -> job`.

Each checks the table of states and, where an attempt writes, the attempt's epoch. The registry
applies a change atomically, with its own `now`, and may apply it more than once before it
is written: so there is nothing in here but arithmetic on values.
"""

from __future__ import annotations

import enum
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from tagapi.jobs.errors import AlreadyFinished, IllegalTransition, JobCancelled, NotParked, StaleAttempt
from tagapi.jobs.model import EVENTS_KEPT, TRANSITIONS, Event, EventKind, Job, JobState, Json, Progress, Request

DOUBTS_AT_MOST = 20
"""Attempts in a row that could not find out what became of a commit: some seven minutes, as they come ever slower."""
LOST = "the process that ran it was lost"


def _noted(job: Job, kind: EventKind, now: datetime, detail: str | None = None, **facts: Any) -> Job:
    """The job with one more event; progress takes the place of the progress before it."""
    event = Event(kind=kind, at=now, attempt=job.attempt, detail=detail, **facts)
    events = job.events
    if events and kind is EventKind.PROGRESS is events[-1].kind:
        events = events[:-1]
    if len(events) >= EVENTS_KEPT:
        events = (events[0], *events[len(events) - EVENTS_KEPT + 2 :])
    return replace(job, events=(*events, event))


def _to(job: Job, state: JobState, **facts: Any) -> Job:
    if state not in TRANSITIONS[job.state]:
        raise IllegalTransition(job_id=job.id, state=job.state.value, wanted=state.value)
    return replace(job, state=state, **facts)


def _end(job: Job, state: JobState, now: datetime, **facts: Any) -> Job:
    ended = _to(job, state, finished_at=now, worker=None, lease_until=None, commit_unsettled=False, **facts)
    if job.commit_unsettled and state is not JobState.SUCCEEDED:
        # Neither word may be said of a job whose effect may be there: it has to be settled first.
        raise IllegalTransition(job_id=job.id, state="not settled", wanted=state.value)
    return _noted(ended, EventKind.FINISHED, now, state.value)


def _wait(job: Job, now: datetime, delay: timedelta, why: str, **facts: Any) -> Job:
    """Another attempt at `now + delay`; the one that ends here is fenced off. A cancel that was asked is honoured."""
    if job.cancel_requested and job.state is JobState.RUNNING and not job.commit_unsettled:
        return _end(replace(job, epoch=job.epoch + 1), JobState.CANCELLED, now, result=None)
    return _leave(_noted(job, EventKind.RETRIED, now, why), JobState.WAITING, not_before=now + delay, **facts)


def _doubt(job: Job, now: datetime, delay: timedelta, why: str, **facts: Any) -> Job:
    """The attempt ended, and what became of the commit is not known: the next one asks, or nobody does any more."""
    doubting = replace(job, doubts=job.doubts + 1)
    if doubting.doubts < DOUBTS_AT_MOST:
        return _wait(doubting, now, delay, why, **facts)
    return _leave(_noted(doubting, EventKind.PARKED, now, why), JobState.PARKED, **{**facts, "error": why})


def _leave(job: Job, state: JobState, **facts: Any) -> Job:
    """Nobody runs the job any more; whoever still does so is fenced off."""
    unsettled = _in_doubt(job)
    return _to(job, state, epoch=job.epoch + 1, worker=None, lease_until=None, commit_unsettled=unsettled, **facts)


def _in_doubt(job: Job) -> bool:
    return job.commit_unsettled or job.state is JobState.COMMITTING


def _fence(job: Job, epoch: int) -> None:
    if job.epoch != epoch:
        raise StaleAttempt(job_id=job.id, epoch=epoch, current=job.epoch)


def _check_leased(job: Job, epoch: int) -> None:
    """An attempt runs, since its lease does."""
    if job.lease_until is None:
        raise StaleAttempt(job_id=job.id, epoch=epoch, current=f"nobody: the job is {job.state.value}")


def accept(request: Request, now: datetime, number: int = 0) -> Job:
    """A request becomes a job. Its number is the registry's to give."""
    accepted = Event(kind=EventKind.ACCEPTED, at=now, attempt=0)
    return Job(request=request, number=number, submitted_at=now, events=(accepted,))


def claim(job: Job, now: datetime, *, worker: str, lease: timedelta, token: str = "") -> Job:
    """Begin an attempt: QUEUED, or WAITING whose time has come → RUNNING.

    A job that this very claim has begun to run hears its own write again, whoever has asked for a cancel since.
    """
    if token and job.state is JobState.RUNNING and job.claim_token == token:
        return job
    if job.not_before is not None and now < job.not_before:
        raise IllegalTransition(job_id=job.id, state="waiting for its time", wanted="running")
    claimed = _to(
        job,
        JobState.RUNNING,
        epoch=job.epoch + 1,
        attempt=job.attempt + 1,
        worker=worker,
        claim_token=token,
        lease_until=now + lease,
        not_before=None,
        started_at=job.started_at or now,
        error=None,
        progress=Progress(),
    )
    return _noted(claimed, EventKind.STARTED, now)


def renew(job: Job, now: datetime, *, epoch: int, lease: timedelta) -> Job:
    """Keep the lease; an attempt that lost it, or ended, is told so by StaleAttempt."""
    _fence(job, epoch)
    _check_leased(job, epoch)
    return replace(job, lease_until=now + lease)


def advance(job: Job, now: datetime, *, epoch: int, progress: Progress) -> Job:
    """Say how far the attempt is."""
    _fence(job, epoch)
    if job.finished:
        return job
    _check_leased(job, epoch)
    overtaken = progress.total == job.progress.total and progress.done <= job.progress.done
    if overtaken:
        return job
    return _noted(replace(job, progress=progress), EventKind.PROGRESS, now, progress=progress)


def settle(job: Job, now: datetime, *, epoch: int) -> Job:
    """The commit of an earlier attempt is known not to have happened, and cannot happen any more."""
    _fence(job, epoch)
    if job.state is not JobState.RUNNING:
        raise IllegalTransition(job_id=job.id, state=job.state.value, wanted="settled")
    return replace(job, commit_unsettled=False, doubts=0, result=None)


def begin_commit(job: Job, now: datetime, *, epoch: int, result: Json) -> Job:
    """The one point of no return: store the result to be. Raises JobCancelled if a cancel came first.

    An attempt passes it once, so a job that is past it at this epoch hears its own write again: the
    reply was lost, and a renewal has put its token over the write's.
    """
    _fence(job, epoch)
    if job.state is JobState.COMMITTING:
        return job
    if job.cancel_requested:
        raise JobCancelled
    return _to(job, JobState.COMMITTING, result=result)


def succeed(job: Job, now: datetime, *, epoch: int, result: Json | None = None) -> Job:
    """The effect is there: done with the stored result, or with `result` where there was nothing to commit.

    Without a commit this is the point of no return itself, so a cancel that came first wins here too.
    """
    _fence(job, epoch)
    committed = job.state is JobState.COMMITTING or job.commit_unsettled
    if job.cancel_requested and not committed:
        raise JobCancelled
    if committed:
        job = _noted(job, EventKind.COMMITTED, now)
    total = job.progress.total or job.progress.done
    return _end(
        job,
        JobState.SUCCEEDED,
        now,
        result=job.result if committed else result,
        progress=Progress(done=total, total=total),
    )


def fail(job: Job, now: datetime, *, epoch: int, reason: str) -> Job:
    """Give up, for this reason."""
    _fence(job, epoch)
    return _end(job, JobState.FAILED, now, error=reason, result=None)


def cancelled(job: Job, now: datetime, *, epoch: int) -> Job:
    """The attempt has left without an effect, as was asked."""
    _fence(job, epoch)
    return _end(job, JobState.CANCELLED, now, result=None)


def retry(
    job: Job,
    now: datetime,
    *,
    epoch: int,
    delay: timedelta,
    reason: str,
    settled: bool = False,
    counted: bool = True,
) -> Job:
    """The attempt met something transient: run again after `delay`. `reason` is kept until then.

    `settled` says that a commit, if one was begun, is known not to have happened. An attempt that is
    not `counted` was ended by what others did, and is none of the task's tries; one in doubt is none
    either, and a job in doubt for the DOUBTS_AT_MOST-th time is parked.
    """
    _fence(job, epoch)
    if not settled and _in_doubt(job):
        return _doubt(job, now, delay, reason, error=reason)
    waiting = _wait(job, now, delay, reason, error=reason, tries=job.tries + counted)
    return replace(waiting, commit_unsettled=False, doubts=0, result=None) if settled else waiting


def release(job: Job, now: datetime, *, epoch: int) -> Job:
    """The process is leaving: the attempt does not count, and another process may take the job at once."""
    _fence(job, epoch)
    return _wait(job, now, timedelta(), "the process that ran it is leaving", attempt=job.attempt - 1)


def recover(job: Job, now: datetime, *, max_recoveries: int) -> Job:
    """The lease lapsed: the attempt's process is gone, or frozen and fenced off from here on.

    A job whose commit may have happened gets another attempt, since only that can find out, until it
    is parked; any other is cancelled where that was asked, or failed after too many losses.
    """
    if job.lease_until is None or now < job.lease_until:
        return job
    lost = replace(job, recoveries=job.recoveries + 1)
    if _in_doubt(job):
        return _doubt(lost, now, timedelta(), LOST)
    if lost.recoveries > max_recoveries and not job.cancel_requested:
        return fail(replace(lost, epoch=job.epoch + 1), now, epoch=job.epoch + 1, reason=lost_too_often(lost))
    return _wait(lost, now, timedelta(), LOST)


def lost_too_often(job: Job) -> str:
    """The reason of a job that recovery gives up."""
    return f"the process that ran it was lost {job.recoveries} times"


def request_cancel(job: Job, now: datetime) -> Job:
    """Ask for a cancel: at once where no attempt runs, else a flag that the attempt sees.

    Raises AlreadyFinished past the point of no return, a parked job's included. A waiting job whose commit may have
    happened keeps the flag for its next attempt, which finds out first.
    """
    if job.finished or job.state in (JobState.COMMITTING, JobState.PARKED):
        raise AlreadyFinished(job_id=job.id, state=job.state.value)
    asked = job
    if not job.cancel_requested:
        asked = _noted(replace(job, cancel_requested=True), EventKind.CANCEL_REQUESTED, now)
    if job.state is JobState.RUNNING or job.commit_unsettled:
        return asked
    return _end(asked, JobState.CANCELLED, now)


class Verdict(enum.Enum):
    """What an admin can say of a parked job."""

    RETRY = "retry"
    """Ask the sink again, as often as before: what kept it from answering has been mended."""

    COMPLETED = "completed"
    """The effect is there: somebody has looked."""

    FAILED = "failed"
    """The effect is not there, and cannot come any more: somebody has looked."""


def settle_by_hand(job: Job, now: datetime, *, by: str, verdict: Verdict) -> Job:
    """What a person found out takes the place of the sink's own answer. Raises NotParked."""
    if job.state is not JobState.PARKED:
        raise NotParked(job_id=job.id, state=job.state.value)
    said = _noted(replace(job, doubts=0), EventKind.SETTLED, now, f"{verdict.value}, says {by}")
    if verdict is Verdict.COMPLETED:
        return replace(succeed(said, now, epoch=job.epoch), error=None)
    waiting = _to(said, JobState.WAITING, not_before=now)
    if verdict is Verdict.RETRY:
        return waiting
    absent = replace(waiting, commit_unsettled=False, error=None)
    if job.cancel_requested:
        return cancelled(absent, now, epoch=job.epoch)
    return fail(absent, now, epoch=job.epoch, reason=f"its commit did not happen, says {by}")
