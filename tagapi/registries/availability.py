"""Whether a store answers: its driver's errors become StoreUnavailable here, and go no further."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tagapi.jobs.errors import StoreUnavailable

log = logging.getLogger(__name__)

RETRY_AFTER = 1  # seconds
ASK_AGAIN = 1.0  # seconds between two who ask a store that is away; the others are refused without waiting for it


class Availability:
    """Whether one store answers, as its callers have seen it. Safe to use from many threads."""

    def __init__(self, store: str, *errors: type[Exception], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._errors = errors
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._lost = False
        self._asked_at = -ASK_AGAIN
        self._counting = threading.Lock()
        self.errors = 0
        """Calls that ended with an error of the driver."""

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Around a call to the driver: raises StoreUnavailable for its errors."""
        try:
            yield
        except self._errors as error:
            raise self.lost(error) from error
        else:
            if self._lost:
                self._lost = False
                log.warning("store_is_back", extra={"store": self._store})

    def lost(self, error: Exception) -> StoreUnavailable:
        """Remember that the store is away, and say so to the caller. The error's text is for the log alone."""
        with self._counting:
            self.errors += 1
        if not self._lost:
            log.error("store_lost", extra={"store": self._store, "error": f"{type(error).__name__}: {error}"})
        self._lost = True
        return StoreUnavailable(retry_after=RETRY_AFTER)

    def check(self, ask: Callable[[], object]) -> None:
        """Raise StoreUnavailable where the store is away. Once a second somebody finds that out by asking it."""
        if not self._lost:
            return
        with self._lock:
            now = self._monotonic()
            if now - self._asked_at < ASK_AGAIN:
                raise StoreUnavailable(retry_after=RETRY_AFTER)
            self._asked_at = now
        ask()
