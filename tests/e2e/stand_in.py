"""A server with the real fronts, gate, core and gunicorn, and tasks that do what a test says instead of Spark.

A job's `batch_size` says what its task does: as below, or by a script; any other makes a file at once.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
from flask import Flask

from api_server import Server
from tag_tasks.assets.scope import Scope
from tag_tasks.campaigns.google_publish import GooglePublish
from tag_tasks.campaigns.meta_publish import MetaPublish
from tag_tasks.datasets.results import ResultFolder
from tag_tasks.folders import folder_at
from tag_tasks.platforms.simulated import SimulatedGoogle, SimulatedMeta
from tagapi import timetable
from tagapi.auth import open_gate
from tagapi.engine import Engine
from tagapi.hosts import Hosts
from tagapi.jobs.errors import NotFoundInData, TaskFailed
from tagapi.jobs.model import DEFAULT_LANE, Json
from tagapi.jobs.notifying import Notifying
from tagapi.jobs.registry import Bounds
from tagapi.jobs.runner import JobRunner, RunnerLimits
from tagapi.jobs.scheduling import Scheduling
from tagapi.jobs.service import JobService
from tagapi.jobs.task import Task, TaskContext
from tagapi.jobs.watch import Watch
from tagapi.logs import configure_logs
from tagapi.namespaces.base import install
from tagapi.namespaces.celery_task.front import CeleryTaskFront
from tagapi.namespaces.celery_task.words import TYPES as SCANS
from tagapi.namespaces.edge import Proxies
from tagapi.namespaces.export.front import ExportFront
from tagapi.namespaces.health.front import HealthFront
from tagapi.namespaces.tags.front import TagsFront
from tagapi.namespaces.tasks.front import TasksFront
from tagapi.namespaces.tasks.live import Live
from tagapi.namespaces.tasks.orders import Orders
from tagapi.namespaces.workers.front import WorkersFront
from tagapi.namespaces.workers.schemas import TYPES
from tagapi.overview import Overview
from tagapi.pushes.hub import Hub
from tagapi.registries import open_registry
from tagapi.rounds import Rounds
from tagapi.settings import Settings, load_settings
from tagapi.webhooks.addresses import Allowed
from tagapi.world import executor_of
from tests.e2e.scripts import SCRIPTS, undo

FAILS, RUNS, STUBBORN, COMMITS, LOSES_ITS_FILE = 1, 2, 3, 4, 5
ROWS = 1234
DONE = 617  # rows, in a job that runs
STUBBORN_SECONDS = 7.0
REASON = "the table bookings cannot be read"
FILTERS = {
    "bookings": {"status": "str", "customer_id": "int", "provider_id": "int"},
    "payments": {"status": "str", "user_id": "int"},
    "users": {"role": "str", "is_active": "bool"},
    "services": {"provider_id": "int", "min_price": "money", "max_price": "money"},
}
TAG: Mapping[str, Any] = {
    "tag_id": 1,
    "task_class": "HighNetWorthUserTask",
    "description": "高净值用户",
    "source": "user_asset_summary",
    "rule": "total_asset_value ≥ 100000",
    "members": 0,
    "last_run": None,
}
KINDS = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
    "html": "text/html; charset=utf-8",
}


def content_of(name: str) -> bytes:
    """What the file of this name holds: 100,000 bytes that are not alike."""
    return b"".join(hashlib.sha256(f"{name}{number}".encode()).digest() for number in range(3125))


class Obedient(Task):
    """Does what `batch_size` says."""

    def __init__(self, name: str, results: ResultFolder) -> None:
        self.name = f"workers.{name}"  # type: ignore[misc]
        self._type = name
        self._results = results

    def run(self, context: TaskContext) -> Json:
        command = context.arguments["batch_size"]
        if command == FAILS:
            raise TaskFailed(reason=REASON)
        if command in SCRIPTS:
            SCRIPTS[command](context)
        if command in (RUNS, STUBBORN):
            self._wait(context, stubborn=command == STUBBORN)
        extension = {"data_analysis": "json", "data_cleanup": "json", "report_generation": "html"}.get(self._type)
        extension = extension or context.arguments["format"]
        name = f"{self._type}.{extension}"
        content = content_of(name)
        with self._results.stage(context.attempt_name) as staged:
            with staged.file(name, KINDS[extension]) as file:
                file.write(content)
            result = {"file": file.described(), "total_records": ROWS}
            context.progress(ROWS, ROWS)
            context.begin_commit(result)
            if command == COMMITS:
                time.sleep(3)
            if command != LOSES_ITS_FILE:
                staged.publish()
        return result

    def undo(self, context: TaskContext) -> None:
        undo(context)

    def _wait(self, context: TaskContext, *, stubborn: bool) -> None:
        stop = threading.Event()
        context.on_cancel(stop.set)
        context.progress(DONE, ROWS)
        stop.wait(60)
        if stubborn:
            time.sleep(STUBBORN_SECONDS)
        context.check()


class Counts(Task):
    """Computes tags for nobody."""

    name = "tags.compute"

    def run(self, context: TaskContext) -> Json:
        context.progress(1, 1)
        tags = [{"tag_id": one, "matched_users": 0, "added": 0, "removed": 0} for one in context.arguments["tag_ids"]]
        return {"total_users": 0, "message": "No results", "tags": tags, "unknown_user_ids": [], "table_version": 0}


class NoTags:
    """A reader of tags where there is one tag and nobody who carries it."""

    def available(self) -> Sequence[Mapping[str, Any]]:
        return [{key: TAG[key] for key in ("tag_id", "task_class", "description")}]

    def tag_ids(self) -> Sequence[int]:
        return [1]

    def tag(self, tag_id: int) -> Mapping[str, Any]:
        return TAG

    def members(self, tag_id: int, after: str | None, limit: int) -> Sequence[str]:
        return []

    def tags_of(self, user_id: str) -> Sequence[int]:
        return []

    def explain(self, user_id: str) -> Sequence[Mapping[str, Any]]:
        return []


class NoPlatforms:
    """Other services, of which none is configured."""

    countries = frozenset({"CO", "US"})

    def missing(self, platform: str) -> str | None:
        return f"TAGAPI_{platform.upper()}__ACCOUNT_ID"


class NoAudiences:
    """What is read of audiences, where nobody has synced any, and the users' table has no consents."""

    def tag_ids(self) -> Sequence[int]:
        return [1]

    def keeps_consent(self) -> bool:
        return False

    def preview(self, expression: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"size": 0, "table_version": 0, "tags": [{"tag_id": 1, "users": 0}], "overlaps": []}

    def every(self) -> Sequence[Mapping[str, Any]]:
        return []

    def audience_id(self, platform: str, name: str, *, simulated: bool) -> str | None:
        return None


class NoSegments:
    """What is read of segments, where nobody has trained a model."""

    def models(self) -> Sequence[Mapping[str, Any]]:
        return []

    def model(self, name: str, version: int | None = None) -> Mapping[str, Any]:
        raise NotFoundInData(thing="model", name=name)

    def segment_of(self, name: str, user_id: str) -> Mapping[str, Any]:
        raise NotFoundInData(thing="model", name=name)


class NoDocuments:
    """What is read of documents and defined of them, where nobody has a collector, and every query is one."""

    collector, stream, project = "collector", "stream", "project"

    def define(self, what: Callable[[Any], Any]) -> Any:
        raise NotFoundInData(thing="collector", name="collector_1")

    def check_query(self, field: str, query: str) -> None:
        """There is nothing to find."""

    def credits(self, owner: str) -> Json:
        return {"used": 0, "total": 0, "next": datetime(2026, 2, 1, tzinfo=UTC)}

    def owner_key(self, owner: str) -> str:
        return owner

    def count(self, query: str, start: int, stop: int) -> Sequence[tuple[str, int]]:
        return []


SCOPE = Scope(id="corp", name="corp", domains=("example.com",))


class AnyAssets:
    """Orders that take whatever has a valid shape, and a reader of assets where there are none."""

    def scopes(self, user: str | None) -> Sequence[Any]:
        return [SCOPE]

    def arguments(self, task_type: str, data: Json, user: str | None) -> dict[str, Any]:
        return {**data, "user": user}

    def found(self, job_id: str, kind: str | None, page: int, size: int) -> Json:
        return {"total": 0, "items": []}

    def assets(self, kind: str, page: int, size: int, *, scope_id: str | None = None, owner: str | None = None) -> Json:
        return {"total": 0, "items": []}


class Scanned(Task):
    """A task of the celery_task API that does what its job's `task_tag` says: fails, runs until it is stopped, or
    finds nothing at once."""

    def __init__(self, work: str) -> None:
        self.name = f"celery_task.{work}"  # type: ignore[misc]

    def run(self, context: TaskContext) -> Json:
        command = context.arguments.get("task_tag")
        if command == "fails":
            raise TaskFailed(reason=REASON)
        context.phase("find_site", ROWS)
        if command in ("runs", "stubborn"):
            stop = threading.Event()
            context.on_cancel(stop.set)
            context.progress(DONE, ROWS)
            stop.wait(60)
            if command == "stubborn":
                time.sleep(STUBBORN_SECONDS)
            context.check()
        return {"message": "完成", "statistic": {"site_cnt": 0}, "service": [{"name": "find_site", "seconds": 0.1}]}


def no_orders() -> Orders:
    """Nothing is known of other services."""
    return Orders(NoPlatforms(), NoAudiences(), NoSegments())


def results_of(settings: Settings) -> ResultFolder:
    return ResultFolder(folder_at(settings.data.results))


def tasks_of(results: ResultFolder) -> Mapping[str, Task]:
    obedient = [Obedient(name, results) for name in TYPES]
    simulating = [MetaPublish(None, SimulatedMeta()), GooglePublish(None, SimulatedGoogle())]
    return {task.name: task for task in (*obedient, *simulating, *map(Scanned, SCANS), Counts())}


def lanes_of(settings: Settings) -> Mapping[str, int]:
    return {DEFAULT_LANE: settings.jobs.max_concurrent, "platforms": settings.jobs.max_publishing}


def limits_of(settings: Settings) -> RunnerLimits:
    lease = settings.jobs.lease_seconds
    return RunnerLimits(lease=lease, renew_every=lease / 6)


class NoSpark:
    """Nobody needs it."""

    lost = 0

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def ready(self) -> bool:
        return True


NO_MEANS: Any = SimpleNamespace(spark=NoSpark())


class World:
    """What runs behind the app."""

    def __init__(self, settings: Settings) -> None:
        jobs = settings.jobs
        self.results = results_of(settings)
        tasks = tasks_of(self.results)
        registry = open_registry(settings.registry.url)
        self.runner = JobRunner(registry, tasks, f"stand-in-{os.getpid()}", limits_of(settings))
        lanes = lanes_of(settings)
        self._executor = executor_of(settings, Engine(NO_MEANS, tasks, registry, self.runner, lanes), "stand-in")
        bounds = Bounds(queued=jobs.max_queued, queued_per_owner=jobs.max_queued_per_user)
        self.service = JobService(registry, self._executor, bounds, {name: task.lane for name, task in tasks.items()})
        self.scheduling = Scheduling(registry, self.service, timetable.next_of, timetable.check)
        self.notifying = Notifying(registry, Allowed().check)
        self.limits = {name: task.max_attempts for name, task in tasks.items()}
        self._watch, self._hub = Watch(registry), Hub(settings.server.max_pushes)
        self.live = Live(self._hub, self._watch)
        self._registry, nobody = registry, NoDocuments().credits
        self.overview = Overview(
            registry, self.scheduling, self._hub, lanes, self.facts, settings.server.workers, nobody
        )
        self._executor.start()
        self._rounds = Rounds()
        if self._executor.send_again is not None:
            self._rounds.every(1, self._executor.send_again, 1)
        self._rounds.start()
        self._watch.start()
        self._hub.start()

    def stop(self) -> None:
        self._hub.stop()
        self._watch.stop()
        self._rounds.stop()
        self._executor.stop(0.1)

    def facts(self) -> Mapping[str, Any]:
        facts = {"version": "0", "spark": "ready", "registry": self._registry.describe()}
        facts |= {"executor": self._executor.describe(), "queued": self._registry.queued()}
        return {**facts, "running": self.runner.running()}


class StandIn(Server):
    def load(self) -> Flask:
        world = World(self._settings)
        app = Flask("tagapi", static_folder=None)
        fronts = [
            TagsFront(world.service, world.scheduling, NoTags(), "local"),
            WorkersFront(world.service, world.scheduling, FILTERS, world.results),
            TasksFront(world.service, world.limits, world.live, no_orders(), world.notifying, world.overview),
            ExportFront(world.service, NoDocuments(), None),
            CeleryTaskFront(world.service, world.scheduling, AnyAssets(), AnyAssets()),
            HealthFront(world.service, "local", world.facts),
        ]
        tokens = self._settings.auth.tokens_file
        install(app, fronts, open_gate(tokens), Hosts(open_to_all=tokens is None), Proxies(loopback=True), "0")
        app.extensions["tagapi"] = world
        return app


@click.command()
@click.option("--host")
@click.option("--port", type=int)
def main(host: str, port: int) -> None:
    settings = load_settings("local")
    configure_logs(Path(settings.logs.dir), settings.logs.level, settings.logs.max_bytes)
    StandIn(settings, host, port).run()


if __name__ == "__main__":
    main()
