"""A server that answers what a test has written down, one answer after the other."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Said:
    """What it will say, and what it was asked."""

    url: str
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Each request's line, and its headers by their names in small letters."""
    bodies: list[Any] = field(default_factory=list)
    """Of the requests that had one, as JSON."""

    def will(self, status: int, body: Any = None, **headers: str) -> None:
        """Of the answers that are left, the last one is given again and again."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers.append((status, {name.replace("_", "-"): value for name, value in headers.items()}, content))


@contextmanager
def saying() -> Iterator[Said]:
    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            if body := self.rfile.read(int(self.headers.get("Content-Length", 0))):
                said.bodies.append(json.loads(body))
            said.asked.append((self.requestline, {name.lower(): value for name, value in self.headers.items()}))
            status, headers, content = said.answers.pop(0) if len(said.answers) > 1 else said.answers[0]
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 (the library's names)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        said = Said(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield said
        finally:
            server.shutdown()
            thread.join(5)
