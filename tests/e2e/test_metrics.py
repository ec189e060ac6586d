"""The numbers of real servers: true over several processes, after one was killed, and while the store is away."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from tagapi.tokens import Principal, Role
from tests.e2e.carried import of_the_service_itself
from tests.e2e.conftest import PRINCIPALS, StartServer, served, write_tokens
from tests.e2e.pushes import socket_to
from tests.e2e.server import ROOT, START_SECONDS, Client, Server, until
from tests.unit.test_metrics import Series, series
from tests.valkey import Valkey

BOARD = ROOT / "docs" / "grafana.json"
STATUS = "/api/v1/tasks/<string:task_id>/status"
AVAILABLE = {"method": "GET", "route": "/api/v1/tags/available", "status": "200"}


def numbers(server: Client) -> Series:
    answer = server.get("/metrics")
    assert answer.status_code == 200, answer.text
    return series(answer.text)


def number(server: Client, name: str, labels: Mapping[str, str] | None = None) -> float | None:
    return numbers(server).get((f"tagapi_{name}", frozenset((labels or {}).items())))


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> Iterator[Server]:
    """A server with sample data that has done something of everything."""
    folder = tmp_path_factory.mktemp("busy")
    shutil.copytree(sample, folder / "data" / "sources")
    for server in served(Server(folder)):
        server.run([1, 2])
        server.get("/a-secret-path")
        yield server


# -- what is told --------------------------------------------------------------------------


@of_the_service_itself
def test_requests_and_jobs_are_counted(busy: Server) -> None:
    route = {"method": "GET", "route": STATUS, "status": "200"}
    done = number(busy, "jobs_finished_total", {"task": "tags.compute", "outcome": "succeeded"}) or 0
    task = busy.trigger([1], user_ids=["user_000001"], dry_run=True)
    busy.wait(task)
    before = number(busy, "http_requests_total", route) or 0
    for _ in range(7):
        busy.status(task)
    assert number(busy, "http_requests_total", route) == before + 7
    assert number(busy, "http_requests_total", {"method": "GET", "route": "unmatched", "status": "404"}) == 1
    now = numbers(busy)
    labels = frozenset({("task", "tags.compute")})
    assert now["tagapi_jobs_finished_total", labels | {("outcome", "succeeded")}] == done + 1
    assert now["tagapi_job_wait_seconds_count", labels] == done + 1
    assert now["tagapi_attempt_duration_seconds_count", labels] == done + 1
    assert 0 < now["tagapi_attempt_duration_seconds_sum", labels] < 60 * (done + 1)
    assert now["tagapi_jobs_running", frozenset({("lane", "spark")})] == 0


def test_nothing_in_it_is_anybodys(busy: Server) -> None:
    task = busy.trigger([1], user_ids=["user_000001"])
    busy.wait(task)
    text = busy.get("/metrics").text
    for secret in (task, "user_0", "local", "secret", "127.0.0.1", str(busy.pid)):
        assert secret not in text
    names = {label for _, labels in series(text) for label, _ in labels}
    assert names == {"method", "route", "status", "le", "task", "outcome", "lane", "version"}


def test_its_names_are_those_of_the_trade(busy: Server) -> None:
    answer = busy.get("/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    if (tool := shutil.which("promtool")) is None:
        pytest.skip("no promtool on this machine")
    told = subprocess.run([tool, "check", "metrics"], input=answer.text, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout + told.stderr) == (0, "")


@of_the_service_itself
def test_every_number_of_the_board_is_told(busy: Server) -> None:
    board = json.loads(BOARD.read_text(encoding="utf-8"))
    asked = {target["expr"] for panel in board["panels"] for target in panel.get("targets", ())}
    names = {name for expression in asked for name in re.findall(r"\btagapi_\w+", expression)}
    told = {name for name, _ in numbers(busy)}
    assert len(names) > 15
    assert names <= told
    rows = [panel["title"] for panel in board["panels"] if panel["type"] == "row"]
    assert rows == ["Requests", "Jobs", "Queue", "Spark, store, processes", "Pushes, webhooks, schedules"]


@of_the_service_itself
def test_the_board_asks_for_labels_that_there_are(busy: Server) -> None:
    board = json.loads(BOARD.read_text(encoding="utf-8"))
    known: dict[str, set[str]] = {}
    for name, labels in numbers(busy):
        known.setdefault(name, {"job"}).update(label for label, _ in labels)
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            grouped = {one.strip() for by in re.findall(r"by \(([^)]*)\)", target["expr"]) for one in by.split(",")}
            matched = set(re.findall(r"(\w+)(?:=~|!=|!~|=)\"", target["expr"]))
            for name in re.findall(r"\btagapi_\w+", target["expr"]):
                assert grouped | matched <= known[name], (panel["title"], name)


def test_pushes_are_counted_while_they_are_open(busy: Server) -> None:
    assert number(busy, "pushes_open") == 0
    with socket_to(busy, None):
        assert number(busy, "pushes_open") == 1
    until(lambda: number(busy, "pushes_open") == 0, "it is closed")


@of_the_service_itself
def test_a_spark_that_is_replaced_is_counted(busy: Server) -> None:
    assert (number(busy, "spark_up"), number(busy, "spark_restarts_total")) == (1, 0)
    busy.spark().kill()
    until(lambda: number(busy, "spark_restarts_total") == 1, "its end is noticed")
    busy.wait_ready()
    assert (number(busy, "spark_up"), number(busy, "spark_restarts_total")) == (1, 1)


# -- who may read --------------------------------------------------------------------------


def test_a_token_for_it_is_enough(tmp_path: Path) -> None:
    collector = Principal("prometheus", Role.USER, frozenset({"metrics"}))
    tokens = write_tokens(tmp_path / "tokens.yaml", {**PRINCIPALS, "prometheus-token": collector})
    variables = {"TAGAPI_AUTH__TOKENS_FILE": str(tokens), "TAGAPI_JOBS__DRAIN_SECONDS": "0.1"}
    for server in served(Server(tmp_path / "server", variables), ready=False):
        got = {}
        for token in (None, "ann-token", "pia-token", "prometheus-token", "root-token"):
            with Client(server.url, token) as client:
                got[token] = client.get("/metrics").status_code
        expected = {None: 401, "ann-token": 403, "pia-token": 403, "prometheus-token": 200, "root-token": 200}
        assert got == expected


# -- several processes ---------------------------------------------------------------------


def ask(server: Server, times: int) -> None:
    """Over as many connections, so that each process has some."""
    for _ in range(times):
        with Client(server.url) as client:
            assert client.get("/api/v1/tags/available").status_code == 200


def workers(server: Server) -> list[psutil.Process]:
    return psutil.Process(server.pid).children()


def folder_of(worker: psutil.Process) -> Path:
    """Where it writes its numbers."""
    (folder,) = {Path(one.path).parent for one in worker.memory_maps() if "tagapi-metrics-" in one.path}
    return folder


def test_several_processes_tell_one_set_of_numbers_also_after_one_was_killed(start_still_server: StartServer) -> None:
    server = start_still_server(server__workers=2)
    until(lambda: number(server, "workers") == 2, "both are there", START_SECONDS)
    ask(server, 60)
    for _ in range(5):  # jobs of either process
        with Client(server.url) as client:
            client.trigger([1])
    until(lambda: number(server, "http_requests_total", AVAILABLE) == 60, "all are counted")
    folder = folder_of(workers(server)[0])
    assert {file.name.partition("_")[0] for file in folder.iterdir()} == {"counter", "histogram", "gauge"}
    assert len(list(folder.glob("counter_*.db"))) == 2

    killed = workers(server)[0]
    killed.kill()
    killed.wait(10)
    (folder / "counter_7.db").touch()  # as of one that was killed at the very first
    server.close()
    until(lambda: len(workers(server)) == 2 and killed not in workers(server), "there is another one")
    until(lambda: number(server, "workers") == 2, "it is counted, and the dead one is not", START_SECONDS)
    for _ in range(10):  # of whichever process
        with Client(server.url) as client:
            now = numbers(client)
        assert now["tagapi_http_requests_total", frozenset(AVAILABLE.items())] == 60
        assert now["tagapi_jobs_accepted_total", frozenset({("task", "tags.compute")})] == 5
        assert now["tagapi_queue_jobs", frozenset({("lane", "spark")})] == 5
        assert now["tagapi_pushes_open", frozenset()] == 0
    ask(server, 20)
    until(lambda: number(server, "http_requests_total", AVAILABLE) == 80, "they go on from there")
    assert {file.name for file in folder.glob("counter_*.db")} == {f"counter_{place}.db" for place in (0, 1, 7)}

    assert folder.exists()
    assert server.stop() == 0
    assert not folder.exists()


def test_what_does_not_get_better_is_older_each_time(start_still_server: StartServer) -> None:
    server = start_still_server()
    lane = {"lane": "spark"}
    assert number(server, "queue_oldest_age_seconds", lane) == 0
    server.trigger([1])
    first = until(lambda: number(server, "queue_oldest_age_seconds", lane), "it waits") or 0
    until(lambda: (number(server, "queue_oldest_age_seconds", lane) or 0) > first, "it waits on")
    assert number(server, "queue_jobs", lane) == 1


# -- a store that is away ------------------------------------------------------------------


def test_while_the_store_is_away_they_say_so(tmp_path: Path, start_still_server: StartServer) -> None:
    with Valkey(tmp_path / "valkey", appendfsync="always") as valkey:
        server = start_still_server(registry__url=valkey.url)
        assert (number(server, "store_up"), number(server, "store_errors_total")) == (1, 0)
        for leave, come_back in ((valkey.kill, valkey.start), (valkey.freeze, valkey.thaw)):
            leave()
            for _ in range(3):
                began = time.monotonic()
                now = numbers(server)
                assert time.monotonic() - began < 2
                assert now["tagapi_store_up", frozenset()] == 0
                assert not [name for name, _ in now if name.startswith("tagapi_queue")]
                assert now["tagapi_workers", frozenset()] == 1
            come_back()
            until(lambda: number(server, "store_up") == 1, "it is back")
            assert number(server, "queue_jobs", {"lane": "spark"}) == 0
        assert (number(server, "store_errors_total") or 0) >= 2
