"""What it costs to have attempts carried to a worker of Celery: jobs that do next to nothing, beside the pool's.

Jobs are kept in Redis: it is what several processes are for, and neither is slowed down by the other's fsync.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.report import figure, percentile, title
from tests.brokers import BROKERS, NO_RABBIT, broker
from tests.e2e.carried import Worker
from tests.e2e.server import Server, until
from tests.e2e.tasks_client import FINAL, ended, started, status
from tests.valkey import Valkey

AT_ONCE = 300  # jobs
LOOK = 0.002  # seconds
POOL = "pool"
PROGRAM = ("-m", "tests.e2e.stand_in")


def run(folder: Path, users: int, jobs: int) -> None:
    title(f"executors: jobs that do next to nothing, by turns (N = {jobs}), and {AT_ONCE} at once")
    if NO_RABBIT:
        print(f"  {NO_RABBIT}")
    kinds = [POOL, *(kind for kind in BROKERS if kind != "rabbitmq" or not NO_RABBIT)]
    with ExitStack() as until_end:
        servers = {kind: until_end.enter_context(_server(folder / f"executors-{kind}", kind)) for kind in kinds}
        for server in servers.values():
            for _ in range(10):
                ended(server, started(server))
        turns = [{kind: _one(server) for kind, server in servers.items()} for _ in range(jobs)]
        many = {kind: _many(server) for kind, server in servers.items()}
    middle = {kind: percentile([turn[kind] for turn in turns], 0.5) * 1000 for kind in kinds}
    figure("pool of threads, from POST to its end: p50", middle[POOL], "ms")
    figure("the same, at once", many[POOL], "/s")
    for kind in kinds[1:]:
        figure(f"Celery over {kind}: p50 above the pool's", middle[kind] - middle[POOL], "ms")
        figure("the same, at once, speed / the pool's", many[kind] / many[POOL], "×")


@contextmanager
def _server(folder: Path, kind: str) -> Iterator[Server]:
    shutil.rmtree(folder, ignore_errors=True)
    with ExitStack() as until_end:
        store = until_end.enter_context(Valkey(appendfsync="everysec"))
        settings = {"TAGAPI_JOBS__MAX_CONCURRENT": "3", "TAGAPI_LOGS__LEVEL": "WARNING"}
        settings["TAGAPI_REGISTRY__URL"] = store.url
        if kind != POOL:
            settings["TAGAPI_EXECUTOR"] = f"celery://{until_end.enter_context(broker(kind)).url}"
        server = Server(folder, settings, program=PROGRAM)
        until_end.callback(server.kill)
        server.wait_alive()
        if kind != POOL:
            until_end.callback(Worker(folder, settings, app="tests.e2e.stand_in_worker").kill)
        yield server


def _one(server: Server) -> float:
    began = time.perf_counter()
    job = started(server)
    until(lambda: status(server, job)["status"] in FINAL, job, every=LOOK)
    return time.perf_counter() - began


def _many(server: Server) -> float:
    began = time.perf_counter()
    jobs = [started(server) for _ in range(AT_ONCE)]
    for job in reversed(jobs):
        ended(server, job)
    return AT_ONCE / (time.perf_counter() - began)
