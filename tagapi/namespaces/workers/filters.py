"""Which filters a worker task takes, and of what type each value is.

The tables and their filter keys are handed in by whoever knows the data; here is only how a key's
kind is checked. Every refusal names the key by its path, such as `filters.bookings.status`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tagapi.namespaces.fields import LARGE
from tagapi.namespaces.problems import Invalid
from tagapi.namespaces.workers import words as words

FilterKinds = Mapping[str, Mapping[str, str]]
"""For each table, its filter keys and their kinds: `str`, `int`, `bool`, `money`."""

EXPORTED: Mapping[str, str] = {
    "bookings_export": "bookings",
    "payments_export": "payments",
    "users_export": "users",
    "services_export": "services",
}
"""The exports, and the table that each reads."""

CLEANUP = "data_cleanup"
REPORT = "report_generation"
LONGEST = 1000  # characters of a text to look for
MOST_MONEY = 99_999_999.99  # what a decimal(10,2) holds


def _text(value: Any) -> str | None:
    if not isinstance(value, str):
        return words.TEXT
    return words.LONG if len(value) > LONGEST else None


def _whole(value: Any) -> str | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return words.WHOLE
    if abs(value) >= LARGE:
        return words.LARGE
    return None if isinstance(value, int) else words.WHOLE


def _boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else words.BOOLEAN


def _money(value: Any) -> str | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return None if number and abs(value) <= MOST_MONEY else words.MONEY


CHECKS: Mapping[str, Callable[[Any], str | None]] = {"str": _text, "int": _whole, "bool": _boolean, "money": _money}
"""By kind: what is wrong with a value, or None."""


def checked_filters(task_type: str, given: Mapping[str, Any], kinds: FilterKinds) -> dict[str, Any]:
    """The filters of a task, defaults filled in. Raises Invalid for a key that it does not take, or a wrong value."""
    if task_type in EXPORTED:
        return _of_table(given, kinds[EXPORTED[task_type]], "filters")
    if task_type == CLEANUP:
        return {"dry_run": True, **_of_table(given, {"dry_run": "bool"}, "filters")}
    return _of_tables(given, kinds)


def _of_table(given: Mapping[str, Any], keys: Mapping[str, str], where: str) -> dict[str, Any]:
    for key, value in given.items():
        if key not in keys:
            raise Invalid(f"{where}.{key}", words.NO_FILTER)
        if wrong := CHECKS[keys[key]](value):
            raise Invalid(f"{where}.{key}", wrong)
    if given.get("min_price", -MOST_MONEY) > given.get("max_price", MOST_MONEY):
        raise Invalid(f"{where}.min_price", words.PRICES)
    return dict(given)


def _of_tables(given: Mapping[str, Any], kinds: FilterKinds) -> dict[str, Any]:
    """Filters of several tables, each under its table's name, since `status` alone could mean two."""
    checked = {}
    for table, filters in given.items():
        if table not in kinds:
            raise Invalid(f"filters.{table}", words.NO_FILTER)
        if not isinstance(filters, dict):
            raise Invalid(f"filters.{table}", words.OBJECT)
        checked[table] = _of_table(filters, kinds[table], f"filters.{table}")
    return checked
