"""A connection: what came in, what is to go out, and since when it has not moved. Nothing in here waits."""

from __future__ import annotations

import enum
import logging
import socket
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from gunicorn.http.wsgi import Response

from tagapi.serving.framing import Incoming

log = logging.getLogger(__name__)

PIECES = 64  # buffers that one call sends, well below what a system takes


class Outgoing:
    """Where an answer is written to: gunicorn takes it for the socket. What the client does not take yet is kept."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._parts: deque[memoryview] = deque()
        self.pending = 0  # bytes kept in memory
        self.sent = 0  # bytes, since the connection was made

    def __bool__(self) -> bool:
        return bool(self._parts)

    def sendall(self, data: bytes) -> None:
        if data:
            self._parts.append(memoryview(data))
            self.pending += len(data)

    def flush(self) -> int:
        """Send what the client takes now; answers with how many bytes that was. Raises OSError."""
        sent = 0
        try:
            while self._parts:
                sent += self._send()
        except BlockingIOError:
            pass
        self.sent += sent
        return sent

    def _send(self) -> int:
        pieces = list(islice(self._parts, PIECES))
        sent = self._sock.send(pieces[0]) if len(pieces) == 1 else self._sock.sendmsg(pieces)
        self.pending -= sent
        left = sent
        for piece in pieces:
            self._parts.popleft()
            if left < len(piece):
                self._parts.appendleft(piece[left:])
                break
            left -= len(piece)
        return sent


@dataclass(slots=True)
class Answer:
    """An answer that is being made and sent."""

    response: Response
    items: Iterable[bytes]
    environ: dict[str, Any]
    sent_before: int
    """Bytes that the connection had sent before this answer."""

    seconds: float = 0.0
    """That threads have spent on it."""

    made: bool = False
    """Nothing more comes of it; what is left is to be sent."""
    ended: bool = False
    left: Iterator[bytes] = field(init=False)
    """The items that have not been written."""

    def __post_init__(self) -> None:
        self.left = iter(self.items)

    @property
    def cut_short(self) -> bool:
        """Less was written than the head has said."""
        response = self.response
        bodiless = self.environ["REQUEST_METHOD"] == "HEAD" or response.status_code in (204, 304)
        return not bodiless and response.sent < (response.response_length or 0)

    def end(self) -> None:
        """It is sent, or never will be: let go of what it was made of."""
        self.ended = True
        try:
            if (close := getattr(self.items, "close", None)) is not None:
                close()
        except Exception:
            log.exception("answer_not_closed")


class State(enum.Enum):
    """Whom a connection waits for."""

    READING = "reading"
    """Its client: for a request, or the rest of one."""

    WORKING = "working"
    """A thread."""

    SENDING = "sending"
    """Its client, to take in an answer."""

    LEAVING = "leaving"
    """Its client, to hang up: what it still sends is thrown away, or the end of the answer might be."""


class Connection:
    """One client's connection to a worker."""

    def __init__(self, sock: socket.socket, client: Any, server: Any, now: float) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.client = client
        self.server = server
        self.incoming = Incoming()
        self.outgoing = Outgoing(sock)
        self.state = State.READING
        self.answer: Answer | None = None
        self.began = now  # to leave
        self.body_began: float | None = None
        self.moved = now  # when a byte came in or went out
        self.deadline = now
        self.events = 0  # that the poller looks for
        self.held = 0  # bytes in memory that are counted as its,
        self.unsent = 0  # and those of them that are an answer
        self.answered = False  # whether it has carried a request before

    @property
    def idle(self) -> bool:
        """Nothing of a request has come."""
        return self.state is State.READING and not self.incoming.data

    @property
    def address(self) -> str:
        return str(self.client[0]) if isinstance(self.client, tuple) and self.client else ""

    def begins(self, now: float, seconds: float) -> None:
        """The first bytes of a request are there; its head has so many seconds."""
        self.body_began = None
        self.deadline = now + seconds

    def rests(self, now: float, deadline: float) -> None:
        """It has been answered, and waits for another request."""
        self.incoming.skip()
        self.answer = None
        self.answered = True
        self.unsent = 0
        self.state = State.READING
        self.moved = now
        self.deadline = deadline
