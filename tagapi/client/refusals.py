"""From an answer that is a refusal, in the shape of any front, to the error that carries its words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from tagapi.client.errors import Busy, Conflict, Invalid, NotAllowed, NotFound, Refused

KINDS: Mapping[int, type[Refused]] = {
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    429: Busy,
    503: Busy,
}
LONGEST_TEXT = 300  # characters of an answer that is not the service's


def refusal_of(answer: requests.Response) -> Refused:
    """The error of an answer whose status is 400 or more."""
    message, code, field = _words(answer)
    kind = KINDS.get(answer.status_code, Invalid if answer.status_code < 500 else Refused)
    return kind(
        message,
        status=answer.status_code,
        code=code,
        field=field,
        retry_after=retry_after(answer.headers.get("Retry-After")),
        request_id=answer.headers.get("X-Request-ID"),
    )


def retry_after(said: str | None) -> float | None:
    """Seconds from now, from either form of the header."""
    if said is None:
        return None
    try:
        return max(0.0, float(said)) if said.strip().isdigit() else _seconds_until(parsedate_to_datetime(said))
    except ValueError:
        return None


def _seconds_until(then: datetime) -> float:
    then = then if then.tzinfo is not None else then.replace(tzinfo=UTC)
    return max(0.0, (then - datetime.now(UTC)).total_seconds())


Words = tuple[str, str | None, str | None]
"""A message, a code and a field."""


def _words(answer: requests.Response) -> Words:
    try:
        body = answer.json()
    except ValueError:
        body = None
    match body:
        case {"error": {"code": code, "message": message, "details": details}}:  # workers
            return str(message), str(code), _first_key(details)
        case {"success": False, "error": detail, "message": message}:  # tags
            field = "tag_ids" if "available_tag_ids" in body else _first_key(body.get("details"))
            return f"{message} ({detail})", None, field
        case {"error": code, "message": message}:  # tasks
            return str(message), str(code), body.get("field")
        case {"code": code, "message": message, "data": data}:  # celery_task
            return _celery(str(message), str(code), data if isinstance(data, dict) else {})
        case {"status_code": code, "status_message": message}:  # export
            return _export(str(message), str(code), body.get("result_error"))
    text = " ".join(answer.text.split())[:LONGEST_TEXT]
    return f"HTTP {answer.status_code} {answer.reason}: {text}".rstrip(": "), None, None


def _celery(message: str, code: str, data: Mapping[str, Any]) -> Words:
    reason = data.get("reason")
    return f"{message}: {reason}" if reason else message, code, data.get("field")


def _export(message: str, code: str, error: Any) -> Words:
    told = {one["key"]: one["value"][0] for one in error.get("data", ())} if isinstance(error, dict) else {}
    return f"{message}: {told['details']}" if told.get("details") else message, code, told.get("param")


def _first_key(details: Any) -> str | None:
    return next(iter(details), None) if isinstance(details, dict) else None
