"""The record of requests, and the id that leads from a request to what it started."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.stalls import ask
from tests.e2e.conftest import served, write_tokens
from tests.e2e.server import Client, Server, refusing_spark, until

SENT = "from.the-proxy_1"
KEYS = {
    *("event", "level", "logger", "timestamp", "method", "route", "status", "milliseconds", "bytes"),
    *("principal", "address", "request_id"),
}


def records(server: Server, **wanted: object) -> list[dict[str, Any]]:
    lines = server.log_file.read_text(encoding="utf-8").splitlines()
    return [one for one in map(json.loads, lines) if wanted.items() <= one.items()]


def record(server: Server, request_id: str) -> dict[str, Any]:
    """The one event of a request."""
    wanted: dict[str, object] = {"event": "request", "request_id": request_id}
    until(lambda: records(server, **wanted), "it is written", 5)
    (one,) = records(server, **wanted)
    return one


def test_each_request_is_one_event_without_secrets(still: Server) -> None:
    asked = still.request("GET", "/api/v1/tasks/a-secret-id/status?token=another-secret")
    one = record(still, asked.headers["X-Request-ID"])

    assert one.keys() == KEYS
    told = {"method": "GET", "route": "/api/v1/tasks/<string:task_id>/status", "status": asked.status_code}
    assert told.items() <= one.items()
    assert (one["level"], one["logger"], one["principal"], one["address"]) == (
        *("info", "tagapi.requests"),
        *("local", "127.0.0.1"),
    )
    assert one["bytes"] > len(asked.content)
    assert 0 < one["milliseconds"] < 10_000
    written = still.log_file.read_text(encoding="utf-8") + still.output.read_text(encoding="utf-8")
    assert "secret" not in written
    assert asked.headers["X-Request-ID"] in still.output.read_text(encoding="utf-8")


def test_a_request_id_leads_to_the_job(server: Server) -> None:
    task = server.ask(tag_ids=[1], user_ids=["user_000001"], dry_run=True, headers={"X-Request-ID": SENT})
    assert task.headers["X-Request-ID"] == SENT
    job = task.json()["task_id"]
    server.wait(job)

    assert record(server, SENT)["route"] == "/api/v1/tags/trigger"
    assert "job_accepted" in [one["event"] for one in records(server, job_id=job, request_id=SENT)]


def test_in_memory_every_record_of_a_job_has_the_id_of_its_request(stand_in_open: Server) -> None:
    made = stand_in_open.post("/api/v1/workers/", {"task_type": "bookings_export"}, {"X-Request-ID": SENT})
    job = made.json()["task_id"]
    until(lambda: records(stand_in_open, event="attempt_ended", job_id=job), "it ends")
    assert {one.get("request_id") for one in records(stand_in_open, job_id=job)} == {SENT}


@pytest.fixture(scope="module")
def stand_in_open(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose tasks need no Spark, which keeps its jobs in memory, and knows whose word it takes."""
    folder = tmp_path_factory.mktemp("in_memory")
    yield from served(
        Server(folder, {"TAGAPI_REGISTRY__URL": "memory://"}, program=("-m", "tests.e2e.stand_in")), ready=False
    )


@pytest.mark.parametrize("sent", ["a b", "x" * 129, "", "<x>", "a,b"])
def test_an_id_that_is_none_is_made_anew(still: Server, sent: str) -> None:
    got = still.request("GET", "/health/live", headers={"X-Request-ID": sent}).headers["X-Request-ID"]
    assert got
    assert got != sent


def test_the_documentation_and_what_is_nowhere_have_ids_too(still: Server) -> None:
    for path, route in (("/docs", "/docs"), ("/nowhere", None), ("/", "/")):
        assert record(still, still.request("GET", path).headers["X-Request-ID"])["route"] == route


def test_what_never_becomes_a_request_is_recorded(still: Server) -> None:
    known = len(records(still, event="request", status=400, route=None))
    answered = ask(still.port, b"nonsense-with-a-secret\r\n\r\n")
    assert b"x-request-id: " in answered.head.lower()
    until(lambda: records(still, event="request", status=400, route=None)[known:], "it is written", 5)
    assert "secret" not in still.log_file.read_text(encoding="utf-8")


@pytest.mark.parametrize(("proxies", "taken"), [("[]", False), ("[127.0.0.0/8]", True), ("['::1', 10.0.0.1]", False)])
def test_with_tokens_only_a_trusted_proxy_names_requests(tmp_path: Path, proxies: str, taken: bool) -> None:
    with refusing_spark() as address:
        variables = {
            "TAGAPI_AUTH__TOKENS_FILE": str(write_tokens(tmp_path / "tokens.yaml")),
            "TAGAPI_SERVER__TRUSTED_PROXIES": proxies,
            "TAGAPI_SPARK__REMOTE": address,
            "TAGAPI_JOBS__DRAIN_SECONDS": "0.1",
            "TAGAPI_LOGS__REQUESTS": "off",
        }
        for server in served(Server(tmp_path / "server", variables), ready=False):
            with Client(server.url, "ann-token") as ann:
                got = ann.request("GET", "/api/v1/workers/", headers={"X-Request-ID": SENT})
            assert (got.headers["X-Request-ID"] == SENT) is taken
        assert not records(server, event="request"), "they are off"
