"""The stand-in's tasks in a worker of Celery: `celery -A tests.e2e.stand_in_worker worker`."""

from __future__ import annotations

from tagapi.engine import Engine
from tagapi.jobs.runner import JobRunner
from tagapi.registries import open_registry
from tagapi.settings import Settings, load_settings
from tagapi.worker import make_app
from tests.e2e.stand_in import NO_MEANS, lanes_of, limits_of, results_of, tasks_of


def build(settings: Settings, worker: str) -> Engine:
    tasks, registry = tasks_of(results_of(settings)), open_registry(settings.registry.url)
    runner = JobRunner(registry, tasks, worker, limits_of(settings))
    return Engine(NO_MEANS, tasks, registry, runner, lanes_of(settings))


app = make_app(load_settings("local"), build)
