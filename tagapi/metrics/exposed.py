"""All numbers together, as Prometheus reads them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest, values
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

from tagapi.metrics.asked import StoreCollector, Stored
from tagapi.metrics.counted import Deliveries, Jobs, Requests
from tagapi.metrics.processes import FOLDER, PLACE
from tagapi.metrics.sampled import Sampler, State


class _Files(MultiProcessCollector):
    """Leaves out a file that its process has only just made, or was killed while making: there is nothing in it."""

    def collect(self) -> Iterable[Metric]:
        files = [str(file) for file in Path(self._path).glob("*.db") if _size(file)]
        found: Iterable[Metric] = self.merge(files)  # type: ignore[no-untyped-call]
        return found


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # of a worker that has just gone
        return 0


class Metrics:
    """Of this process, and of all that share its folder where there is one. It samples from `start` to `stop`."""

    def __init__(
        self, version: str, tasks: Iterable[str], look: Callable[[], State], ask: Callable[[], Stored | None]
    ) -> None:
        """`look` says how this process is, `ask` what the store has; None where it does not answer in time."""
        # Several processes would each tell another moment.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        if shared := bool(os.environ.get(FOLDER)):
            place = os.environ.get(PLACE, str(os.getpid()))
            values.ValueClass = values.MultiProcessValue(lambda: place)  # type: ignore[no-untyped-call]
        own = CollectorRegistry(auto_describe=False)
        self.requests = Requests(own)
        self.jobs = Jobs(own, tasks)
        self.deliveries = Deliveries(own)
        self._sampler = Sampler(own, look)
        if shared:
            self._told = CollectorRegistry(auto_describe=False)
            _Files(self._told)  # type: ignore[no-untyped-call]
        else:
            self._told = own
        self._told.register(StoreCollector(version, ask))

    def start(self) -> None:
        self._sampler.start()

    def stop(self) -> None:
        self._sampler.stop()

    def expose(self) -> bytes:
        """All numbers, in Prometheus' text format 0.0.4, which all that read metrics understand."""
        self._sampler.sample()
        return generate_latest(self._told)
