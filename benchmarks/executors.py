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
PROGRAM = ("-m", "tests.e2e.stand_in")


def run(folder: Path, users: int, jobs: int) -> None:
    title(f"executors: jobs that do next to nothing, one after the other (N = {jobs}), and {AT_ONCE} at once")
    pool = _measure(folder, None, jobs)
    figure("pool of threads, from POST to its end: p50", pool[0] * 1000, "ms")
    figure("the same, at once", pool[1], "/s")
    for kind in BROKERS:
        if kind == "rabbitmq" and NO_RABBIT:
            print(f"  {NO_RABBIT}")
            continue
        carried = _measure(folder, kind, jobs)
        figure(f"Celery over {kind}: p50 above the pool's", (carried[0] - pool[0]) * 1000, "ms")
        figure("the same, at once, speed / the pool's", carried[1] / pool[1], "×")


def _measure(folder: Path, kind: str | None, jobs: int) -> tuple[float, float]:
    """The median of seconds that a job takes, and how many a second are done of many."""
    with _server(folder / "executors", kind) as server:
        for _ in range(10):
            ended(server, started(server))
        return percentile([_one(server) for _ in range(jobs)], 0.5), _many(server)


@contextmanager
def _server(folder: Path, kind: str | None) -> Iterator[Server]:
    shutil.rmtree(folder, ignore_errors=True)
    with ExitStack() as until_end:
        store = until_end.enter_context(Valkey(appendfsync="everysec"))
        settings = {"TAGAPI_JOBS__MAX_CONCURRENT": "3", "TAGAPI_LOGS__LEVEL": "WARNING"}
        settings["TAGAPI_REGISTRY__URL"] = store.url
        if kind is not None:
            settings["TAGAPI_EXECUTOR"] = f"celery://{until_end.enter_context(broker(kind)).url}"
        server = Server(folder, settings, program=PROGRAM)
        until_end.callback(server.kill)
        server.wait_alive()
        if kind is not None:
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
