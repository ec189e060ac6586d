"""What runs behind the fronts: built once in a worker process, and stopped with it.

Nothing of Spark, Delta, the registry or the pools exists before `build`, which runs after the
fork: threads and delta-rs do not survive one.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from tag_tasks import every_task
from tag_tasks.assets.guard.names import servers_of
from tag_tasks.assets.guarding import Guarding
from tag_tasks.assets.limits import Limits
from tag_tasks.assets.scope import Own
from tag_tasks.assets.scope_file import ScopeFile
from tag_tasks.assets.table import AssetTable
from tag_tasks.audiences.sent import SentTable
from tag_tasks.bounded import BoundedThreads, NoAnswer
from tag_tasks.datasets.cleaned import CleanedTables
from tag_tasks.datasets.results import ResultFolder
from tag_tasks.documents.collectors import CollectorTable
from tag_tasks.documents.family import arrivals
from tag_tasks.folders import folder_at
from tag_tasks.means import KNOWN_SOURCES, Means
from tag_tasks.platforms.countries import NUMBERS
from tag_tasks.platforms.fofa import FofaAccount
from tag_tasks.platforms.github import GitHubAccount
from tag_tasks.platforms.google import GoogleAccount
from tag_tasks.platforms.meta import MetaAccount
from tag_tasks.segments.assigned import SegmentTable
from tag_tasks.segments.models import ModelTable
from tag_tasks.spark.endpoint import spark_endpoint
from tag_tasks.spark.session import Spark
from tag_tasks.spark.sources import Source, Sources
from tag_tasks.tags.table import MembershipTable
from tagapi import __version__, timetable
from tagapi.executors.thread_pool import ThreadPoolExecutor
from tagapi.jobs.errors import StoreUnavailable
from tagapi.jobs.lists import Bounds, Query, task_label
from tagapi.jobs.model import DEFAULT_LANE, JobState, Json
from tagapi.jobs.notifying import Notifying
from tagapi.jobs.registry import JobRegistry
from tagapi.jobs.runner import JobRunner, RunnerLimits
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
from tagapi.own import own_sockets
from tagapi.pushes.hub import Hub
from tagapi.registries import open_registry
from tagapi.settings import Assets, Fofa, GitHub, Google, Jobs, Meta, Settings
from tagapi.upkeep import Upkeep
from tagapi.webhooks.addresses import Allowed, allowed
from tagapi.webhooks.posting import Poster
from tagapi.webhooks.sender import Sender

log = logging.getLogger(__name__)

ARRIVALS = "export.arrivals"
UPKEEP = "upkeep"
"""Who asks for what upkeep starts."""
UNFINISHED = frozenset(state for state in JobState if not state.final)
RENEWALS = 6  # of a lease before it lapses: five may be missed
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
    executor: ThreadPoolExecutor
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
        lanes, limited = _lanes(self.settings.jobs), self.settings.export.credits_monthly > 0
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
            "spark": "ready" if self.means.spark.is_up() else "starting",
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
    means = _means(settings, listening)
    tasks = every_task(means)
    lanes = _lanes(jobs)
    registry = open_registry(settings.registry.url)
    runner = JobRunner(registry, tasks, worker, _limits(jobs), on_stuck=means.spark.restart)
    executor = ThreadPoolExecutor(runner, registry, lanes)
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
    )
    watch, hub = Watch(registry), Hub(settings.server.max_pushes)
    metrics = _metrics(means.spark, hub, registry, tasks, lanes)
    registry.observed_by(metrics.jobs)
    sender.ended = metrics.deliveries.ended
    return World(
        means, tasks, registry, watch, hub, service, scheduling, notifying, sender, executor, upkeep, metrics, settings
    )


def _metrics(spark: Spark, hub: Hub, registry: JobRegistry, tasks: Iterable[str], lanes: Collection[str]) -> Metrics:
    threads = BoundedThreads("metrics-store", most=2, seconds=METRICS_SECONDS, patience=METRICS_SECONDS / 2)

    def look() -> State:
        sums = {"spark_restarts": spark.lost, "store_errors": registry.errors}
        return State(pushes=hub.open, spark_up=spark.is_up(), sums=sums)

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


def _means(settings: Settings, listening: Sequence[tuple[str, int]]) -> Means:
    data, spark = settings.data, Spark(spark_endpoint(settings.spark.remote))
    tables = {name: data.source(name) for name in KNOWN_SOURCES.keys() | data.sources.keys()}
    return Means(
        spark=spark,
        sources=Sources({name: Source(table.path, table.format) for name, table in tables.items()}),
        members=MembershipTable(data.user_tags),
        results=ResultFolder(folder_at(data.results), settings.storage.link_seconds),
        cleaned=CleanedTables(data.cleaned),
        sent=SentTable(data.sent),
        models=ModelTable(data.models),
        segments=SegmentTable(data.user_segments),
        collectors=CollectorTable(data.collectors),
        assets=AssetTable(data.assets),
        guarding=_guarding(settings.assets, partial(_own, tuple(listening), settings.registry.url, spark)),
        fofa=_fofa(settings.fofa),
        github=None if settings.github.token is None else GitHubAccount(**_facts(settings.github)),
        late=timedelta(seconds=settings.tags.late_seconds),
        credits_monthly=settings.export.credits_monthly,
        meta=None if not_set(settings.meta) else MetaAccount(**_facts(settings.meta)),
        google=None if not_set(settings.google) else GoogleAccount(**_facts(settings.google)),
    )


def _guarding(assets: Assets, own: Callable[[], Sequence[Own]]) -> Guarding:
    limits = Limits(sockets=assets.sockets, per_address=assets.per_address, per_second=assets.per_second or None)
    return Guarding(
        scope_file=ScopeFile(None if assets.scope_file is None else Path(assets.scope_file)),
        limits=limits,
        nameservers=servers_of(assets.nameservers),
        own=own,
        seconds=assets.target_seconds,
        most_body=assets.target_bytes,
    )


def _own(listening: tuple[tuple[str, int], ...], registry_url: str, spark: Spark) -> Sequence[Own]:
    return own_sockets(listening, registry_url, spark.address or "")


def _fofa(account: Fofa) -> FofaAccount | None:
    if account.email is None or account.key is None:
        return None
    return FofaAccount(base_url=account.base_url, email=account.email, key=account.key)


def not_set(account: Meta | Google) -> str | None:
    """The variables that an account needs and has not, by their names; None where nothing is missing."""
    section, facts = type(account).__name__.upper(), _facts(account)
    missing = [key for key, value in facts.items() if value is None and key != "login_customer_id"]
    return ", ".join(f"TAGAPI_{section}__{key.upper()}" for key in missing) or None


def _facts(account: Meta | Google | GitHub) -> dict[str, Any]:
    return {key.name: getattr(account, key.name) for key in fields(account)}


def _lanes(jobs: Jobs) -> Mapping[str, int]:
    """How many attempts at once, by lane."""
    return {
        DEFAULT_LANE: jobs.max_concurrent,
        "platforms": jobs.max_publishing,
        "audiences": jobs.max_syncs,
        "documents": jobs.max_exports,
        "scans": jobs.max_scans,
        "monitors": jobs.max_monitors,
    }


def _retention(lanes: Iterable[str], settings: Settings) -> Mapping[str, timedelta]:
    """How long finished jobs are kept, by lane: an export at least for as long as what it left in a collector."""
    jobs, briefly = settings.jobs, timedelta(hours=settings.jobs.retention_hours)
    return {
        **dict.fromkeys(lanes, timedelta(days=jobs.retention_days_outside)),
        DEFAULT_LANE: briefly,
        "documents": max(briefly, timedelta(days=settings.export.retention_days)),
    }


def _limits(jobs: Jobs) -> RunnerLimits:
    return RunnerLimits(
        lease=jobs.lease_seconds,
        renew_every=jobs.lease_seconds / RENEWALS,
        timeout=jobs.timeout_seconds,
        max_recoveries=jobs.max_recoveries,
    )
