"""Fields that take exactly what JSON, or a query string, says: no `true` for 1, no `"1"` for 1."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from marshmallow import RAISE, Schema, fields

from tagapi.jobs.model import Job, JobState

WHOLE = re.compile(r"(-?)0*([0-9]+)")
MOST_DIGITS = 18  # that every store can hold, and more than any bound has
LARGE = 2.0**63  # beyond it, what JSON wrote as a whole number is read as a float
KINDS: Mapping[type, str] = {
    bool: "a boolean",
    int: "an integer",
    float: "a number with a decimal point",
    str: "a string",
    list: "a list",
    dict: "an object",
}
"""What JSON can say, for people."""

ALWAYS = {"null": "must not be null", "required": "is required"}


class Input(Schema):
    """A schema for what comes in: nothing unknown, fields checked in the order in which they are written."""

    class Meta:
        unknown = RAISE

    error_messages = {"unknown": "unknown field", "type": "must be a JSON object"}


class Query(Input):
    """A schema for a query string."""

    error_messages = {"unknown": "unknown parameter"}


class NoQuery(Query):
    """For routes that take no parameters."""


class StrictInteger(fields.Integer):
    """A JSON integer; a boolean is none, nor is 1.0."""

    default_error_messages = {**ALWAYS, "invalid": "must be an integer, not {kind}", "large": "has too many digits"}

    def _validated(self, value: Any) -> int:
        if isinstance(value, float) and abs(value) >= LARGE:
            raise self.make_error("large")
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.make_error("invalid", kind=KINDS[type(value)])
        return value


class StrictList(fields.List[Any]):
    """A JSON list."""

    default_error_messages = {**ALWAYS, "invalid": "must be a list, not {kind}"}

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> list[Any]:
        if not isinstance(value, list):
            raise self.make_error("invalid", kind=KINDS[type(value)])
        return super()._deserialize(value, attr, data, **kwargs)


class StrictText(fields.String):
    """A JSON string."""

    default_error_messages = {**ALWAYS, "invalid": "must be a string, not {kind}"}

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise self.make_error("invalid", kind=KINDS[type(value)])
        return value


class StrictBoolean(fields.Boolean):
    """JSON's true or false."""

    default_error_messages = {**ALWAYS, "invalid": "must be true or false"}

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class QueryInteger(fields.Integer):
    """A whole number in a query string. Where it has too many digits, the first of them are out of any bound, too."""

    default_error_messages = {"invalid": "must be a whole number"}

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        number = WHOLE.fullmatch(value)
        if number is None:
            raise self.make_error("invalid", input=value)
        return int(number[1] + number[2][:MOST_DIGITS])


class QueryBoolean(fields.Boolean):
    """`true` or `false` in a query string."""

    default_error_messages = {"invalid": "must be true or false"}

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if value not in ("true", "false"):
            raise self.make_error("invalid", input=value)
        return bool(value == "true")


class Moment(fields.String):
    """A time in an answer: UTC, ISO 8601 with offset."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"metadata": {"format": "date-time", "example": "2024-01-20T10:30:00+00:00"}, **kwargs})


def parked(job: Job) -> dict[str, bool]:
    """What a status and a list say beside the documents' words of a job that waits for an admin; nothing of others."""
    return {"parked": True} if job.state is JobState.PARKED else {}


def tried(job: Job) -> int:
    """Which try it is; to be lost with its process, and to see to what is left, are none."""
    return min(job.attempt, job.tries + 1)


def iso(moment: datetime | None) -> str | None:
    """UTC, ISO 8601 with offset."""
    return None if moment is None else moment.isoformat()
