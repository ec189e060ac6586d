"""Streams of results on a hub: what is refused, whose place is given back when, and who is told of news."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from queue import SimpleQueue
from typing import Any

import pytest

from tagapi.jobs.errors import BadOffset, NotFoundInData, Transient
from tagapi.namespaces.export.fetching import Fetching, States
from tagapi.namespaces.export.reading import OwnReadsFull, Readings, ReadsFull
from tagapi.namespaces.problems import problem_of
from tagapi.pushes.hub import GOODBYE_SECONDS, Hub
from tests.unit.readings import Documents, chunks, controls, dechunked, numbers, split

PATIENCE = 5.0


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub(2)
    hub.start()
    yield hub
    hub.stop()


Open = Callable[..., socket.socket]


@pytest.fixture
def begin(hub: Hub) -> Iterator[Open]:
    """Opens a stream; answers with the client's end of it."""
    clients: list[socket.socket] = []
    all_readings: list[Readings] = []

    def begin(documents: Documents, resume_offset: str | None = None, **more: Any) -> socket.socket:
        readings = Readings(hub, documents)
        all_readings.append(readings)
        take = ask(readings, resume_offset=resume_offset, **more)
        ours, theirs = socket.socketpair()
        clients.append(theirs)
        theirs.settimeout(PATIENCE)
        ours.setblocking(False)
        take(ours, b"")
        return theirs

    yield begin
    for client in clients:
        client.close()
    for readings in all_readings:
        readings.stop()


def ask(readings: Readings, **more: Any) -> Callable[[socket.socket, bytes], None]:
    facts = {"collector_id": "c", "owner": "ann", "resume_offset": None, "wait": False, "max_hits": None, **more}
    return readings.open(**facts, request_id="r", chunked=True, holds=lambda: True)  # type: ignore[arg-type]


def whole(client: socket.socket) -> list[dict[str, Any]]:
    told = b""
    while data := client.recv(1 << 20):
        told += data
    body, ended = dechunked(split(told)[1])
    assert ended
    return chunks(body)


def upto(client: socket.socket, end: bytes, told: bytes = b"") -> bytes:
    while end not in told:
        data = client.recv(1 << 20)
        assert data, "it ended"
        told += data
    return told


def has_a_place(hub: Hub) -> bool:
    """Whether somebody could come in now."""
    if hub.reserve():
        hub.cede()
        return True
    return False


def soon(look: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not look() and time.monotonic() < deadline:
        time.sleep(0.01)
    return look()


def test_a_stream_is_whole(begin: Open) -> None:
    told = whole(begin(Documents(there=12_345, width=200)))
    assert numbers(told) == list(range(12_345))
    assert controls(told)[-1] == "o12345"


def test_what_is_wrong_is_refused_and_takes_no_place(hub: Hub) -> None:
    readings = Readings(hub, Documents())
    for _ in range(3):
        with pytest.raises(NotFoundInData):
            ask(readings, collector_id="another")
        with pytest.raises(NotFoundInData):
            ask(readings, owner="bob")
        with pytest.raises(BadOffset) as caught:
            ask(readings, resume_offset="garbage")
    problem = problem_of(caught.value)
    assert (problem.status, problem.code, problem.wrong) == (400, "bad_offset", "resume_offset")
    assert has_a_place(hub)


def test_there_are_no_more_streams_than_places(hub: Hub, begin: Open) -> None:
    first, second = (begin(Documents(), wait=True) for _ in range(2))
    with pytest.raises(ReadsFull) as caught:
        begin(Documents())
    problem = problem_of(caught.value)
    assert (problem.status, problem.code, problem.headers["Retry-After"]) == (503, "reads_full", "5")
    first.close()
    assert soon(lambda: has_a_place(hub)), "who hangs up leaves at once"
    assert whole(begin(Documents())), "and somebody else comes in"
    second.close()


def test_one_user_leaves_places_to_others() -> None:
    hub = Hub(4)
    hub.start()
    readings, ends = Readings(hub, Documents()), []
    for _ in range(3):
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        ask(readings, wait=True)(ours, b"")
        ends.append(theirs)
    for _ in range(2):
        with pytest.raises(OwnReadsFull) as caught:
            ask(readings)
    problem = problem_of(caught.value)
    assert (problem.status, problem.code, problem.headers["Retry-After"]) == (503, "own_reads_full", "5")
    with pytest.raises(NotFoundInData):  # of bob's there is none: but he would have had a place
        ask(readings, owner="bob")
    ends[0].close()
    assert soon(lambda: comes_in(readings))
    hub.stop()
    readings.stop()
    for end in ends:
        end.close()


def comes_in(readings: Readings) -> bool:
    """Whether ann may open one more: of a collector that there is not, so that it takes no place."""
    try:
        ask(readings, collector_id="another")
    except OwnReadsFull:
        return False
    except NotFoundInData:
        return True
    raise AssertionError


def test_the_end_gives_the_place_back(hub: Hub, begin: Open) -> None:
    clients = [begin(Documents(there=10)) for _ in range(2)]
    for client in clients:
        assert numbers(whole(client)) == list(range(10))
        client.close()
    assert soon(lambda: has_a_place(hub))


def test_who_hangs_up_amid_a_batch_leaves(hub: Hub, begin: Open) -> None:
    clients = [begin(Documents(there=50_000, width=1000)) for _ in range(2)]
    for client in clients:
        upto(client, b"CT_RESULT")
        client.close()
    assert soon(lambda: has_a_place(hub))


def test_who_says_that_it_sends_no_more_still_has_all_of_it(hub: Hub, begin: Open) -> None:
    """As `nc -N` does: the request is sent, and that side of the connection is closed."""
    for _ in range(3):
        client = begin(Documents(there=12_345, width=500))
        client.shutdown(socket.SHUT_WR)
        assert numbers(whole(client)) == list(range(12_345))
    assert soon(lambda: has_a_place(hub))
    waiting = begin(Documents(there=3), wait=True)
    waiting.shutdown(socket.SHUT_WR)
    assert soon(lambda: has_a_place(hub)), "of who waits nobody would know that it left"


def test_the_drain_tells_where_everybody_is(hub: Hub, begin: Open) -> None:
    waiting = begin(Documents(there=3), resume_offset="o2", wait=True)
    stalled = begin(Documents(there=50_000, width=1000))
    told = upto(waiting, b'"o3"')
    upto(stalled, b"CT_RESULT")
    began = time.monotonic()
    hub.stop()
    assert time.monotonic() - began < 2 * GOODBYE_SECONDS
    while data := waiting.recv(1 << 20):
        told += data
    body, ended = dechunked(split(told)[1])
    assert (ended, numbers(chunks(body)), controls(chunks(body))) == (True, [2], ["o2", "o3", "o3"])


# -- fetching ------------------------------------------------------------------------------


@pytest.fixture
def states() -> list[int | Exception]:
    """Of what is waited for, at the end of the list."""
    return [1]


@pytest.fixture
def looked() -> SimpleQueue[None]:
    return SimpleQueue()


@pytest.fixture
def fetching(states: list[int | Exception], looked: SimpleQueue[None]) -> Iterator[Fetching]:
    def look() -> States:
        looked.put(None)
        if isinstance(states[-1], Exception):
            raise states[-1]
        return {"c": states[-1], "another": len(states)}

    fetching = Fetching(look, threads=1, look_every=0.001)
    yield fetching
    fetching.stop()


def test_who_waits_is_woken_by_another_state(
    fetching: Fetching, states: list[int | Exception], looked: SimpleQueue[None]
) -> None:
    woken: SimpleQueue[str] = SimpleQueue()
    fetching.begin_after("late", "c", 1, lambda: woken.put("late"))
    fetching.begin_after("early", "c", 0, lambda: woken.put("early"))
    assert woken.get(timeout=PATIENCE) == "early", "it has missed what came before it waited"
    states.append(1)
    for _ in range(3):
        looked.get(timeout=PATIENCE)
    assert woken.empty(), "it is something else that changed"
    states.append(2)
    assert woken.get(timeout=PATIENCE) == "late"


def test_nobody_looks_while_nobody_waits(
    fetching: Fetching, states: list[int | Exception], looked: SimpleQueue[None]
) -> None:
    done = threading.Event()
    fetching.begin(done.set)
    assert done.wait(PATIENCE)
    assert looked.empty()
    fetching.begin_after("one", "c", 1, done.clear)
    looked.get(timeout=PATIENCE)
    fetching.forget("one")
    states.append(2)
    woken = threading.Event()
    fetching.begin_after("two", "c", 1, woken.set)
    assert woken.wait(PATIENCE) and done.is_set(), "who was forgotten is not woken"


@pytest.mark.parametrize("error", [Transient(reason="it hangs"), ValueError("a mistake")])
def test_who_waits_while_nobody_can_look_meets_the_same(
    fetching: Fetching, states: list[int | Exception], error: Exception
) -> None:
    states.append(error)
    woken = threading.Event()
    fetching.begin_after("one", "c", 1, woken.set)
    assert woken.wait(PATIENCE)


def _wait(hang: threading.Event) -> None:
    hang.wait(PATIENCE)


def test_one_that_hangs_keeps_no_other_from_its_turn() -> None:
    hang, done = threading.Event(), threading.Event()
    fetching = Fetching(dict, threads=2)
    fetching.begin(partial(_wait, hang))
    fetching.begin(done.set)
    assert done.wait(PATIENCE)
    hang.set()
    fetching.stop()
