"""A push that is a `text/event-stream` (HTML standard): events with ids, and comments as a heartbeat."""

from __future__ import annotations

import socket

from tagapi.pushes.push import Push

COMMENT_EVERY = 15.0  # seconds of silence, so that nobody on the way takes the stream for dead


def head(request_id: str) -> bytes:
    """The answer that the events follow. It ends with the connection, as it has no length."""
    lines = (
        "HTTP/1.1 200 OK",
        "Content-Type: text/event-stream; charset=utf-8",
        "Cache-Control: no-store",
        "X-Accel-Buffering: no",
        "Connection: close",
        f"X-Request-ID: {request_id}",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


class EventStream(Push):
    """What the events are is a subclass's."""

    def __init__(self, sock: socket.socket, now: float) -> None:
        super().__init__(sock)
        self._said = now

    def say(self, name: str, data: str, event_id: int | None = None) -> None:
        """Send an event. `data` has no line breaks."""
        number = "" if event_id is None else f"id: {event_id}\n"
        self.send(f"{number}event: {name}\ndata: {data}\n\n".encode())
        self._said = self.moved or self._said

    def received(self, data: bytes) -> None:
        """Nothing is expected of a client that listens."""

    def beat(self, now: float) -> None:
        if now - self._said > COMMENT_EVERY:
            self._said = now
            self.send(b": still here\n\n")

    def end(self, code: int, reason: str) -> None:
        """The client asks again, and goes on where it was."""
        self.closing = True
