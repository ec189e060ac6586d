"""What a client is told whose request never became one: JSON, by the app where it can tell which API was meant."""

from __future__ import annotations

import json
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

REFUSALS = "tagapi.refusals"
"""The extension of an app that words refusals: from a status and the path, where that is known, to a body."""


def refusal(status: int, path: str | None, app: Any, request_id: str) -> bytes:
    """A whole answer, after which the connection is closed."""
    reason = HTTPStatus(status).phrase
    words = getattr(app, "extensions", {}).get(REFUSALS)
    body = words(status, path) if words else json.dumps({"error": reason}).encode()
    head = (
        f"HTTP/1.1 {status} {reason}\r\nDate: {formatdate(usegmt=True)}\r\nConnection: close\r\n"
        f"X-Request-ID: {request_id}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    )
    retry = "Retry-After: 5\r\n" if status == HTTPStatus.SERVICE_UNAVAILABLE else ""
    return f"{head}{retry}\r\n".encode() + bytes(body)
