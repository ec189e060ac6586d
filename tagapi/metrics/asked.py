"""What is looked up in the job store when somebody asks, the same from every process that shares it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tagapi.jobs.lists import Query
from tagapi.jobs.model import JobState
from tagapi.jobs.registry import JobRegistry
from tagapi.jobs.schedule_registry import ScheduleQuery

PARKED = Query(states=frozenset({JobState.PARKED}), limit=1)


@dataclass(frozen=True, slots=True)
class Lane:
    name: str
    queued: int
    oldest: float
    """Seconds that the first job of its queue could have begun by now."""

    running: int


@dataclass(frozen=True, slots=True)
class Stored:
    lanes: Sequence[Lane]
    parked: int
    schedules: int


def read(registry: JobRegistry, lanes: Iterable[str]) -> Stored:
    """A few counts, whatever the number of jobs. Raises StoreUnavailable."""
    registry.check()
    running = Counter(job.lane for job in registry.active())
    return Stored(
        lanes=[Lane(lane, registry.queued_in(lane), _oldest(registry, lane), running[lane]) for lane in lanes],
        parked=registry.find(PARKED).total,
        schedules=registry.schedules.find(ScheduleQuery(limit=1)).total,
    )


def _oldest(registry: JobRegistry, lane: str) -> float:
    due = registry.next_due_at(lane)
    return 0.0 if due is None else max(0.0, (registry.now() - due).total_seconds())


class StoreCollector(Collector):
    """What `ask` finds; where it finds None, the store is away, and nothing is said of what is in it."""

    def __init__(self, version: str, ask: Callable[[], Stored | None]) -> None:
        self._version = version
        self._ask = ask

    def collect(self) -> Iterator[Metric]:
        about = GaugeMetricFamily("tagapi_build_info", "1; the label says which release this is.", labels=["version"])
        about.add_metric([self._version], 1)
        yield about
        stored = self._ask()
        yield GaugeMetricFamily("tagapi_store_up", "1 where the job store answers in time.", value=stored is not None)
        if stored is not None:
            yield from _told(stored)


def _told(stored: Stored) -> Iterator[Metric]:
    queued = GaugeMetricFamily("tagapi_queue_jobs", "Jobs that wait for an attempt.", labels=["lane"])
    oldest = GaugeMetricFamily(
        "tagapi_queue_oldest_age_seconds", "How long the first job in the queue could have begun.", labels=["lane"]
    )
    running = GaugeMetricFamily("tagapi_jobs_running", "Attempts that hold a lease.", labels=["lane"])
    for lane in stored.lanes:
        queued.add_metric([lane.name], lane.queued)
        oldest.add_metric([lane.name], lane.oldest)
        running.add_metric([lane.name], lane.running)
    yield from (queued, oldest, running)
    yield GaugeMetricFamily("tagapi_jobs_parked", "Jobs that wait for an admin's word.", value=stored.parked)
    yield GaugeMetricFamily("tagapi_schedules", "Schedules, paused ones among them.", value=stored.schedules)
