"""Every front on an app, over a world in one thread, as a test's client sees them."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient

from tag_tasks.datasets.results import ResultFolder
from tag_tasks.folders import folder_at
from tagapi.auth import Gate, OpenGate
from tagapi.hosts import Hosts
from tagapi.jobs.model import JobState
from tagapi.jobs.notifying import Notifying
from tagapi.namespaces.base import Front, install
from tagapi.namespaces.celery_task.front import CeleryTaskFront
from tagapi.namespaces.edge import Proxies
from tagapi.namespaces.export.front import ExportFront
from tagapi.namespaces.health.front import HealthFront
from tagapi.namespaces.metrics.front import MetricsFront
from tagapi.namespaces.tags.front import TagsFront
from tagapi.namespaces.tasks.front import TasksFront
from tagapi.namespaces.workers.front import WorkersFront
from tagapi.overview import Overview
from tests.e2e.stand_in import FILTERS, AnyAssets, NoDocuments, NoTags, no_orders
from tests.unit.fakes import TASK, FakeTask, Sink, SinkDown, World, next_attempt, raising


def client_of(gate: Gate, *more: Front, world: World | None = None) -> FlaskClient:
    """A client of an app with every front; nobody runs its jobs but a test, by the `world`."""
    world = world or World()
    service = world.service
    fronts = [
        TagsFront(service, world.scheduling, NoTags(), "local"),
        WorkersFront(service, world.scheduling, FILTERS, ResultFolder(folder_at("/none"))),
        TasksFront(
            service,
            dict.fromkeys((*TASKS, TASK), 4),
            None,
            no_orders(),
            Notifying(world.registry, anywhere),
            overview_of(world),
        ),
        ExportFront(service, NoDocuments(), None),
        CeleryTaskFront(service, world.scheduling, AnyAssets(), AnyAssets()),
        HealthFront(service, "local", lambda: {"spark": "ready", "executor": {"kind": "threads"}}),
        MetricsFront(service, lambda: b"tagapi_workers 1\n"),
    ]
    app = Flask("tagapi", static_folder=None)
    install(app, [*fronts, *more], gate, Hosts(open_to_all=isinstance(gate, OpenGate)), Proxies(loopback=True), "0")
    return app.test_client()


def anywhere(url: str) -> None:
    """A webhook may lead wherever somebody wants."""


class NoPushes:
    """Nothing can be pushed here."""

    open, most = 0, 0


def overview_of(world: World) -> Overview:
    """Of a world with one thread and no pushes."""
    facts = {"version": "0", "spark": "ready", "executor": {"kind": "threads"}, "registry": world.registry.describe()}
    return Overview(world.registry, world.scheduling, NoPushes(), {"spark": 1}, lambda: facts, 1, None)


TASKS = ("tags.compute", "workers.bookings_export")


def doubtful_world() -> World:
    """Where each commit's answer is lost, and nobody can find out afterwards whether it happened."""
    work = Sink(fails_after=SinkDown("the answer was lost")).work
    find = raising(SinkDown("the sink is away"))
    return World(other_tasks={name: FakeTask(work, find) for name in TASKS})


def park(world: World, job_id: str) -> None:
    """Run the only job of a doubtful world until it is given to a person."""
    assert world.run_next()
    while world.job(job_id).state is not JobState.PARKED:
        next_attempt(world)
