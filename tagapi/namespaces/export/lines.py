"""The lines of a stream of results that are no documents: where the reader is, and what went wrong."""

from __future__ import annotations

from typing import Any

import orjson


def control_line(**told: Any) -> bytes:
    """A line that tells where the reader is."""
    return orjson.dumps({"chunk_type": "CT_CONTROL", "chunk_control": told}) + b"\n"


def error_line(code: str, message: str) -> bytes:
    """A line that says why no document follows, by one of the vendor's codes."""
    told = {"status_code": code, "status_message": message}
    return orjson.dumps({"chunk_type": "CT_ERROR", "chunk_error": told}) + b"\n"
