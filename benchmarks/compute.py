"""Tag jobs from POST to `completed`, through the door that everyone uses."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from benchmarks import data
from benchmarks.report import figure, percentile, title
from benchmarks.rivals import duckdb_seconds
from tests.e2e.server import Client, Server

TAGS = list(range(1, 9))
ROUNDS = 5
SMALL = 10_000
POLL = 0.004  # seconds between looks: often enough to see a 40 ms job end, and not to slow it down
LARGE_POLL = 0.05  # for jobs of seconds: looking costs the processors that are measured


def run(folder: Path, users: int, jobs: int) -> None:
    small_jobs(folder, jobs)
    large_jobs(folder, users)


def small_jobs(folder: Path, jobs: int) -> None:
    title(f"two users of {SMALL:,} whose memberships change, {jobs} jobs one after the other")
    sources = data.sample(folder, SMALL)
    with Running(folder / str(SMALL)) as server:
        server.run(TAGS)
        times = _pair_jobs(server, sources, jobs)
        figure("p50 from POST to completed", median(times) * 1000, "ms", most=80)
        figure("p95", percentile(times, 0.95) * 1000, "ms", most=160)
        figure("jobs per second, three at once", _at_once(server.url, jobs, 3), "/s")
        worker = server.processes()[1]
        before = worker.memory_info().rss
        for _ in range(1000):
            server.wait(server.trigger(TAGS, user_ids=list(data.PAIR)), every=POLL)
        figure("API memory after 1,000 more jobs, of before", worker.memory_info().rss / before, "×", most=1.2)
    data.drop_pair(sources)


def large_jobs(folder: Path, users: int) -> None:
    title(f"eight tags over {users:,} users, commit included; medians of {ROUNDS}")
    sources = data.sample(folder, users)
    today = datetime.now(UTC).date()
    with Running(folder / str(users)) as server:
        server.run(TAGS)
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(_timed(server, {}))
            theirs.append(duckdb_seconds(sources, folder / "duckdb", today))
        full = median(ours)
        ratio = median(one / other for one, other in zip(ours, theirs, strict=True))
        figure("full job / DuckDB writing the same sets", ratio, "×", most=0.75, note=f"{full:.2f} s")
        _, worker, spark, *_ = server.processes()
        for name, process in (("API process", worker), ("Spark child", spark)):
            figure(f"peak memory, {name}", peak(process.pid) / 1024, "MB")
        times = _pair_jobs(server, sources, 20)
        figure("two users of all, memberships change: p50", median(times), "s", most=0.8)
        data.drop_pair(sources)
        data.change_one_per_cent(sources)
        figure("incremental, 1 % changed / full", _timed(server, {"mode": "incremental"}) / full, "×", most=2)
    if shutil.which("java"):
        with Running(folder / str(users), {"TAGAPI_SPARK__REMOTE": "local[*]"}) as server:
            server.run(TAGS)
            figure("the same full job on JVM Spark / embedded", _timed(server, {}) / full, "×")


class Running:
    """A server on a folder with data, ready."""

    def __init__(self, folder: Path, variables: Mapping[str, str] | None = None) -> None:
        shutil.rmtree(folder / "data" / "user_tags", ignore_errors=True)
        self._server = Server(folder, variables)

    def __enter__(self) -> Server:
        self._server.wait_ready()
        return self._server

    def __exit__(self, *_: object) -> None:
        self._server.stop()


def full_job(server: Client) -> float:
    """Seconds of a run of all tags over all users."""
    return _timed(server, {})


def _timed(server: Client, more: Mapping[str, object], every: float = LARGE_POLL) -> float:
    began = time.perf_counter()
    status = server.wait(server.trigger(TAGS, **more), seconds=600, every=every)
    assert status["status"] == "completed", status
    return time.perf_counter() - began


def _pair_jobs(server: Server, sources: Path, jobs: int) -> list[float]:
    times = []
    for number in range(jobs + 10):
        data.flip_pair(sources, rich=number % 2 == 0)
        took = _timed(server, {"user_ids": list(data.PAIR)}, every=POLL)
        if number >= 10:  # the first ones warm up
            times.append(took)
    return times


def _at_once(url: str, jobs: int, clients: int) -> float:
    def work(number: int) -> None:
        pair = [f"user_{number * 2 + one:06d}" for one in (1, 2)]  # the same users at once would wait for each other
        with Client(url) as client:
            for _ in range(jobs // clients):
                client.wait(client.trigger(TAGS, user_ids=pair), every=POLL)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return jobs // clients * clients / (time.perf_counter() - began)


def peak(pid: int) -> float:
    """Peak resident memory in KiB, as the kernel counted it."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return float(line.split()[1])
    return 0.0
