"""Streams of real collectors, by sockets: what a client has read when a token, a commit or a deletion comes between."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest

from tag_tasks.documents.collectors import CollectorTable
from tag_tasks.documents.reading import LOOK_EVERY, CollectorReader
from tagapi.namespaces.export.reading import Readings
from tagapi.pushes.hub import Hub
from tests.clock import ManualClock
from tests.spark.test_collectors import NAME, delivery, key, made, rows
from tests.unit.readings import dechunked, split

PATIENCE = 20.0


@pytest.fixture
def table(tmp_path: Path) -> CollectorTable:
    """Another process's."""
    return CollectorTable(str(tmp_path / "collectors"))


@pytest.fixture
def clock() -> ManualClock:
    """What the readings look at."""
    return ManualClock()


@pytest.fixture
def begin(table: CollectorTable, clock: ManualClock) -> Iterator[Callable[..., socket.socket]]:
    hub, clients = Hub(20), []
    hub.start()
    readings = Readings(hub, CollectorReader(CollectorTable(table.path), clock.monotonic))

    def begin(resume_offset: str | None = None, wait: bool = False, max_hits: int | None = None) -> socket.socket:
        how: dict[str, Any] = {"request_id": "r", "chunked": True, "holds": lambda: True}
        take = readings.open(NAME, "ann", resume_offset, wait, max_hits, **how)
        ours, theirs = socket.socketpair()
        clients.append(theirs)
        ours.setblocking(False)
        theirs.settimeout(PATIENCE)
        take(ours, b"")
        return theirs

    yield begin
    for client in clients:
        client.close()
    hub.stop()
    readings.stop()


def whole(client: socket.socket) -> list[dict[str, Any]]:
    told = b""
    while data := client.recv(1 << 20):
        told += data
    body, ended = dechunked(split(told)[1])
    assert ended
    return [orjson.loads(line) for line in body.splitlines()]


def ids(told: list[dict[str, Any]]) -> list[int]:
    return [int(one["id"][1:]) for one in told if "id" in one]


def last_offset(told: list[dict[str, Any]]) -> str:
    return [one["chunk_control"]["resume_offset"] for one in told if one.get("chunk_type") == "CT_CONTROL"][-1]


def test_ten_read_while_one_delivers(table: CollectorTable, begin: Callable[..., socket.socket]) -> None:
    made(table)
    counts = [1, 5, 300, 1000, 2001, 64] * 3
    total = sum(counts)

    def deliver() -> None:
        step, first = delivery(made(table)), 0
        for count in counts:
            step = table.deliver(step, rows(first, count))
            first += count

    clients = [begin(wait=True, max_hits=total) for _ in range(10)]
    with ThreadPoolExecutor(11) as threads:
        reading = [threads.submit(whole, client) for client in clients]
        threads.submit(deliver).result()
        assert all(ids(one.result()) == list(range(total)) for one in reading)


def test_a_reader_goes_on_where_it_was(table: CollectorTable, begin: Callable[..., socket.socket]) -> None:
    table.deliver(delivery(made(table)), rows(0, 3000))
    got: list[int] = []
    offset = None
    while len(got) < 3000:
        told = whole(begin(offset, max_hits=777))
        got += ids(told)
        offset = last_offset(told)
    assert got == list(range(3000))
    assert ids(whole(begin(offset))) == []


def test_who_waits_hears_at_once(table: CollectorTable, begin: Callable[..., socket.socket]) -> None:
    step = table.deliver(delivery(made(table)), rows(0, 1))
    client = begin("latest", wait=True, max_hits=5)
    for first in range(1, 6):
        step = table.deliver(step, rows(first, 1))
        committed, told = time.monotonic(), b""
        while b'"id"' not in told:
            told += client.recv(65536)
        assert time.monotonic() - committed < 0.5


@pytest.mark.parametrize("wait", [True, False])
def test_a_deletion_ends_a_stream(
    table: CollectorTable, begin: Callable[..., socket.socket], clock: ManualClock, wait: bool
) -> None:
    long = [f'{{"id":"d{number}","x":"{"x" * 1000}"}}\n' for number in range(20_000)]
    documents = rows(0, 20_000)
    at = documents.column_names.index("line")
    table.deliver(delivery(made(table)), documents.set_column(at, "line", [long]))
    client = begin(wait=wait)
    table.remove(key())
    clock.advance(LOOK_EVERY)  # until then it may go on by what it knows
    told = whole(client)
    assert ids(told) == list(range(len(ids(told))))
    assert len(ids(told)) < 20_000
    assert told[-1] == {
        "chunk_type": "CT_ERROR",
        "chunk_error": {"status_code": "15", "status_message": f"The collector {NAME} was deleted."},
    }
