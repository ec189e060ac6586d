"""The record of requests: one event each. Noting one costs a few microseconds; they are written in batches, elsewhere.

The app says in a request's environment what only it knows. No path, query, header or body gets in here: they may
hold what is nobody's business.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

log = logging.getLogger("tagapi.requests")

ROUTE = "tagapi.route"
"""The rule that the path met, such as `/api/v1/tasks/<task_id>/status`."""
PRINCIPAL = "tagapi.principal"
REQUEST_ID = "tagapi.request_id"

TAKE_OVER = "tagapi.take_over"
"""A list, to which an app that goes on with the socket itself appends a function of the socket, which does not block,
and of the bytes that came behind the request. It sends the whole answer, head and all, and must not wait."""

OBSERVER = "tagapi.requests"
"""The extension of an app that hears of each request that was answered: of its method, route, status and seconds. It
must not raise, and not wait."""
Observer = Callable[[str | None, str | None, int, float], None]

WRITE_EVERY = 0.25  # seconds
MOST_WAITING = 100_000  # records; where they cannot be written as fast as they come, the oldest are lost
BATCH = 1000


class RequestLog:
    """Of one worker. `level` is that of the events; None where none are wanted."""

    def __init__(self, level: int | None) -> None:
        self.observer: Observer | None = None
        self._level = level or 0
        self._wanted = level is not None
        self._waiting: deque[dict[str, Any]] = deque(maxlen=MOST_WAITING)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._write, name="requests-log", daemon=True)

    def start(self) -> None:
        self._wanted = self._wanted and log.isEnabledFor(self._level)
        if self._wanted:
            self._thread.start()

    def stop(self) -> None:
        """Write what is left."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def note(
        self, address: str, method: str | None, environ: Mapping[str, Any], status: int, seconds: float, size: int
    ) -> None:
        """A request was answered with `size` bytes. `seconds` are the service's own, without the client's."""
        if self.observer is not None:
            self.observer(method, environ.get(ROUTE), status, seconds)
        if self._wanted:
            self._waiting.append(
                {
                    "timestamp": time.time(),
                    "method": method,
                    "route": environ.get(ROUTE),
                    "status": status,
                    "milliseconds": round(seconds * 1000, 2),
                    "bytes": size,
                    "principal": environ.get(PRINCIPAL),
                    "address": address,
                    "request_id": environ.get(REQUEST_ID),
                }
            )

    def _write(self) -> None:
        while not self._stopped.wait(WRITE_EVERY):
            self.flush()
        self.flush()

    def flush(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            for one in batch:
                one["timestamp"] = datetime.fromtimestamp(one["timestamp"], UTC)
            log.log(self._level, "request", extra={"records": batch})
