"""A push that speaks WebSocket (RFC 6455), by wsproto: messages of text both ways, pings, a close that says why."""

from __future__ import annotations

import socket
from abc import abstractmethod

from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError, generate_accept_token

from tagapi.pushes.push import Gone, Push

PING_EVERY = 20.0  # seconds of silence
SILENT = 45.0  # seconds without a byte from the client: it is gone, whatever the network says
MOST_MESSAGE = 16 * 1024  # bytes that a client may send at once
CANNOT_ACCEPT, TOO_LARGE, PROTOCOL = 1003, 1009, 1002


def head(key: str, request_id: str) -> bytes:
    """The answer to a handshake whose `Sec-WebSocket-Key` this is."""
    accept = generate_accept_token(key.encode()).decode()
    lines = (
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept}",
        f"X-Request-ID: {request_id}",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


class WebSocket(Push):
    """Frames are wsproto's; what the messages mean is a subclass's."""

    def __init__(self, sock: socket.socket, ahead: bytes, now: float) -> None:
        """`ahead` is what the client sent right behind its request."""
        super().__init__(sock)
        self._frames = Frames(ConnectionType.SERVER, trailing_data=ahead)
        self._text: list[str] = []
        self._size = 0
        self._last_heard = self._pinged = now

    def received(self, data: bytes) -> None:
        self._frames.receive_data(data)
        self.take()

    def take(self) -> None:
        """Everything that the frames which came in so far say. Raises Gone."""
        try:
            for event in self._frames.events():
                self._last_heard = self.moved or self._last_heard
                self._event(event)
        except RemoteProtocolError:
            self.end(PROTOCOL, "malformed")

    def _event(self, event: Event) -> None:
        if isinstance(event, TextMessage):
            self._size += len(event.data) or 1  # a message of empty frames ends some time, too
            if self._size > MOST_MESSAGE:
                self.end(TOO_LARGE, "too large")
                return
            self._text.append(event.data)
            if event.message_finished:
                text = "".join(self._text)
                self._text, self._size = [], 0
                self.message(text)
        elif isinstance(event, BytesMessage):
            self.end(CANNOT_ACCEPT, "text is expected")
        elif isinstance(event, Ping):
            self._frame(event.response())
        elif isinstance(event, CloseConnection):
            self._frame(event.response())
            self.closing = True

    def say(self, text: str) -> None:
        """Send a message."""
        self._frame(TextMessage(data=text))

    def end(self, code: int, reason: str) -> None:
        if not self.closing:
            self._frame(CloseConnection(code=code, reason=reason))
            self.closing = True

    def _frame(self, event: Event) -> None:
        try:
            self.send(self._frames.send(event))
        except LocalProtocolError:  # it is closing already
            raise Gone from None

    def beat(self, now: float) -> None:
        if now - self._last_heard > SILENT:
            raise Gone
        if now - max(self._last_heard, self._pinged) > PING_EVERY:
            self._pinged = now
            self._frame(Ping())

    @abstractmethod
    def message(self, text: str) -> None:
        """A message came in. Raises Gone."""
