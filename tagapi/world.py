"""What runs behind the fronts: built once in a worker process, and stopped with it.

Nothing of Spark, Delta, the registry or the pools exists before `build`, which runs after the
fork: threads and delta-rs do not survive one.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tag_tasks.bounded import BoundedThreads, NoAnswer
from tag_tasks.documents.family import arrivals
from tag_tasks.means import Means
from tag_tasks.platforms.countries import NUMBERS
from tag_tasks.spark.session import Spark
from tagapi import __version__, timetable
from tagapi.engine import Engine, build_engine, lanes_of, not_set
from tagapi.executors.pool import Pool
from tagapi.executors.thread_pool import ThreadPoolExecutor
from tagapi.jobs.errors import StoreUnavailable
from tagapi.jobs.lists import Bounds, Query, task_label
from tagapi.jobs.model import DEFAULT_LANE, JobState, Json
from tagapi.jobs.notifying import Notifying
from tagapi.jobs.registry import JobRegistry
from tagapi.jobs.schedules import Schedule
from tagapi.jobs.scheduling import Scheduling
from tagapi.jobs.service import JobService
from tagapi.jobs.task import Task
from tagapi.jobs.watch import Watch
from tagapi.jobs.webhooks import Delivery, Webhook
from tagapi.metrics import asked
from tagapi.metrics.exposed import Metrics
from tagapi.metrics.sampled import State
from tagapi.overview import Overview
from tagapi.pushes.hub import Hub
from tagapi.settings import Settings
from tagapi.upkeep import Upkeep
from tagapi.webhooks.addresses import Allowed, allowed
from tagapi.webhooks.posting import Poster
from tagapi.webhooks.sender import Sender

log = logging.getLogger(__name__)

ARRIVALS = "export.arrivals"
UPKEEP = "upkeep"
"""Who asks for what upkeep starts."""
UNFINISHED = frozenset(state for state in JobState if not state.final)
METRICS_SECONDS = 1.0  # that the store has for an answer
VACUUM_MARGIN = 24.0  # hours that a file stays after its version is gone, and longer than any job


@dataclass(frozen=True, slots=True)
class World:
    """It runs from `start` to `stop`."""

    means: Means
    tasks: Mapping[str, Task]
    registry: JobRegistry
    watch: Watch
    hub: Hub
    service: JobService
    scheduling: Scheduling
    notifying: Notifying
    sender: Sender
    executor: Pool
    upkeep: Upkeep
    metrics: Metrics
    settings: Settings

    def start(self) -> None:
        self.means.spark.start()
        self.executor.start()
        self.upkeep.start()
        self.watch.start()
        self.hub.start()
        self.metrics.start()
        self.sender.start()

    def stop(self) -> None:
        """Drain: begin nothing more, let running attempts finish or go back to the queue, let go of Spark.

        Those who listen are told first: another process has the rest of the story.
        """
        log.info("draining")
        self.service.refuse_new()
        self.hub.stop()
        self.watch.stop()
        self.upkeep.stop()
        self.executor.stop(self.settings.jobs.drain_seconds)
        self.sender.stop()
        self.means.spark.stop()
        self.metrics.stop()
        log.info("stopped")

    @property
    def countries(self) -> frozenset[str]:
        """ISO 3166 alpha-2, of all that there are."""
        return frozenset(NUMBERS)

    def missing(self, platform: str) -> str | None:
        """The variables that a platform's account needs and has not; None where nothing is missing."""
        return not_set(self.settings.meta if platform == "meta" else self.settings.google)

    def overview(self, credits: Callable[[str], Mapping[str, Any]]) -> Overview:  # noqa: A002 (as users say)
        """What there is to see of it."""
        lanes, limited = lanes_of(self.settings.jobs), self.settings.export.credits_monthly > 0
        return Overview(
            self.registry,
            self.scheduling,
            self.hub,
            lanes,
            self.facts,
            self.settings.server.workers,
            credits=credits if limited else None,
        )

    def facts(self) -> Mapping[str, Any]:
        """What health says."""
        return {
            "version": __version__,
            "spark": "ready" if self.means.spark.ready() else "starting",
            "executor": self.executor.describe(),
            "registry": self.registry.describe(),
            "queued": self.registry.queued(),
            "running": len(self.registry.active()),
        }


@dataclass(frozen=True, slots=True)
class Outside:
    """What only the edge knows: who may still do what, and how a job is told."""

    may_begin: Callable[[Schedule], bool] = lambda schedule: True
    """Whether a schedule's owner may still have it begun."""

    may_hear: Callable[[Webhook], bool] = lambda webhook: True
    """Whether a webhook's owner may still hear of what it tells."""

    tell: Callable[[Delivery, Mapping[str, int]], Json] = lambda delivery, limits: {"task_id": delivery.job.id}
    """What is told of a job, by how many attempts each task has."""


def build(settings: Settings, outside: Outside = Outside(), listening: Sequence[tuple[str, int]] = ()) -> World:
    """Nothing of it runs yet. `listening` says at which addresses and ports this service can be reached."""
    jobs, worker = settings.jobs, f"{socket.gethostname()}-{os.getpid()}"
    engine = build_engine(settings, worker, listening)
    means, tasks, registry, lanes = engine.means, engine.tasks, engine.registry, engine.lanes
    executor = executor_of(settings, engine, worker)
    bounds = Bounds(queued=jobs.max_queued, queued_per_owner=jobs.max_queued_per_user)
    service = JobService(registry, executor, bounds, {name: task.lane for name, task in tasks.items()})
    scheduling = Scheduling(registry, service, timetable.next_of, timetable.check, may=outside.may_begin)
    permitted = allowed(settings.webhooks.allow)
    notifying = Notifying(registry, permitted.check, outside.may_hear, settings.webhooks.max_per_user)
    sender = _sender(settings, registry, permitted, outside, {name: task.max_attempts for name, task in tasks.items()})
    vacuum_hours = VACUUM_MARGIN + jobs.timeout_seconds / 3600
    upkeep = Upkeep(
        registry,
        worker,
        retention=_retention(lanes, settings),
        max_recoveries=jobs.max_recoveries,
        tasks=tasks,
        remove_files=means.results.remove,
        sweep_files=means.sweep,
        tend_tables=lambda: means.vacuum(vacuum_hours),
        tend_collectors=lambda: _tend_collectors(means, service, settings.export.retention_days),
        begin_due=scheduling.begin_due,
        pause_orphans=lambda: _pause_orphans(scheduling, notifying),
        tidy_webhooks=notifying.tidy,
        send_again=executor.send_again,
    )
    watch, hub = Watch(registry), Hub(settings.server.max_pushes)
    metrics = _metrics(means.spark, hub, registry, tasks, lanes)
    registry.observed_by(metrics.jobs)
    sender.ended = metrics.deliveries.ended
    return World(
        means, tasks, registry, watch, hub, service, scheduling, notifying, sender, executor, upkeep, metrics, settings
    )


def executor_of(settings: Settings, engine: Engine, worker: str) -> Pool:
    """Celery is imported only where it is chosen: without it, nobody needs to have it."""
    if (broker := settings.executor.broker) is None:
        return ThreadPoolExecutor(engine.runner, engine.registry, engine.lanes)
    from tagapi.executors.celery import CeleryExecutor

    return CeleryExecutor(broker, engine.registry, engine.lanes, worker)


def _metrics(spark: Spark, hub: Hub, registry: JobRegistry, tasks: Iterable[str], lanes: Collection[str]) -> Metrics:
    threads = BoundedThreads("metrics-store", most=2, seconds=METRICS_SECONDS, patience=METRICS_SECONDS / 2)

    def look() -> State:
        sums = {"spark_restarts": spark.lost, "store_errors": registry.errors}
        return State(pushes=hub.open, spark_up=spark.ready(), sums=sums)

    def ask() -> asked.Stored | None:
        try:
            return threads.run(lambda: asked.read(registry, lanes))
        except (StoreUnavailable, NoAnswer):
            return None

    return Metrics(__version__, tasks, look, ask)


def _sender(
    settings: Settings, registry: JobRegistry, permitted: Allowed, outside: Outside, limits: Mapping[str, int]
) -> Sender:
    return Sender(
        registry.outbox,
        lambda: registry.now(),
        lambda delivery: outside.tell(delivery, limits),
        Poster(permitted),
        outside.may_hear,
        settings.webhooks.retry_seconds,
        settings.webhooks.retry_at_most_seconds,
    )


def _pause_orphans(scheduling: Scheduling, notifying: Notifying) -> None:
    scheduling.pause_orphans()
    notifying.pause_orphans()


def _tend_collectors(means: Means, service: JobService, days: float) -> None:
    """Forget what was kept for its days, and have what arrived added to live collectors, unless that is under way."""
    if forgotten := means.collectors.forget(days):
        log.info("documents_forgotten", extra={"files": forgotten})
    under_way = Query(namespace="export", label=task_label(ARRIVALS), states=UNFINISHED, limit=1)
    if arrivals(means).pending() and not service.find(under_way).total:
        service.submit(ARRIVALS, {}, owner=UPKEEP, labels=(task_label(ARRIVALS),))


def _retention(lanes: Iterable[str], settings: Settings) -> Mapping[str, timedelta]:
    """How long finished jobs are kept, by lane: an export at least for as long as what it left in a collector."""
    jobs, briefly = settings.jobs, timedelta(hours=settings.jobs.retention_hours)
    return {
        **dict.fromkeys(lanes, timedelta(days=jobs.retention_days_outside)),
        DEFAULT_LANE: briefly,
        "documents": max(briefly, timedelta(days=settings.export.retention_days)),
    }
