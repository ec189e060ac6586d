"""Whatever is wrong with a request to the celery_task API: its codes and shape, never a 5xx, never a job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests

from tests.e2e.server import Client, Server
from tests.e2e.test_tags_memberships import HOSTILE

ROOT = "/api/celery_task"
JOB = "550e8400-e29b-41d4-a716-446655440000"
POSTS = [f"{ROOT}/", f"{ROOT}/revoke/", f"{ROOT}/batch_revoke/"]
READ, WRITE = {"GET", "HEAD", "OPTIONS"}, {"POST", "OPTIONS"}
ALLOWED = {
    f"{ROOT}/": READ | WRITE,
    f"{ROOT}/{JOB}/": READ | {"DELETE"},
    f"{ROOT}/schedules/{JOB}/": READ | {"DELETE"},
    **dict.fromkeys((f"{ROOT}/{one}/" for one in ("types", "active", "scopes", "schedules", "assets/sites")), READ),
    **dict.fromkeys(
        (f"{ROOT}/{one}/" for one in ("revoke", "batch_revoke", f"schedules/{JOB}/pause", f"schedules/{JOB}/resume")),
        WRITE,
    ),
    f"{ROOT}/{JOB}/result/": READ,
}
JSON = {"Content-Type": "application/json"}
BIG = "9" * 5000
DEEP = 100_000


@pytest.fixture(scope="module", autouse=True)
def _nothing_comes_of_it(still: Server) -> Iterator[None]:
    before = still.read("/api/tasks")["total"]
    yield
    assert still.read("/api/tasks")["total"] == before
    assert still.read(f"{ROOT}/schedules/")["data"]["total"] == 0


def send(server: Client, path: str, body: str | bytes) -> requests.Response:
    data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    return server.request("POST", path, data=data, headers=JSON)


def refused(answer: requests.Response, status: int, field: str | None = None) -> dict[str, Any]:
    """The data of a refusal, whose code is its status."""
    told = answer.json()
    assert (answer.status_code, told["code"], set(told)) == (status, status, {"code", "message", "data"}), answer.text
    assert not told["message"].isascii(), "it is told in Chinese"
    if field is not None:
        assert told["data"]["field"] == field
    data: dict[str, Any] = told["data"]
    return data


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        '{"data": 1,}',
        "{} x",
        b"\xff\xfe",
        b'{"task_type": "\xff"}',
        '{"task_type": "\ud800"}',
        '{"task_type": "\\ud800"}',
        '{"\\udc00": 1}',
        "[" * DEEP,
        '{"a":' * DEEP,
        '{"data": ' + "[" * DEEP + "]" * DEEP + "}",
        "[]",
        "null",
        "1",
        '"a"',
    ],
    ids=lambda body: repr(body[:30]),
)
def test_a_body_that_is_none(still: Server, path: str, body: str | bytes) -> None:
    assert refused(send(still, path, body), 400)["reason"]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999", BIG, f"-{BIG}", str(2**64), "1.0", "-1", "null", "true"])
def test_numbers_that_are_none(still: Server, value: str) -> None:
    body = (
        f'{{"task_type": "asset_site_update", "data": {{"scope_id": "x", "schedule": {{"every_seconds": {value}}}}}}}'
    )
    data = refused(send(still, POSTS[0], body), 400)
    assert data["field"] == "body" or data["field"].startswith("data.s")


@pytest.mark.parametrize("value", [None, True, 1.5, "", [], {}, [None], [[]], {"a": 1}], ids=repr)
@pytest.mark.parametrize("field", ["task_type", "data"])
def test_values_of_another_kind(still: Server, field: str, value: Any) -> None:
    body = {"task_type": "domain_task", "data": {"target": "corp.example"}, field: value}
    assert refused(still.post(POSTS[0], body), 400)["field"].startswith(field)


@pytest.mark.parametrize("value", [True, 1.5, [], {}, "x" * 1001, "a\x00b"], ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize("field", ["name", "target", "type", "task_tag", "options", "scope_id", "schedule"])
def test_data_of_another_kind(still: Server, field: str, value: Any) -> None:
    body = {"task_type": "domain_exec_task", "data": {"scope_id": "corp", field: value}}
    refused(still.post(POSTS[0], body), 400)


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
def test_hostile_texts(still: Server, text: str) -> None:
    """As an id, in a path, as a filter, as a target."""
    unknown = still.get(f"{ROOT}/{quote(text, safe='')}/")
    assert unknown.status_code in (400, 404) and unknown.json()["code"] in (102, 400, 404), unknown.text
    assert still.get(f"{ROOT}/", celery_id=text).json()["data"].get("total", 0) == 0
    refused(still.get(f"{ROOT}/", task_type=text), 400, "task_type")
    told = still.post(f"{ROOT}/batch_revoke/", {"celery_ids": [text]}).json()
    assert told["data"]["results"] == [{"celery_id": text, "status": "CeleryIdNotFound"}]
    refused(still.post(POSTS[0], {"task_type": "domain_task", "data": {"target": text}}), 400)
    assert still.get(f"{ROOT}/schedules/{quote(text, safe='')}/").status_code in (400, 404)


@pytest.mark.parametrize("path", ALLOWED)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE"])
def test_methods_that_there_are_not(still: Server, path: str, method: str) -> None:
    if method in ALLOWED[path]:
        pytest.skip("that is one")
    answer = still.request(method, path)
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == ALLOWED[path]
    if method != "HEAD":
        refused(answer, 405)


@pytest.mark.parametrize("path", ALLOWED)
def test_a_wrong_method_is_one_without_the_last_slash_too(still: Server, path: str) -> None:
    answer = still.request("PATCH", path.removesuffix("/"))
    assert set(answer.headers["Allow"].split(", ")) == ALLOWED[path]
    refused(answer, 405)


@pytest.mark.parametrize("path", [f"{ROOT}/nope/nope/", f"{ROOT}/schedules/{JOB}/stop/", f"{ROOT}/assets/sites/1"])
def test_paths_that_there_are_not(still: Server, path: str) -> None:
    refused(still.get(path), 404)


def test_without_a_scope_file_nothing_is_begun(still: Server) -> None:
    body = {"task_type": "domain_task", "data": {"target": "corp.example"}}
    data = refused(still.post(POSTS[0], body), 400, "data.target")
    assert "TAGAPI_ASSETS__SCOPE_FILE" in data["reason"]
    told = still.read(f"{ROOT}/scopes/")["data"]
    assert told["scopes"] == [] and "TAGAPI_ASSETS__SCOPE_FILE" in told["reason"]
    for kind, setting in (("fofa_task", "TAGAPI_FOFA__KEY"), ("github_task_task", "TAGAPI_GITHUB__TOKEN")):
        named = {"query": "x"} if kind == "fofa_task" else {"keyword": "x"}
        data = refused(still.post(POSTS[0], {"task_type": kind, "data": named}), 400, "task_type")
        assert setting in data["reason"]
