"""Opens the streams of results: everything that can be refused is refused here, before a client hears a word."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Protocol

from tagapi.namespaces.export.fetching import Fetching, States
from tagapi.namespaces.export.stream import Asked, Reading, ResultStream
from tagapi.namespaces.problems import Unavailable
from tagapi.pushes.hub import Hub

EARLIEST = "earliest"
RETRY_AFTER = 5  # seconds


class ReadsFull(Unavailable):
    message = "There are {open} open streams, which is as many as may be. Try again in {retry_after} s."
    code = "reads_full"


class OwnReadsFull(ReadsFull):
    message = "You have {open} open streams, which is as many as anybody may have. Try again in {retry_after} s."
    code = "own_reads_full"


class Reader(Protocol):
    """What knows the collectors. Safe to use from many threads."""

    def open(self, collector_id: str, owner: str, resume_offset: str | None) -> Reading:
        """`owner` is a user's name. Raises NotFoundInData, BadOffset, and Transient or TaskFailed of the storage."""

    def states(self) -> States:
        """Of all collectors, by the keys of their readings: another one after each commit to a collector, whoever
        made it. Raises Transient."""


class Readings:
    """Of one process."""

    def __init__(self, hub: Hub, reader: Reader) -> None:
        self._hub, self._reader = hub, reader
        self._most_of_one = max(1, hub.most * 3 // 4)
        """Streams that one user may have open: the others find a place, too."""
        self._open: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._fetching = Fetching(reader.states)

    def stop(self) -> None:
        """To be called behind the hub's."""
        self._fetching.stop()

    def open(
        self,
        collector_id: str,
        owner: str,
        resume_offset: str | None,
        wait: bool,
        max_hits: int | None,
        *,
        request_id: str,
        chunked: bool,
        holds: Callable[[], bool],
    ) -> Callable[[socket.socket, bytes], None]:
        """What goes on with the connection. Raises ReadsFull, and what `Reader.open` raises."""
        reading = self._reading(collector_id, owner, resume_offset)
        asked = Asked(
            collector_id=collector_id,
            resume_offset=resume_offset or EARLIEST,
            wait=wait,
            max_hits=max_hits,
            connection_id=f"#{secrets.token_hex(6)}#",
            chunked=chunked,
            holds=holds,
        )
        return partial(self._go_on, reading, asked, request_id, owner)

    def _reading(self, collector_id: str, owner: str, resume_offset: str | None) -> Reading:
        """With a place for it: who has none may not even ask the storage."""
        self._come(owner)
        try:
            if not self._hub.reserve():
                raise ReadsFull(open=self._hub.most, retry_after=RETRY_AFTER)
            try:
                return self._reader.open(collector_id, owner, resume_offset)
            except BaseException:
                self._hub.cede()
                raise
        except BaseException:
            self._leave(owner)
            raise

    def _come(self, owner: str) -> None:
        with self._lock:
            if self._open[owner] >= self._most_of_one:
                raise OwnReadsFull(open=self._open[owner], retry_after=RETRY_AFTER)
            self._open[owner] += 1

    def _leave(self, owner: str) -> None:
        with self._lock:
            self._open[owner] -= 1
            if not self._open[owner]:
                del self._open[owner]

    def _go_on(
        self, reading: Reading, asked: Asked, request_id: str, owner: str, sock: socket.socket, ahead: bytes
    ) -> None:
        leave = partial(self._leave, owner)
        stream = ResultStream(sock, time.monotonic(), self._hub.news, self._fetching, reading, asked, leave)
        stream.begin(request_id)
        self._hub.add(stream)
