"""Connections that stall, by the hundred, and what the others see meanwhile: for the part `stalled` and the tests."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import cycle

CONNECT_SECONDS = 10.0
TINY = 4096  # bytes that a slow reader's socket takes in

HALF_LINE = b"GET /health/li"
HALF_HEAD = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Half: "
ONE_BYTE = (
    b"POST /api/v1/tags/trigger HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 1000\r\n\r\n{"
)
LARGE = b"GET /swagger.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
KINDS: Mapping[str, Callable[[], Sequence[bytes]]] = {
    "half a request line": lambda: [HALF_LINE],
    "half a head": lambda: [HALF_HEAD],
    "one byte of a body": lambda: [ONE_BYTE],
    "slow readers": lambda: [LARGE * 100],  # some ten megabytes of answers, of which nothing is read
}
"""What each connection sends before it stalls."""


@contextmanager
def stalled(port: int, sends: Sequence[bytes], count: int, tiny: bool = False) -> Iterator[list[socket.socket]]:
    """So many connections, each of which has sent its part, and neither sends nor reads any more."""
    with ExitStack() as stack:
        opened = []
        for part, _ in zip(cycle(sends), range(count), strict=False):
            connection = stack.enter_context(socket.socket())
            if tiny:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, TINY)
            connection.settimeout(CONNECT_SECONDS)
            connection.connect(("127.0.0.1", port))
            with suppress(ConnectionError):  # it may be ended while it still sends
                connection.sendall(part)
            opened.append(connection)
        yield opened


@dataclass(frozen=True, slots=True)
class Ask:
    """One question, on a connection of its own: what was answered, and how long that took."""

    status: int
    seconds: float
    head: bytes
    body: bytes


def ask(port: int, *parts: bytes, pause: float = 0.0, seconds: float = 30.0) -> Ask:
    """Send a request, in parts, and read until the server hangs up. Status 0 where nothing came."""
    began = time.monotonic()
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection, suppress(OSError):
        for number, part in enumerate(parts):
            if number:
                time.sleep(pause)
            connection.sendall(part)
        while more := connection.recv(65536):
            got += more
    head, _, body = got.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1]) if head.startswith(b"HTTP/1.") else 0
    return Ask(status, time.monotonic() - began, head, body)


def get(path: str) -> bytes:
    """A GET after whose answer the server hangs up."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()


def upload(size: int, pieces: int) -> list[bytes]:
    """A trigger whose body, padded with spaces to `size` bytes, comes in pieces. It names no tag, and is refused."""
    body = b'{"tag_ids": []}'.ljust(size)
    head = (
        b"POST /api/v1/tags/trigger HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % size
    )
    step = -(-size // pieces)
    return [head, *(body[at : at + step] for at in range(0, size, step))]
