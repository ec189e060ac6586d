"""What it costs to keep a promise: submits, status, lists and restarts on each registry."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from benchmarks.fill import fill
from benchmarks.http import CONNECTIONS, THREADS, connected, get, listens, post, receive
from benchmarks.report import figure, percentile, title
from tests.e2e.server import ROOT, Client, Server, free_port, refusing_spark, until
from tests.valkey import Valkey

ROUNDS = 7
SECONDS = 2.0
SIZES = [int(size) for size in os.environ.get("BENCH_LISTS", "1000,100000,1000000").split(",")]
PAGES = 300  # requests for one percentile
QUEUED = 10_000
READY_SECONDS = 10.0


def run(folder: Path, _users: int, _jobs: int) -> None:
    shutil.rmtree(folder / "registries", ignore_errors=True)
    _speed(folder / "registries")
    for kind in ("sqlite", "redis"):
        _sizes(folder / "registries", kind)


def _variables(url: str, spark: str, **more: str) -> dict[str, str]:
    bounds = str(10**8)
    return {
        "TAGAPI_REGISTRY__URL": url,
        "TAGAPI_SPARK__REMOTE": spark,
        "TAGAPI_JOBS__MAX_QUEUED": bounds,
        "TAGAPI_JOBS__MAX_QUEUED_PER_USER": bounds,
        "TAGAPI_SERVER__THREADS": str(THREADS),
        "TAGAPI_LOGS__LEVEL": "WARNING",
        "TAGAPI_LOGS__REQUESTS": "WARNING",  # every request is recorded, as by default
        **more,
    }


# -- submits and status ---------------------------------------------------------------------


def _speed(folder: Path) -> None:
    title(f"registries: {CONNECTIONS} connections kept alive; medians of {ROUNDS} rounds through all of them")
    with ExitStack() as stack:
        spark = stack.enter_context(refusing_spark())  # jobs stay in the queue: it is the door that is measured
        always = stack.enter_context(Valkey(folder / "always", appendfsync="always"))
        everysec = stack.enter_context(Valkey(folder / "everysec", appendfsync="everysec"))
        urls = {
            "memory": "memory://",
            "SQLite": f"sqlite:///{folder}/jobs.db",
            "Redis, everysec": everysec.url,
            "Redis, always": always.url,
        }
        ports = {}
        for name, url in urls.items():
            server = Server(folder / name.replace(", ", "-"), _variables(url, spark))
            stack.callback(server.kill)
            server.wait_alive()
            ports[name] = server.port
        ports["bare"] = stack.enter_context(_bare())
        _compare(ports)


@contextmanager
def _bare() -> Iterator[int]:
    port = free_port()
    bare = subprocess.Popen([sys.executable, "-m", "benchmarks.bare", str(port), str(THREADS)], cwd=ROOT)
    try:
        until(lambda: listens(port), "the bare app listens")
        yield port
    finally:
        bare.terminate()
        bare.wait()


def _compare(ports: Mapping[str, int]) -> None:
    submits: dict[str, list[list[float]]] = {name: [] for name in ports if name != "bare"}
    for _ in range(ROUNDS):
        for name, found in submits.items():
            found.append(_latencies(ports[name], post("/api/v1/tags/trigger")))
    least = {"SQLite": 0.6, "Redis, everysec": 0.5}
    for name, rounds in submits.items():
        pairs = zip(rounds, submits["memory"], strict=True)
        ratio = median(len(here) / len(memory) for here, memory in pairs)
        every = [latency for latencies in rounds for latency in latencies]
        note = (
            f"{len(every) / SECONDS / ROUNDS:,.0f}/s, p99 {percentile(every, 0.99) * 1000:.1f} ms, N = {len(every):,}"
        )
        figure(f"submits: {name} / memory", ratio, "×", least=least.get(name), note=note)
    for name, bound in (("memory", None), ("SQLite", 0.65), ("Redis, everysec", 0.5)):
        task = _some_task(ports[name])
        paths = {"task status": f"/api/v1/tasks/{task}/status", "status of any job": f"/api/tasks/status/{task}"}
        for front, path in paths.items():
            rounds = range(ROUNDS)
            pairs = [(_latencies(ports[name], get(path)), _latencies(ports["bare"], get("/status"))) for _ in rounds]
            ratio = median(len(here) / len(bare) for here, bare in pairs)
            figure(f"{front}: {name} / bare Flask route", ratio, "×", least=bound)


def _some_task(port: int) -> str:
    with Client(f"http://127.0.0.1:{port}") as client:
        return client.trigger([1, 2, 3])


def _latencies(port: int, request: bytes) -> list[float]:
    """Of as many requests as go through in SECONDS, over a few connections; in seconds."""
    found: list[float] = []
    end = time.perf_counter() + SECONDS

    def work() -> None:
        with connected(port) as connection:
            while (began := time.perf_counter()) < end:
                connection.sendall(request)
                receive(connection)
                found.append(time.perf_counter() - began)

    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


# -- lists and restarts ---------------------------------------------------------------------


def _sizes(folder: Path, kind: str) -> None:
    title(
        f"{kind}: lists of {', '.join(f'{size:,}' for size in SIZES)} jobs in turn, p99 of {PAGES} pages of 50, in ms"
    )
    with ExitStack() as stack:
        spark = stack.enter_context(refusing_spark())
        urls = {size: _filled(stack, folder / f"{kind}-{size}", kind, size) for size in SIZES}
        servers = {size: Server(folder / f"{kind}-{size}", _variables(url, spark)) for size, url in urls.items()}
        for server in servers.values():
            stack.callback(server.kill)
            server.wait_alive()
        for name in _paths(1):
            found = _p99({server.port: _paths(size)[name] for size, server in servers.items()})
            note = ", ".join(f"{value * 1000:.1f}" for value in found)
            figure(f"{kind}: {name}: {SIZES[-1]:,} / {SIZES[0]:,}", found[-1] / found[0], "×", most=2, note=note)
        for server in servers.values():
            server.kill()
        fill(urls[SIZES[-1]], SIZES[-1] + 1, SIZES[-1] + QUEUED, finished=False)
        name = f"{kind}: ready again, {QUEUED:,} queued, {SIZES[-1]:,} finished"
        _restart(folder / f"{kind}-restart", urls[SIZES[-1]], name)


def _filled(stack: ExitStack, folder: Path, kind: str, size: int) -> str:
    valkey = stack.enter_context(Valkey(folder / "valkey", appendfsync="no")) if kind == "redis" else None
    url = valkey.url if valkey else f"sqlite:///{folder}/jobs.db"
    fill(url, 1, size, finished=True)
    return url


def _paths(size: int) -> dict[str, str]:
    page, every = "/api/v1/tasks?page_size=50", "/api/tasks?page_size=50"
    return {
        "first page": page,
        "first page of a state": f"{page}&status=completed",
        "next, in the middle": f"{page}&cursor={size // 2}",
        "next, at the end": f"{page}&cursor=60",
        "next, in the middle, of a state and a tag": f"{page}&status=completed&tag_id=1&cursor={size // 2}",
        "numbered, at row 900": "/api/v1/tasks?page_size=50&page=18",
        "of all fronts": every,
        "of all fronts, of a state": f"{every}&status=SUCCESS",
        "of all fronts, those that ended, in the middle": f"{every}&active=false&cursor={size // 2}",
    }


def _p99(paths: Mapping[int, str]) -> list[float]:
    """Of each port's path. The ports are asked in turn, so that a busy moment of the machine meets all of them."""
    found: dict[int, list[float]] = {port: [] for port in paths}
    with ExitStack() as stack:
        connections = {port: stack.enter_context(connected(port)) for port in paths}
        for _ in range(PAGES):
            for port, path in paths.items():
                began = time.perf_counter()
                connections[port].sendall(get(path))
                receive(connections[port])
                found[port].append(time.perf_counter() - began)
    return [percentile(latencies, 0.99) for latencies in found.values()]


def _restart(folder: Path, url: str, name: str) -> None:
    began = time.perf_counter()
    server = Server(folder, _variables(url, "sail"))
    try:
        server.wait_ready()
        figure(name, time.perf_counter() - began, "s", most=READY_SECONDS)
    finally:
        server.kill()
