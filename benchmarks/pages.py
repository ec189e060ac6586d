"""What open pages cost those who ask: each follows its owner's jobs over a WebSocket, while jobs come in."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from websockets.asyncio.client import connect

from benchmarks.http import THREADS, get, rate
from benchmarks.report import figure, title
from tests.e2e.server import ROOT, Client, Server, refusing_spark

PAGES = 100
READY = b"ready\n"
ROUNDS = 3
EVERY = 0.2  # seconds between two jobs that come in


def run(folder: Path, _users: int, _jobs: int) -> None:
    title(f"requests per second while pages are open, jobs kept in memory; medians of {ROUNDS} pairs")
    shutil.rmtree(folder / "pages", ignore_errors=True)
    with refusing_spark() as remote:
        variables = {
            "TAGAPI_REGISTRY__URL": "memory://",
            "TAGAPI_SPARK__REMOTE": remote,
            "TAGAPI_SERVER__THREADS": str(THREADS),
            "TAGAPI_LOGS__LEVEL": "WARNING",
        }
        server = Server(folder / "pages", variables)
        try:
            server.wait_alive()
            status = get(f"/api/v1/tasks/{server.trigger([1])}/status")
            with _jobs_coming(server):
                pairs = [(rate(server.port, status), _while_open(server, status)) for _ in range(ROUNDS)]
        finally:
            server.kill()
    ratio = median(without / beside for without, beside in pairs)
    figure(f"status: cost beside {PAGES} open pages / beside none", ratio, "×", most=1.3)


@contextmanager
def _jobs_coming(server: Server) -> Iterator[None]:
    over = threading.Event()

    def come() -> None:
        with Client(server.url) as client:
            while not over.wait(EVERY):
                client.trigger([1])

    coming = threading.Thread(target=come)
    coming.start()
    try:
        yield
    finally:
        over.set()
        coming.join()


def _while_open(server: Server, request: bytes) -> float:
    command = [sys.executable, "-m", "benchmarks.pages", str(server.port)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as pages:
        assert pages.stdout is not None and pages.stdout.readline() == READY
        return rate(server.port, request)  # at the end of the block its input ends, and so does it


async def _follow(port: int) -> None:
    """Pages that read whatever they are told, in a process of their own, until nobody listens to it."""
    told = asyncio.Semaphore(0)

    async def page() -> None:
        async with connect(f"ws://127.0.0.1:{port}/api/tasks/ws", proxy=None) as socket:
            await socket.send('{"subscribe": "mine"}')
            async for _ in socket:
                told.release()

    pages = [asyncio.create_task(page()) for _ in range(PAGES)]
    for _ in pages:
        await told.acquire()
    sys.stdout.buffer.write(READY)
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    for one in pages:
        one.cancel()
    await asyncio.gather(*pages, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(_follow(int(sys.argv[1])))
