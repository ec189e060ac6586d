"""A push that is an answer without an end in sight, by chunks (RFC 9112, 7.1), or for HTTP/1.0 until it hangs up.

A client takes it as fast as it likes, and what is to be sent next is fetched only when most is taken: so it is not
let go for what it leaves untaken, but for taking nothing at all.
"""

from __future__ import annotations

import math
import socket
from collections import deque

from tagapi.pushes.push import Gone, Push

UNTAKEN = 60.0  # seconds without a byte taken, while there are some: nobody reads any more
SMALL = 16 * 1024  # bytes: a chunk of fewer is sent in one piece, others as they lie in memory
LAST_CHUNK = b"0\r\n\r\n"


def head(request_id: str, *, chunked: bool) -> bytes:
    """The answer that the chunks follow."""
    lines = [
        "HTTP/1.1 200 OK",
        "Content-Type: text/plain; charset=utf-8",
        "Cache-Control: no-store",
        "X-Accel-Buffering: no",
        "Connection: close",
        f"X-Request-ID: {request_id}",
    ]
    if chunked:
        lines.append("Transfer-Encoding: chunked")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


class ChunkedStream(Push):
    """What the chunks are is a subclass's, and that not too many wait at once."""

    most_unsent = math.inf

    def __init__(self, sock: socket.socket, now: float, *, chunked: bool) -> None:
        super().__init__(sock)
        self._chunked = chunked
        self.put_so_far = 0
        """Bytes, of all that was ever put here and was not taken back."""
        self._begins: deque[tuple[int, str]] = deque()
        """Of each chunk that may not have begun to be sent: the bytes before it, and its place."""
        self._taken, self._taken_at = 0, now

    def send(self, data: bytes | memoryview) -> None:
        before = self.unsent
        super().send(data)
        self.put_so_far += self.unsent - before

    def put(self, *parts: bytes | memoryview, place: str) -> None:
        """Send one chunk, in which there is something; `place` is where the client is as long as it has not got it."""
        while self._begins and self._begins[0][0] < self.put_so_far - self.unsent:
            self._begins.popleft()
        self._begins.append((self.put_so_far, place))
        size = sum(map(len, parts))
        framed = (b"%x\r\n" % size, *parts, b"\r\n") if self._chunked else parts
        for part in [b"".join(framed)] if size < SMALL else framed:
            self.send(part)

    def take_back(self) -> str | None:
        """Take back the chunks of which nothing was sent; answers with the place of the first, None without any."""
        place = None
        while self._begins and self._begins[-1][0] >= self.put_so_far - self.unsent:
            begin, place = self._begins.pop()
            while self.put_so_far > begin:
                size = len(self._unsent.pop())
                self.put_so_far -= size
                self.unsent -= size
        return place

    def finish(self) -> None:
        """Nothing follows. Who sees no last chunk knows that something is missing."""
        if self._chunked:
            self.send(LAST_CHUNK)
        self.closing = True

    def beat(self, now: float) -> None:
        taken = self.put_so_far - self.unsent
        if not self.unsent or taken != self._taken:
            self._taken, self._taken_at = taken, now
        elif now - self._taken_at > UNTAKEN:
            raise Gone

    def received(self, data: bytes) -> None:
        """Nothing is expected of a client that reads."""
