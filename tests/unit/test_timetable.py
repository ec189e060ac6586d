"""When a cron comes next: by the clocks of places that change them, and of one that does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tagapi.jobs.errors import Unusable
from tagapi.jobs.schedules import Cron
from tagapi.timetable import LONGEST, check, next_of

NOW = datetime(2024, 2, 29, 23, 59, tzinfo=UTC)
DAY = 24 * 3600


def runs(expression: str, timezone: str, since: str, count: int) -> list[str]:
    """The next times since a local one, as the clocks there show them."""
    zone = ZoneInfo(timezone)
    moment, told = datetime.fromisoformat(since).replace(tzinfo=zone).astimezone(UTC), []
    for _ in range(count):
        moment = next_of(Cron(expression=expression, timezone=timezone), moment)
        told.append(moment.astimezone(zone).strftime("%m-%d %H:%M %z"))
    return told


def refused(expression: str = "0 3 * * *", timezone: str = "UTC", least: float = 1) -> Unusable:
    with pytest.raises(Unusable) as error:
        check(Cron(expression=expression, timezone=timezone), NOW, least)
    return error.value


# -- clocks that are changed ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("timezone", "spring", "autumn", "winter", "summer", "hour"),
    [
        ("Europe/Madrid", "03-31", "10-27", "+0100", "+0200", 2),
        ("America/New_York", "03-10", "11-03", "-0500", "-0400", 2),
    ],
)
def test_a_local_time_that_is_skipped_runs_at_the_next_valid_minute(
    timezone: str, spring: str, autumn: str, winter: str, summer: str, hour: int
) -> None:
    since = f"2024-{spring}T00:00"
    (skipped, next_day) = runs(f"30 {hour} * * *", timezone, since, 2)
    assert skipped == f"{spring} 03:00 {summer}"
    assert next_day.endswith(f"02:30 {summer}")


def test_several_that_are_skipped_and_one_that_follows_are_one_run() -> None:
    told = runs("*/20 1-3 * * *", "Europe/Madrid", "2024-03-31T01:30", 4)
    assert told == ["03-31 01:40 +0100", "03-31 03:00 +0200", "03-31 03:20 +0200", "03-31 03:40 +0200"]


@pytest.mark.parametrize(
    ("timezone", "since", "wanted"),
    [
        ("Europe/Madrid", "2024-10-27T00:00", ["10-27 02:30 +0200", "10-28 02:30 +0100"]),
        ("America/New_York", "2024-11-03T00:00", ["11-03 02:30 -0500", "11-04 02:30 -0500"]),
        ("Asia/Kolkata", "2024-10-27T00:00", ["10-27 02:30 +0530", "10-28 02:30 +0530"]),
    ],
)
def test_a_night_with_an_hour_more(timezone: str, since: str, wanted: list[str]) -> None:
    assert runs("30 2 * * *", timezone, since, 2) == wanted


def test_a_local_time_that_comes_twice_runs_once() -> None:
    told = runs("*/30 1-3 * * *", "Europe/Madrid", "2024-10-27T01:15", 5)
    assert told == [
        f"10-27 {time}" for time in ("01:30 +0200", "02:00 +0200", "02:30 +0200", "03:00 +0100", "03:30 +0100")
    ]
    assert runs("30 1 * * *", "America/New_York", "2024-11-03T00:00", 2) == ["11-03 01:30 -0400", "11-04 01:30 -0500"]


def test_whoever_asks_in_the_hour_that_comes_again_hears_of_what_follows_it() -> None:
    second = datetime(2024, 10, 27, 2, 10, tzinfo=ZoneInfo("Europe/Madrid"), fold=1)
    assert next_of(Cron(expression="* * * * *", timezone="Europe/Madrid"), second) == datetime(
        2024, 10, 27, 2, 0, tzinfo=UTC
    )


def test_a_day_that_a_place_has_left_out() -> None:
    """Samoa went from one side of the date line to the other."""
    told = runs("0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00", 2)
    assert told == ["12-31 00:00 +1400", "12-30 12:00 +1400"]


@pytest.mark.parametrize("timezone", ["Europe/Madrid", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])
def test_for_two_years_every_day_has_one_run(timezone: str) -> None:
    for expression in ("30 1 * * *", "15 2 * * *", "59 2 * * *", "0 3 * * *", "0 0 * * *"):
        cron, moment, days = Cron(expression=expression, timezone=timezone), NOW, []
        for _ in range(731):
            after = next_of(cron, moment)
            assert after > moment
            assert after.second == after.microsecond == 0
            days.append(after.astimezone(ZoneInfo(timezone)).date())
            moment = after
        assert days == [days[0] + timedelta(days=n) for n in range(731)]


# -- what a crontab means -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "days"),
    [
        ("0 0 * * 0", "03 10 17"),  # in March 2024 the 3rd was a Sunday
        ("0 0 * * 7", "03 10 17"),
        ("0 0 * * sun", "03 10 17"),
        ("0 0 * * 1-5", "01 04 05 06"),
        ("0 0 * * Mon-Fri", "01 04 05 06"),
        ("0 0 * * 5-7", "01 02 03 08"),
        ("0 0 * * fri-mon", "01 02 03 04 08"),
        ("0 0 * * 1,3", "04 06 11"),
        ("0 0 * * */2", "02 03 05 07 09"),
        ("0 0 * * 1-5/2", "01 04 06 08"),
        ("0 0 10 * *", "10"),
        ("0 0 10 * 1", "04 10 11 18"),
        ("0 0 */10 * 1", "11"),
        ("0 0 1,15 mar *", "01 15"),
    ],
)
def test_days_are_those_of_a_crontab(expression: str, days: str) -> None:
    wanted = days.split()
    told = runs(expression, "UTC", "2024-02-29T12:00", len(wanted))
    assert [one[:5] for one in told] == [f"03-{day}" for day in wanted]


def test_a_time_is_later_than_the_moment_and_asked_in_any_zone() -> None:
    cron, at = Cron(expression="59 23 * * *"), NOW
    assert next_of(cron, at) == at + timedelta(days=1)
    assert next_of(cron, (at - timedelta(microseconds=1)).astimezone(ZoneInfo("Asia/Kolkata"))) == at
    assert next_of(cron, at).utcoffset() == timedelta()


# -- what cannot be used --------------------------------------------------------------------


@pytest.mark.parametrize(
    "expression",
    [
        *("", "x", "* * * *", "* * * * * *", "@daily", "60 * * * *", "0 24 * * *", "0 0 0 * *", "0 0 32 * *"),
        *("0 0 * 13 *", "0 0 * * 8", "0 0 * * mon-", "0 0 * * */0", "5-1 * * * *", "0 0 * * -1", "٣ * * * *"),
        "0," * LONGEST + "0 * * * *",
    ],
)
def test_an_expression_that_is_none(expression: str) -> None:
    assert refused(expression).field == "cron"


def test_one_that_never_comes() -> None:
    assert "never comes" in str(refused("0 0 30 2 *"))


@pytest.mark.parametrize("name", ["", "Madrid", "Europe", "../etc/passwd", "/etc/passwd", "UTC\0", "+02:00", "x" * 999])
def test_a_zone_that_is_none(name: str) -> None:
    error = refused(timezone=name)
    assert error.field == "timezone"
    assert len(str(error)) < 200


def test_runs_have_so_many_seconds_between_them() -> None:
    for expression, least in (("*/5 * * * *", 300), ("0 3 * * *", 23 * 3600), ("0 0,6,12 * * *", 6 * 3600)):
        check(Cron(expression=expression), NOW, least)
        assert "at least" in str(refused(expression, least=DAY + 1))
    assert "300 s lie between" in str(refused("*/5 * * * *", least=301))
    assert "1500 s lie between" in str(refused("0,30,55 12 * 6 mon", least=1501))


def test_a_short_step_that_is_rare_is_found() -> None:
    assert "60 s" in str(refused("0,1 0 29 2 *", least=3600))
    assert "600 s" in str(refused("*/50 * * * 1", least=601))


def test_a_night_that_is_short_counts_as_what_it_is() -> None:
    check(Cron(expression="0 */6 * * *", timezone="UTC"), NOW, 6 * 3600)
    told = str(refused("0 */6 * * *", "Europe/Madrid", 6 * 3600))
    assert "18000 s lie between 2024-03-31 00:00+01:00 and 2024-03-31 06:00+02:00" in told
