"""The stream of a collector's results: documents in batches, and after each of them where the reader is.

The hub's thread says what was fetched, and has the next batch fetched once most of the last one is taken: so a
reader has about two batches in memory, and is as fast as it likes.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tagapi.jobs.errors import JobError, NotFoundInData
from tagapi.namespaces.export.fetching import Fetching
from tagapi.namespaces.export.lines import control_line, error_line
from tagapi.pushes.chunked import ChunkedStream, head
from tagapi.pushes.push import Push

log = logging.getLogger(__name__)

BATCH = 1000  # documents, at most
FETCH_BELOW = 512 * 1024  # bytes unsent, about half a batch: then the next one is fetched
CONTROL_EVERY = 8.0  # seconds of silence: at least every 10 s a reader is told where it is, and beats are half a second
HOLDS_EVERY = 2.0  # seconds between two looks at whether the client may read still
REVOKED = 1008
LATEST = "latest"
GONE_CODE, INTERNAL_CODE, TOKEN_CODE = "15", "1", "7"
REFUSED = "The access token is not valid any more."
LEAVING = "The service is stopping, and this is not the end. Read on from the last resume_offset in a moment."
AWAY = "The documents cannot be read now. Read on from the last resume_offset in a moment."


class Batch(Protocol):
    """Documents that follow each other."""

    @property
    def lines(self) -> Sequence[memoryview]:
        """The bytes of their lines, put behind one another."""

    @property
    def documents(self) -> int:
        """0 where there is none yet behind `first`."""

    @property
    def first(self) -> str:
        """The token of the place before them."""

    @property
    def next(self) -> str:
        """The token of the place behind them."""

    @property
    def expired(self) -> bool:
        """Documents right before them are not kept any more, and were not read."""

    @property
    def state(self) -> Hashable:
        """Of the collector, when it was looked for them."""


class Reading(Protocol):
    """A place in a collector, that moves on."""

    @property
    def key(self) -> Hashable:
        """Of the collector, among the states of all."""

    @property
    def token(self) -> str:
        """Where it began."""

    @property
    def expired(self) -> bool:
        """Whether older documents were asked for than are kept."""

    def next(self, most: int) -> Batch:
        """At most so many documents. May take long. Raises NotFoundInData where the collector was deleted, JobError."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a client asked for, and how it is answered."""

    collector_id: str
    resume_offset: str
    """`earliest`, `latest` or a token."""
    wait: bool
    """Whether it goes on at the end, with what comes then."""
    max_hits: int | None
    connection_id: str
    chunked: bool
    holds: Callable[[], bool]
    """Whether the client may read still."""


class ResultStream(ChunkedStream):
    """One reader's."""

    def __init__(
        self,
        sock: socket.socket,
        now: float,
        news: Callable[[Push], None],
        fetching: Fetching,
        reading: Reading,
        asked: Asked,
        leave: Callable[[], None] = lambda: None,
    ) -> None:
        """`news` is the hub's; `leave` is called once, at the end."""
        super().__init__(sock, now, chunked=asked.chunked)
        self._news, self._fetching, self._reading, self._asked = news, fetching, reading, asked
        self._leave_place = leave
        self._offset = reading.token
        """The place behind the last document that was put here."""
        self._left = asked.max_hits
        self._under_way = self._over = False
        self._fetched: Batch | Exception | None = None
        self._held_at = self._spoke_at = now
        self._spoken = 0

    def begin(self, request_id: str) -> None:
        """Say the first words, before the hub has it."""
        self.send(head(request_id, chunked=self._asked.chunked))
        expired = self._reading.expired
        told = self._offset if expired else self._asked.resume_offset
        self.put(self._control(told, expired=expired), place=self._offset)
        if told == LATEST:  # which will be another place when the client asks again
            self.put(self._control(self._offset), place=self._offset)
        if self._left == 0:
            self._say_last()

    # -- on a thread of the fetching's ---------------------------------------------------------

    def _fetch(self) -> None:
        """Never twice at once: the next one is begun by who takes what this one has fetched."""
        if self._over:
            return
        try:
            self._fetched = self._reading.next(BATCH if self._left is None else min(BATCH, self._left))
        except Exception as error:  # which is told to the client
            self._fetched = error
        self._news(self)

    # -- on the hub's thread -----------------------------------------------------------------

    def heard(self) -> None:
        fetched, self._fetched = self._fetched, None
        if fetched is None or self.closing:
            return
        self._under_way = False
        if isinstance(fetched, Exception):
            self._fail(fetched)
        else:
            self._tell(fetched)

    def _tell(self, batch: Batch) -> None:
        if batch.expired:
            self.put(self._control(batch.first, expired=True), place=self._offset)
            self._offset = batch.first
        if batch.documents:
            self.put(*batch.lines, self._control(batch.next), place=self._offset)
            self._offset = batch.next
            self._left = None if self._left is None else self._left - batch.documents
        elif self._asked.wait:
            self._under_way = True
            self._fetching.begin_after(self, self._reading.key, batch.state, self._fetch)
        if self._left == 0 or not (batch.documents or self._asked.wait):
            self._say_last()

    def _fail(self, error: Exception) -> None:
        if isinstance(error, NotFoundInData):
            line = error_line(GONE_CODE, str(error))
        else:
            known = isinstance(error, JobError)
            log.warning("stream_failed", extra={"reason": str(error)}, exc_info=None if known else error)
            line = error_line(INTERNAL_CODE, AWAY)
        self.put(line, place=self._offset)
        self.finish()

    def _control(self, offset: str, *, expired: bool = False) -> bytes:
        told = {"connection_id": self._asked.connection_id, "resume_offset": offset}
        more = {"expired": True} if expired else {}
        return control_line(**told, collector_id=self._asked.collector_id, **more)

    def _say_last(self) -> None:
        self.put(self._control(self._offset), place=self._offset)
        self.finish()

    def flush(self) -> None:
        super().flush()
        if not (self._under_way or self.closing) and self.unsent < FETCH_BELOW:
            self._under_way = True
            self._fetching.begin(self._fetch)

    def beat(self, now: float) -> None:
        super().beat(now)
        if self.closing:
            return
        if now - self._held_at > HOLDS_EVERY:
            self._held_at = now
            if not self._asked.holds():
                self.end(REVOKED, "the token was revoked")
                return
        self._speak(now)

    def _speak(self, now: float) -> None:
        """Tell who has everything, and waits, that the stream is alive."""
        if self._spoken != self.put_so_far:
            self._spoken, self._spoke_at = self.put_so_far, now
        elif not self.unsent and now - self._spoke_at > CONTROL_EVERY:
            self.put(self._control(self._offset), place=self._offset)

    def hung_up(self) -> None:
        """Who reads to the end may close its own side before; of who waits nobody would know that it left."""
        if self._asked.wait or self.closing:
            super().hung_up()
        self.deaf = True

    def end(self, code: int, reason: str) -> None:
        """What was not begun is not sent: the client asks for it again, by the offset that is told at last."""
        if self.closing:
            return
        self._offset = self.take_back() or self._offset
        self.put(self._control(self._offset), place=self._offset)
        if code == REVOKED:
            self.put(error_line(TOKEN_CODE, REFUSED), place=self._offset)
        elif not self._asked.wait:  # else who reads to the end would take this for it
            self.put(error_line(INTERNAL_CODE, LEAVING), place=self._offset)
        self.finish()

    def left(self) -> None:
        self._over = True
        self._fetching.forget(self)
        self._leave_place()
