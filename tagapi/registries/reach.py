"""Whether a store answers: its driver's errors become StoreUnavailable here, and go no further."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tagapi.jobs.errors import StoreUnavailable

log = logging.getLogger(__name__)

RETRY_AFTER = 1  # seconds
ASK_AGAIN = 0.5  # seconds: a store that was away is left alone so long, that not everyone waits for it in turn


class Reach:
    """Around every call to a driver. Safe to use from many threads."""

    def __init__(self, store: str, *errors: type[Exception]) -> None:
        self._store = store
        self._errors = errors
        self._lost_at: float | None = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            raise self.lost(error) from error
        else:
            if self._lost_at is not None:
                self._lost_at = None
                log.warning("store_is_back", extra={"store": self._store})

    def lost(self, error: Exception) -> StoreUnavailable:
        """Remember that the store is away, and say so to the caller. The error's text is for the log alone."""
        if self._lost_at is None:
            log.error("store_lost", extra={"store": self._store, "error": f"{type(error).__name__}: {error}"})
        self._lost_at = time.monotonic()
        return StoreUnavailable(retry_after=RETRY_AFTER)

    def check(self) -> None:
        """Raise StoreUnavailable where the store was away a moment ago."""
        if self._lost_at is not None and time.monotonic() - self._lost_at < ASK_AGAIN:
            raise StoreUnavailable(retry_after=RETRY_AFTER)
