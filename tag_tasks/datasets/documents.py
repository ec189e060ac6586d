"""JSON files that people and programs read: exact money, moments with their offset, keys in the order of the work."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import orjson

JSON = "application/json"


def to_json(document: Any) -> bytes:
    """The document in UTF-8. Money becomes text, since a JSON number is read as a float."""
    return orjson.dumps(document, default=_other, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS)


def _other(value: Any) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(type(value).__name__)


def moment(value: datetime | date | None) -> str | None:
    """ISO 8601; a moment in UTC, with its offset."""
    if isinstance(value, datetime):
        return (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)).isoformat()
    return None if value is None else value.isoformat()
