"""Whatever is wrong with a request to the export API: the vendor's shape and codes, never a 5xx, never a task."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests

from tagapi.namespaces.export.asked import ID
from tests.e2e.export_client import CREDITS, STREAM, TASKS, V3, make_collector, put, refused, told
from tests.e2e.server import Client, Server
from tests.e2e.test_tags_memberships import HOSTILE

EXPORT, VALIDATE, COUNT = f"{STREAM}/export", f"{STREAM}/query/validate", f"{STREAM}/count"
NAME = "wrong_input"
JOB = "550e8400-e29b-41d4-a716-446655440000"
POSTS = [EXPORT, VALIDATE, COUNT, f"{STREAM}/s/{NAME}/export", f"{STREAM}/p/{NAME}/export"]
PUTS = [f"{STREAM}/{kind}/{NAME}" for kind in "csp"]
DEFINED, READ = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}, {"GET", "HEAD", "OPTIONS"}
ALLOWED = {
    **{path: {"POST", "OPTIONS"} for path in (*POSTS, f"{STREAM}/c/{NAME}/pause")},
    **dict.fromkeys(PUTS, DEFINED),
    **dict.fromkeys((TASKS, CREDITS, f"{STREAM}/info", f"{STREAM}/c/{NAME}/results"), READ),
    f"{TASKS}/{JOB}": {"GET", "HEAD", "DELETE", "OPTIONS"},
}
JSON = {"Content-Type": "application/json"}
BIG = "9" * 5000
DEEP = 100_000


@pytest.fixture(scope="module", autouse=True)
def _nothing_comes_of_it(still: Server) -> Iterator[None]:
    """But for the collector that what is wrong is asked of."""
    make_collector(still, NAME)
    before = told(still.get(f"{STREAM}/info")), told(still.get(TASKS))["result_tasks"]["total"]
    yield
    after = told(still.get(f"{STREAM}/info")), told(still.get(TASKS))["result_tasks"]["total"]
    assert (after[0]["result_stream"], after[1]) == (before[0]["result_stream"], before[1])


def send(server: Client, path: str, body: str | bytes) -> requests.Response:
    data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    return server.request("PUT" if path in PUTS else "POST", path, data=data, headers=JSON)


@pytest.mark.parametrize("path", [*POSTS, *PUTS])
@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        '{"start": 1,}',
        "{} x",
        b"\xff\xfe",
        b'{"query": "\xff"}',
        b"\xef\xbb\xbf{}",
        '{"query": "\ud800"}',
        '{"query": "\\ud800"}',
        '{"\\udc00": 1}',
        "[" * DEEP,
        '{"a":' * DEEP,
        '{"query": ' + "[" * DEEP + "]" * DEEP + "}",
        "[]",
        "null",
        "1",
        '"a"',
    ],
    ids=lambda body: repr(body[:30]),
)
def test_a_body_that_is_none(still: Server, path: str, body: str | bytes) -> None:
    refused(send(still, path, body), 400, "17", "body")


GOOD = '{"start": "2026-01-01", "target": "wrong_input", "query": "a", '


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", BIG, f"-{BIG}", str(2**64), "1.0", "-1"])
@pytest.mark.parametrize("field", ["limit", "stop", "x"])
def test_numbers_that_are_none(still: Server, field: str, value: str) -> None:
    answer = send(still, EXPORT, f'{GOOD}"{field}": {value}}}')
    assert answer.status_code == 400
    assert answer.json()["status_code"] in ("5", "17")


@pytest.mark.parametrize("value", [None, True, 1.5, "", [], {}, [None], [[]], {"a": 1}], ids=repr)
@pytest.mark.parametrize("field", ["target", "query", "start", "limit"])
def test_values_of_another_kind(still: Server, field: str, value: Any) -> None:
    body = {"start": "2026-01-01", "target": NAME, "query": "a", field: value}
    refused(still.post(EXPORT, body), 400, "4" if (field, value) == ("query", "") else "5", field)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{STREAM}/c/x", {"collector_query": value})
        for value in (1, "a", [], {"queries": {}}, {"queries": [1]}, {"filters": "a"}, {"project_topics": []}, {"x": 1})
    ]
    + [(f"{STREAM}/s/x", {"rules": value}) for value in (None, 1, "a", {}, [1], [{}], [[]])]
    + [(f"{STREAM}/p/x", {"topics": value}) for value in (None, 1, "a", {}, [1], [{}], [[]])],
    ids=repr,
)
def test_definitions_of_another_kind(still: Server, path: str, body: Any) -> None:
    answer = still.request("PUT", path, json=body)
    assert answer.status_code == 400
    assert answer.json()["status_code"] in ("3", "5")


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
def test_hostile_texts(still: Server, text: str) -> None:
    """As an id, in a path, as a query, as an offset."""
    if not ID.fullmatch(text):
        answer = still.request("PUT", f"{STREAM}/c/{quote(text, safe='')}", json={})
        assert answer.status_code in (400, 404), answer.text
    assert still.post(VALIDATE, {"query": text}).status_code in (200, 400)
    assert still.get(f"{STREAM}/c/{NAME}/results", resume_offset=text, end_behaviour="stop").status_code == 400
    assert still.get(TASKS, target=text).status_code == (200 if ID.fullmatch(text) else 400)
    shown = still.get(f"{TASKS}/{quote(text, safe='')}")
    assert shown.status_code in (200, 404)


def test_random_queries_end_in_an_answer_or_in_code_4(still: Server) -> None:
    chance = random.Random(4)
    signs = 'abé*?"()[]{}:<>=~-+#@ \t\n\\/.,0123456789' + "ñ中\u0301\u200d"
    words = [
        "AND",
        "OR",
        "NOT",
        "NEAR/3",
        "ONEAR/2",
        "lang:",
        "engagement:",
        "[1 TO *]",
        "published:>=",
        "has:image",
        '"',
    ]
    for _ in range(500):
        parts = (chance.choice(words) if chance.random() < 0.4 else chance.choice(signs) for _ in range(30))
        text = chance.choice(("", " ")).join(list(parts)[: chance.randrange(31)])
        answer = still.post(VALIDATE, {"query": text})
        if answer.status_code != 200:
            found = refused(answer, 400, "4", "query")
            assert 0 <= int(found["position"]) <= len(text)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "NONSENSE"])
def test_methods_that_there_are_not(still: Server, method: str) -> None:
    for path, allowed in ALLOWED.items():
        if method in allowed:
            continue
        answer = still.request(method, path)
        assert answer.status_code == 405, path
        assert {one.strip() for one in answer.headers["Allow"].split(",")} == allowed
        if method != "HEAD":
            refused(answer, 405, "26")


@pytest.mark.parametrize(
    "path", ["", "/", "/stream", "/stream/", "/stream/x", "/stream/c", "/tasks", "/tasks/export/a/b"]
)
def test_paths_that_there_are_not(still: Server, path: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE"):
        refused(still.request(method, f"{V3}{path}"), 404, "26")


def test_bodies_that_are_too_large_or_of_another_type(still: Server) -> None:
    for path in (*POSTS, *PUTS):
        method = "PUT" if path in PUTS else "POST"
        with Client(still.url) as fresh:
            refused(fresh.request(method, path, data=b" " * (9 << 20), headers=JSON), 413, "17")
        for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx"):
            refused(still.request(method, path, data=b"{}", headers={"Content-Type": kind}), 415, "17")


def test_a_query_string_is_read_strictly(still: Server) -> None:
    for path in (f"{STREAM}/info", TASKS, CREDITS, f"{STREAM}/c/{NAME}", f"{STREAM}/c/{NAME}/results"):
        refused(still.get(f"{path}?pretty=true&pretty=true"), 400, "5", "pretty")
        refused(still.get(f"{path}?nope=1"), 400, "5", "nope")
    refused(still.get(f"{TASKS}?cursor=0"), 400, "5", "cursor")
    refused(still.get(f"{TASKS}?page_size={BIG}"), 400, "5", "page_size")


@pytest.mark.parametrize("key", ["", "a b", "é", "a" * 256])
def test_a_key_that_is_none(still: Server, key: str) -> None:
    body = {"start": "2026-01-01", "target": NAME, "query": "a"}
    headers = {"Idempotency-Key": key.encode("latin-1")}
    answer = still.request("POST", EXPORT, data=json.dumps(body), headers={**JSON, **headers})
    refused(answer, 400, "5", "Idempotency-Key")


def test_as_many_definitions_as_there_may_be(still: Server) -> None:
    """A hundred rules are a lot, and the longest queries too; both go in, and come back as they were."""
    rules = [{"rule_id": f"r{number}", "query": f"{'é' * 99} {number}"} for number in range(100)]
    shown = told(put(still, f"s/{NAME}_many", {"rules": rules}))["result_stream"]["data"][0]
    assert shown["rules"] == rules
    told(still.delete(f"{STREAM}/s/{NAME}_many"))
