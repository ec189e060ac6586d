"""Schedules in this process's memory, under the lock of its jobs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice

from sortedcontainers import SortedList

from tagapi.jobs.lists import Bounds
from tagapi.jobs.model import Job, Request
from tagapi.jobs.schedule_registry import SchedulePage, ScheduleQuery, ScheduleRegistry
from tagapi.jobs.schedules import Schedule

Admit = Callable[[Request, Bounds], Job]
"""Admits a job, under the lock."""


class MemorySchedules(ScheduleRegistry):
    def __init__(
        self,
        now: Callable[[], datetime],
        jobs: Callable[[Sequence[str]], Sequence[Job]],
        lock: threading.Lock,
        admit: Admit,
    ) -> None:
        super().__init__(now, jobs)
        self._lock = lock
        self._admit = admit
        self._schedules: dict[str, Schedule] = {}
        self._last_number = 0
        self._by_time: SortedList[tuple[datetime, int, str]] = SortedList()

    def get_all(self, schedule_ids: Sequence[str]) -> Sequence[Schedule]:
        with self._lock:
            return [self._schedules[one] for one in schedule_ids if one in self._schedules]

    def remove(self, schedule_id: str, version: int | None = None) -> bool:
        with self._lock:
            known = self._schedules.get(schedule_id)
            if known is None or version not in (None, known.version):
                return False
            self._place(known, None)
            return True

    def _insert(self, schedule: Schedule, at_most: int) -> Schedule:
        with self._lock:
            if (known := self._schedules.get(schedule.id)) is not None:
                return known
            has = sum(one.owner == schedule.owner for one in self._schedules.values())
            self._check_room(schedule.owner, has, at_most)
            self._last_number += 1
            numbered = replace(schedule, number=self._last_number)
            self._place(None, numbered)
            return numbered

    def _swap(self, before: Schedule, after: Schedule) -> bool:
        with self._lock:
            if not self._is(before):
                return False
            self._place(before, after)
            return True

    def _begin(self, before: Schedule, after: Schedule, run: Request, bounds: Bounds) -> Job | None:
        with self._lock:
            if not self._is(before):
                return None
            job = self._admit(run, bounds)
            self._place(before, after)
            return job

    def _is(self, before: Schedule) -> bool:
        known = self._schedules.get(before.id)
        return known is not None and known.version == before.version

    def _place(self, before: Schedule | None, after: Schedule | None) -> None:
        """Write a schedule and its place in time; None is one that is not there."""
        if before is not None:
            del self._schedules[before.id]
            if before.due_at is not None:
                self._by_time.remove((before.due_at, before.number, before.id))
        if after is not None:
            self._schedules[after.id] = after
            if after.due_at is not None:
                self._by_time.add((after.due_at, after.number, after.id))

    def _due(self, now: datetime) -> Sequence[str]:
        with self._lock:
            first_later = self._by_time.bisect_right((now, self._last_number + 1, ""))
            return [schedule_id for _, _, schedule_id in islice(self._by_time, first_later)]

    def _page(self, query: ScheduleQuery) -> SchedulePage:
        with self._lock:
            found = [
                one
                for one in self._schedules.values()
                if query.namespace in (None, one.namespace) and query.owner in (None, one.owner)
            ]
        below = [one for one in found if query.before is None or one.number < query.before]
        below.sort(key=lambda one: -one.number)
        return SchedulePage(schedules=below[query.offset : query.offset + query.limit], total=len(found))
