"""What a process says of itself every second: how much there is of something now, and sums that others keep.

Of the processes that are no more nothing is told here; their sums stay.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Gauge

from tagapi.metrics.counted import Sums

EVERY = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class State:
    """Of one process."""

    pushes: int
    spark_up: bool
    sums: Mapping[str, int]
    """What has been counted since its start: `spark_restarts`, `store_errors`."""


class Sampler:
    """Looks at the state of this process from `start` to `stop`, and whenever it is told to."""

    def __init__(self, registry: CollectorRegistry, look: Callable[[], State]) -> None:
        self._look = look
        self._sums = Sums(registry)
        self._pushes = Gauge(
            "tagapi_pushes_open",
            "WebSockets and streams that are open.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._spark = Gauge(
            "tagapi_spark_up",
            "1 where Spark has answered in every process.",
            multiprocess_mode="livemin",
            registry=registry,
        )
        self._workers = Gauge(
            "tagapi_workers", "Processes that serve requests.", multiprocess_mode="livesum", registry=registry
        )
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def start(self) -> None:
        self.sample()
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def sample(self) -> None:
        with self._lock:
            state = self._look()
            self._sums.take(state.sums)
            self._pushes.set(state.pushes)
            self._spark.set(state.spark_up)
            self._workers.set(1)

    def _run(self) -> None:
        while not self._stopped.wait(EVERY):
            self.sample()
