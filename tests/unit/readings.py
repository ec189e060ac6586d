"""A reader that is a list, a thread's work done by hand, and a client that takes every byte at its word."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from tagapi.jobs.errors import BadOffset, NotFoundInData
from tagapi.namespaces.export.fetching import Fetching, States

LINE = '{{"chunk_type":"CT_RESULT","number":{number},"content":"{content}"}}\n'


@dataclass(frozen=True, kw_only=True)
class ListBatch:
    lines: Sequence[memoryview]
    documents: int
    first: str
    next: str
    expired: bool = False
    state: int = 0


@dataclass
class Documents:
    """A collector of documents that are numbers; `o7` is the place before document 7."""

    there: int = 0
    width: int = 10
    """Of a document's content, in characters."""
    earliest: int = 0
    at_once: int = 1000
    fails: Callable[[int], Exception | None] = lambda offset: None

    def open(self, collector_id: str, owner: str, resume_offset: str | None) -> ListReading:
        if (collector_id, owner) != ("c", "ann"):
            raise NotFoundInData(thing="collector", name=collector_id)
        named = {None: self.earliest, "earliest": self.earliest, "latest": self.there}
        if resume_offset not in named and not (resume_offset or "").startswith("o"):
            raise BadOffset(field="resume_offset")
        return ListReading(self, named[resume_offset] if resume_offset in named else int(str(resume_offset)[1:]))

    def states(self) -> States:
        return {"c": self.there}

    def lines(self, first: int, behind: int) -> bytes:
        content = "x" * self.width
        return "".join(LINE.format(number=number, content=content) for number in range(first, behind)).encode()


class ListReading:
    key = "c"

    def __init__(self, documents: Documents, offset: int) -> None:
        self._documents = documents
        self.expired = offset < documents.earliest
        self._offset = max(offset, documents.earliest)
        self.token = f"o{self._offset}"

    def next(self, most: int) -> ListBatch:
        documents = self._documents
        if (error := documents.fails(self._offset)) is not None:
            raise error
        expired, first = self._offset < documents.earliest, max(self._offset, documents.earliest)
        behind = min(first + most, first + documents.at_once, documents.there)
        self._offset = behind
        lines = memoryview(documents.lines(first, behind))
        half = len(lines) // 2
        return ListBatch(
            lines=[lines[:half], lines[half:]],
            documents=behind - first,
            first=f"o{first}",
            next=f"o{behind}",
            expired=expired,
            state=documents.there,
        )


class FetchingByHand(Fetching):
    """Nothing is done before `turn`."""

    def __init__(self, states: Callable[[], States]) -> None:
        super().__init__(states)
        self.begun: list[Callable[[], None]] = []
        self.waiting: dict[object, tuple[Hashable, Hashable, Callable[[], None]]] = {}

    def begin(self, work: Callable[[], None]) -> None:
        self.begun.append(work)

    def begin_after(self, who: object, key: Hashable, state: Hashable, work: Callable[[], None]) -> None:
        self.waiting[who] = (key, state, work)

    def forget(self, who: object) -> None:
        self.waiting.pop(who, None)

    def turn(self) -> bool:
        """Do what there is to do; answers with whether there was any."""
        states = self._states()
        due = [who for who, (key, seen, _) in self.waiting.items() if states.get(key) != seen]
        work = self.begun + [self.waiting.pop(who)[2] for who in due]
        self.begun = []
        for one in work:
            one()
        return bool(work)


# -- the client ----------------------------------------------------------------------------


def taken(sock: socket.socket, most: int = 1 << 30) -> bytes:
    """What there is to take now, of at most so many bytes."""
    sock.setblocking(False)
    told = b""
    try:
        while len(told) < most and (data := sock.recv(min(65536, most - len(told)))):
            told += data
    except BlockingIOError:
        pass
    return told


def dechunked(told: bytes) -> tuple[bytes, bool]:
    """The body of whole chunks (RFC 9112, 7.1), and whether the last chunk was there. Nothing may follow it."""
    body = b""
    while told:
        size, _, rest = told.partition(b"\r\n")
        assert size == b"%x" % int(size, 16), size
        length = int(size, 16)
        assert rest[length : length + 2] == b"\r\n", "a chunk ends where it says"
        body, told = body + rest[:length], rest[length + 2 :]
        if not length:
            assert not told, "nothing follows the last chunk"
            return body, True
    return body, False


def split(told: bytes) -> tuple[list[str], bytes]:
    """An answer's head, by lines, and what follows."""
    head, _, body = told.partition(b"\r\n\r\n")
    return head.decode("ascii").split("\r\n"), body


def chunks(body: bytes) -> list[dict[str, Any]]:
    assert body.endswith(b"\n"), "lines are whole"
    return [json.loads(line) for line in body.splitlines()]


def numbers(told: Sequence[dict[str, Any]]) -> list[int]:
    return [one["number"] for one in told if one["chunk_type"] == "CT_RESULT"]


def controls(told: Sequence[dict[str, Any]]) -> list[str]:
    return [one["chunk_control"]["resume_offset"] for one in told if one["chunk_type"] == "CT_CONTROL"]


def errors(told: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    return [one["chunk_error"] for one in told if one["chunk_type"] == "CT_ERROR"]
