"""That chaos of schedules sees what there is to see: the calendar's opinion, and books with one thing made false."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tagapi.jobs.schedules import run_id
from tests.chaos.calendars import Dial, every
from tests.chaos.leaps import Clock
from tests.chaos.schedule_books import Kept, Run, judge_ledger, judge_schedule
from tests.chaos.verdict import Verdict

START = datetime(2026, 3, 27, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
NIGHT = Dial(minutes=(30,), hours=(2,), zone="Europe/Madrid")

# -- the calendar --------------------------------------------------------------------------


def told(dial: Dial, begin: datetime, days: int) -> list[str]:
    return [f"{one:%m-%d %H:%M}" for one in dial.due(begin, begin + timedelta(days=days))]


def test_what_clocks_leave_out_comes_when_they_go_over_it() -> None:
    assert told(NIGHT, START, 3) == ["03-28 01:30", "03-29 01:00", "03-30 00:30"]


def test_what_clocks_show_twice_comes_once() -> None:
    assert told(NIGHT, datetime(2026, 10, 24, tzinfo=UTC), 3) == ["10-24 00:30", "10-25 00:30", "10-26 01:30"]


def test_several_that_are_left_out_are_one() -> None:
    often = Dial(minutes=(0, 20, 40), hours=(2,), zone="Europe/Madrid")
    assert told(often, datetime(2026, 3, 29, tzinfo=UTC), 1) == ["03-29 01:00", "03-30 00:00"]


def test_half_an_hour_may_be_left_out_and_shown_twice() -> None:
    often = Dial(minutes=(0, 15, 45), hours=(1, 2), zone="Australia/Lord_Howe")
    assert told(often, datetime(2026, 10, 3, 13, tzinfo=UTC), 1)[:5] == [
        *("10-03 14:30", "10-03 14:45", "10-03 15:15", "10-03 15:30", "10-03 15:45")
    ]
    shown = told(often, datetime(2026, 4, 4, 13, 50, tzinfo=UTC), 1)
    assert shown[:6] == ["04-04 14:00", "04-04 14:15", "04-04 14:45", "04-04 15:30", "04-04 15:45", "04-04 16:15"]


def test_weekdays_are_those_of_a_crontab() -> None:
    sundays = replace(NIGHT, weekdays=(0,), zone="UTC")
    assert sundays.expression == "30 2 * * 0"
    assert told(sundays, START, 14) == ["03-29 02:30", "04-05 02:30"]


def test_an_interval_is_counted_from_its_beginning() -> None:
    assert every(5400, START, START + 3 * HOUR) == [START + 1.5 * HOUR, START + 3 * HOUR]


# -- the books -----------------------------------------------------------------------------


def run(due: datetime, begun: datetime | None = None, lasts: timedelta | None = HOUR / 2) -> Run:
    at = begun or due + HOUR / 10
    return Run(job=run_id("s", due), begun=at, finished=lasts and at + lasts)


DUE = every(3600, START, START + 20 * HOUR)
END = START + 6.5 * HOUR
TRUE = Kept(
    id="s",
    next_at=DUE[6],
    runs=4,
    missed=2,
    jobs=(run(DUE[0]), run(DUE[1], DUE[3] + HOUR / 10), run(DUE[4]), run(DUE[5])),
)
"""One run each hour, of which the second begins late, for the two that follow it, too."""


def verdict(kept: Kept) -> Verdict:
    found = Verdict()
    judge_schedule(found, kept, DUE, END)
    return found


def test_true_runs_are_clean() -> None:
    found = verdict(TRUE)
    assert found.clean, list(found.evidence())
    assert (found.facts["runs due"], found.facts["begun"], found.facts["stood for"]) == (6, 4, 2)


def put(number: int, *runs: Run) -> Callable[[Kept], Kept]:
    """These instead of one of the runs."""
    return lambda kept: replace(kept, jobs=(*kept.jobs[:number], *runs, *kept.jobs[number + 1 :]))


FALSE: Mapping[str, tuple[str, Callable[[Kept], Kept]]] = {
    "one in the middle was never begun": ("lost", put(2)),
    "the last one was never begun": ("lost", put(3)),
    "the first one was never begun": ("lost", put(0)),
    "none was": ("lost", lambda kept: replace(kept, jobs=())),
    "it stands for one that was due after it": ("lost", put(1, run(DUE[1]))),
    "one was begun early": ("lied", put(3, run(DUE[5], DUE[5] - HOUR / 60))),
    "one was begun twice": ("duplicated", put(3, run(DUE[5]), run(DUE[5], DUE[5] + HOUR))),
    "one was begun beside the one before": ("wrong", put(2, replace(run(DUE[4]), finished=DUE[5] + HOUR))),
    "one was begun beside one that does not end": ("wrong", put(2, run(DUE[4], lasts=None))),
    "one does not end": ("stuck", put(3, run(DUE[5], lasts=None))),
    "one is at no due time": ("wrong", put(3, run(DUE[5] + HOUR / 2))),
    "it tells fewer runs": ("wrong", lambda kept: replace(kept, runs=3)),
    "it tells more missed": ("wrong", lambda kept: replace(kept, missed=3)),
    "its next time is past": ("lied", lambda kept: replace(kept, next_at=DUE[5])),
    "its next time is none": ("lied", lambda kept: replace(kept, next_at=DUE[6] + HOUR / 2)),
    "its next time leaves one out": ("lost", lambda kept: replace(kept, next_at=DUE[7], missed=3)),
}


@pytest.mark.parametrize("what", FALSE)
def test_false_runs_are_seen_through(what: str) -> None:
    kind, falsify = FALSE[what]
    found = verdict(falsify(TRUE))
    assert found.counts[kind] > 0, list(found.evidence())


def test_what_somebody_begins_again_is_seen_and_what_nobody_knows() -> None:
    found = Verdict()
    judge_ledger(found, ["a", "b", "a", "c"], {"a": 1, "b": 2})
    assert (found.duplicated, found.lost) == (["a was begun 2 times"], ["c was begun and is unknown"])


# -- the clock -----------------------------------------------------------------------------


def test_all_who_share_a_clock_leap_with_it(tmp_path: Path) -> None:
    clock, another = Clock(tmp_path / "clock"), Clock(tmp_path / "clock")
    clock.set(START)
    assert START <= another.now() < START + HOUR
    clock.leap(3 * HOUR)
    assert START + 3 * HOUR <= another.now() < START + 4 * HOUR
    clock.close()
    another.close()
