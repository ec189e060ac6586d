"""Which days and months the report shows, and of which of them the figures hold only a part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

MONTHS, DAYS = 24, 90
"""How much of the past the charts show; an impossible date would stretch them to nothing."""


def recent(by_day: Sequence[Mapping[str, Any]], last: date) -> list[tuple[date, int]]:
    """The last days that have bookings and those between them, at most DAYS."""
    counts = {one["day"]: one["bookings"] for one in by_day if one["day"] <= last}
    if not counts:
        return []
    end = max(counts)
    begin = max(min(counts), end - timedelta(days=DAYS - 1))
    days = [begin + timedelta(days=one) for one in range((end - begin).days + 1)]
    return [(day, counts.get(day, 0)) for day in days]


def monthly(rows: Sequence[Mapping[str, Any]], figure: str, last: date) -> tuple[Sequence[str], Sequence[float]]:
    """The last months that have rows and those between them, at most MONTHS: their names, and the figure of each."""
    found = {_ordinal(one["month"]): float(one[figure] or 0) for one in rows if one["month"] is not None}
    known = [one for one in found if one <= _ordinal(f"{last:%Y-%m}")]
    if not known:
        return [], []
    end = max(known)
    months = range(max(min(known), end - MONTHS + 1), end + 1)
    return [f"{one // 12:04}-{one % 12 + 1:02}" for one in months], [found.get(one, 0.0) for one in months]


def _ordinal(month: str) -> int:
    """Months since the year nought."""
    year, _, number = month.rpartition("-")
    return int(year) * 12 + int(number) - 1


def partial(figures: Mapping[str, Any], months: Sequence[str]) -> Sequence[int]:
    """Which of the months the figures hold only a part of: nobody should take such a one for a fall.

    It is the one that the range, or today, ends in before its last minute, and the one that the range begins in late.
    """
    since, until = (moment(figures[key]) for key in ("date_from", "date_to"))
    end = min(until or figures["as_of"], figures["as_of"])
    cut = {f"{end:%Y-%m}"} if f"{end + timedelta(minutes=1):%Y-%m}" == f"{end:%Y-%m}" else set()
    if since is not None and since > since.replace(day=1, hour=0, minute=0, second=0, microsecond=0):
        cut.add(f"{since:%Y-%m}")
    return [index for index, month in enumerate(months) if month in cut]


def moment(text: str | None) -> datetime | None:
    """In UTC, as every date of the report."""
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
