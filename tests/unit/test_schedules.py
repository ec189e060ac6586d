"""How a schedule changes: values in, values out, and a calendar of the test's own."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from tagapi.jobs import schedules
from tagapi.jobs.schedules import MISSED_COUNTED, Cron, Every, Following, Schedule, run_id, run_of
from tests.clock import START

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
HOURLY = Every(seconds=3600)
CRON = Cron(expression="* * * * *")


def minutely(cron: Cron, moment: datetime) -> datetime:
    """A calendar in which every full minute is a time of every cron."""
    return moment.replace(second=0, microsecond=0) + MINUTE


def a_schedule(**facts: Any) -> Schedule:
    usual: dict[str, Any] = {"id": "s1", "task": "tags.compute", "owner": "ann", "arguments": {"n": 1}}
    return Schedule(**{**usual, "timing": HOURLY, "created_at": START, "next_at": START, **facts})


def test_an_interval_is_of_a_second_at_least() -> None:
    Every(seconds=1)
    with pytest.raises(ValueError, match="one second"):
        Every(seconds=0)


@pytest.mark.parametrize("name", ["created_at", "next_at", "last_due_at", "last_begun_at"])
def test_times_are_aware(name: str) -> None:
    with pytest.raises(ValueError, match="aware"):
        a_schedule(**{name: START.replace(tzinfo=None)})


def test_the_first_time_is_one_interval_away_or_the_next_of_the_calendar() -> None:
    assert schedules.first(HOURLY, START, minutely) == START + HOUR
    assert schedules.first(CRON, START + timedelta(seconds=7), minutely) == START + MINUTE


@pytest.mark.parametrize(
    ("late", "hours", "passed"),
    [(timedelta(), 1, 0), (HOUR - timedelta(microseconds=1), 1, 0), (HOUR, 2, 1), (25.5 * HOUR, 26, 25)],
)
def test_the_grid_of_an_interval_stays_however_late_it_is(late: timedelta, hours: int, passed: int) -> None:
    assert schedules.following(HOURLY, START, START + late, minutely) == Following(START + hours * HOUR, passed)


def test_times_of_a_cron_that_passed_are_counted_up_to_a_bound() -> None:
    def after(minutes: int) -> Following:
        return schedules.following(CRON, START, START + minutes * MINUTE, minutely)

    assert after(0) == Following(START + MINUTE, 0)
    assert after(1) == Following(START + 2 * MINUTE, 1)
    assert after(MISSED_COUNTED - 1) == Following(START + MISSED_COUNTED * MINUTE, MISSED_COUNTED - 1)
    assert after(500_000) == Following(START + 500_001 * MINUTE, MISSED_COUNTED)


def test_a_run_says_what_it_is_and_of_which_schedule() -> None:
    schedule = a_schedule(labels=("tag:1",), lane="platforms")
    run = run_of(schedule)
    assert (run.task, run.owner, run.arguments, run.lane) == ("tags.compute", "ann", {"n": 1}, "platforms")
    assert run.labels == ("tag:1", "schedule:s1")
    assert str(UUID(run.job_id)) == run.job_id


def test_the_id_of_a_run_is_made_of_its_time_wherever_that_is_told() -> None:
    there = START.astimezone(ZoneInfo("Asia/Kolkata"))
    assert run_id("s1", START) == run_id("s1", there)
    assert len({run_id("s1", START), run_id("s2", START), run_id("s1", START + timedelta(microseconds=1))}) == 3


def test_a_run_that_begins_moves_it_on() -> None:
    schedule, now = a_schedule(runs=4, missed=1), START + 2.5 * HOUR
    begun = schedules.begun(schedule, now, minutely)
    assert (begun.next_at, begun.runs, begun.missed) == (START + 3 * HOUR, 5, 3)
    assert (begun.last_job_id, begun.last_due_at, begun.last_begun_at) == (run_id("s1", START), START, now)


def test_it_is_due_from_its_time_on_unless_it_is_paused() -> None:
    schedule = a_schedule()
    assert [schedule.is_due(START + late) for late in (-timedelta(microseconds=1), timedelta(), HOUR)] == [0, 1, 1]
    paused = schedules.pause(schedule, START, why="no")
    assert (paused.due_at, paused.is_due(START + HOUR)) == (None, False)


def test_the_first_reason_for_a_pause_counts() -> None:
    paused = schedules.pause(a_schedule(), START, why="ann asked for it")
    assert paused.paused == "ann asked for it"
    assert schedules.pause(paused, START, why="its owner is gone") is paused


def test_one_that_is_resumed_goes_on_with_the_next_time() -> None:
    paused = schedules.pause(a_schedule(), START, why="no")

    def resumed(now: datetime) -> datetime:
        after = schedules.resume(paused, now, next_of=minutely)
        assert (after.paused, after.missed, after.runs) == (None, 0, 0)
        return after.next_at

    assert resumed(START - HOUR) == START, "its time has not come yet"
    assert resumed(START) == START + HOUR
    assert resumed(START + 2.5 * HOUR) == START + 3 * HOUR


def test_one_that_is_not_paused_is_not_resumed() -> None:
    schedule = a_schedule()
    assert schedules.resume(schedule, START + 9 * HOUR, next_of=minutely) is schedule
