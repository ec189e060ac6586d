"""The composition root: the one place that builds the world.

Nothing of Spark, Delta, the registry or the pool exists before `create_app`, which runs in a
worker process, after the fork: threads and delta-rs do not survive one.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import Flask

from tag_tasks import every_task
from tag_tasks.datasets.cleaned import CleanedTables
from tag_tasks.datasets.results import ResultFolder
from tag_tasks.datasets.tables import TABLES as DATASETS
from tag_tasks.spark.endpoint import spark_endpoint
from tag_tasks.spark.session import Spark
from tag_tasks.spark.sources import Source, Sources
from tag_tasks.tags import TABLES
from tag_tasks.tags.reader import TagReader
from tag_tasks.tags.table import MembershipTable
from tagapi import __version__
from tagapi.auth import open_gate
from tagapi.executors.thread_pool import ThreadPoolExecutor
from tagapi.hosts import Hosts
from tagapi.jobs.model import DEFAULT_LANE
from tagapi.jobs.registry import Bounds
from tagapi.jobs.runner import JobRunner, RunnerLimits
from tagapi.jobs.service import JobService
from tagapi.namespaces.base import install
from tagapi.namespaces.edge import Proxies
from tagapi.namespaces.health.front import HealthFront
from tagapi.namespaces.tags.front import TagsFront
from tagapi.namespaces.workers.front import WorkersFront
from tagapi.registries import open_registry
from tagapi.settings import Settings
from tagapi.upkeep import Upkeep

log = logging.getLogger(__name__)

RENEWALS = 6  # of a lease before it lapses: five may be missed
VACUUM_MARGIN = 24.0  # hours that a file stays after its version is gone, and longer than any job


@dataclass(frozen=True, slots=True)
class World:
    """What runs behind the app, to be stopped with it."""

    service: JobService
    executor: ThreadPoolExecutor
    upkeep: Upkeep
    spark: Spark
    drain_seconds: float

    def stop(self) -> None:
        """Drain: begin nothing more, let running attempts finish or go back to the queue, let go of Spark."""
        log.info("draining")
        self.service.refuse_new()
        self.upkeep.stop()
        self.executor.stop(self.drain_seconds)
        self.spark.stop()
        log.info("stopped")


def create_app(settings: Settings) -> Flask:
    """A running service: Spark comes up in the background while the app already answers."""
    jobs = settings.jobs
    gate = open_gate(settings.auth.tokens_file)
    spark = Spark(spark_endpoint(settings.spark.remote))
    spark.start()
    sources = Sources({name: Source(table.path, table.format) for name, table in _tables(settings).items()})
    members = MembershipTable(settings.data.user_tags)
    results = ResultFolder(settings.data.results)
    cleaned = CleanedTables(settings.data.cleaned)
    late = timedelta(seconds=settings.tags.late_seconds)
    tasks = every_task(spark, sources, members, results, cleaned, late)

    registry = open_registry(settings.registry.url)
    limits = RunnerLimits(
        lease=jobs.lease_seconds,
        renew_every=jobs.lease_seconds / RENEWALS,
        timeout=jobs.timeout_seconds,
        max_recoveries=jobs.max_recoveries,
    )
    worker = f"{socket.gethostname()}-{os.getpid()}"
    runner = JobRunner(registry, tasks, worker, limits, on_stuck=spark.restart)
    executor = ThreadPoolExecutor(runner, registry, {DEFAULT_LANE: jobs.max_concurrent})
    bounds = Bounds(queued=jobs.max_queued, queued_per_owner=jobs.max_queued_per_user)
    service = JobService(registry, executor, bounds)

    def facts() -> Mapping[str, Any]:
        ready = "ready" if spark.is_up() else "starting"
        return {
            "version": __version__,
            "spark": ready,
            "registry": registry.describe(),
            "queued": registry.queued(),
            "running": len(registry.active()),
        }

    def tend_tables() -> None:
        with ExitStack() as both:  # the second one too where the first cannot be reached
            for table in (members, cleaned):
                both.callback(table.vacuum, VACUUM_MARGIN + jobs.timeout_seconds / 3600)

    app = Flask("tagapi", static_folder=None)
    reader = TagReader(spark, sources, members, at_once=max(1, settings.server.threads * 3 // 4))
    fronts = [
        TagsFront(service, reader, settings.environment),
        WorkersFront(service, {table.name: table.filter_kinds() for table in DATASETS.values()}, results),
        HealthFront(service, settings.environment, facts),
    ]
    open_to_all = settings.auth.tokens_file is None
    hosts = Hosts(settings.server.hosts, open_to_all=open_to_all)
    proxies = Proxies(settings.server.trusted_proxies, loopback=open_to_all)
    install(app, fronts, gate, hosts, proxies, __version__)
    retention = timedelta(hours=jobs.retention_hours)
    upkeep = Upkeep(registry, worker, retention, jobs.max_recoveries, results.remove, tend_tables)
    executor.start()
    upkeep.start()
    app.extensions["tagapi"] = World(service, executor, upkeep, spark, jobs.drain_seconds)
    log.info("service_started", extra={"environment": settings.environment, "worker": worker})
    return app


def _tables(settings: Settings) -> dict[str, Any]:
    return {name: settings.data.source(name) for name in {*TABLES, *DATASETS, *settings.data.sources}}
