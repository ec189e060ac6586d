"""A receiver of webhooks on loopback, which answers as it is told to and remembers what came."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from tests.e2e.server import until

HANG, RESET = -1, -2
"""Instead of a status: never answer; end the connection with a reset."""


@dataclass(frozen=True)
class Received:
    """A delivery, as it came over the wire."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    answered: int
    wrong: str | None = None
    """What the scheme's own library said of its signature when it came, where the receiver knows the secret."""

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.body)
        return told

    def verify(self, secret: str) -> None:
        """Raises what the scheme's own library raises for a signature that is not right, or of five minutes ago."""
        Webhook(secret).verify(self.body, dict(self.headers))


Behave = Callable[[str], int]
"""What to answer a POST to this path: a status, HANG or RESET."""


class Receiver:
    def __init__(self, behave: Behave) -> None:
        self.behave = behave
        self.secrets: dict[str, str] = {}
        """By path: what comes there is verified as it comes."""
        self._lock = threading.Lock()
        self._received: list[Received] = []
        self.closing = threading.Event()
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="receiver", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def note(self, one: Received) -> None:
        if (secret := self.secrets.get(one.path)) is not None:
            try:
                one.verify(secret)
            except WebhookVerificationError as error:
                one = replace(one, wrong=str(error))
        with self._lock:
            self._received.append(one)

    def received(self, path: str | None = None) -> list[Received]:
        """Whatever came, in order; of one path, if one is named."""
        with self._lock:
            return [one for one in self._received if path in (None, one.path)]

    def taken(self, path: str | None = None) -> list[Received]:
        """What was answered with a success."""
        return [one for one in self.received(path) if 200 <= one.answered < 300]

    def wait(self, count: int, path: str | None = None, seconds: float = 15.0) -> list[Received]:
        """What came, once so much has."""
        until(lambda: len(self.received(path)) >= count, f"{count} deliveries to {path}", seconds, every=0.01)
        return self.received(path)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that hangs up is no error here."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        receiver = self.server.receiver
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = receiver.behave(self.path)
        receiver.note(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body, answer))
        self.close_connection = True
        if answer == HANG:
            receiver.closing.wait(5)  # its sender has long gone
        elif answer == RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        else:
            self.send_response(answer)
            self.send_header("Content-Length", "0")
            if 300 <= answer < 400:
                self.send_header("Location", "/elsewhere")
            self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def receiving(behave: Behave = lambda path: 204) -> Iterator[Receiver]:
    receiver = Receiver(behave)
    try:
        yield receiver
    finally:
        receiver.close()
