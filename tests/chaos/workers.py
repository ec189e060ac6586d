"""The part `workers`: two gunicorn workers share a registry, and nobody can tell which one answers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Set
from contextlib import contextmanager

import psutil

from tests.chaos.failpoints import HOLD, Order
from tests.chaos.ground import Arena, Ground
from tests.chaos.process import ChaosServer, Store, open_store
from tests.chaos.report import Result
from tests.chaos.server import WORKER_HEADER
from tests.e2e.server import Client, until

CANCEL_SECONDS = 2.0
HELD = 60.0  # seconds: longer than anybody waits
TAKEN_OVER_SECONDS = 30.0


def run(arena: Arena, store_name: str, jobs: int, cancels: int, kills: int) -> Result:
    began = time.monotonic()
    with open_store(store_name, arena.folder) as store, _server(arena, store) as (ground, server):
        two = Two(ground, server)
        for _ in range(jobs):
            two.ask_both()
        ground.finish(server)  # so that what is held from here on is what is meant
        slowest = max(two.cancel_elsewhere() for _ in range(cancels))
        takeovers = [two.kill_one() for _ in range(kills)]
        server.orders.place(None)
        ground.finish(server)
        verdict = ground.verdict(server)
        code = server.stop()
    verdict.failed += two.wrong
    verdict.failed += [f"the exit code is {code}"] if code else []
    notes = {
        "jobs that both workers were asked about": jobs,
        "cancels through the other worker": f"{cancels}, the slowest {slowest:.2f} s",
        "workers killed": f"{kills}, the slowest job done {max(takeovers):.1f} s later" if takeovers else 0,
    }
    return Result("workers", store_name, verdict, time.monotonic() - began, notes)


@contextmanager
def _server(arena: Arena, store: Store) -> Iterator[tuple[Ground, ChaosServer]]:
    ground = Ground(arena)
    server = ChaosServer(ground.folder, store, options=["--workers", "2"])
    try:
        server.wait_alive()
        yield ground, server
    finally:
        server.kill()


class Two:
    """The two workers, each reached over connections of its own."""

    def __init__(self, ground: Ground, server: ChaosServer) -> None:
        self._ground = ground
        self._server = server
        self.wrong: list[str] = []

    @contextmanager
    def _clients(self) -> Iterator[dict[int, Client]]:
        """By worker: a client whose connection that worker has taken and keeps."""
        found: dict[int, Client] = {}
        workers = until(self._ready, "two workers are ready", 60)
        try:
            until(lambda: self._connect(found) >= workers, "each worker takes a connection", every=0.01)
            yield {worker: found[worker] for worker in workers}
        finally:
            for client in found.values():
                client.close()

    def _connect(self, found: dict[int, Client]) -> Set[int]:
        """Once more: whichever worker is faster takes it. Answers with those that have one."""
        client = Client(self._server.url)
        worker = int(client.get("/health/live").headers[WORKER_HEADER])
        if found.setdefault(worker, client) is not client:
            client.close()
        return found.keys()

    def _ready(self) -> set[int]:
        """Both workers, once each has a Spark of its own."""
        found = {worker.pid for worker in self._server.workers() if _spark_below(worker)}
        return found if len(found) == 2 else set()

    def ask_both(self) -> None:
        """Whoever accepted a job, the other one knows it at once."""
        with self._clients() as clients:
            job = self._ground.submit(next(iter(clients.values())))
            for worker, client in clients.items():
                answer = self._ground.load.read(client, job)
                if answer is None or answer.status_code != 200:
                    self.wrong.append(f"worker {worker} does not know {job}")

    def cancel_elsewhere(self) -> float:
        """Cancel a running job through the worker that does not run it; seconds until it has stopped."""
        with self._clients() as clients:
            job, runs = self._held(next(iter(clients.values())))
            (other,) = clients.keys() - {runs}
            before = time.monotonic()
            answer = self._ground.load.cancel(clients[other], job)
            took = time.monotonic() - before
        if answer is None or answer.status_code != 200:
            self.wrong.append(f"{job}: a cancel through the other worker was answered {answer and answer.status_code}")
        if took > CANCEL_SECONDS:
            self.wrong.append(f"{job}: a cancel through the other worker took {took:.1f} s")
        return took

    def kill_one(self) -> float:
        """SIGKILL to the worker that runs a job; seconds until somebody else has completed it."""
        with self._clients() as clients:
            job, runs = self._held(next(iter(clients.values())))
        before = time.monotonic()
        os.kill(runs, signal.SIGKILL)

        def look() -> bool:
            answer = self._ground.load.read(self._server, job)  # a connection of the dead worker is made anew
            return answer is not None and answer.json()["status"]["status"] == "completed"

        until(look, "the other worker completes it", TAKEN_OVER_SECONDS)
        return time.monotonic() - before

    def _held(self, client: Client) -> tuple[str, int]:
        """A job that is held in the middle of its run, and the worker that runs it."""
        self._server.orders.place(Order("mid_run", do=HOLD, seconds=HELD))
        job = self._ground.submit(client)
        return job, self._server.obeyed()


def _spark_below(worker: psutil.Process) -> bool:
    try:
        return any("spark/server.py" in part for child in worker.children() for part in child.cmdline())
    except psutil.NoSuchProcess:
        return False
