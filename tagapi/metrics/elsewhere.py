"""The numbers of a process that runs attempts and serves no requests: told at an address of its own.

What a process has begun and ended of jobs is counted by that process alone, so the numbers of all of them, added up,
count nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, disable_created_metrics, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tagapi.metrics.counted import Jobs, Sums
from tagapi.metrics.sampled import State


class _Sampled(Collector):
    """How the process is, when somebody asks."""

    def __init__(self, look: Callable[[], State], sums: Sums) -> None:
        self._look = look
        self._sums = sums

    def collect(self) -> Iterator[Metric]:
        state = self._look()
        self._sums.take(state.sums)
        yield GaugeMetricFamily("tagapi_spark_up", "1 where Spark has answered.", value=state.spark_up)


class WorkerMetrics:
    """`jobs` counts from now on; `serve` lets others read."""

    def __init__(self, tasks: Iterable[str], look: Callable[[], State]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._told = CollectorRegistry(auto_describe=False)
        self._told.register(_Sampled(look, Sums(self._told)))
        self.jobs = Jobs(self._told, tasks)

    def serve(self, host: str, port: int) -> Callable[[], None]:
        """At this address, until what is answered is called. Raises OSError."""
        server, thread = start_http_server(port, host, self._told)

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return stop
