"""What was not contacted, and what did not answer: as values and as errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tag_tasks.assets.scope import Why
from tagapi.jobs.errors import TaskFailed


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that was not contacted. Each of them is a finding of the job."""

    what: str
    """A URL, a name, or an address with its port."""
    address: str | None
    """Which would have been connected to; None where it did not come to that."""
    why: Why


class Refused(TaskFailed):
    """Outside the scope: nothing was sent there. `refusal` says what, and is recorded already.

    `passed` are the pages that had redirected before.
    """

    message = "{what} is not contacted: {why}"
    code = "out_of_scope"


def refused(refusal: Refusal, passed: Sequence[object] = ()) -> Refused:
    """The error of a refusal."""
    return Refused(what=refusal.what, why=refusal.why.value, refusal=refusal, passed=tuple(passed))


class NotReached(TaskFailed):
    """The target is in the scope and did not answer, not in time, or not in a way that is understood."""

    message = "{what}: {reason}"
    code = "not_reached"


class NoTls(NotReached):
    """Somebody listens there, and what is said is no TLS."""

    code = "no_tls"
