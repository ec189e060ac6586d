"""What a worker sends, counts and records."""

from __future__ import annotations

import io
import json
import logging
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tagapi.logs import configure_logs
from tagapi.serving.connection import Answer, Outgoing
from tagapi.serving.limits import Ended
from tagapi.serving.records import REQUEST_ID, ROUTE, RequestLog


def test_what_a_client_takes_slowly_is_sent_whole_and_in_order() -> None:
    content = bytes(range(256)) * 10_000
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        outgoing = Outgoing(ours)
        expected = b""
        for number in range(200):
            outgoing.sendall(b"%d " % number)
            expected += b"%d " % number
        outgoing.sendall(content[7:-3])
        outgoing.sendall(b"the end")
        expected += content[7:-3] + b"the end"
        got = b""
        while len(got) < len(expected):
            outgoing.flush()
            got += theirs.recv(50_000)
        assert got == expected
        assert not outgoing
        assert (outgoing.pending, outgoing.sent) == (0, len(expected))


@pytest.mark.parametrize(
    ("method", "status", "sent", "cut"),
    [("GET", 200, 9, True), ("GET", 200, 10, False), ("HEAD", 200, 0, False), ("GET", 304, 0, False)],
)
def test_a_file_that_has_shrunk_is_known(method: str, status: int, sent: int, cut: bool) -> None:
    """The client was told a length: it has to see that the rest is missing."""
    response: Any = SimpleNamespace(sent=sent, response_length=10, status_code=status)
    assert Answer(response, [], {"REQUEST_METHOD": method}, 0).cut_short is cut


def test_those_who_were_ended_are_told_of_once_a_second(caplog: pytest.LogCaptureFixture) -> None:
    ended = Ended()
    for at in (0.0, 0.1, 0.5, 1.1):
        for _ in range(100):
            ended.count("head", "192.0.2.1")
        ended.tell(at)
    told = [(record.message, vars(record)["head"], vars(record)["last_address"]) for record in caplog.records]
    assert told == [("requests_ended", 100, "192.0.2.1"), ("requests_ended", 300, "192.0.2.1")]


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, io.StringIO]]:
    """The file and the console of logs that are set up as the service's."""
    root, console = logging.getLogger(), io.StringIO()
    before, level = root.handlers[:], root.level
    monkeypatch.setattr(sys, "stderr", console)
    root.handlers = []
    configure_logs(tmp_path, "INFO", 10_000_000)
    yield tmp_path / "api_server.log", console
    for handler in root.handlers:
        handler.close()
    root.handlers = before
    root.setLevel(level)


@pytest.mark.parametrize(("level", "lines"), [(logging.INFO, 2), (logging.DEBUG, 0), (None, 0)])
def test_requests_are_written_in_batches_where_their_level_is_wanted(
    logs: tuple[Path, io.StringIO], level: int | None, lines: int
) -> None:
    requests = RequestLog(level)
    requests.start()
    for number in range(2):
        environ = {ROUTE: "/a/<b>", REQUEST_ID: f"id-{number}"}
        requests.note("127.0.0.1", "GET", environ, 200, 0.001234, 100)
    requests.stop()

    logging.getLogger("tagapi.test").warning("the end")
    *written, _ = [json.loads(line) for line in logs[0].read_text(encoding="utf-8").splitlines()]
    assert [one["request_id"] for one in written] == [f"id-{number}" for number in range(lines)]
    for one in written:
        told = {"event": "request", "level": "info", "logger": "tagapi.requests", "milliseconds": 1.23, "bytes": 100}
        assert told.items() <= one.items()
        assert one["timestamp"].endswith("Z")
        assert one["principal"] is None
        assert f"request_id={one['request_id']}" in logs[1].getvalue()
    assert "principal" not in logs[1].getvalue(), "it is empty"


def test_the_console_leaves_out_what_is_empty(logs: tuple[Path, io.StringIO]) -> None:
    logging.getLogger("tagapi.test").warning("something", extra={"reason": "", "nothing": None, "zero": 0})
    written = json.loads(logs[0].read_text(encoding="utf-8"))
    assert (written["reason"], written["nothing"], written["zero"]) == ("", None, 0)
    told = logs[1].getvalue()
    assert "zero=0" in told
    assert "reason" not in told
    assert "nothing" not in told
