"""The part `carried`: attempts run in workers of Celery, and workers, broker and messages meet everything."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from celery import Celery

from tagapi.executors.celery_messages import celery_app, queue_of
from tests.brokers import Broker, broker
from tests.chaos.ground import Arena, Ground
from tests.chaos.process import SETTINGS, ChaosServer, Store, open_store
from tests.chaos.report import Result
from tests.e2e.carried import Worker

WORKERS = 2
AWAY_SECONDS = (0.5, 4.0)
BETWEEN_SECONDS = (0.5, 3.0)
DOUBLES = 5
LANE = "spark"
TASK = "tags.compute"


def run(arena: Arena, store_name: str, broker_name: str, troubles: int, jobs: int) -> Result:
    began = time.monotonic()
    with open_store(store_name, arena.folder) as store, _carriers(arena, store, broker_name) as carriers:
        carriers.ground.load.begin(carriers.server.url, jobs)
        for number in range(troubles):
            carriers.trouble(number)
        carriers.ground.finish(carriers.server)
        verdict = carriers.ground.verdict(carriers.server)
        codes = carriers.leave()
    verdict.failed += [f"the exit codes are {codes}"] if any(codes) else []
    notes = {"broker": broker_name, **dict(sorted(carriers.seen.items()))}
    return Result("carried", store_name, verdict, time.monotonic() - began, notes)


@contextmanager
def _carriers(arena: Arena, store: Store, broker_name: str) -> Iterator[Carriers]:
    ground = Ground(arena)
    with broker(broker_name) as one:
        settings = {"TAGAPI_EXECUTOR": f"celery://{one.url}", "TAGAPI_JOBS__DRAIN_SECONDS": "1"}
        carriers = Carriers(ground, one, ChaosServer(ground.folder, store, **settings), {**store.settings, **settings})
        try:
            carriers.server.wait_alive()
            yield carriers
        finally:
            carriers.kill()


class Carriers:
    """A service, its workers and its broker."""

    def __init__(self, ground: Ground, one: Broker, server: ChaosServer, settings: dict[str, str]) -> None:
        self.ground = ground
        self.server = server
        self.seen: Counter[str] = Counter()
        self._broker = one
        self._settings = settings
        self._app: Celery = celery_app(one.url, [LANE])
        self._workers = [self._worker() for _ in range(WORKERS)]
        self._troubles = (self._kill_worker, self._lose, self._restart_broker, self._double, self._stop_worker)

    def _worker(self) -> Worker:
        logs = Path(self.ground.folder) / "worker-logs"
        return Worker(self.ground.folder, {**SETTINGS, **self._settings, "TAGAPI_LOGS__DIR": str(logs)})

    def trouble(self, number: int) -> None:
        """Each kind in its turn, and peace for a moment."""
        self._troubles[number % len(self._troubles)]()
        time.sleep(self.ground.chance.uniform(*BETWEEN_SECONDS))

    def _kill_worker(self) -> None:
        self._workers[0].kill()
        self._workers = [*self._workers[1:], self._worker()]
        self.seen["workers killed"] += 1

    def _stop_worker(self) -> None:
        code = self._workers[0].stop()
        self._workers = [*self._workers[1:], self._worker()]
        self.seen["workers stopped"] += 1
        assert code == 0, f"a worker left with {code}"

    def _restart_broker(self) -> None:
        """Whatever lay there is gone."""
        self._broker.kill()
        time.sleep(self.ground.chance.uniform(*AWAY_SECONDS))
        self._broker.start()
        self.seen["brokers restarted"] += 1

    def _lose(self) -> None:
        with self._app.connection_for_write() as connection:
            self.seen["messages lost"] += queue_of(LANE).bind(connection.default_channel).purge() or 0

    def _double(self) -> None:
        known = sorted(self.ground.load.acknowledged)
        with self._app.connection_for_write() as connection:
            producer = self._app.amqp.Producer(connection)
            for job in self.ground.chance.sample(known, min(len(known), 20)) * DOUBLES:
                self._app.send_task(TASK, [job], queue=queue_of(LANE), producer=producer)
                self.seen["messages doubled"] += 1

    def leave(self) -> list[int]:
        """Exit codes, of the service and its workers."""
        return [self.server.stop(), *(worker.stop() for worker in self._workers)]

    def kill(self) -> None:
        self.server.kill()
        for worker in self._workers:
            worker.kill()
