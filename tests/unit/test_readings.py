"""A stream of results by hand, at both ends of a socket: what is said, in which order, and when it lets go."""

from __future__ import annotations

import io
import random
import socket
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from typing import Any

import pytest

from tagapi.jobs.errors import NotFoundInData, Transient
from tagapi.namespaces.export.stream import AWAY, CONTROL_EVERY, FETCH_BELOW, HOLDS_EVERY, LEAVING, Asked, ResultStream
from tagapi.pushes.chunked import UNTAKEN
from tagapi.pushes.hub import BEAT, GOING_AWAY
from tagapi.pushes.push import Gone
from tests.unit.readings import (
    Documents,
    FetchingByHand,
    chunks,
    controls,
    dechunked,
    errors,
    numbers,
    split,
    taken,
)

NOW = 1000.0


class Conversation:
    """A stream, and its client at the other end; `turn` is what the hub and a thread would do."""

    def __init__(self, documents: Documents, resume_offset: str | None = None, **more: Any) -> None:
        self.ours, self.theirs = socket.socketpair()
        for end in (self.ours, self.theirs):
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32 * 1024)
        self.fetching = FetchingByHand(documents.states)
        facts = {"wait": False, "max_hits": None, "chunked": True, "holds": lambda: True, **more}
        asked = Asked(collector_id="c", resume_offset=resume_offset or "earliest", connection_id="#a#", **facts)
        self.heard_of: list[object] = []
        reading = documents.open("c", "ann", resume_offset)
        self.stream = ResultStream(self.ours, NOW, self.heard_of.append, self.fetching, reading, asked)
        self.stream.begin("r-1")
        self.told = b""

    def turn(self) -> bool:
        """One of the hub's; answers with whether anything was fetched."""
        self.stream.flush()
        did = self.fetching.turn()
        if self.heard_of:
            self.heard_of.clear()
            self.stream.heard()
        self.stream.flush()
        return did

    def take(self, most: int = 1 << 30) -> bytes:
        self.told += (data := taken(self.theirs, most))
        return data

    def run(self) -> list[dict[str, Any]]:
        """Until there is nothing more to fetch or to take; answers with the lines so far."""
        while self.turn() or self.take():
            pass
        return self.lines()

    def lines(self) -> list[dict[str, Any]]:
        return chunks(dechunked(split(self.told)[1])[0])

    @property
    def ended(self) -> bool:
        return dechunked(split(self.told)[1])[1]


Talk = Callable[..., Conversation]


@pytest.fixture
def talk() -> Iterator[Talk]:
    opened: list[Conversation] = []

    def begin(*args: Any, **more: Any) -> Conversation:
        opened.append(Conversation(*args, **more))
        return opened[-1]

    yield begin
    for one in opened:
        one.ours.close()
        one.theirs.close()


class Received:
    """What came in, as a socket that http.client reads from."""

    def __init__(self, told: bytes) -> None:
        self._told = told

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._told)


def test_documents_come_in_batches_and_after_each_where_the_reader_is(talk: Talk) -> None:
    one = talk(Documents(there=2500))
    told = one.run()
    assert numbers(told) == list(range(2500))
    assert controls(told) == ["earliest", "o1000", "o2000", "o2500", "o2500"]
    kinds = "".join(chunk["chunk_type"][3] for chunk in told)
    assert kinds == "C" + "R" * 1000 + "C" + "R" * 1000 + "C" + "R" * 500 + "CC"
    assert told[0]["chunk_control"] == {"connection_id": "#a#", "resume_offset": "earliest", "collector_id": "c"}
    assert one.ended and one.stream.leaving is not None


def test_the_answer_is_http(talk: Talk) -> None:
    documents = Documents(there=1500)
    one = talk(documents)
    one.run()
    answer = HTTPResponse(Received(one.told))  # type: ignore[arg-type]
    answer.begin()
    told = chunks(answer.read())
    assert (answer.status, answer.getheader("Transfer-Encoding"), numbers(told)) == (200, "chunked", list(range(1500)))
    assert split(one.told)[0] == [
        "HTTP/1.1 200 OK",
        "Content-Type: text/plain; charset=utf-8",
        "Cache-Control: no-store",
        "X-Accel-Buffering: no",
        "Connection: close",
        "X-Request-ID: r-1",
        "Transfer-Encoding: chunked",
    ]


def test_who_knows_no_chunks_gets_none(talk: Talk) -> None:
    one = talk(Documents(there=1500), chunked=False)
    while one.turn() or one.take():
        pass
    head, body = split(one.told)
    assert not any(line.startswith("Transfer-Encoding") for line in head)
    assert numbers(chunks(body)) == list(range(1500))
    assert one.stream.leaving is not None, "it ends with the connection"


@pytest.mark.parametrize("hits", [0, 1, 999, 1000, 1001, 2500, 9999])
def test_no_more_come_than_are_asked_for(talk: Talk, hits: int) -> None:
    one = talk(Documents(there=2500), max_hits=hits, wait=hits < 2501)
    told, there = one.run(), min(hits, 2500)
    assert numbers(told) == list(range(there))
    assert controls(told)[-1] == f"o{there}"
    assert one.ended


def test_an_empty_collector_has_an_end(talk: Talk) -> None:
    one = talk(Documents(), resume_offset="latest")
    assert controls(one.run()) == ["latest", "o0", "o0"]
    assert one.ended


# -- what is not kept ----------------------------------------------------------------------


def test_who_asks_for_what_is_not_kept_is_told_where_it_begins(talk: Talk) -> None:
    told = talk(Documents(there=9, earliest=5), resume_offset="o2").run()
    assert told[0]["chunk_control"] == {
        "connection_id": "#a#",
        "resume_offset": "o5",
        "collector_id": "c",
        "expired": True,
    }
    assert numbers(told) == [5, 6, 7, 8]
    assert all("expired" not in chunk["chunk_control"] for chunk in told[1:] if chunk["chunk_type"] == "CT_CONTROL")


@pytest.mark.parametrize(("there", "left"), [(9, [7, 8]), (7, [])])
def test_what_is_forgotten_meanwhile_is_told_where_it_was(talk: Talk, there: int, left: list[int]) -> None:
    documents = Documents(there=there, at_once=3)
    one = talk(documents)
    one.turn()
    documents.earliest = 7
    told = one.run()
    assert numbers(told) == [0, 1, 2, *left]
    (at,) = [number for number, chunk in enumerate(told) if "expired" in chunk.get("chunk_control", {})]
    assert told[at]["chunk_control"]["resume_offset"] == "o7"
    assert told[at - 1]["chunk_control"]["resume_offset"] == "o3"
    assert controls(told)[-1] == f"o{there}"


# -- errors --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            NotFoundInData(thing="collector", name="c"),
            {"status_code": "15", "status_message": "There is no collector c."},
        ),
        (Transient(reason="disk /data/x hangs"), {"status_code": "1", "status_message": AWAY}),
        (RuntimeError("a secret"), {"status_code": "1", "status_message": AWAY}),
    ],
)
def test_an_error_is_the_last_line(talk: Talk, error: Exception, told: dict[str, str]) -> None:
    one = talk(Documents(there=3000, fails=lambda offset: error if offset == 2000 else None))
    lines = one.run()
    assert numbers(lines) == list(range(2000))
    assert lines[-2]["chunk_control"]["resume_offset"] == "o2000", "from there on the client may try again"
    assert errors(lines[-1:]) == [told]
    assert one.ended


# -- readers who take their time -----------------------------------------------------------


def test_no_more_is_fetched_than_is_taken(talk: Talk) -> None:
    documents = Documents(there=100_000, width=1000)
    one = talk(documents)
    batch = len(documents.lines(0, 1000))
    for _ in range(20):
        one.turn()
    assert FETCH_BELOW <= one.stream.unsent < FETCH_BELOW + batch + 1000
    assert not one.fetching.begun
    one.stream.beat(NOW + UNTAKEN - 1)
    assert one.stream.unsent < FETCH_BELOW + batch + 1000


def test_who_takes_nothing_for_long_is_let_go(talk: Talk) -> None:
    one = talk(Documents(there=10_000, width=1000))
    now = NOW
    for _ in range(5):
        one.turn()
        one.stream.beat(now := now + UNTAKEN - 1)
        assert one.take(100_000), "slow, and yet there"
    one.turn()
    one.stream.beat(now := now + 1)
    one.stream.beat(now + UNTAKEN)
    with pytest.raises(Gone):
        one.stream.beat(now + UNTAKEN + 1)


def test_who_has_everything_is_kept(talk: Talk) -> None:
    one = talk(Documents(there=1), wait=True)
    now = NOW
    for _ in range(20):
        one.stream.beat(now := now + UNTAKEN)
        one.run()
    assert not one.ended


def test_a_last_word_that_is_not_taken_ends_too(talk: Talk) -> None:
    one = talk(Documents(there=3000, width=1000))
    one.turn()
    one.stream.end(GOING_AWAY, "")
    one.stream.beat(NOW + 1)
    with pytest.raises(Gone):
        one.stream.beat(NOW + UNTAKEN + 2)


# -- who waits -----------------------------------------------------------------------------


def test_who_waits_hears_of_what_comes(talk: Talk) -> None:
    documents = Documents(there=3)
    one = talk(documents, wait=True)
    assert numbers(one.run()) == [0, 1, 2]
    assert not one.ended and one.stream in one.fetching.waiting
    documents.there = 5
    told = one.run()
    assert (numbers(told), controls(told)) == ([0, 1, 2, 3, 4], ["earliest", "o3", "o5"])


def test_who_waits_is_told_where_it_is_at_least_every_ten_seconds(talk: Talk) -> None:
    one = talk(Documents(there=3), resume_offset="latest", wait=True)
    one.run()
    silent, now, most = 0.0, NOW, 0.0
    for _ in range(200):
        one.stream.beat(now := now + BEAT)
        one.stream.flush()
        silent = 0.0 if one.take() else silent + BEAT
        most = max(most, silent)
    assert CONTROL_EVERY <= most + BEAT < 10
    assert set(controls(one.lines())[1:]) == {"o3"}


def test_whose_token_was_revoked_hears_no_more(talk: Talk) -> None:
    held = [True]
    one = talk(Documents(there=3), wait=True, holds=lambda: held[0])
    one.run()
    held[0] = False
    one.stream.beat(NOW + HOLDS_EVERY - 1)
    assert not one.stream.closing
    one.stream.beat(NOW + HOLDS_EVERY + 1)
    assert controls(one.run())[-1] == "o3"
    assert one.ended


def test_who_left_is_waited_for_by_nobody(talk: Talk) -> None:
    documents = Documents(there=3)
    one, other = talk(documents, wait=True), talk(documents, wait=True)
    one.run()
    one.stream.left()
    assert not one.fetching.waiting
    other.stream.flush()
    other.stream.left()
    other.fetching.turn()
    assert not other.heard_of, "what was asked for is not fetched"


# -- the end of the service ----------------------------------------------------------------


def test_at_the_end_what_was_not_begun_is_left_for_the_next_time(talk: Talk) -> None:
    documents = Documents(there=5000, width=400, at_once=500)
    one = talk(documents)
    for _ in range(10):
        one.turn()
    before = one.stream.unsent
    one.stream.end(GOING_AWAY, "")
    assert one.stream.unsent < before - 200_000
    told = one.run()
    assert (numbers(told), controls(told)[-1]) == (list(range(500)), "o500")
    assert told[-1]["chunk_error"] == {"status_code": "1", "status_message": LEAVING}
    assert one.ended
    one.stream.end(GOING_AWAY, "")
    assert not one.stream.unsent, "once is enough"


def test_the_end_before_the_first_word(talk: Talk) -> None:
    one = talk(Documents(there=5), resume_offset="o2")
    one.stream.end(GOING_AWAY, "")
    assert controls(one.run()) == ["o2"]
    assert one.ended


@pytest.mark.parametrize("seed", range(40))
def test_each_document_comes_once_however_often_it_ends(talk: Talk, seed: int) -> None:
    """Readers of any pace, ends at any moment; each goes on where the last control says."""
    chance = random.Random(seed)
    documents = Documents(
        there=chance.randrange(6000), width=chance.choice([1, 100, 700]), at_once=chance.choice([1000, 333, 77])
    )
    got: list[int] = []
    offset: str | None = None
    for _ in range(10_000):
        one = talk(documents, resume_offset=offset)
        for _ in range(chance.randrange(30)):
            one.turn()
            one.take(chance.choice([1, 1000, 100_000, 1 << 30]))
        one.stream.end(GOING_AWAY, "")
        told = one.run()
        assert one.ended
        got += numbers(told)
        offset = controls(told)[-1]
        if offset == f"o{documents.there}":
            break
    assert got == list(range(documents.there))
