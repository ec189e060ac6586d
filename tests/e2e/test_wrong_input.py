"""Whatever is wrong with a request: 400 and its kin in the documented shape, never a 5xx, never a task."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any
from urllib.parse import quote

import pytest
import requests

from tests.e2e.server import Client, Server
from tests.e2e.test_tags_memberships import HOSTILE

TRIGGER = "/api/v1/tags/trigger"
TASK = "/api/v1/tasks/550e8400-e29b-41d4-a716-446655440000"
READS = (
    "/health",
    "/health/live",
    "/health/ready",
    "/api/v1/tasks",
    f"{TASK}/status",
    "/api/v1/tags/available",
    "/api/v1/tags/1",
    "/api/v1/tags/1/users",
    "/api/v1/users/user_000001/tags",
)
READING = {"GET", "HEAD", "OPTIONS"}
ALLOWED = {**dict.fromkeys(READS, READING), TRIGGER: {"POST", "OPTIONS"}, TASK: {"DELETE", "OPTIONS"}}
JSON = {"Content-Type": "application/json"}
MIB = 1024 * 1024


@pytest.fixture(scope="module", autouse=True)
def _no_task_comes_of_it(server: Server) -> Iterator[None]:
    before = server.total()
    yield
    assert server.total() == before


@pytest.fixture
def fresh(server: Server) -> Iterator[Client]:
    """A connection that is not used again: what is left of a refused body lies in it."""
    with Client(server.url) as client:
        yield client


def refused(response: requests.Response, status: int, naming: str = "") -> None:
    """The documented shape, of this status, naming what is wrong."""
    assert response.status_code == status, (response.status_code, response.text[:300])
    assert response.headers["Content-Type"] == "application/json"
    body = response.json()
    assert body["success"] is False
    assert isinstance(body["error"], str) and isinstance(body["message"], str)
    assert body["error"] and body["message"]
    assert naming in body["error"]


def send(server: Client, body: str | bytes, **headers: str) -> requests.Response:
    data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    return server.request("POST", TRIGGER, data=data, headers={**JSON, **headers})


# -- bodies that are no JSON, or not this JSON ---------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "",
        " ",
        "{",
        "{]",
        '{"tag_ids": [1]',
        '{"tag_ids": [1],}',
        "{'tag_ids': [1]}",
        '{"tag_ids": [1]} {"tag_ids": [1]}',
        '{"tag_ids": [1]}x',
        '{"tag_ids": [01]}',
        '{"tag_ids": [1], "mode": "full\n"}',
        '{"tag_ids": [1] /* comment */}',
        "tag_ids=1",
        "\x00",
        b"\xff\xfe\x00",
        b'{"tag_ids": [1], "user_ids": ["\xff"]}',
        b'\xef\xbb\xbf{"tag_ids": [1]}',
        '{"tag_ids": [1]}'.encode("utf-16"),
        '{"tag_ids": [1], "user_ids": ["\ud800"]}',
        "[" * 100_000,
        '{"a":' * 100_000,
        "[" * 100_000 + "]" * 100_000,
        '{"tag_ids": ' + "[" * 100_000 + "1" + "]" * 100_000 + "}",
        '{"tag_ids": [1], "x": ' + '{"a":' * 100_000 + "1" + "}" * 100_000 + "}",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_a_body_that_is_no_json(server: Server, body: str | bytes) -> None:
    refused(send(server, body), 400)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000, "-" + "9" * 5000, "1E5000"])
@pytest.mark.parametrize("field", ["tag_ids", "user_ids", "mode", "dry_run", "diff"])
def test_numbers_that_are_none(server: Server, field: str, value: str) -> None:
    other = "" if field == "tag_ids" else '"tag_ids": [1], '
    refused(send(server, f'{{{other}"{field}": {value}}}'), 400)
    refused(send(server, f'{{{other}"{field}": [{value}]}}'), 400)


@pytest.mark.parametrize("escape", ["\\ud800", "\\udc00", "\\udc00\\ud800", "ab\\ud83d"])
@pytest.mark.parametrize("place", ['"user_ids": ["{}"]', '"mode": "{}"', '"{}": 1'])
def test_a_lone_surrogate(server: Server, place: str, escape: str) -> None:
    refused(send(server, '{"tag_ids": [1], ' + place.replace("{}", escape) + "}"), 400)


@pytest.mark.parametrize("body", ["[]", '[{"tag_ids": [1]}]', '"tag_ids"', "1", "1.5", "true", "null"])
def test_json_that_is_no_object(server: Server, body: str) -> None:
    refused(send(server, body), 400)


WRONG_VALUES: list[Any] = [None, True, 1, 1.5, "", "x", [], {}, [None], [[]], [{}], {"a": 1}]


@pytest.mark.parametrize("field", ["tag_ids", "user_ids", "mode", "dry_run", "diff"])
@pytest.mark.parametrize("value", WRONG_VALUES, ids=repr)
def test_a_wrong_type_names_its_field(server: Server, field: str, value: Any) -> None:
    if (field == "user_ids" and value is None) or (field in ("dry_run", "diff") and value is True):
        pytest.skip("that is a right value")
    refused(server.ask(**({"tag_ids": [1]} | {field: value})), 400, naming=field)


@pytest.mark.parametrize("field", ["tag_id", "TAG_IDS", "", "__proto__", "tag_ids ", "标签", "x" * 10_000, "a.b"])
def test_an_unknown_field_is_named(server: Server, field: str) -> None:
    refused(server.ask(**{"tag_ids": [1], field: [1]}), 400, naming=field)


# -- size and content type -----------------------------------------------------------------


def _large(size: int) -> bytes:
    return b'{"tag_ids": [1], "mode": "' + b"x" * (size - 28) + b'"}'


def test_a_body_of_eight_mebibytes_is_read(server: Server) -> None:
    refused(send(server, _large(8 * MIB)), 400, naming="mode")


@pytest.mark.parametrize("size", [8 * MIB + 1, 9 * MIB, 64 * MIB])
def test_a_larger_body_is_refused(server: Server, fresh: Client, size: int) -> None:
    refused(send(fresh, _large(size)), 413)
    assert server.get("/health").status_code == 200


@pytest.mark.parametrize("first", [b"x", b'{"tag_ids": [1]}'])
def test_a_larger_body_in_chunks_is_refused(server: Server, fresh: Client, first: bytes) -> None:
    """Also where its beginning alone would be a request."""
    chunks = iter([first, *[b" " * MIB] * 9])
    refused(fresh.request("POST", TRIGGER, data=chunks, headers=JSON), 413)
    assert server.get("/health").status_code == 200


def test_a_body_in_chunks_is_read(server: Server) -> None:
    chunks = iter([b'{"tag_ids"', b": [99", b"9]}"])
    refused(server.request("POST", TRIGGER, data=chunks, headers=JSON), 400, naming="Invalid tag_ids: [999]")


def test_a_length_that_is_announced_counts(server: Server) -> None:
    """Refused by its header: nobody sends 8 GiB to hear that it is too much."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    with closing(connection):
        connection.putrequest("POST", TRIGGER)
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(8 * 1024 * MIB))
        connection.endheaders()
        assert connection.getresponse().status == 413


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/jsonp",
        "json",
        "",
        "*/*",
        "application/octet-stream; application/json",
    ],
)
def test_another_content_type(server: Server, content_type: str) -> None:
    refused(server.request("POST", TRIGGER, data=b'{"tag_ids": [1]}', headers={"Content-Type": content_type}), 415)


def test_no_content_type(server: Server) -> None:
    refused(server.request("POST", TRIGGER, data=b'{"tag_ids": [1]}'), 415)


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/json;"])
def test_json_by_its_other_names(server: Server, content_type: str) -> None:
    answer = server.request("POST", TRIGGER, data=b'{"tag_ids": [999]}', headers={"Content-Type": content_type})
    refused(answer, 400, naming="Invalid tag_ids: [999]")


# -- query parameters ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nope", "Limit", "", "标签", "a b", "nope\x00"])
@pytest.mark.parametrize("path", READS)
def test_an_unknown_query_parameter_is_named(server: Server, path: str, name: str) -> None:
    refused(server.get(f"{path}?{quote(name)}=1"), 400, naming=name)


def test_an_unknown_query_parameter_of_a_write_is_named(server: Server) -> None:
    refused(server.request("POST", f"{TRIGGER}?nope=1", json={"tag_ids": [1]}), 400, naming="nope")
    refused(server.request("POST", f"{TRIGGER}?mode=full", json={"tag_ids": [1]}), 400, naming="mode")
    refused(server.delete(f"{TASK}?nope=1"), 400, naming="nope")


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("/api/v1/tasks", "status", "completed"),
        ("/api/v1/tasks", "tag_id", "1"),
        ("/api/v1/tasks", "page", "1"),
        ("/api/v1/tasks", "page_size", "10"),
        ("/api/v1/tags/1/users", "limit", "10"),
        ("/api/v1/tags/1/users", "cursor", "dXNlcl8wMDAwMDE"),
        ("/api/v1/users/user_000001/tags", "explain", "true"),
    ],
)
def test_a_repeated_query_parameter_is_named(server: Server, path: str, name: str, value: str) -> None:
    assert server.get(f"{path}?{name}={value}").status_code == 200
    refused(server.get(f"{path}?{name}={value}&{name}={value}"), 400, naming=name)


@pytest.mark.parametrize("query", ["%", "%zz", "%ff%fe", "&&&", "=", "a" * 4000, "page=1;page_size=2", "%00"])
@pytest.mark.parametrize("path", READS)
def test_a_broken_query_string(server: Server, path: str, query: str) -> None:
    response = server.get(f"{path}?{query}")
    assert response.status_code in (200, 400, 404), response.text
    if response.status_code != 200:
        refused(response, response.status_code)


# -- paths and methods ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/nope",
        "/api/v1/tags/",
        "/api/v1/tags/one",
        "/api/v1/tags/-1",
        "/api/v1/tags/1.0",
        "/api/v1/tags/1/",
        "/api/v1/tags/1/nope",
        "/api/v1/tags/available/",
        "/api/v1/tasks/",
        f"{TASK}/nope",
        f"{TASK}/status/",
        "/api/v1/users/",
        "/api/v1/users/tags",
        "/api/v1/users//tags",
        "/api/v1/users/user_000001",
        "/API/V1/TASKS",
        "/api//v1/tasks",
        "/health/",
        "/health/nope",
        "/static/x",
        "/api/v1/tags/%31%00",
    ],
)
def test_an_unknown_path(server: Server, path: str) -> None:
    refused(server.get(path), 404)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"])
@pytest.mark.parametrize("path", ALLOWED)
def test_a_wrong_method(server: Server, path: str, method: str) -> None:
    if method in ALLOWED[path]:
        return
    response = server.request(method, path, json={"tag_ids": [1]})
    refused(response, 405)
    assert {one.strip() for one in response.headers["Allow"].split(",")} == ALLOWED[path]


@pytest.mark.parametrize("path", ALLOWED)
def test_head_and_options(server: Server, path: str) -> None:
    options = server.request("OPTIONS", path)
    assert options.status_code == 200
    assert {one.strip() for one in options.headers["Allow"].split(",")} == ALLOWED[path]
    head = server.request("HEAD", path)
    assert head.status_code == (server.get(path).status_code if "GET" in ALLOWED[path] else 405)
    assert head.content == b""


def test_a_wrong_method_of_the_specification(server: Server) -> None:
    refused(server.request("POST", "/swagger.json", json={}), 405)


# -- any text where a user id is expected --------------------------------------------------


@pytest.mark.parametrize("user", HOSTILE, ids=ascii)
@pytest.mark.parametrize("query", ["", "?explain=true"])
def test_a_strange_user_is_one_who_does_not_exist(server: Server, user: str, query: str) -> None:
    refused(server.get(f"/api/v1/users/{quote(user, safe='')}/tags{query}"), 404, naming="User not found")


@pytest.mark.parametrize("path", ["%ff%fe", "%c3%28", "%ed%a0%80", "%", "%zz", "x" * 5000])
def test_a_user_that_is_no_text(server: Server, path: str) -> None:
    response = server.get(f"/api/v1/users/{path}/tags")
    assert response.status_code in (400, 404)
    refused(response, response.status_code)


@pytest.mark.parametrize("user", ["..", "."])
def test_dots_are_a_user_id_like_any_other(server: Server, user: str) -> None:
    """Clients tidy such paths up; what arrives untidied is a name, and leads nowhere else."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    with closing(connection):
        connection.request("GET", f"/api/v1/users/{user}/tags")
        answer = connection.getresponse()
        told = {"success": False, "error": "User not found", "message": "用户不存在"}
        assert (answer.status, json.loads(answer.read())) == (404, told)


# -- what is hardly HTTP -------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_text",
    [
        b"\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET /health HTTP/9.9\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST " + TRIGGER.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST " + TRIGGER.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        b"POST " + TRIGGER.encode() + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST "
        + TRIGGER.encode()
        + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        b"POST "
        + TRIGGER.encode()
        + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{}",
    ],
    ids=lambda text: repr(text[:70]),
)
def test_the_service_survives_what_is_hardly_http(server: Server, request_text: bytes) -> None:
    answer = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection, suppress(ConnectionError):
        connection.sendall(request_text)
        with suppress(OSError):  # it may have hung up already
            connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(1000)
    assert not answer.startswith((b"HTTP/1.1 5", b"HTTP/1.0 5", b"HTTP/1.1 2", b"HTTP/1.0 2")), answer
    assert server.get("/health").status_code == 200
