"""Connections that stall: they are ended and told of, and nobody waits for them. `tests/chaos/stalled.py` has more."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.chaos.stalls import HALF_HEAD, HALF_LINE, KINDS, ONE_BYTE, ask, get, stalled, upload
from tests.e2e.conftest import HASTY, StartServer, served
from tests.e2e.server import Server, refusing_spark, until

MANY = 40  # connections of one kind: more than there are threads, and few enough for every run
BRISK = {"TAGAPI_SERVER__HEAD_SECONDS": "1", "TAGAPI_SERVER__BODY_SECONDS": "1", "TAGAPI_SERVER__SEND_SECONDS": "1"}


@pytest.fixture(scope="module")
def brisk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that waits for nobody longer than a second."""
    with refusing_spark() as address:
        variables = {"TAGAPI_SPARK__REMOTE": address, "TAGAPI_JOBS__DRAIN_SECONDS": "0.1", **BRISK}
        yield from served(Server(tmp_path_factory.mktemp("brisk"), variables), ready=False)


def records(server: Server, event: str) -> list[dict[str, Any]]:
    lines = server.log_file.read_text(encoding="utf-8").splitlines()
    return [record for record in map(json.loads, lines) if record["event"] == event]


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_waits_for_those_who_stall(still: Server, kind: str) -> None:
    with stalled(still.port, KINDS[kind](), MANY, tiny=kind == "slow readers"):
        for _ in range(5):
            answered = ask(still.port, get("/health/live"), seconds=5)
            assert answered.status == 200, kind
            assert answered.seconds < 3


@pytest.mark.parametrize("sent", [HALF_LINE, HALF_HEAD, ONE_BYTE])
def test_a_read_that_stalls_ends_in_json_and_is_logged(brisk: Server, sent: bytes) -> None:
    known = len(records(brisk, "requests_ended"))
    answered = ask(brisk.port, sent, seconds=10)

    assert answered.status == 408
    assert b"connection: close" in answered.head.lower()
    assert json.loads(answered.body)["error"]
    until(lambda: records(brisk, "requests_ended")[known:], "it is logged", 5)


def test_a_reader_that_reads_nothing_is_let_go_and_logged(brisk: Server) -> None:
    with stalled(brisk.port, KINDS["slow readers"](), 2, tiny=True):
        until(lambda: [one for one in records(brisk, "requests_ended") if one.get("send")], "they are let go", 15)


def test_a_slow_upload_goes_through(brisk: Server) -> None:
    """Eight times as long as a body may stall."""
    answered = ask(brisk.port, *upload(200_000, 40), pause=0.1)
    assert answered.status == 400, "it names no tag"
    assert answered.seconds > 3


def test_a_slow_reader_goes_on(brisk: Server) -> None:
    whole = ask(brisk.port, get("/swagger.json")).body
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", brisk.port))
        connection.settimeout(10)
        connection.sendall(get("/swagger.json"))
        got = b""
        while more := connection.recv(len(whole) // 12):
            got += more
            time.sleep(0.3)
    assert got.partition(b"\r\n\r\n")[2] == whole


# -- what HTTP allows goes on working ------------------------------------------------------


def exchange(port: int, sent: bytes, answers: int) -> bytes:
    """What comes back until so many answers have begun and the connection is quiet or closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(sent)
        got = b""
        while got.count(b"HTTP/1.") < answers or not got.endswith(b"}"):
            more = connection.recv(65536)
            if not more:
                break
            got += more
    return got


LIVE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED = (
    b"POST /api/v1/tags/trigger HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b'Transfer-Encoding: chunked\r\n\r\n6;x=y\r\n{"tag_\r\n9\r\nids": [9]\r\n1\r\n}\r\n0\r\nX-Trailer: z\r\n\r\n'
)


def test_pipelined_requests_are_answered_in_order(still: Server) -> None:
    got = exchange(still.port, LIVE + CHUNKED + LIVE, 3)
    assert [part[:3] for part in got.split(b"HTTP/1.1 ")[1:]] == [b"200", b"400", b"200"]
    assert b"Invalid tag_ids: [9]" in got


@pytest.mark.parametrize(
    "chunks",
    [
        b"5;a=\n\r\nhello\r\n0\r\n\r\n",
        b"5\n;a\r\nhello\r\n0\r\n\r\n",
        b"5\x0b\r\nhello\r\n0\r\n\r\n",
        b"2;\nxx\r\nab\r\n0\r\n\r\n",
        b"0\r\nX: a\nb: c\r\n\r\n",
        b"0\r\nContent-Length: 5\r\n\r\n",
        b"0\r\nno trailer\r\n\r\n",
    ],
)
@pytest.mark.parametrize("line", [b"GET /health/live", b"POST /api/v1/tags/trigger"])
def test_nothing_follows_chunks_that_others_might_read_otherwise(still: Server, line: bytes, chunks: bytes) -> None:
    head = (
        line + b" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", still.port), timeout=10) as connection:
        connection.sendall(head + chunks + LIVE)
        got = b"".join(iter(lambda: connection.recv(65536), b""))
    assert got.count(b"HTTP/1.1 ") == 1, got
    assert b"Connection: close" in got


def test_a_body_that_nobody_reads_does_not_end_the_connection(still: Server) -> None:
    unread = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000
    assert exchange(still.port, unread + LIVE, 2).count(b"HTTP/1.1 200") == 2


def test_a_request_that_comes_byte_by_byte_is_read(still: Server) -> None:
    for sent in (LIVE, CHUNKED):
        with socket.create_connection(("127.0.0.1", still.port), timeout=10) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for number in range(len(sent)):
                connection.sendall(sent[number : number + 1])
            assert connection.recv(65536).startswith((b"HTTP/1.1 200", b"HTTP/1.1 400 BAD REQUEST"))


def test_who_expects_to_be_told_to_continue_is_told_once(still: Server) -> None:
    head, body = upload(200, 1)
    head = head.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    with socket.create_connection(("127.0.0.1", still.port), timeout=10) as connection:
        connection.sendall(head)
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(65536).startswith(b"HTTP/1.1 400")


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(still: Server) -> None:
    head = b"POST /api/v1/tags/trigger HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    answered = ask(still.port, head + b"Expect: 100-continue\r\nContent-Length: 9000000\r\n\r\n")
    assert answered.status == 413
    assert b"connection: close" in answered.head.lower()


def test_http_1_0_is_answered_and_closed(still: Server) -> None:
    answered = ask(still.port, b"GET /health/live HTTP/1.0\r\n\r\n")
    assert answered.status == 200
    kept = b"GET /health/live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    assert exchange(still.port, kept + kept, 2).count(b"HTTP/1.0 200") == 2


# -- bounds --------------------------------------------------------------------------------


def test_beyond_the_bound_the_connection_that_waited_longest_makes_room(start_still_server: StartServer) -> None:
    server = start_still_server(server__connections=20)
    with stalled(server.port, [HALF_HEAD], 60):
        assert ask(server.port, get("/health/live"), seconds=5).status == 200


def test_more_connections_than_the_bound_while_threads_work_for_all_of_them(start_still_server: StartServer) -> None:
    """There is nobody who could make room: the worker has to outlive it, its jobs with it."""
    server = start_still_server(server__connections=10, server__threads=1)
    large = b"HEAD /swagger.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 60
    workers = [one.pid for one in server.processes()]
    for _ in range(5):
        with stalled(server.port, [large], 30):
            until(lambda: ask(server.port, get("/health/live"), seconds=10).status == 200, "it answers")
    assert [one.pid for one in server.processes()] == workers


def test_stalled_bodies_hold_no_more_memory_than_allowed(start_still_server: StartServer) -> None:
    server = start_still_server(server__buffer_bytes=10_000_000)
    head, body = upload(8_000_000, 1)
    with stalled(server.port, [head + body[:-1]], 6):
        until(lambda: ask(server.port, head, body).status == 400, "an upload that goes on is taken in")
    until(lambda: [one for one in records(server, "requests_ended") if one.get("room")], "it is told", 5)


def test_a_drain_answers_a_request_that_is_still_coming_in(tmp_path: Any) -> None:
    with refusing_spark() as address:
        variables = {f"TAGAPI_{key.upper()}": str(value) for key, value in {**HASTY, "spark__remote": address}.items()}
        server = Server(tmp_path, variables)
        try:
            server.wait_alive()
            codes: list[int] = []
            with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
                connection.sendall(HALF_HEAD)
                assert ask(server.port, get("/health/live")).status == 200, "it has taken in the other one"
                stopping = threading.Thread(target=lambda: codes.append(server.stop()))
                stopping.start()
                until(lambda: "stopped" in server.output.read_text("utf-8"), "it drains", 10)
                connection.sendall(b"x\r\n\r\n")
                answer = connection.recv(65536)
            stopping.join(30)
            assert answer.startswith(b"HTTP/1.1 200"), answer
            assert b"Connection: close" in answer
            assert codes == [0]
        finally:
            server.kill()
