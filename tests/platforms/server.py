"""The HTTP of a platform's stand-in: every request noted, every fault carried out, the books readable."""

from __future__ import annotations

import json
import socket
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from tests.platforms import faults as kinds
from tests.platforms.faults import Fault, Faults, from_json


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    at: int = 0

    @property
    def json(self) -> Any:
        if self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}
        return json.loads(self.body) if self.body else {}


class Refused(Exception):
    """An error that the platform answers."""

    def __init__(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        super().__init__(body)
        self.status, self.body, self.headers = status, body, headers or {}


@dataclass
class Platform(ABC):
    """One platform: its books, its faults, and every request that it got. One request at a time has its effect."""

    faults: Faults = field(default_factory=Faults)
    requests: list[Asked] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    @abstractmethod
    def answer(self, asked: Asked) -> dict[str, Any]:
        """Carry the request out. Raises Refused."""

    @abstractmethod
    def limited(self) -> Refused:
        """Too many calls."""

    @abstractmethod
    def expired(self) -> Refused:
        """The token is not taken any more."""

    @abstractmethod
    def refused(self) -> Refused:
        """The platform does not want it."""

    @abstractmethod
    def books(self) -> dict[str, Any]:
        """Everything that is there."""

    def note(self, asked: Asked) -> None:
        with self.lock:
            asked.at = len(self.requests)
            self.requests.append(asked)

    def carried_out(self, asked: Asked) -> tuple[int, dict[str, Any], dict[str, str]]:
        try:
            with self.lock:
                return 200, self.answer(asked), {}
        except Refused as refused:
            return refused.status, refused.body, refused.headers


ARRIVED, DONE, ANSWERED = "arrived", "done", "answered"
"""Moments of a request: before its effect, after that and before its answer, and when its answer is sent."""


class Watcher(Protocol):
    """Who looks on, and has a hand in it."""

    def fault(self, asked: Asked) -> Fault | None:
        """What this very request is to meet; else the platform's faults decide."""

    def at(self, moment: str, asked: Asked) -> None:
        """The request is there: it goes on when this returns."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: PlatformServer

    def log_message(self, *_: Any) -> None:
        """Tests have the books."""

    def _handle(self) -> None:
        target = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = {name: values[0] for name, values in parse_qs(target.query).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, target.path, query, headers, body)
        if asked.path.startswith("/_control/"):
            self._send(200, self.server.control(asked), {})
            return
        platform = self.server.platform
        platform.note(asked)
        self._watched(ARRIVED, asked)
        fault = None if self.server.watcher is None else self.server.watcher.fault(asked)
        self._carry_out(platform, asked, fault or platform.faults.of(asked.method, asked.path))
        self._watched(ANSWERED, asked)

    def _watched(self, moment: str, asked: Asked) -> None:
        if self.server.watcher is not None:
            self.server.watcher.at(moment, asked)

    do_GET = do_POST = do_DELETE = _handle  # noqa: N815 (the names are the standard library's)

    def _carry_out(self, platform: Platform, asked: Asked, fault: Fault | None) -> None:
        kind = None if fault is None else fault.kind
        if kind == kinds.LOST_BEFORE:
            self._hang_up()
        elif kind == kinds.LATE and fault is not None:
            self.server.later(fault.seconds, asked)
            self._hang_up()
        elif kind == kinds.FAILS_BEFORE:
            self._send(503, {"error": {"message": "Service unavailable", "code": 2, "status": "UNAVAILABLE"}}, {})
        elif kind == kinds.LIMITED:
            refused = platform.limited()
            self._send(refused.status, refused.body, refused.headers)
        elif kind in (kinds.EXPIRED, kinds.REFUSED):
            refused = platform.expired() if kind == kinds.EXPIRED else platform.refused()
            self._send(refused.status, refused.body, refused.headers)
        else:
            if kind == kinds.SLOW and fault is not None:
                threading.Event().wait(fault.seconds)
            answer = platform.carried_out(asked)
            self._watched(DONE, asked)
            if kind == kinds.LOST_AFTER:
                self._hang_up()
            elif kind == kinds.FAILS_AFTER:
                self._send(500, {"error": {"message": "Internal error", "code": 1, "status": "INTERNAL"}}, {})
            else:
                self._send(*answer)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, status: int, body: dict[str, Any], headers: dict[str, str]) -> None:
        raw = json.dumps(body).encode()
        try:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(raw)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)
        except OSError:
            self.close_connection = True  # who asked has gone


class PlatformServer(ThreadingHTTPServer):
    """`with PlatformServer(platform) as server:` serves on `server.url` until the end of the block."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, platform: Platform, port: int = 0, watcher: Watcher | None = None) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.platform = platform
        self.watcher = watcher
        self._late: list[threading.Timer] = []
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> PlatformServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for timer in self._late:
            timer.cancel()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up in the middle is what tests are about."""

    def later(self, seconds: float, asked: Asked) -> None:
        timer = threading.Timer(seconds, self.platform.carried_out, [asked])
        timer.daemon = True
        self._late.append(timer)
        timer.start()

    def settle(self) -> None:
        """Wait until nothing is on its way any more."""
        for timer in self._late:
            timer.join(30)

    def control(self, asked: Asked) -> dict[str, Any]:
        """For who starts it as a process of its own."""
        match asked.path:
            case "/_control/books":
                with self.platform.lock:
                    return self.platform.books()
            case "/_control/faults":
                told = asked.json
                self.platform.faults.set(*from_json(told["faults"]), seed=told.get("seed", 0))
                return {}
            case "/_control/settle":
                self.settle()
                return {}
        return {"unknown": asked.path}
