"""What a request costs, against a bare Flask route on the same gunicorn, and with a full registry."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.report import figure, title
from tests.e2e.server import ROOT, Client, Server, free_port, refusing_spark, until

THREADS = 16
CONNECTIONS = 4
SECONDS = 3.0
ROUNDS = 5
TURNS = 30
TURN_SECONDS = 0.5
TRIGGER = json.dumps({"tag_ids": [1, 2, 3], "user_ids": ["user_000001", "user_000002"]}).encode()
FEW, MANY = 100, 100_000


def run(folder: Path, _users: int, _jobs: int) -> None:
    title(f"requests per second, {CONNECTIONS} connections kept alive, jobs kept in memory; medians of {ROUNDS} pairs")
    shutil.rmtree(folder / "http", ignore_errors=True)
    bounds = str(10**8)
    with refusing_spark() as remote:  # jobs stay in the queue: it is the door that is measured
        variables = {
            "TAGAPI_REGISTRY__URL": "memory://",
            "TAGAPI_SPARK__REMOTE": remote,
            "TAGAPI_JOBS__MAX_QUEUED": bounds,
            "TAGAPI_JOBS__MAX_QUEUED_PER_USER": bounds,
            "TAGAPI_SERVER__THREADS": str(THREADS),
            "TAGAPI_LOGS__LEVEL": "WARNING",
            "TAGAPI_LOGS__REQUESTS": "WARNING",  # every request is recorded, as by default
        }
        _measure_numbers(folder / "numbers", variables)
        server = Server(folder / "http", variables)
        bare_port = free_port()
        bare = subprocess.Popen([sys.executable, "-m", "benchmarks.bare", str(bare_port), str(THREADS)], cwd=ROOT)
        try:
            server.wait_alive()
            until(lambda: listens(bare_port), "the bare app listens")
            _measure(server, bare_port)
        finally:
            bare.terminate()
            bare.wait()
            server.kill()


def _measure_numbers(folder: Path, variables: dict[str, str]) -> None:
    """With the numbers and without, in turns that are short: whatever else the machine does is the same for both."""
    shutil.rmtree(folder, ignore_errors=True)
    measured = Server(folder / "with", variables)
    unmeasured = Server(folder / "without", variables, program=("-m", "benchmarks.unmeasured"))
    try:
        asked = []
        for server in (measured, unmeasured):
            server.wait_alive()
            asked.append((server.port, get(f"/api/v1/tasks/{server.trigger([1, 2, 3])}/status")))
            rate(*asked[-1])
        costs = [_cost(asked[0], asked[1], first=number % 2) for number in range(TURNS)]
        figure(
            "task status: cost with metrics / without", median(costs), "×", most=1.05, note=f"median of {TURNS} turns"
        )
    finally:
        measured.kill()
        unmeasured.kill()


def _cost(one: tuple[int, bytes], other: tuple[int, bytes], first: int) -> float:
    """Of a request to the one, in requests to the other; `first` says which of them is asked first."""
    rates = {place: rate(*(one, other)[place], seconds=TURN_SECONDS) for place in (first, 1 - first)}
    return rates[1] / rates[0]


def _measure(server: Server, bare_port: int) -> None:
    task_id = server.trigger([1, 2, 3])
    status = get(f"/api/v1/tasks/{task_id}/status")
    page = get("/api/v1/tasks?page=1&page_size=50")
    ratio = _ratio(server.port, status, bare_port, get("/status"))
    figure("task status / bare Flask route", ratio, "×", least=0.85)
    while _total(server) < FEW:
        with Client(server.url) as client:
            client.trigger([1, 2, 3])
    few = {"status": rate(server.port, status), "list page of 50": rate(server.port, page)}
    ratio = _ratio(server.port, post("/api/v1/tags/trigger"), bare_port, post("/trigger"))
    figure("trigger / bare Flask route", ratio, "×", least=0.5)
    _fill(server, MANY)
    for name, request in (("status", status), ("list page of 50", page)):
        slower = few[name] / rate(server.port, request)
        figure(f"{name}: cost with {MANY:,} jobs / with {FEW}", slower, "×", most=1.5)


def _fill(server: Server, jobs: int) -> None:
    while (missing := jobs - _total(server)) > 0:
        rate(server.port, post("/api/v1/tags/trigger"), seconds=min(5.0, missing / 500))


def _total(server: Server) -> int:
    with Client(server.url) as client:  # a connection of its own: a kept one may have been idle for too long
        return client.total()


def _ratio(port: int, request: bytes, other_port: int, other: bytes) -> float:
    return median(rate(port, request) / rate(other_port, other) for _ in range(ROUNDS))


def rate(port: int, request: bytes, seconds: float = SECONDS) -> float:
    """Requests per second over a few connections, each answered before the next is sent."""
    counts = [0] * CONNECTIONS
    until_time = time.perf_counter() + seconds

    def work(number: int) -> None:
        with connected(port) as connection:
            while time.perf_counter() < until_time:
                connection.sendall(request)
                receive(connection)
                counts[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection


def receive(connection: socket.socket) -> None:
    """One answer, whole. Raises for one that is no success."""
    got = connection.recv(65536)
    head, _, body = got.partition(b"\r\n\r\n")
    if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 202")):
        raise RuntimeError(got[:200])
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    missing = length - len(body)
    while missing > 0:
        missing -= len(connection.recv(65536))


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def post(path: str) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(TRIGGER)}"
    )
    return head.encode() + b"\r\n\r\n" + TRIGGER


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
