"""Requests that never become one are refused as the others are: in JSON, by the front whose path they name."""

from __future__ import annotations

import json

import pytest

from tests.chaos.stalls import ask
from tests.e2e.server import Server

LONG = b"x" * 10_000
MANY = b"".join(b"X-%d: %s\r\n" % (number, LONG[:7000]) for number in range(12))
REFUSED = {
    "a long request line": (b"GET %s?q=" + LONG + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
    "a long header": (b"GET %s HTTP/1.1\r\nHost: localhost\r\nX: " + LONG + b"\r\n\r\n", 431),
    "long headers": (b"GET %s HTTP/1.1\r\nHost: localhost\r\n" + MANY + b"\r\n", 431),
    "many headers": (b"GET %s HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
    "a header without a colon": (b"GET %s HTTP/1.1\r\nHost: localhost\r\nnonsense\r\n\r\n", 400),
    "a bare line feed": (b"GET %s HTTP/1.1\nHost: localhost\n\n", 400),
    "two lengths": (b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", 400),
    "a length and chunks": (
        b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "an unknown version": (b"GET %s HTTP/9.9\r\nHost: localhost\r\n\r\n", 400),
    "an unknown expectation": (b"GET %s HTTP/1.1\r\nHost: localhost\r\nExpect: miracles\r\n\r\n", 417),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_refusal_has_the_shape_of_the_front(still: Server, what: str) -> None:
    request, status = REFUSED[what]
    for path, keys in ((b"/api/v1/workers/", {"error"}), (b"/api/v1/tasks", {"success", "error", "message"})):
        answered = ask(still.port, request.replace(b"%s", path, 1))
        assert answered.status == status
        head = answered.head.lower()
        assert b"connection: close" in head
        assert b"content-type: application/json" in head
        body = json.loads(answered.body)
        assert body.keys() == keys
        if "success" not in keys:
            assert body["error"].keys() == {"code", "message", "details"}
            assert body["error"]["code"] != "INTERNAL_ERROR"
        assert "xxx" not in answered.body.decode()


@pytest.mark.parametrize("request_text", [b"nonsense\r\n\r\n", b"\r\n\r\n", b"\x16\x03\x01\x00\xa5\r\n\r\n", LONG])
def test_where_no_front_is_named_there_is_one_neutral_shape(still: Server, request_text: bytes) -> None:
    answered = ask(still.port, request_text)
    assert answered.status in (400, 414)
    assert json.loads(answered.body).keys() == {"error", "message"}
    assert b"connection: close" in answered.head.lower()
