"""How long a worker waits for a network, how much it keeps meanwhile, and what it says of those it did not wait for."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

log = logging.getLogger(__name__)

TELL_EVERY = 1.0  # seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Of one worker process."""

    connections: int = 512
    buffer_bytes: int = 64 * 1024 * 1024
    """Of requests that are not answered and of answers that are not taken in, over all connections."""

    head_seconds: float = 10.0
    """From a request's first byte to the end of its headers."""

    body_seconds: float = 20.0
    """A body may lag so far behind `body_rate`."""

    body_rate: float = 1000.0
    """Bytes a second."""

    send_seconds: float = 30.0
    """Without a byte of an answer taken in."""


class Ended:
    """Counts the connections that were ended, by why, and logs the counts: at most one record a second."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._counts: Counter[str] = Counter()
        self._address = ""
        self._told = -math.inf

    def count(self, why: str, address: str) -> None:
        self._counts[why] += 1
        self._address = address

    def tell(self, now: float | None = None) -> None:
        """Log what was counted, unless that was done less than a second ago."""
        now = self._monotonic() if now is None else now
        if self._counts and now - self._told >= TELL_EVERY:
            log.warning("requests_ended", extra={**self._counts, "last_address": self._address})
            self._counts.clear()
            self._told = now
