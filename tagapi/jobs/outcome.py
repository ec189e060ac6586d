"""Every way an attempt can end, and the change that is written then."""

from __future__ import annotations

import enum
import random
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from tagapi.jobs import changes
from tagapi.jobs.errors import Busy, Contended, JobError, StoreUnavailable
from tagapi.jobs.model import Change, Job, Json

FIRST_RETRY = 0.25  # seconds: a lost Spark server is back after about twice this
LONGEST_RETRY = 30.0  # seconds
LONGEST_ASKED = 3600.0  # seconds that another system may ask us to wait
LONGEST_BUSY_RETRY = 2.0  # seconds: what another job holds may be free at any moment
LONGEST_CONTENDED_RETRY = 0.5  # seconds: a commit takes a hundredth of that


class OutcomeKind(enum.Enum):
    """Every way an attempt can end."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RETRIED = "retried"
    RELEASED = "released"
    UNDONE = "undone"
    """What the job did outside has been taken back, but for what `left` names; what grew has stopped at `kept`."""
    FENCED = "fenced"
    """Replaced by another attempt: there is nothing to write."""


@dataclass(frozen=True, slots=True)
class Outcome:
    kind: OutcomeKind
    result: Json | None = None
    reason: str = ""
    error: BaseException | None = None
    counted: bool = True
    """Of a retry: whether it was one of the tries that a task may have."""
    left: str | None = None
    """Of an undo: what stays outside for good."""
    kept: Json | None = None
    """The same of an effect that grew: what there is of it."""

    def change(self, job: Job, settled: bool) -> Change:
        """What is written of it. An unsettled job stays so until somebody knows what became of its commit."""
        epoch = job.epoch
        match self.kind:
            case OutcomeKind.SUCCEEDED:
                return partial(changes.succeed, epoch=epoch, result=self.result)
            case OutcomeKind.CANCELLED:
                return partial(changes.cancelled, epoch=epoch)
            case OutcomeKind.UNDONE:
                remark = self.reason or None
                return partial(changes.undone, epoch=epoch, remark=remark, left=self.left, kept=self.kept)
            case OutcomeKind.RELEASED:
                return partial(changes.release, epoch=epoch)
            case OutcomeKind.RETRIED:
                delay = timedelta(seconds=self._delay(job, _longest(self.error)))
                return partial(
                    changes.retry,
                    epoch=epoch,
                    delay=delay,
                    reason=self.reason,
                    settled=settled,
                    counted=self.counted,
                )
        return partial(changes.fail, epoch=epoch, reason=self.reason, cause=cause_of(self.error))

    def _delay(self, job: Job, longest: float) -> float:
        """Seconds: what somebody else's system asked for, if it did; else our own."""
        asked = getattr(self.error, "facts", {}).get("retry_after")
        if isinstance(self.error, StoreUnavailable) or not isinstance(asked, int | float):
            return backoff(job.attempt, longest)
        return min(float(asked), LONGEST_ASKED) * random.uniform(1.0, 1.1)

    def unforeseen(self) -> BaseException | None:
        """The error to log with its traceback, where the job failed by one that nobody foresaw."""
        unforeseen = self.kind is OutcomeKind.FAILED and not isinstance(self.error, JobError)
        return self.error if unforeseen else None


def _longest(error: BaseException | None) -> float:
    """Seconds that pass before another attempt, at most."""
    if isinstance(error, Contended):
        return LONGEST_CONTENDED_RETRY
    return LONGEST_BUSY_RETRY if isinstance(error, Busy) else LONGEST_RETRY


def backoff(attempt: int, longest: float = LONGEST_RETRY) -> float:
    """Seconds until the next attempt: doubled each time, with up to a quarter of jitter."""
    return min(longest, FIRST_RETRY * 2.0 ** min(attempt - 1, 16)) * random.uniform(1.0, 1.25)


def cause_of(error: BaseException | None) -> str | None:
    """`<Type>: <detail>` of what a task raised; an error of another system brings its own `kind` and `detail`."""
    if not isinstance(error, JobError):
        return None if error is None else f"{type(error).__name__}: {reason_of(error)}"
    return f"{error.facts.get('kind', type(error).__name__)}: {error.facts.get('detail', error)}"


def reason_of(error: BaseException) -> str:
    """What a client is told. The text of an error that is not ours may hold anything, so only its kind is."""
    return str(error) if isinstance(error, JobError) else f"internal error: {type(error).__name__}"
