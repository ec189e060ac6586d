"""The storage of the memberships hangs: who reads them is told to come again, and the rest of the service answers."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.conftest import StartServer
from tests.e2e.server import Client, until

THREADS = 16  # of the server, as the settings have it
LIVE_SECONDS = 5.0  # for a probe: far less than the reads hang
READ = "/api/v1/users/user_000001/tags"


@contextmanager
def hanging(table: Path) -> Iterator[None]:
    """Whoever opens a member file waits until the end of the block."""
    files = list(table.glob("tag_id=*/**/*.parquet"))
    for file in files:
        file.rename(file.with_suffix(".aside"))
        os.mkfifo(file)
    try:
        yield
    finally:
        for file in files:
            aside = file.with_suffix(".aside")
            fifo = file.rename(file.with_suffix(".fifo"))
            aside.rename(file)
            with suppress(OSError):  # nobody waits at this one
                os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
            fifo.unlink()


@pytest.mark.timeout(180)
def test_reads_that_hang_hold_nobody_else(start_server: StartServer) -> None:
    server = start_server()
    server.run(list(range(1, 9)))
    together = threading.Barrier(THREADS + 1, timeout=30)

    def read(number: int) -> tuple[int, str | None, object]:
        with Client(server.url) as client:
            together.wait()
            answer = client.get(READ)
            return answer.status_code, answer.headers.get("Retry-After"), answer.json()

    with ThreadPoolExecutor(THREADS) as pool, hanging(server.folder / "data" / "user_tags"):
        answers = [pool.submit(read, number) for number in range(THREADS)]
        together.wait()
        for _ in range(10):
            before = time.monotonic()
            assert server.get("/health/live").status_code == 200
            assert time.monotonic() - before < LIVE_SECONDS
        # Some are refused at once, though nothing has come back yet.
        until(lambda: sum(one.done() for one in answers) >= THREADS // 4, "some are refused", LIVE_SECONDS)
        assert sum(one.done() for one in answers) < THREADS
        for status, retry_after, body in (one.result(timeout=30) for one in answers):
            assert (status, int(retry_after or 0) > 0) == (503, True)
            assert isinstance(body, dict)
            assert (body["success"], body["error"]) == (False, "Service is not ready")

    until(lambda: server.get(READ).status_code == 200, "the reads answer again")
