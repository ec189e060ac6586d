"""What the storage says when it refuses, told apart in one place: a hiccup, or something that stays.

Arrow raises OSError with a number; delta-rs raises OSError without one, or DeltaError, and puts
the number, where there is one, into the text. A hiccup leaves here as Transient, for another
attempt; what will not change by itself as TaskFailed.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import pyarrow as pa
from deltalake.exceptions import DeltaError

from tag_tasks.bounded import BoundedThreads, NoAnswer
from tagapi.jobs.errors import TaskFailed, Transient

Answer = TypeVar("Answer")

STAYS = frozenset(
    {
        *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG),
        *(errno.EACCES, errno.EPERM, errno.EROFS),
    }
)
"""Numbers of errors that nobody waits for. A full disk is none of them: somebody makes room, upkeep among them."""

DENIED = (
    *("PermissionDenied", "AccessDenied", "ACCESS_DENIED", "Permission denied", "Forbidden", "Unauthenticated"),
    "NoSuchBucket",
)
"""How object stores say the same, in words."""

WITHOUT_NUMBER = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)
"""What Arrow raises for the same in object stores."""

OF_THE_STORE = "Error interacting with object store"
"""What is in a DeltaError that is not about the table but about where it lies."""

NUMBER = re.compile(r"\(os error (\d+)\)|\bOs \{ code: (\d+)")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
FRAMES = re.compile(r"\n\s*0: .*", re.DOTALL)  # a backtrace, of which people understand nothing
LONGEST = 400  # characters of an error that people are told


@contextmanager
def storage_errors(problem: str) -> Iterator[None]:
    """Raise the storage's errors as ours, with what could not be done before them."""
    try:
        yield
    except (DeltaError, OSError, pa.ArrowException) as error:
        kind = Transient if is_hiccup(error) else TaskFailed
        raise kind(reason=f"{problem}: {_in_a_line(error)}") from error


def answered(threads: BoundedThreads, work: Callable[[], Answer], problem: str) -> Answer:
    """The answer of work on the storage; its errors are ours, and one that does not answer is a hiccup too."""

    def step() -> Answer:
        with storage_errors(problem):
            return work()

    try:
        return threads.run(step)
    except NoAnswer as error:
        raise Transient(reason=f"{problem}: {error}") from error


def is_hiccup(error: Exception) -> bool:
    """Whether the same may succeed in a moment."""
    text = str(error)
    if (number := _number(error, text)) is not None:
        return number not in STAYS
    if isinstance(error, WITHOUT_NUMBER) or any(word in text for word in DENIED):
        return False
    return isinstance(error, OSError) or OF_THE_STORE in text


def tells_of_hiccup(text: str) -> bool:
    """Whether a message, such as one of Spark's, has the number of an error that may pass."""
    number = _number_in(text)
    return number is not None and number not in STAYS


def _number(error: Exception, text: str) -> int | None:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    return _number_in(text)


def _number_in(text: str) -> int | None:
    found = NUMBER.search(text)
    return None if found is None else int(found[1] or found[2])


def _in_a_line(error: Exception) -> str:
    """The end says why, the beginning where: of a long text both are kept."""
    said = error.strerror if isinstance(error, OSError) and error.errno is not None else None  # without the path
    text = " ".join(FRAMES.sub("", COLOUR.sub("", said or str(error))).split())
    half = LONGEST // 2
    return (text if len(text) <= LONGEST else f"{text[:half]} … {text[-half:]}") or type(error).__name__
