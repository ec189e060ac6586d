"""Every way a job may change: pure functions `change(job, now, ...) -> job`.

Each checks the table of states and, where an attempt writes, the attempt's epoch. The registry
applies a change atomically, with its own `now`, and may apply it more than once before it
is written: so there is nothing in here but arithmetic on values.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from tagapi.jobs import steps
from tagapi.jobs.errors import AlreadyFinished, IllegalTransition, IsRunning, JobCancelled, JournalFull, NotParked
from tagapi.jobs.model import (
    JOURNAL_BYTES,
    PHASES_KEPT,
    Entry,
    Event,
    EventKind,
    Job,
    JobState,
    Json,
    Phase,
    Progress,
    Request,
)


def accept(request: Request, now: datetime, number: int = 0) -> Job:
    """A request becomes a job. Its number is the registry's to give."""
    accepted = Event(kind=EventKind.ACCEPTED, at=now, number=1, attempt=0)
    return Job(request=request, number=number, submitted_at=now, events=(accepted,))


def claim(job: Job, now: datetime, *, worker: str, lease: timedelta, token: str = "") -> Job:
    """Begin an attempt: QUEUED, or WAITING whose time has come → RUNNING.

    A job that this very claim has begun to run hears its own write again, whoever has asked for a cancel since.
    """
    if token and job.state is JobState.RUNNING and job.claim_token == token:
        return job
    if job.not_before is not None and now < job.not_before:
        raise IllegalTransition(job_id=job.id, state="waiting for its time", wanted="running")
    claimed = steps.to(
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
        phases=(),
    )
    return steps.noted(claimed, EventKind.STARTED, now)


def renew(job: Job, now: datetime, *, epoch: int, lease: timedelta) -> Job:
    """Keep the lease; an attempt that lost it, or ended, is told so by StaleAttempt."""
    steps.fence(job, epoch)
    steps.check_leased(job, epoch)
    return replace(job, lease_until=now + lease)


def advance(
    job: Job, now: datetime, *, epoch: int, progress: Progress, phase: str | None = None, all_phases: Sequence[str] = ()
) -> Job:
    """Say how far the attempt is: within its phase, where it named one. `all_phases` are those of the whole work."""
    steps.fence(job, epoch)
    if job.finished:
        return job
    steps.check_leased(job, epoch)
    if phase is not None and (not job.phases or job.phases[-1].name != phase):
        job = _begin_phase(job, now, phase, all_phases)
    elif progress.total == job.progress.total and progress.done <= job.progress.done:
        return job  # overtaken
    advanced = replace(job, progress=progress)
    if phase is not None:
        advanced = replace(advanced, phases=(*job.phases[:-1], replace(job.phases[-1], progress=progress)))
    return steps.noted(advanced, EventKind.PROGRESS, now, progress=progress)


def _begin_phase(job: Job, now: datetime, name: str, all_phases: Sequence[str]) -> Job:
    before = steps.phase_ended(job, now).phases[-PHASES_KEPT + 1 :]
    phase = Phase(name=name, began=now)
    if name in all_phases:
        phase = replace(phase, place=all_phases.index(name) + 1, places=len(all_phases))
    return steps.noted(replace(job, phases=(*before, phase)), EventKind.PHASE, now, name)


def note(job: Job, now: datetime, *, epoch: int, place: int, step: str, fact: Json) -> Job:
    """Note an effect outside, as entry number `place` of the journal. Raises JournalFull.

    An attempt notes one entry after the other, so where that place is taken it hears its own write again.
    """
    steps.fence(job, epoch)
    steps.check_leased(job, epoch)
    if len(job.journal) > place:
        return job
    journal = (*job.journal, Entry(step=step, fact=fact, at=now))
    size = len(json.dumps([[entry.step, entry.fact] for entry in journal], ensure_ascii=False).encode())
    if size > JOURNAL_BYTES:
        raise JournalFull(bytes=size)
    return replace(job, journal=journal)


def grow(job: Job, now: datetime, *, epoch: int, kept: Json) -> Job:
    """Note what is there by now of an effect that grows."""
    steps.fence(job, epoch)
    steps.check_leased(job, epoch)
    return replace(job, kept=kept)


def undone(
    job: Job,
    now: datetime,
    *,
    epoch: int,
    remark: str | None = None,
    left: str | None = None,
    kept: Json | None = None,
) -> Job:
    """What the journal names was taken back, but for what is `left`: the job ends as it was to, or FAILED.

    `kept` is what there is of an effect that grew, for good.
    """
    steps.fence(job, epoch)
    return steps.end_undone(job, now, remark, left, kept)


def looked_again(job: Job, now: datetime, *, detail: str) -> Job:
    """Somebody looked outside for what arrived after the end."""
    return steps.noted(job, EventKind.LOOKED_AGAIN, now, detail)


def settle(job: Job, now: datetime, *, epoch: int) -> Job:
    """The commit of an earlier attempt is known not to have happened, and cannot happen any more."""
    steps.fence(job, epoch)
    if job.state is not JobState.RUNNING:
        raise IllegalTransition(job_id=job.id, state=job.state.value, wanted="settled")
    return replace(job, commit_unsettled=False, doubts=0, result=None)


def begin_commit(job: Job, now: datetime, *, epoch: int, result: Json) -> Job:
    """The one point of no return: store the result to be. Raises JobCancelled if a cancel came first.

    An attempt passes it once, so a job that is past it at this epoch hears its own write again: the
    reply was lost, and a renewal has put its token over the write's.
    """
    steps.fence(job, epoch)
    if job.state is JobState.COMMITTING:
        return job
    if job.cancel_requested:
        raise JobCancelled
    return steps.to(job, JobState.COMMITTING, result=result)


def succeed(job: Job, now: datetime, *, epoch: int, result: Json | None = None) -> Job:
    """The effect is there: done with `result`, or with the stored one where none is told.

    Without a commit this is the point of no return itself, so a cancel that came first wins here too.
    """
    steps.fence(job, epoch)
    if job.ending is not None:
        raise IllegalTransition(job_id=job.id, state="being undone", wanted="succeeded")
    committed = job.state is JobState.COMMITTING or job.commit_unsettled
    if job.cancel_requested and not committed:
        raise JobCancelled
    if committed:
        job = steps.noted(job, EventKind.COMMITTED, now)
    total = job.progress.total or job.progress.done
    whole = Progress(done=total, total=total)
    if job.phases:
        job = replace(job, phases=(*job.phases[:-1], replace(job.phases[-1], progress=whole)))
    return steps.end(
        job,
        JobState.SUCCEEDED,
        now,
        result=job.result if result is None else result,
        progress=whole,
    )


def fail(job: Job, now: datetime, *, epoch: int, reason: str, cause: str | None = None) -> Job:
    """Give up, for this reason; `cause` says it to who looks into it."""
    steps.fence(job, epoch)
    return steps.end(job, JobState.FAILED, now, error=reason, cause=cause, result=None)


def cancelled(job: Job, now: datetime, *, epoch: int) -> Job:
    """The attempt has left without an effect, as was asked."""
    steps.fence(job, epoch)
    return steps.end(job, JobState.CANCELLED, now, result=None)


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
    steps.fence(job, epoch)
    if job.ending is not None:
        return steps.undo_again(job, now, delay, reason)
    if not settled and steps.in_doubt(job):
        return steps.doubt(job, now, delay, reason, error=reason)
    waiting = steps.wait(job, now, delay, reason, error=reason, tries=job.tries + counted)
    return replace(waiting, commit_unsettled=False, doubts=0, result=None) if settled else waiting


def release(job: Job, now: datetime, *, epoch: int) -> Job:
    """The process is leaving: the attempt does not count, and another process may take the job at once."""
    steps.fence(job, epoch)
    return steps.wait(job, now, timedelta(), "the process that ran it is leaving", attempt=job.attempt - 1)


def recover(job: Job, now: datetime, *, max_recoveries: int) -> Job:
    """The lease lapsed: the attempt's process is gone, or frozen and fenced off from here on.

    A job whose commit may have happened gets another attempt, since only that can find out, until it
    is parked; any other is cancelled where that was asked, or failed after too many losses.
    """
    if job.lease_until is None or now < job.lease_until:
        return job
    lost = replace(job, recoveries=job.recoveries + 1)
    if job.ending is not None:
        return steps.undo_again(lost, now, timedelta(), steps.LOST)
    if steps.in_doubt(job):
        return steps.doubt(lost, now, timedelta(), steps.LOST)
    if lost.recoveries > max_recoveries and not job.cancel_requested:
        return fail(replace(lost, epoch=job.epoch + 1), now, epoch=job.epoch + 1, reason=lost_too_often(lost))
    return steps.wait(lost, now, timedelta(), steps.LOST)


def lost_too_often(job: Job) -> str:
    """The reason of a job that recovery gives up."""
    return f"the process that ran it was lost {job.recoveries} times"


def request_cancel(job: Job, now: datetime, *, running: bool = True) -> Job:
    """Ask for a cancel: at once where no attempt runs, else a flag that the attempt sees.

    Raises AlreadyFinished past the point of no return, a parked job's included; IsRunning where an attempt runs that
    is to go on (`running` is False). A waiting job whose commit may have happened keeps the flag for its next attempt,
    which finds out first.
    """
    if job.finished or job.state in (JobState.COMMITTING, JobState.PARKED):
        raise AlreadyFinished(job_id=job.id, state=job.state.value)
    if job.state is JobState.RUNNING and not running:
        raise IsRunning(job_id=job.id)
    asked = job
    if not job.cancel_requested:
        asked = steps.noted(replace(job, cancel_requested=True), EventKind.CANCEL_REQUESTED, now)
    if job.state is JobState.RUNNING or job.commit_unsettled or job.ending is not None:
        return asked
    return steps.end(asked, JobState.CANCELLED, now)


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
    said = steps.noted(replace(job, doubts=0), EventKind.SETTLED, now, f"{verdict.value}, says {by}")
    if verdict is Verdict.COMPLETED:
        return replace(succeed(said, now, epoch=job.epoch), error=None)
    waiting = steps.to(said, JobState.WAITING, not_before=now)
    if verdict is Verdict.RETRY:
        return waiting
    absent = replace(waiting, commit_unsettled=False, error=None)
    if job.cancel_requested:
        return cancelled(absent, now, epoch=job.epoch)
    return fail(absent, now, epoch=job.epoch, reason=f"its commit did not happen, says {by}")
