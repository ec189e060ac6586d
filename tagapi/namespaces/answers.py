"""Answering in JSON, and compressed where the answer is large and the client says it can read that.

By the standard library: what Flask-Compress adds are formats that need two compiled packages more, and a look
at every answer, where here only those are looked at that are made large.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import Any

import orjson
from flask import Request, Response, request

SMALLEST = 2048  # bytes: an answer that fits into two packets gets there no sooner
LEVEL = 1  # 1.4 MB of ids: 5 ms and a sixth of the size; the highest levels take three times as long for 5 % of that


def respond(
    body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None, *, indented: bool = False
) -> Response:
    """A JSON answer. Raises TypeError for a value that JSON cannot say, rather than saying something else."""
    text = orjson.dumps(body, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE if indented else None)
    response = Response(text, status, mimetype="application/json")
    if headers:
        response.headers.extend(headers)
    return compressed(response) if len(text) >= SMALLEST else response


def compressed(response: Response) -> Response:
    """A large answer, compressed if the request says so. Caches are told that others get another one."""
    response.vary.add("Accept-Encoding")
    if _preferred(request):
        response.set_data(gzip.compress(response.get_data(), LEVEL, mtime=0))
        response.content_encoding = "gzip"
    return response


def _preferred(asked: Request) -> bool:
    """Gzip is welcome, and not less so than the plain answer (RFC 9110, 12.5.3)."""
    qualities = asked.accept_encodings
    return 0 < qualities.quality("gzip") >= qualities.quality("identity")
