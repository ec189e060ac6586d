"""Fields that take exactly what JSON, or a query string, says: no `true` for 1, no `"1"` for 1."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from marshmallow import RAISE, Schema, fields

WHOLE = re.compile(r"[0-9]{1,9}")


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

    default_error_messages = {"invalid": "must be an integer"}

    def _validated(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.make_error("invalid", input=value)
        return value


class StrictBoolean(fields.Boolean):
    """JSON's true or false."""

    default_error_messages = {"invalid": "must be true or false"}

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class QueryInteger(fields.Integer):
    """A whole number in a query string: digits only."""

    default_error_messages = {"invalid": "must be a whole number"}

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        if not isinstance(value, str) or not WHOLE.fullmatch(value):
            raise self.make_error("invalid", input=value)
        return int(value)


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


def iso(moment: datetime | None) -> str | None:
    """UTC, ISO 8601 with offset."""
    return None if moment is None else moment.isoformat()
