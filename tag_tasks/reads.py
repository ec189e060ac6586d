"""What namespaces read of tables and of Spark: on threads of its own, so that a read that hangs holds up no request."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from tag_tasks.bounded import BoundedThreads, NoAnswer
from tagapi.jobs.errors import NotReady

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
SECONDS = 10.0  # that a read may take: many times what the slowest takes
PATIENCE = 1.0  # seconds that a read waits for others to end: many times what most of them take
RETRY_AFTER = 5  # seconds, as a guess


class Reads:
    """At most so many reads at once. Safe to use from many threads."""

    def __init__(
        self, at_once: int, seconds: float = SECONDS, patience: float = PATIENCE, part: str = "The data"
    ) -> None:
        """`part` is what people are told is not ready."""
        self._threads = BoundedThreads("read", at_once, seconds, patience)
        self._part = part

    def run(self, read: Callable[[], Answer]) -> Answer:
        """The answer of a read, and its errors. Raises NotReady where it takes too long, and soon where many do."""
        try:
            return self._threads.run(read)
        except NoAnswer as error:
            log.warning("read_not_answered", extra={"reason": str(error)})
            raise NotReady(part=self._part, retry_after=RETRY_AFTER) from error
