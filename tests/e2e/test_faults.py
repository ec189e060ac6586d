"""What breaks while a job runs: its owner's patience, its Spark. On 20 million rows, so that it is in the middle."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from deltalake import DeltaTable

from tag_tasks.tags.sample import TABLES, write_sample
from tests.e2e.carried import of_the_service_itself
from tests.e2e.server import Server, until

PART = 500_000
PARTS = 40
ROWS = PART * PARTS
TAGS = list(range(1, 9))
CANCEL_SECONDS = 3.0
SPARK_SECONDS = 2.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over 20 million rows: the same half million forty times over, by links, which costs no time to make."""
    folder = tmp_path_factory.mktemp("large")
    sources = folder / "data" / "sources"
    write_sample(sources, PART, datetime.now(UTC).date())
    for table in TABLES:
        (part,) = (sources / table).glob("*.parquet")
        for number in range(1, PARTS):
            os.link(part, part.with_name(f"link-{number:02d}.parquet"))
    running = Server(folder)
    try:
        running.wait_ready()
        yield running
    finally:
        running.kill()


def _started(server: Server) -> str:
    """A full job that is in the middle of its work."""
    task_id = server.trigger(TAGS)
    until(lambda: server.status(task_id)["progress"]["done"] >= 1, "the first tag is done", every=0.01)
    return task_id


def _table(server: Server) -> DeltaTable | None:
    path = server.folder / "data" / "user_tags"
    return DeltaTable(path) if DeltaTable.is_deltatable(str(path)) else None


def _spark(server: Server) -> psutil.Process:
    (child,) = [one for one in server.processes() if any("spark/server.py" in word for word in one.cmdline())]
    return child


def test_a_cancel_stops_a_full_job_over_twenty_million_users(server: Server) -> None:
    task_id = _started(server)
    before = time.monotonic()

    answer = server.delete(f"/api/v1/tasks/{task_id}")

    assert time.monotonic() - before < CANCEL_SECONDS
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"]["status"] == "cancelled"
    assert server.status(task_id)["status"] == "cancelled"
    table = _table(server)
    assert table is None or not table.file_uris(), "a cancelled job wrote something"
    assert not _staged(server.folder / "data" / "user_tags"), "a cancelled job left files behind"
    busy = _spark(server).cpu_percent(interval=1.0)
    assert busy < 50, f"Spark goes on working: {busy} % of a processor"

    assert server.run([3], user_ids=["user_000001"])["total_users"] == 1  # the next job is unaffected


@of_the_service_itself
def test_a_job_whose_spark_is_killed_is_run_again_and_completes(server: Server) -> None:
    task_id = _started(server)
    killed = _spark(server)

    os.kill(killed.pid, signal.SIGKILL)
    before = time.monotonic()
    until(lambda: server.read("/health")["spark"] == "starting", "the loss is noticed", every=0.005)
    until(lambda: server.read("/health")["spark"] == "ready", "Spark is back", every=0.01)
    back = time.monotonic() - before
    status = server.wait(task_id, seconds=180)

    assert back < SPARK_SECONDS
    assert _spark(server).pid != killed.pid
    assert status["status"] == "completed", status
    assert status["attempt"] == 2
    assert status["result"]["total_users"] == ROWS
    table = _table(server)
    assert table is not None
    commits = [one for one in table.history() if one.get("job_id") == task_id and "tags" in one]
    assert len(commits) == 1, "the effect is there once"


def _staged(folder: Path) -> list[Path]:
    return list(folder.glob("tag_id=*/*/**/*.parquet"))


def test_a_ctrl_c_lets_a_running_job_finish_and_accepts_nothing_more(server: Server) -> None:
    """As a terminal sends it: to every process of the group. The last test here, since it stops the server."""
    task_id = _started(server)

    os.killpg(server.pid, signal.SIGINT)
    (refused,) = until(lambda: _refused(server), "the door is closed", every=0.01)
    ready = server.get("/health/ready")
    followed = server.status(task_id)
    code = server.stop()

    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert refused.json()["error"] == "Service is shutting down"
    assert ready.status_code == 503
    assert followed["status"] == "running"
    assert code == 0
    (ended,) = [one for one in _events(server, "attempt_ended") if one["job_id"] == task_id]
    assert ended["outcome"] in ("succeeded", "released")


def _refused(server: Server) -> list[requests.Response]:
    """The answer to a trigger, unless it was accepted. (In a list, since a refusal is falsy by itself.)"""
    answer = server.ask(tag_ids=[3], user_ids=["user_000001"])
    return [] if answer.status_code == 202 else [answer]


def _events(server: Server, name: str) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in server.log_file.read_text(encoding="utf-8").splitlines()]
    return [record for record in records if record["event"] == name]
