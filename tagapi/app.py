"""The app: every front on one Flask, and the world behind them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

from flask import Flask

from tag_tasks.assets.family import orders as asset_orders
from tag_tasks.assets.family import reader as asset_reader
from tag_tasks.audiences.family import reader as audience_reader
from tag_tasks.datasets.family import reader as result_reader
from tag_tasks.datasets.tables import TABLES as DATASETS
from tag_tasks.documents.family import reader as documents_reader
from tag_tasks.segments.family import reader as segment_reader
from tag_tasks.tags.family import reader as tag_reader
from tagapi import __version__
from tagapi.auth import Gate, Principal, TokensUnavailable, open_gate
from tagapi.hosts import Hosts
from tagapi.jobs.schedules import Schedule
from tagapi.jobs.webhooks import Webhook
from tagapi.namespaces.base import Front, install
from tagapi.namespaces.celery_task.front import RIGHT, CeleryTaskFront
from tagapi.namespaces.edge import Proxies
from tagapi.namespaces.export.front import ExportFront
from tagapi.namespaces.export.reading import Readings
from tagapi.namespaces.health.front import HealthFront
from tagapi.namespaces.metrics.front import MetricsFront
from tagapi.namespaces.tags.front import TagsFront
from tagapi.namespaces.tasks.front import TasksFront
from tagapi.namespaces.tasks.live import Live
from tagapi.namespaces.tasks.orders import Orders
from tagapi.namespaces.tasks.webhook_render import render_news
from tagapi.namespaces.workers.front import WorkersFront
from tagapi.serving.records import OBSERVER
from tagapi.settings import Settings
from tagapi.world import Outside, World, build

log = logging.getLogger(__name__)


def create_app(settings: Settings, listening: Sequence[tuple[str, int]] = ()) -> Flask:
    """A running service: Spark comes up in the background while the app already answers.

    `listening` is at which addresses and ports it can be reached: nothing that it runs may connect there.
    """
    gate = open_gate(settings.auth.tokens_file)
    open_to_all = settings.auth.tokens_file is None
    hosts = Hosts(settings.server.hosts, open_to_all=open_to_all)
    proxies = Proxies(settings.server.trusted_proxies, loopback=open_to_all)
    outside = Outside(partial(may_still, gate), partial(may_hear, gate), render_news)
    world = build(settings, outside, listening)
    app = Flask("tagapi", static_folder=None)
    install(app, _fronts(world, settings), gate, hosts, proxies, __version__)
    app.extensions |= {"tagapi": world, OBSERVER: world.metrics.requests.answered}
    world.start()
    log.info("service_started", extra={"environment": settings.environment})
    return app


def may_still(gate: Gate, schedule: Schedule) -> bool:
    """Whether a schedule's owner may still have it begun; where that cannot be said, they may.

    One that an admin made for every scope is no more than that: who is no admin any more begins none of its runs.
    """

    def may(owner: Principal) -> bool:
        if schedule.namespace != CeleryTaskFront.name:
            return True
        return owner.may(RIGHT) and (owner.admin or schedule.arguments.get("user") is not None)

    return _owner_may(gate, schedule.owner, may)


def may_hear(gate: Gate, webhook: Webhook) -> bool:
    """Whether a webhook's owner may still hear of what it tells; where that cannot be said, they may."""
    return _owner_may(gate, webhook.owner, lambda owner: owner.admin or not webhook.everyone)


def _owner_may(gate: Gate, name: str, may: Callable[[Principal], bool]) -> bool:
    """Whether somebody who is not here may: not who is gone; yes, where nobody can say who there is."""
    try:
        owner = gate.known(name)
    except TokensUnavailable:
        return True
    return owner is not None and may(owner)


def _fronts(world: World, settings: Settings) -> Sequence[Front]:
    """A line for each document."""
    service, means = world.service, world.means
    at_once = max(1, settings.server.threads * 3 // 4)
    limits = {name: task.max_attempts for name, task in world.tasks.items()}
    documents = documents_reader(means, at_once)
    filters = {table.name: table.filter_kinds() for table in DATASETS.values()}
    orders = Orders(world, audience_reader(means, at_once), segment_reader(means, at_once))
    return [
        TagsFront(service, world.scheduling, tag_reader(means, at_once), settings.environment),
        WorkersFront(service, world.scheduling, filters, result_reader(means, at_once)),
        TasksFront(
            service,
            limits,
            Live(world.hub, world.watch),
            orders,
            world.notifying,
            world.overview(documents.credits),
        ),
        ExportFront(service, documents, Readings(world.hub, documents)),
        CeleryTaskFront(service, world.scheduling, asset_orders(means), asset_reader(means, at_once)),
        HealthFront(service, settings.environment, world.facts),
        MetricsFront(service, world.metrics.expose),
    ]
