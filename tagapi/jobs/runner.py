"""One attempt from claim to exactly one outcome.

`run_next` and `run` claim a job and run it in the calling thread. Whatever happens there becomes one
Outcome in `_decide`, and is written by one update in `_record`. A heartbeat, called by a
clock, keeps the leases, sees cancels asked elsewhere and ends attempts past their limit.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from tagapi.jobs import changes
from tagapi.jobs.attempt import Attempt, Interrupt, OnBehalf, insist
from tagapi.jobs.errors import (
    Busy,
    Contended,
    JobCancelled,
    JobError,
    JobNotFound,
    NotUndone,
    StaleAttempt,
    StoreUnavailable,
    TaskFailed,
    TimedOut,
    Transient,
)
from tagapi.jobs.model import DEFAULT_LANE, Job, JobState
from tagapi.jobs.outcome import Outcome, OutcomeKind, reason_of
from tagapi.jobs.registry import Claim, JobRegistry
from tagapi.jobs.task import Task, request_in_context, running_job

log = logging.getLogger(__name__)

CONTENDED_ATTEMPTS = 100  # of a job that somebody else is faster than, again and again


@dataclass(frozen=True, kw_only=True, slots=True)
class RunnerLimits:
    """Seconds, except for `max_recoveries`."""

    lease: float = 30.0
    renew_every: float = 5.0
    timeout: float = 3600.0
    """Of an attempt whose task sets no limit of its own."""
    max_recoveries: int = 3


class JobRunner:
    """Runs attempts for one process. `run_next` or `run` is called by as many threads as may run at once."""

    def __init__(
        self,
        registry: JobRegistry,
        tasks: Mapping[str, Task],
        worker: str,
        limits: RunnerLimits,
        on_stuck: Callable[[], bool] = lambda: False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_stuck` restarts what attempts get stuck in, and answers whether it could."""
        self._registry = registry
        self._tasks = tasks
        self._worker = worker
        self._limits = limits
        self._on_stuck = on_stuck
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._running: dict[tuple[str, int], Attempt] = {}
        self._renewed = monotonic()
        self._leaving = False

    def ready(self, lane: str = DEFAULT_LANE) -> bool:
        """An attempt of the lane could begin now. Asks nothing of the registry."""
        return not self._leaving and all(task.ready() for task in self._tasks.values() if task.lane == lane)

    def run_next(self, lane: str = DEFAULT_LANE) -> bool:
        """Claim the lane's next job and run an attempt of it. False where there was nothing to run."""
        return self._run(lambda sent: self._registry.claim(self._worker, self._lease, sent, lane), lane)

    def run(self, job_id: str, lane: str) -> bool:
        """Claim this job of the lane and run an attempt of it. False where it is not there, not due, or taken."""
        return self._run(lambda sent: self._registry.claim_job(job_id, self._worker, self._lease, sent), lane)

    def _run(self, claim: Callable[[Claim], Job | None], lane: str) -> bool:
        job = self._claimed(claim) if self.ready(lane) else None
        if job is None:
            return False
        attempt = Attempt(job, self._registry, self._monotonic, self._limits.lease)
        with self._lock:
            self._running[job.id, job.epoch] = attempt
        if self._leaving_meanwhile():
            attempt.interrupt(Interrupt.RELEASE, self._monotonic())
        logged = running_job.set(job.id), request_in_context.set(job.request.request_id)
        try:
            outcome = self._decide(attempt)
            attempt.left.set()
            self._record(attempt, outcome)
        finally:
            attempt.left.set()
            with self._lock:
                del self._running[job.id, job.epoch]
            attempt.ended.set()
            running_job.reset(logged[0])
            request_in_context.reset(logged[1])
        return True

    @property
    def _lease(self) -> timedelta:
        return timedelta(seconds=self._limits.lease)

    def _claimed(self, claim: Callable[[Claim], Job | None]) -> Job | None:
        """A claim that may have got a job is sent until it is answered: nobody else would run that job for a lease."""
        sent = Claim()
        return insist(
            lambda: claim(sent), self._limits.lease, self._monotonic, in_doubt=lambda: sent.job_id is not None
        )

    def _leaving_meanwhile(self) -> bool:
        return self._leaving

    # -- from an attempt to its outcome ----------------------------------------------------

    def _decide(self, attempt: Attempt) -> Outcome:
        """Run the task; exactly one outcome, whatever happens."""
        job = attempt.job
        try:
            task = self._task_of(job)
            attempt.all_phases = task.phases
            if job.commit_unsettled:  # before any interrupt: only this finds out what became of it
                if (found := task.find_commit(job)) is not None:
                    return Outcome(OutcomeKind.SUCCEEDED, result=found)
                self._settle(attempt)
            attempt.check()
            log.info("attempt_started", extra={"attempt": job.attempt, "task": task.name})
            if job.ending is not None:
                return self._undo(task, attempt)
            if job.cancel_requested:
                raise JobCancelled
            self._undo_predecessor(task, attempt)
            return Outcome(OutcomeKind.SUCCEEDED, result=task.run(attempt))
        except StaleAttempt as error:
            return Outcome(OutcomeKind.FENCED, error=error)
        except BaseException as error:  # an interrupt is no Exception, and must not take the thread with it
            return self._outcome_of(error, attempt)

    def _undo(self, task: Task, attempt: Attempt) -> Outcome:
        """Whatever keeps it from being done is met again by the next attempt, until the job says what is left."""
        try:
            kept = task.stop_growing(attempt) if attempt.job.kept is not None else None
            return Outcome(OutcomeKind.UNDONE, reason=task.undo(attempt) or "", kept=kept)
        except NotUndone as error:
            return Outcome(OutcomeKind.UNDONE, left=str(error), error=error)
        except StaleAttempt:
            raise
        except Exception as error:
            if not isinstance(error, JobError):
                log.exception("undo_failed")
            return Outcome(OutcomeKind.RETRIED, reason=reason_of(error), error=error, counted=False)

    def _undo_predecessor(self, task: Task, attempt: Attempt) -> None:
        """What the jobs that this one does again have left outside is taken back first. Raises NotUndone.

        One that has succeeded began with that itself; whether any other got so far is not known.
        """
        earlier = attempt.job.request.retry_of
        while earlier is not None:
            try:
                before = self._registry.get(earlier)
            except JobNotFound:  # it is kept no more
                return
            if before.left is not None:
                task.undo(OnBehalf(attempt, before))
            earlier = None if before.state is JobState.SUCCEEDED else before.request.retry_of

    def _task_of(self, job: Job) -> Task:
        try:
            return self._tasks[job.request.task]
        except KeyError:
            raise TaskFailed(reason=f"this service knows no task {job.request.task}") from None

    def _settle(self, attempt: Attempt) -> None:
        job = attempt.write(partial(changes.settle, epoch=attempt.job.epoch))
        attempt.settled = True
        if job.cancel_requested:
            raise JobCancelled
        if job.recoveries > self._limits.max_recoveries:
            raise TaskFailed(reason=changes.lost_too_often(job))

    def _outcome_of(self, error: BaseException, attempt: Attempt) -> Outcome:
        """After an interrupt any error is the interrupt's; else the error decides."""
        match attempt.interrupted_by:
            case Interrupt.RELEASE:
                return Outcome(OutcomeKind.RELEASED)
            case Interrupt.FENCED:
                return Outcome(OutcomeKind.FENCED, error=error)
            case Interrupt.CANCEL if attempt.settled:
                return Outcome(OutcomeKind.CANCELLED)
            case Interrupt.TIMEOUT if attempt.settled:
                reason = str(TimedOut(seconds=self._limit(attempt)))
                kind = OutcomeKind.FAILED if attempt.job.ending is None else OutcomeKind.RETRIED
                return Outcome(kind, reason=reason, error=error)
        if attempt.past_return_at is not None:
            return self._after_failed_commit(error, attempt)
        if not attempt.settled:  # an earlier attempt's commit may be there: the next one asks again
            return Outcome(OutcomeKind.RETRIED, reason=reason_of(error), error=error)
        if isinstance(error, JobCancelled):
            return Outcome(OutcomeKind.CANCELLED)
        return self._again_or_failed(error, attempt)

    def _again_or_failed(self, error: BaseException, attempt: Attempt) -> Outcome:
        """Only what the task itself met counts as one of its tries: not what neighbours, others or the store did."""
        job, counted = attempt.job, False
        if isinstance(error, Busy):
            again = True
        elif isinstance(error, Contended):
            again = job.attempt < CONTENDED_ATTEMPTS
        elif isinstance(error, Transient):
            counted = not attempt.disturbed and not isinstance(error, StoreUnavailable)
            again = not counted or job.tries + 1 < self._tasks[job.request.task].max_attempts
        elif self._leaving and not isinstance(error, JobError):
            return Outcome(OutcomeKind.RELEASED)  # the interpreter may be gone from under it: no fault of the task's
        else:
            again = False
        kind = OutcomeKind.RETRIED if again else OutcomeKind.FAILED
        return Outcome(kind, reason=reason_of(error), error=error, counted=counted)

    def _after_failed_commit(self, error: BaseException, attempt: Attempt) -> Outcome:
        """The commit raised: it may have happened all the same, so ask before saying anything."""
        job = attempt.job
        if isinstance(error, Contended):  # it says that it did not
            attempt.settled = True
            return self._again_or_failed(error, attempt)
        try:
            stored = self._registry.get(job.id)
            if stored.epoch != job.epoch:
                return Outcome(OutcomeKind.FENCED, error=error)
            if (found := self._tasks[job.request.task].find_commit(stored)) is not None:
                return Outcome(OutcomeKind.SUCCEEDED, result=found)
            attempt.settled = True
        except BaseException as unanswered:  # delta-rs may panic, which is no Exception, and must not end the thread
            # Nobody can say: the next attempt asks again, and the job stays unsettled until it knows.
            return Outcome(OutcomeKind.RETRIED, reason=reason_of(unanswered), error=unanswered)
        return self._again_or_failed(error, attempt)

    def _record(self, attempt: Attempt, outcome: Outcome) -> None:
        """Write the outcome: one update, refused where another attempt has taken over."""
        extra = {"outcome": outcome.kind.value, "reason": outcome.reason, "seconds": self._age(attempt)}
        failed = outcome.kind is OutcomeKind.FAILED
        log.log(logging.ERROR if failed else logging.INFO, "attempt_ended", extra=extra, exc_info=outcome.unforeseen())
        if outcome.kind is OutcomeKind.FENCED:
            return
        try:
            try:
                job = attempt.write(outcome.change(attempt.job, attempt.settled))
            except JobCancelled:  # asked while a job without an effect was finishing
                job = attempt.write(partial(changes.cancelled, epoch=attempt.job.epoch))
            if job.state is JobState.PARKED:
                log.error("job_parked", extra={"doubts": job.doubts, "reason": job.error})
        except (StaleAttempt, JobNotFound):
            log.warning("attempt_fenced")
        except StoreUnavailable:  # the lease lapses, and another attempt finds out what this one did
            log.error("outcome_not_recorded")

    # -- interrupts ------------------------------------------------------------------------

    def cancel(self, job_id: str) -> None:
        """Tell the job's attempt to stop, if it runs in this process."""
        for attempt in self._attempts_of(job_id):
            attempt.interrupt(Interrupt.CANCEL, self._monotonic())

    def wait(self, job_id: str, seconds: float) -> None:
        """Wait until no attempt of this job runs in this process, at most so long."""
        until = time.monotonic() + seconds
        for attempt in self._attempts_of(job_id):
            attempt.ended.wait(max(0.0, until - time.monotonic()))

    def release_all(self) -> None:
        """Begin no more attempts, and have those that run stop and go back to the queue."""
        self._leaving = True
        for attempt in self._attempts():
            attempt.interrupt(Interrupt.RELEASE, self._monotonic())

    def refuse_new(self) -> None:
        """Begin no more attempts."""
        self._leaving = True

    def running(self) -> int:
        """How many attempts run in this process."""
        with self._lock:
            return len(self._running)

    # -- the heartbeat ---------------------------------------------------------------------

    def heartbeat(self) -> None:
        """See cancels asked elsewhere, keep leases, end what is past its limit. Called about every second."""
        now, attempts = self._monotonic(), self._attempts()
        try:
            if attempts:
                self._read_flags(attempts, now)
        finally:  # these limits do not depend on the store
            for attempt in attempts:
                self._end_overdue(attempt, now)

    def _read_flags(self, attempts: Sequence[Attempt], now: float) -> None:
        """Of all attempts in one read; and keep their leases, where it is time for that."""
        renewing = now - self._renewed >= self._limits.renew_every
        jobs = {job.id: job for job in self._registry.get_all([attempt.job.id for attempt in attempts])}
        for attempt in attempts:
            try:
                self._look_after(attempt, jobs.get(attempt.job.id), now, renewing)
            except (StaleAttempt, JobNotFound):
                attempt.interrupt(Interrupt.FENCED, now)
            except StoreUnavailable:
                raise  # it is away for the others too
            except Exception:
                log.exception("heartbeat_failed", extra=_named(attempt))
        if renewing:
            self._renewed = now

    def _look_after(self, attempt: Attempt, job: Job | None, now: float, renewing: bool) -> None:
        if job is None or job.epoch != attempt.job.epoch:
            attempt.interrupt(Interrupt.FENCED, now)
            return
        if job.cancel_requested:
            attempt.interrupt(Interrupt.CANCEL, now)
        if renewing and not attempt.abandoned:
            self._registry.update(job.id, partial(changes.renew, epoch=attempt.job.epoch, lease=self._lease))
            attempt.renewed = now
        attempt.tell_progress()

    def _end_overdue(self, attempt: Attempt, now: float) -> None:
        if now - attempt.began > self._limit(attempt):
            attempt.interrupt(Interrupt.TIMEOUT, now)
        if attempt.stuck(now):
            log.error("attempt_stuck", extra=_named(attempt))
            attempt.give_up()
            if self._on_stuck():
                for neighbour in self._attempts():
                    neighbour.disturbed = neighbour.give_up() or neighbour.disturbed
        if not attempt.abandoned and attempt.hopeless(now, self._limit(attempt)):
            log.error("attempt_abandoned", extra=_named(attempt))
            attempt.abandoned = True

    def _limit(self, attempt: Attempt) -> float:
        task = self._tasks.get(attempt.job.request.task)
        return task.time_limit if task is not None and task.time_limit is not None else self._limits.timeout

    def _attempts(self) -> list[Attempt]:
        with self._lock:
            return list(self._running.values())

    def _attempts_of(self, job_id: str) -> list[Attempt]:
        return [attempt for attempt in self._attempts() if attempt.job.id == job_id]

    def _age(self, attempt: Attempt) -> float:
        return round(self._monotonic() - attempt.began, 3)


def _named(attempt: Attempt) -> dict[str, str | None]:
    """Whom a record is about that is not written by the attempt's own thread."""
    return {"job_id": attempt.job.id, "request_id": attempt.job.request.request_id}
