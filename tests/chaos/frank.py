"""A client that hides nothing: a connection that is refused is one thing, one that breaks is another."""

from __future__ import annotations

import http.client
import json
import threading
import time
from dataclasses import dataclass
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import requests

from tests.e2e.server import STOP_SECONDS


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that was sent and not answered."""

    request: str
    error: str
    reused: bool
    """Its connection had carried a request before."""
    at: float


class Failures:
    """Of all clients of one life."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.found: list[Failure] = []
        self.clients = count()
        self.refused = 0
        self.answered = 0

    def note(self, failure: Failure | None = None, refused: bool = False) -> None:
        with self._lock:
            self.found += [failure] if failure else []
            self.refused += refused
            self.answered += not failure and not refused


class Answer:
    """As much of a response as a load looks at."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status_code = response.status
        self.headers = response.headers
        self.text = response.read().decode()

    def json(self) -> Any:
        return json.loads(self.text)


class FrankClient:
    """A client that retries nothing, and knows whether a connection was refused or broken.

    Every other one makes a new connection for each request.
    """

    def __init__(self, url: str, failures: Failures) -> None:
        self._address = urlsplit(url).netloc
        self._failures = failures
        self._keeps = next(failures.clients) % 2 == 0
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> FrankClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._drop()

    def get(self, path: str) -> Answer:
        return self._request("GET", path)

    def delete(self, path: str) -> Answer:
        return self._request("DELETE", path)

    def ask(self, headers: dict[str, str] | None = None, **body: Any) -> Answer:
        sent = json.dumps(body)
        headers = {"Content-Type": "application/json", **(headers or {})}
        return self._request("POST", "/api/v1/tags/trigger", sent, headers)

    def _request(
        self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        reused = self._connection is not None
        connection = self._connection or self._connect()
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            answer = Answer(response)
        except (OSError, http.client.HTTPException) as error:
            self._drop()
            self._failures.note(Failure(f"{method} {path}", repr(error), reused, time.monotonic()))
            raise requests.ConnectionError(repr(error)) from error
        if response.will_close or not self._keeps:
            self._drop()
        self._failures.note()
        return answer

    def _connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self._address, timeout=STOP_SECONDS)
        try:
            connection.connect()
        except OSError as error:
            self._failures.note(refused=True)
            raise requests.ConnectionError(repr(error)) from error
        self._connection = connection
        return connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
