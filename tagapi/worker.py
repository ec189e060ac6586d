"""A worker of Celery: `celery -A tagapi.worker worker`. It runs attempts as the service's own threads do.

The app is made when it is asked for: importing this module does nothing. TAGAPI_ENVIRONMENT says which
`config/<environment>.yaml` is meant; the settings are those of the service, and so are registry and data folder.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from celery import Celery, signals
from celery.concurrency.thread import TaskPool

from tagapi.engine import Engine, build_engine, lanes_of
from tagapi.executors.celery import Again
from tagapi.executors.celery_messages import Messages, celery_app
from tagapi.executors.celery_worker import Carrier, Room, Threads, lane_consumers, register
from tagapi.executors.heartbeat import Heartbeat
from tagapi.executors.thread_pool import RELEASE_SECONDS
from tagapi.logs import configure_logs
from tagapi.metrics.elsewhere import WorkerMetrics
from tagapi.metrics.sampled import State
from tagapi.registries import unusable
from tagapi.rounds import RECOVER_EVERY, Rounds, recover, unless_away
from tagapi.settings import PROFILE, Settings, SettingsError, load_settings
from tagapi.upkeep import SEND_AGAIN_EVERY

log = logging.getLogger(__name__)

QUIET = {"celery": logging.WARNING, "kombu": logging.ERROR, "amqp": logging.ERROR}
"""What they tell of each message we tell in our words, of each job."""

LEFT_BEHIND = 70
"""The exit code where an attempt's thread did not leave in time; its lease lapses."""


BuildEngine = Callable[[Settings, str], Engine]
"""By the settings, and Celery's name of the worker, which jobs tell."""


def __getattr__(name: str) -> Any:
    """`app`, as Celery asks for it."""
    if name != "app":
        raise AttributeError(name)
    globals()["app"] = made = make_app(_settings())
    return made


def _settings() -> Settings:
    """Of this process. Ends it with words where they cannot be used."""
    try:
        settings = load_settings(os.environ.get(PROFILE, "local"))
    except SettingsError as error:
        raise SystemExit(f"Error: {error}") from None
    if settings.executor.broker is None:
        raise SystemExit(
            "Error: executor.url: names no broker; set TAGAPI_EXECUTOR, such as celery://redis://host:6379/1"
        )
    return settings


def make_app(settings: Settings, build: BuildEngine = build_engine) -> Celery:
    """What Celery's commands work with. Only its worker runs attempts, and is built when there is one."""
    lanes = lanes_of(settings.jobs)
    app = celery_app(str(settings.executor.broker), lanes)
    app.conf.update(
        worker_pool=f"{Threads.__module__}:{Threads.__name__}",
        worker_concurrency=sum(lanes.values()),
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=True,  # those whose message is acknowledged late: none
        worker_enable_prefetch_count_reduction=False,
    )
    signals.setup_logging.connect(partial(_set_up_logs, settings), weak=False)
    signals.worker_init.connect(partial(_begin_or_end, settings, app, build), weak=False)
    return app


def _set_up_logs(settings: Settings, **_: object) -> None:
    configure_logs(Path(settings.logs.dir), settings.logs.level, settings.logs.max_bytes)
    for name, level in QUIET.items():
        logging.getLogger(name).setLevel(level)


def _begin_or_end(settings: Settings, app: Celery, build: BuildEngine, sender: Any, **_: object) -> None:
    """Celery goes on without whoever raises here."""
    try:
        _begin(settings, app, build, sender)
    except Exception as error:
        traceback.print_exc()
        raise SystemExit("Error: the worker could not be started") from error


def _begin(settings: Settings, app: Celery, build: BuildEngine, sender: Any) -> None:
    """Before Celery's worker connects: refuse what cannot work, and bring up what runs attempts."""
    if problem := _wrong_options(settings, sender) or _unusable_registry(settings):
        raise SystemExit(f"Error: {problem}")
    sender.options.update(without_gossip=True, without_mingle=True)  # its workers have nothing to tell each other
    _set_up_logs(settings)
    worker = AttemptWorker(settings, app, build(settings, sender.hostname))
    if settings.executor.metrics is not None and (problem := worker.serve_metrics(settings.executor.metrics)):
        raise SystemExit(f"Error: executor.metrics: {problem}")
    worker.start()


def _wrong_options(settings: Settings, worker: Any) -> str | None:
    """Threads alone: Spark's client and delta-rs do not survive a fork, and one thread would let every lane wait."""
    if worker.pool_cls not in (Threads, TaskPool):
        return "only the pool of threads runs attempts (-P threads, or no -P)"
    if worker.concurrency != sum(lanes_of(settings.jobs).values()) or worker.options.get("autoscale"):
        return "how many attempts run at once is said by lane, in the settings jobs.max_…: leave -c and --autoscale out"
    if settings.assets.scope_file is not None and not settings.assets.own:
        return "assets.own: where scans run in a worker of Celery, it has to say at which host:port the service listens"
    return None


def _unusable_registry(settings: Settings) -> str | None:
    problem = unusable(settings.registry.url)
    return problem and f"registry.url: {problem}"


class AttemptWorker:
    """What runs attempts in this process, from `start` until Celery has stopped."""

    def __init__(self, settings: Settings, app: Celery, engine: Engine) -> None:
        self._settings = settings
        self._engine = engine
        self._messages = Messages(app, engine.lanes)
        room = Room(engine.lanes, engine.runner.ready)
        register(app, engine.tasks, Carrier(engine.runner, engine.registry, self._messages, room))
        app.steps["consumer"].add(lane_consumers(room))
        self._metrics = WorkerMetrics(engine.tasks, partial(_state, engine))
        engine.registry.observed_by(self._metrics.jobs)
        again = Again(engine.registry, self._messages, engine.lanes, f"celery-{socket.gethostname()}-{os.getpid()}")
        self._heartbeat = Heartbeat(engine.runner)
        self._rounds = Rounds()
        self._rounds.every(
            RECOVER_EVERY, partial(recover, engine.registry, settings.jobs.max_recoveries), RECOVER_EVERY
        )
        self._rounds.every(SEND_AGAIN_EVERY, partial(unless_away, again.send), SEND_AGAIN_EVERY)
        self._stop_metrics: Callable[[], None] = lambda: None
        self._left = threading.Event()
        self._told_to_leave: set[str] = set()

    def serve_metrics(self, address: str) -> str | None:
        """Why they cannot be told there, if so."""
        host, _, port = address.rpartition(":")
        try:
            self._stop_metrics = self._metrics.serve(host.strip("[]"), int(port))
        except (OSError, OverflowError) as error:
            return f"{address} cannot be listened on: {error}"
        return None

    def start(self) -> None:
        signals.worker_ready.connect(self._tell_ready, weak=False)
        signals.worker_shutting_down.connect(self._leave, weak=False)
        signals.worker_shutdown.connect(self._stop, weak=False)
        self._engine.means.spark.start()
        self._heartbeat.start()
        self._messages.start()
        self._rounds.start()

    def _tell_ready(self, **_: object) -> None:
        """The broker has answered."""
        log.info("worker_started", extra={"environment": self._settings.environment, "lanes": dict(self._engine.lanes)})

    def _leave(self, how: str = "Warm", **_: object) -> None:
        """Celery waits for what runs, for ever: so the attempts get their time, and go back to the queue then."""
        self._engine.runner.refuse_new()
        if how in self._told_to_leave:
            return
        self._told_to_leave.add(how)
        drain = self._settings.jobs.drain_seconds if how == "Warm" else 0.0  # who asks twice does not want to wait
        threading.Thread(target=self._give_back, args=(drain,), name="drain", daemon=True).start()

    def _give_back(self, drain: float) -> None:
        log.info("draining")
        if self._left.wait(drain):
            return
        self._engine.runner.release_all()
        if not self._left.wait(2 * RELEASE_SECONDS):
            log.error("attempts_left_behind", extra={"attempts": self._engine.runner.running()})
            logging.shutdown()
            os._exit(LEFT_BEHIND)

    def _stop(self, **_: object) -> None:
        """No attempt runs any more."""
        self._left.set()
        self._rounds.stop()
        self._heartbeat.stop()
        self._messages.stop()
        self._engine.means.spark.stop()
        self._stop_metrics()
        log.info("stopped")


def _state(engine: Engine) -> State:
    sums = {"spark_restarts": engine.means.spark.lost, "store_errors": engine.registry.errors}
    return State(pushes=0, spark_up=engine.means.spark.ready(), sums=sums)
