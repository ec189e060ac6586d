"""One open push: a socket whose answer never ends, and what waits to be sent. Only the hub's thread touches it."""

from __future__ import annotations

import socket
import time
from abc import ABC, abstractmethod
from collections import deque

READ = 16 * 1024  # bytes at once
MOST_UNSENT = 256 * 1024  # bytes that a client may leave untaken: then it is let go


class Gone(Exception):
    """The other side has left, or is let go."""


class Push(ABC):
    """A socket, and whatever protocol is spoken on it."""

    most_unsent: float = MOST_UNSENT

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._unsent: deque[memoryview] = deque()
        self.unsent = 0
        """Bytes."""
        self.moved = 0.0
        """When it last took something in, or sent something, by the hub's clock."""
        self.deaf = False
        """Nothing more comes from the other side; it may still take what is sent."""
        self.closing = False
        """It ends once everything is sent, and the other side has hung up."""
        self.leaving: float | None = None
        """Since when, by the hub's clock, everything is sent."""

    def send(self, data: bytes | memoryview) -> None:
        """Put it behind what waits. Raises Gone where that is too much."""
        if data and not self.closing:
            self._unsent.append(memoryview(data))
            self.unsent += len(data)
            if self.unsent > self.most_unsent:
                raise Gone

    def flush(self) -> None:
        """Send what the client takes now. Raises Gone."""
        try:
            while self._unsent:
                piece = self._unsent.popleft()
                sent = self.sock.send(piece)
                self.unsent -= sent
                if sent < len(piece):
                    self._unsent.appendleft(piece[sent:])
        except BlockingIOError:
            self._unsent.appendleft(piece)
        except OSError:
            raise Gone from None
        if self.closing and not self._unsent and self.leaving is None:
            self._leave()

    def _leave(self) -> None:
        """Let the other side hang up first: with bytes unread, a close would be a reset, and the last words lost."""
        self.leaving = time.monotonic()
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            raise Gone from None
        if self.deaf:  # it has hung up before
            raise Gone

    def read(self) -> bytes:
        """What came in. Raises Gone where nothing more will."""
        try:
            data = self.sock.recv(READ)
        except BlockingIOError:
            return b""
        except OSError:
            raise Gone from None
        if not data:
            self.hung_up()
        return data

    def hung_up(self) -> None:
        """The other side says that it sends nothing more: most often it has left. Raises Gone, or goes on."""
        raise Gone

    @abstractmethod
    def received(self, data: bytes) -> None:
        """Something came in. Raises Gone."""

    @abstractmethod
    def heard(self) -> None:
        """There may be news to send on. Raises Gone."""

    @abstractmethod
    def beat(self, now: float) -> None:
        """Called a few times a second. Raises Gone."""

    @abstractmethod
    def end(self, code: int, reason: str) -> None:
        """Say goodbye: by a code of RFC 6455, where the protocol has such. Raises Gone."""

    @abstractmethod
    def left(self) -> None:
        """It is over: let go of what it followed."""
