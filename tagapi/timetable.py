"""When a cron comes next, by the clocks of a place: APScheduler reads the calendar, the zone is read here.

A cron is looked for on the dial: in local times as if every one came exactly once. A local time becomes a moment
then: one that comes twice is its first coming, one that is skipped is the minute at which the clocks go on. So
several that are skipped are one run, and so are the two comings of one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

from tagapi.jobs.errors import Unusable
from tagapi.jobs.schedules import Cron

RUNS_CHECKED = 1000
DAYS_CHECKED = 10 * 366  # by then the clocks were changed in all ways that they are
LONGEST = 200  # characters of an expression
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
"""By their numbers in a crontab, where Sunday is 7, too; to APScheduler 0 is Monday."""
SECOND = timedelta(seconds=1)


def next_of(cron: Cron, moment: datetime) -> datetime:
    """The first time of a cron that is later than a moment, in UTC.

    Raises Unusable for an expression or a zone that is none, and where no such time comes.
    """
    zone = _zone(cron.timezone)
    dial = moment.astimezone(zone).replace(tzinfo=None)
    while True:  # more than once only in an hour that comes for the second time
        dial = _next_on_dial(cron.expression, dial)
        if (found := _moment(dial, zone)) > moment:
            return found


def check(cron: Cron, now: datetime, least: float) -> None:
    """Raise Unusable where a cron cannot be used, or has two times with less than `least` seconds between them.

    Looks at the next RUNS_CHECKED times, for as many as ten years.
    """
    until = now + timedelta(days=DAYS_CHECKED)
    before = next_of(cron, now)
    for _ in range(RUNS_CHECKED):
        if before > until:
            return
        after = next_of(cron, before)
        if (seconds := (after - before).total_seconds()) < least:
            between = f"{_told(before, cron)} and {_told(after, cron)}"
            reason = f"at least {least:.0f} s have to lie between two runs, and {seconds:.0f} s lie between {between}"
            raise Unusable(field="cron", reason=reason)
        before = after


def _told(moment: datetime, cron: Cron) -> str:
    return moment.astimezone(_zone(cron.timezone)).isoformat(sep=" ", timespec="minutes")


@lru_cache(1000)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # a path, or a folder of the database, or no such zone
        raise Unusable(field="timezone", reason=f"there is no time zone {name[:100]!r}") from None


# -- local times ----------------------------------------------------------------------------


def _moment(dial: datetime, zone: ZoneInfo) -> datetime:
    """The first moment at which the clocks show this time, or go over it."""
    early, late = (dial.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (1, 0))
    if late <= early:  # it comes once, or twice
        return late
    offset = early.astimezone(zone).utcoffset()  # skipped: the clocks go on between these two
    while late - early > SECOND:
        middle = early + (late - early) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            early = middle
        else:
            late = middle
    return late.replace(microsecond=0)


# -- the dial -------------------------------------------------------------------------------


def _next_on_dial(expression: str, dial: datetime) -> datetime:
    """The first local time of a cron that is later than one."""
    later = (dial + timedelta(microseconds=1)).replace(tzinfo=UTC)  # any zone without changes would do
    found = [trigger.get_next_fire_time(None, later) for trigger in _triggers(expression)]
    try:
        first: datetime = min(one for one in found if one is not None)
    except ValueError:
        raise Unusable(field="cron", reason="it never comes") from None
    return first.replace(tzinfo=None)


@lru_cache(1000)
def _triggers(expression: str) -> Sequence[CronTrigger]:
    """Where both days are restricted, a crontab means either; APScheduler, both."""
    fields = expression.lower().split()
    if len(fields) != 5 or len(expression) > LONGEST or not expression.isascii():
        raise Unusable(field="cron", reason="it has five fields: minute, hour, day, month, day of the week")
    minute, hour, day, month, weekday = fields
    days = [(day, "*"), ("*", weekday)] if day[0] != "*" and weekday[0] != "*" else [(day, weekday)]
    try:
        return [
            CronTrigger.from_crontab(f"{minute} {hour} {one} {month} {_by_name(other)}", timezone=UTC)
            for one, other in days
        ]
    except (ValueError, KeyError) as error:
        raise Unusable(field="cron", reason=f"it is not understood: {error}") from None


PART = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d{1,2}))?")


def _by_name(weekdays: str) -> str:
    """The days of the week by their names, each by itself: numbers and ranges mean others to APScheduler."""
    if weekdays == "*":
        return weekdays
    return ",".join(sorted({WEEKDAYS[day % 7] for part in weekdays.split(",") for day in _days(part)}))


def _days(part: str) -> range:
    if (read := PART.fullmatch(part)) is None:
        raise ValueError(f"{part!r} is no day of the week")
    everyday, first, last, step = read.groups()
    if everyday:
        return range(0, 7, int(step or 1))
    begin = _day(first)
    end = _day(last) if last else (6 if step else begin)
    if last and end < begin:
        end += 7  # from Friday to Monday
    return range(begin, end + 1, int(step or 1))


def _day(name: str) -> int:
    number = WEEKDAYS.index(name) if name in WEEKDAYS else int(name) if name.isdecimal() else -1
    if not 0 <= number <= 7:
        raise ValueError(f"{name!r} is no day of the week")
    return number
