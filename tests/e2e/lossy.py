"""A way to a server that loses answers, cuts them short or spoils them, as a test says; and that the server may leave
and come back behind."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

BEGINS = re.compile(rb"(?:GET|POST|PUT|DELETE|HEAD) /")
PIECE = 65536

Spoil = Callable[[bytes, int], tuple[bytes, bool]]
"""From bytes of an answer, and how many came before them, to what is passed on, and whether the connection goes on."""


def lose(piece: bytes, before: int) -> tuple[bytes, bool]:
    """The server has done what was asked, and nobody hears of it."""
    return b"", False


def cut(after: int) -> Spoil:
    """The answer ends in its middle."""
    return lambda piece, before: (piece[: max(0, after - before)], before + len(piece) < after)


def flip(at: int) -> Spoil:
    """One byte is another one."""

    def spoil(piece: bytes, before: int) -> tuple[bytes, bool]:
        place = at - before
        if 0 <= place < len(piece):
            piece = piece[:place] + bytes([piece[place] ^ 1]) + piece[place + 1 :]
        return piece, True

    return spoil


@dataclass
class Lossy:
    """What one may do to the answers that come by."""

    port: int
    upstream: int
    seen: list[str] = field(default_factory=list)
    """Every request: its line and its headers."""
    faults: list[tuple[bytes, Spoil]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def spoil(self, begins: str, *how: Spoil) -> None:
        """What happens to the answers to the next requests that begin so, one after the other."""
        self.faults += [(begins.encode(), one) for one in how]

    def asked(self, begins: str) -> list[str]:
        return [one for one in self.seen if one.startswith(begins)]

    def take(self, request: bytes) -> Spoil | None:
        self.seen.append(request.decode("latin-1"))
        for number, (begins, how) in enumerate(self.faults):
            if request.startswith(begins):
                del self.faults[number]
                return how
        return None


@contextmanager
def lossy(upstream: int) -> Iterator[Lossy]:
    """The way to a port of this machine."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        way = Lossy(listening.getsockname()[1], upstream)

        def serve() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=_carry, args=(way, listening.accept()[0]), daemon=True).start()

        thread = threading.Thread(target=serve, name="lossy", daemon=True)
        thread.start()
        try:
            yield way
        finally:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def _carry(way: Lossy, client: socket.socket) -> None:
    """One connection, to its end."""
    with client:
        try:
            server = socket.create_connection(("127.0.0.1", way.upstream), 5)
        except OSError:
            return
        with server:
            server.settimeout(None)
            current: list[Spoil | None] = [None]
            sent = [0]
            there = threading.Thread(target=_forth, args=(way, client, server, current, sent), daemon=True)
            there.start()
            _back(client, server, current, sent)
            for one in (client, server):
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            there.join(5)


def _forth(
    way: Lossy, client: socket.socket, server: socket.socket, current: list[Spoil | None], sent: list[int]
) -> None:
    with suppress(OSError):
        while piece := client.recv(PIECE):
            if BEGINS.match(piece):
                current[0], sent[0] = way.take(piece), 0
            server.sendall(piece)
        server.shutdown(socket.SHUT_RDWR)


def _back(client: socket.socket, server: socket.socket, current: list[Spoil | None], sent: list[int]) -> None:
    with suppress(OSError):
        while piece := server.recv(PIECE):
            before, goes_on = sent[0], True
            sent[0] += len(piece)
            if current[0] is not None:
                piece, goes_on = current[0](piece, before)
            client.sendall(piece)
            if not goes_on:
                return
