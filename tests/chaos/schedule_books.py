"""The runs of schedules against the calendar: each due time has one run, or one that was begun late stands for it."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from tagapi.jobs.schedules import run_id
from tests.chaos.verdict import Verdict

COUNTED = 100
"""Times that one run of a cron stands for, which a schedule counts at most, as it says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A job of a schedule."""

    job: str
    begun: datetime
    finished: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """A schedule as it is in the end, with all its runs in the order in which they were begun."""

    id: str
    next_at: datetime
    runs: int
    missed: int
    jobs: Sequence[Run]
    cron: bool = True


def judge_schedule(verdict: Verdict, kept: Kept, due: Sequence[datetime], end: datetime) -> None:
    """`due` are the calendar's times, some of them behind the `end`: until then all are begun, or stood for."""
    place = {run_id(kept.id, moment): n for n, moment in enumerate(due)}
    begun = [(place[run.job], run) for run in kept.jobs if run.job in place]
    verdict.wrong += [f"{kept.id}: {run.job} is at no due time" for run in kept.jobs if run.job not in place]
    verdict.facts["runs due"] += bisect_right(due, end)
    verdict.facts["begun"] += len(kept.jobs)
    for n, run in begun:
        if run.begun < due[n]:
            verdict.lied.append(f"{kept.id}: that of {due[n]} was begun early, at {run.begun}")
        if run.finished is None:
            verdict.stuck.append(f"{kept.id}: that of {due[n]} has not finished")
    _judge_order(verdict, kept, begun)
    verdict.facts["stood for"] += _judge_gaps(verdict, kept, begun, due, end)


def _judge_order(verdict: Verdict, kept: Kept, begun: Sequence[tuple[int, Run]]) -> None:
    for (n, run), (following, after) in pairwise(begun):
        if following <= n:
            verdict.duplicated.append(f"{kept.id}: {after.job} repeats what was begun before it")
        if run.finished is None or after.begun < run.finished:
            verdict.wrong.append(f"{kept.id}: {after.job} was begun at {after.begun} beside the one before, {run}")


def _judge_gaps(
    verdict: Verdict, kept: Kept, begun: Sequence[tuple[int, Run]], due: Sequence[datetime], end: datetime
) -> int:
    """Whoever has no run of its own was past when the run before it was begun. Answers with how many those are."""
    ahead = bisect_right(due, end)
    following = [n for n, _ in begun[1:]]
    at_next = due.index(kept.next_at) if kept.next_at in due else None
    if at_next is None or at_next < ahead:
        verdict.lied.append(f"{kept.id}: its next time is {kept.next_at}, which is none, or past at {end}")
    ends = [*following, ahead if at_next is None else at_next] if begun else []
    first = begun[0][0] if begun else ahead
    lost = list(due[:first])
    stood_for = counted = 0
    for (n, run), until in zip(begun, ends, strict=True):
        passed = due[n + 1 : until]
        lost += [moment for moment in passed if moment > run.begun]
        stood_for += len(passed)
        counted += min(len(passed), COUNTED) if kept.cron else len(passed)
    verdict.lost += [f"{kept.id}: that of {moment} was never begun" for moment in lost]
    if (kept.runs, kept.missed) != (len(kept.jobs), counted):
        verdict.wrong.append(f"{kept.id}: it tells {kept.runs} runs and {kept.missed} missed, not {counted}")
    return stood_for


def judge_ledger(verdict: Verdict, told: Iterable[str], known: Mapping[str, object]) -> None:
    """`told` are the runs that somebody said to have begun; `known` those that are kept."""
    often = Counter(told)
    verdict.duplicated += [f"{job} was begun {times} times" for job, times in often.items() if times > 1]
    verdict.lost += [f"{job} was begun and is unknown" for job in often if job not in known]
