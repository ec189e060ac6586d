"""Everything the core refuses or fails with: one tree, so that a namespace renders it in one place.

An error's docstring is its message; its facts are its fields; its `code` is stable and may
be compared by clients. Nothing here knows HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar


class JobError(Exception):
    """The root of the tree."""

    message: ClassVar[str] = "The job could not be handled."
    code: ClassVar[str] = "job_error"

    def __init__(self, **facts: Any) -> None:
        self.facts: Mapping[str, Any] = facts
        super().__init__(self.message.format(**facts))

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), **self.facts), ()  # an exception is otherwise made anew from its text

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["facts"][name]
        except KeyError:
            raise AttributeError(name) from None


# -- refused at the door: nothing was accepted ---------------------------------------------


class JobNotFound(JobError):
    message = "There is no job {job_id}."
    code = "job_not_found"


class ScheduleNotFound(JobError):
    message = "There is no schedule {schedule_id}."
    code = "schedule_not_found"


class TooManySchedules(JobError):
    message = "{owner} already has {schedules} schedules, and may have no more."
    code = "too_many_schedules"


class WebhookNotFound(JobError):
    message = "There is no webhook {webhook_id}."
    code = "webhook_not_found"


class DeliveryNotFound(JobError):
    message = "There is no delivery {delivery_id}."
    code = "delivery_not_found"


class TooManyWebhooks(JobError):
    message = "{owner} already has {webhooks} webhooks, and may have no more."
    code = "too_many_webhooks"


class WebhookPaused(JobError):
    message = "The webhook is paused ({why}): resume it first."
    code = "webhook_paused"


class QueueFull(JobError):
    message = "The queue is full: {queued} jobs are waiting. Try again in {retry_after} s."
    code = "queue_full"


class OwnerQueueFull(JobError):
    message = "{owner} already has {queued} jobs waiting. Try again in {retry_after} s."
    code = "owner_queue_full"


class KeyReused(JobError):
    message = "The idempotency key was used before, with another request."
    code = "key_reused"


class ShuttingDown(JobError):
    message = "The service is stopping and accepts no more jobs. Try again in {retry_after} s."
    code = "shutting_down"


class ResultNotReady(JobError):
    message = "Job {job_id} is {state}: it has no result yet."
    code = "result_not_ready"


class NoResult(JobError):
    message = "Job {job_id} is {state}: there is no result, and there will be none."
    code = "no_result"


class NotReady(JobError):
    message = "{part} is not ready. Try again in {retry_after} s."
    code = "not_ready"


# -- a change that the model does not allow ------------------------------------------------


class IllegalTransition(JobError):
    message = "Job {job_id} is {state}: it cannot become {wanted}."
    code = "illegal_transition"


class StaleAttempt(JobError):
    message = "Attempt {epoch} of job {job_id} was replaced by {current}: its writes are refused."
    code = "stale_attempt"


class AlreadyFinished(JobError):
    message = "Job {job_id} is {state}: it can no longer be cancelled."
    code = "already_finished"


class IsRunning(JobError):
    message = "Job {job_id} runs: it was asked to be cancelled only where it waits."
    code = "is_running"


class NotRetryable(JobError):
    message = "Job {job_id} is {state}: {why}."
    code = "not_retryable"


class NotParked(JobError):
    message = "Job {job_id} is {state}: only a parked job is settled by hand."
    code = "not_parked"


# -- how an attempt can end early ----------------------------------------------------------


class JobCancelled(BaseException):
    """A cancel was asked before the point of no return: an interrupt, not an error."""


# -- an attempt that went wrong ------------------------------------------------------------


class TaskFailed(JobError):
    message = "{reason}"
    code = "task_failed"


class Transient(JobError):
    message = "{reason}"
    code = "transient"


class Busy(Transient):
    message = "{reason}"
    # Another job holds what this one needs: it waits, as long as that takes, and that is none of its tries.
    code = "busy"


class NotUndone(JobError):
    message = "{left}"
    # Something that an attempt did outside stays there, and trying again will not change that.
    code = "not_undone"


class JournalFull(TaskFailed):
    message = "The journal of the job is full: {bytes} bytes."
    code = "journal_full"


class StoreUnavailable(Transient):
    message = "The job store does not answer. Try again in {retry_after} s."
    # Whether the write that met it has happened is unknown: it is repeated with its token, or not at all.
    code = "store_unavailable"


class StoreTooNew(StoreUnavailable):
    message = (
        "The job store was written by a newer release: its version is {found}, and this release knows them up to "
        "{known}. Start that release again, or restore a copy of the store from before it."
    )
    code = "store_too_new"


class Contended(Transient):
    message = "{reason}"
    # Somebody else was faster, and nothing was written: nobody's fault, so it is tried far more often.
    code = "contended"


class TimedOut(JobError):
    message = "The attempt took longer than its limit of {seconds} s and was stopped."
    code = "timed_out"


class Unusable(JobError):
    message = "{field}: {reason}"
    # A value of the right shape, with which nothing can be done.
    code = "unusable"


class NotUnderstood(Unusable):
    message = "{field}: the query is not understood: expected {expected} at position {position}, found {found}"
    code = "not_understood"


class BadOffset(Unusable):
    message = "{field}: it is none that this collector has given; begin with earliest, or latest"
    code = "bad_offset"


class NotFoundInData(JobError):
    message = "There is no {thing} {name}."
    code = "not_found_in_data"
