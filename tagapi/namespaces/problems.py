"""From what went wrong to what HTTP says about it: the only place that knows status numbers of errors.

A namespace turns a Problem into its own words; nothing of a client's input is echoed but
what a namespace chooses to.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from marshmallow import ValidationError
from werkzeug.exceptions import HTTPException, RequestedRangeNotSatisfiable

from tagapi.auth import (
    AuthenticationRequired,
    OnlyLocal,
    PermissionDenied,
    RateLimited,
    RightNeeded,
    TicketInvalid,
    TokenNotNeeded,
    TokensUnavailable,
)
from tagapi.hosts import BadHost, ForeignOrigin, Misdirected
from tagapi.jobs.errors import (
    AlreadyFinished,
    DeliveryNotFound,
    IsRunning,
    JobError,
    JobNotFound,
    KeyReused,
    NoResult,
    NotFoundInData,
    NotParked,
    NotReady,
    NotRetryable,
    OwnerQueueFull,
    QueueFull,
    ResultNotReady,
    ScheduleNotFound,
    ShuttingDown,
    StoreTooNew,
    StoreUnavailable,
    TaskFailed,
    TooManySchedules,
    TooManyWebhooks,
    Transient,
    Unusable,
    WebhookNotFound,
    WebhookPaused,
)

log = logging.getLogger(__name__)


class Conflict(JobError):
    """What is not the client's mistake, and cannot be done as things stand; a front's own errors are kinds of it."""

    message = "This cannot be done as things stand."
    code = "conflict"


class Unavailable(JobError):
    """What a front has no room for now, or not at all; a front's own errors are kinds of it."""

    message = "This cannot be done now."
    code = "unavailable"


class NoPushes(Unavailable):
    message = "This server cannot keep a connection open."
    code = "no_pushes"


STATUS: Mapping[type[JobError], int] = {
    JobNotFound: 404,
    ScheduleNotFound: 404,
    NotFoundInData: 404,
    Unusable: 400,
    AlreadyFinished: 409,
    IsRunning: 409,
    TooManySchedules: 409,
    WebhookNotFound: 404,
    DeliveryNotFound: 404,
    TooManyWebhooks: 409,
    WebhookPaused: 409,
    NotParked: 409,
    NotRetryable: 409,
    Conflict: 409,
    ResultNotReady: 409,
    NoResult: 409,
    KeyReused: 422,
    OwnerQueueFull: 429,
    QueueFull: 503,
    NotReady: 503,
    StoreUnavailable: 503,
    StoreTooNew: 503,
    ShuttingDown: 503,
    Unavailable: 503,
    BadHost: 400,
    Misdirected: 421,
    ForeignOrigin: 403,
    AuthenticationRequired: 401,
    TokenNotNeeded: 401,
    PermissionDenied: 403,
    RightNeeded: 403,
    TicketInvalid: 401,
    OnlyLocal: 403,
    RateLimited: 429,
    TokensUnavailable: 503,
    # These two reach a front only where it reads: Spark was lost, or a table cannot be used.
    Transient: 503,
    TaskFailed: 503,
}

RETRY_AFTER = 5  # seconds, where an error does not say

UNREAD: Mapping[int, tuple[str, str]] = {
    400: ("malformed", "The request is not valid HTTP."),
    408: ("too_slow", "The request took too long to come in."),
    414: ("uri_too_long", "The request line is too long."),
    417: ("expectation_failed", "The expectation cannot be met."),
    431: ("headers_too_large", "The headers are too large."),
    501: ("not_implemented", "The transfer coding is not known here."),
    503: ("overloaded", "There are too many connections. Try again later."),
}
"""The code and the words of a request that never became one."""

HTTP_CODES: Mapping[int, str] = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong, as an edge needs it."""

    status: int
    code: str
    """Stable: a JobError's code, or one of HTTP_CODES, `invalid` or `internal`."""

    detail: str
    """For people, in English."""

    wrong: str | None = None
    """The field, parameter or header that is wrong, where it is one."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """What is wrong with `wrong`."""
        return self.detail.removeprefix(f"{self.wrong}: ")


class Invalid(Exception):
    """A part of the request is wrong: `field` is its name, `problem` what is wrong with it."""

    def __init__(self, field: str, problem: str, **facts: Any) -> None:
        super().__init__(f"{field}: {problem}")
        self.field, self.problem, self.facts = field, problem, facts


class Unsupported(Exception):
    """The body is of a content type that no front takes."""


def problem_of(error: Exception) -> Problem:
    """The Problem of any exception. An unforeseen one is logged here, and tells the client nothing."""
    if isinstance(error, Invalid):
        return Problem(400, "invalid", str(error), error.field, error.facts)
    if isinstance(error, ValidationError):
        name, text = _first(error.messages)
        return Problem(400, "invalid", f"{name}: {text}", name)
    if isinstance(error, Unsupported):
        return Problem(415, HTTP_CODES[415], "Content-Type must be application/json")
    if isinstance(error, JobError) and (status := _status_of(type(error))) is not None:
        if type(error) in (Transient, TaskFailed):
            log.warning("read_failed", extra={"reason": str(error)})
        field = error.facts.get("field")
        return Problem(status, error.code, str(error), field, error.facts, _headers(status, error))
    if isinstance(error, HTTPException) and error.code is not None and error.code < 500:
        code = HTTP_CODES.get(error.code, "http_error")
        return Problem(error.code, code, str(error.description), headers=_http_headers(error))
    log.error("request_failed", exc_info=error)
    return Problem(500, "internal", "Internal server error")


def _status_of(kind: type[JobError]) -> int | None:
    """The status of an error, or of what it is a kind of; one that no front can meet has none."""
    return next((STATUS[base] for base in kind.__mro__ if base in STATUS), None)


def unread_problem(status: int) -> Problem:
    """The Problem of a request that the server could not read, by the status that it found."""
    code, detail = UNREAD.get(status, ("internal", "Internal server error"))
    return Problem(status, code, detail)


def _headers(status: int, error: JobError) -> Mapping[str, str]:
    if status == 401:
        return {"WWW-Authenticate": "Bearer"}
    return {"Retry-After": str(error.facts.get("retry_after", RETRY_AFTER))} if status in (429, 503) else {}


def _http_headers(error: HTTPException) -> Mapping[str, str]:
    if allowed := getattr(error, "valid_methods", None):
        return {"Allow": ", ".join(sorted({*allowed, "OPTIONS"}))}
    if isinstance(error, RequestedRangeNotSatisfiable) and error.length is not None:
        return {"Content-Range": f"{error.units} */{error.length}"}
    return {}


def _first(messages: Any, name: str = "") -> tuple[str, str]:
    """The first field of a tree of messages, as `outer.inner` or `list[0]`, and its message."""
    while isinstance(messages, dict):
        key, messages = next(iter(messages.items()))
        if isinstance(key, int):
            name = f"{name}[{key}]"
        elif key != "_schema":
            name = f"{name}.{key}" if name else str(key)
    text = messages[0] if isinstance(messages, list) else messages
    return name or "body", str(text).rstrip(".")
