"""Clients of what is pushed: a WebSocket, by a library that is not the service's, and a stream of events."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.e2e.server import Late, Server
from tests.e2e.tasks_client import TASKS

Message = dict[str, Any]
PATIENCE = 20.0  # seconds
MESSAGE = {"task_id", "status", "progress", "event", "at"}
"""What every message has."""


class Socket:
    """A socket, and what came over it."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.seen: list[Message] = []

    def say(self, message: object) -> None:
        self.connection.send(message if isinstance(message, str) else json.dumps(message))

    def subscribe(self, *job_ids: str) -> None:
        self.say({"subscribe": list(job_ids)})

    def next(self, seconds: float = PATIENCE) -> Message:
        try:
            message: Message = json.loads(self.connection.recv(timeout=seconds))
        except TimeoutError:
            raise Late(f"no message within {seconds} s, after {self.seen}") from None
        self.seen.append(message)
        return message

    def until(self, enough: Callable[[Message], bool]) -> list[Message]:
        """All that comes, up to the first that is enough."""
        came = [self.next()]
        deadline = time.monotonic() + 2 * PATIENCE
        while not enough(came[-1]):
            assert time.monotonic() < deadline, came
            came.append(self.next())
        return came

    def final(self) -> list[Message]:
        return self.until(lambda message: message.get("final") is True)

    def quiet(self, seconds: float) -> None:
        """Nothing comes for so long."""
        with suppress(TimeoutError):
            message = self.connection.recv(timeout=seconds)
            raise AssertionError(f"unexpected: {message!r}")

    def closed(self, seconds: float) -> int | None:
        """The code with which the server closes, within so many seconds; whatever comes before it is let by."""
        deadline = time.monotonic() + seconds
        try:
            while True:
                self.connection.recv(timeout=max(0.0, deadline - time.monotonic()))
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None
        except TimeoutError:
            raise Late(f"not closed within {seconds} s") from None


@contextmanager
def socket_to(server: Server, token: str | None = "ann-token", query: str = "", **headers: str) -> Iterator[Socket]:
    """An open socket. Raises InvalidStatus where it is refused."""
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    url = f"ws://127.0.0.1:{server.port}{TASKS}/ws{query}"
    with connect(url, additional_headers=headers, proxy=None, compression=None) as connection:
        yield Socket(connection)


class Stream:
    """A stream of events as they come."""

    def __init__(self, answer: requests.Response) -> None:
        self.answer = answer
        self._lines = answer.iter_lines(chunk_size=1, decode_unicode=True)

    def events(self) -> Iterator[tuple[str | None, str, Message]]:
        """The id, the name and the data of each, to the end of the stream."""
        fields: dict[str, str] = {}
        for line in self._lines:
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "data" in fields:
                yield fields.get("id"), fields["event"], json.loads(fields["data"])
                fields = {}


@contextmanager
def stream_of(
    server: Server, task_id: str, after: object = None, token: str | None = "ann-token", query: str = "", **more: str
) -> Iterator[Stream]:
    """The events of a job, live."""
    headers = {"Accept": "text/event-stream", **more}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    if after is not None:
        headers["Last-Event-ID"] = str(after)
    with requests.Session() as session:
        session.trust_env = False
        url = f"{server.url}{TASKS}/events/{task_id}{query}"
        with session.get(url, headers=headers, stream=True, timeout=PATIENCE) as answer:
            yield Stream(answer)
