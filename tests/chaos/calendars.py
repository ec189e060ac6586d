"""Which times of a schedule are due: a second opinion, that shares no code with the service.

The service asks a cron for its next time. Here every minute of the calendar is gone through once, with the time that
the clocks of a place show in it: a time that they show again is not new, and one that they leave out comes when they
go over it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
DAY = 24 * 60  # minutes
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""What clocks show is counted from here as if they all were in one zone that never changes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dial:
    """Times of the day, by the clocks of a place."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    weekdays: tuple[int, ...] | None = None
    """As a crontab has them, where Sunday is 0; None is every day."""
    zone: str = "UTC"

    @property
    def expression(self) -> str:
        """The same as a cron."""
        days = "*" if self.weekdays is None else _listed(self.weekdays)
        return f"{_listed(self.minutes)} {_listed(self.hours)} * * {days}"

    def due(self, begin: datetime, end: datetime) -> Sequence[datetime]:
        """All its moments later than `begin` and not later than `end`, in order."""
        first, moments = _first_moments(self.zone, begin.replace(hour=0, minute=0, second=0, microsecond=0), end)
        known = range(first, first + len(moments))
        found = {moments[one - first] for one in self._shown_from(known) if one in known}
        return sorted(moment for moment in found if begin < moment <= end)

    def _shown_from(self, minutes: range) -> Iterator[int]:
        """The times of all days that these minutes touch."""
        for day in range(minutes.start // DAY, minutes.stop // DAY + 1):
            weekday = (day + 4) % 7  # the first day of the epoch was a Thursday
            if self.weekdays is None or weekday in self.weekdays:
                yield from (day * DAY + hour * 60 + minute for hour in self.hours for minute in self.minutes)


def _listed(numbers: Iterable[int]) -> str:
    return ",".join(map(str, numbers))


@lru_cache(64)
def _first_moments(zone: str, begin: datetime, end: datetime) -> tuple[int, Sequence[datetime]]:
    """For each minute that the clocks show or leave out, from the first on, the moment at which they come to it."""
    place, moment = ZoneInfo(zone), begin.astimezone(UTC)
    first = latest = _shown(moment, place)
    moments = [moment]
    while moment <= end:
        moment += MINUTE
        shown = _shown(moment, place)
        moments += [moment] * (shown - latest)  # none, while an hour comes again
        latest = max(latest, shown)
    return first, moments


def _shown(moment: datetime, place: ZoneInfo) -> int:
    """Minutes since the epoch, by the clocks of a place."""
    return (moment.astimezone(place).replace(tzinfo=UTC) - EPOCH) // MINUTE


def every(seconds: int, begin: datetime, end: datetime) -> Sequence[datetime]:
    """All moments of an interval that are later than its beginning and not later than `end`."""
    return [begin + timedelta(seconds=seconds * n) for n in range(1, int((end - begin).total_seconds() // seconds) + 1)]
