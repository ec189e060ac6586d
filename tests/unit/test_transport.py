"""Which of the ways to end a request to a platform has met, by what came over the wire."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tag_tasks.platforms.meta import judge
from tag_tasks.platforms.transport import Asked, PlatformBusy, PlatformRefused, Transport, Unanswered
from tests.e2e.server import free_port
from tests.unit.fakes import PATIENCE


@contextmanager
def answering(said: bytes) -> Iterator[int]:
    """A port at which one request is read and so much is said of it."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(PATIENCE)
                connection.recv(65536)
                connection.sendall(said)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(PATIENCE)


def send(port: int, scheme: str = "http") -> object:
    return Transport("Meta", judge, seconds=PATIENCE).send(
        Asked("POST", f"{scheme}://127.0.0.1:{port}/campaigns", {}, json={"name": "a"})
    )


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
        b'HTTP/1.1 307 Temporary Redirect\r\nLocation: /\r\nContent-Length: 11\r\n\r\n{"id": "1"}',
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<ok>",
        b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"id":',
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
        b"no HTTP at all\r\n\r\n",
    ],
    ids=lambda said: repr(said[:30]),
)
def test_what_is_no_answer_of_the_platform_says_nothing_of_the_effect(said: bytes) -> None:
    with answering(said) as port, pytest.raises(Unanswered):
        send(port)


def test_an_error_of_tls_says_nothing_of_the_effect() -> None:
    """It may be met while the answer is read, too, and looks the same."""
    with answering(b"\x15\x03\x03 a broken record") as port, pytest.raises(Unanswered):
        send(port, "https")


def test_where_nobody_listens_nothing_happened() -> None:
    with pytest.raises(PlatformBusy):
        send(free_port())


def test_a_refusal_without_a_body_is_one() -> None:
    with answering(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n") as port, pytest.raises(PlatformRefused):
        send(port)
