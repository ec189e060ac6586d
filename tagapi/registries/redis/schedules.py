"""Schedules on the server of the jobs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from itertools import product
from typing import Any

from tagapi.jobs.lists import Bounds
from tagapi.jobs.model import Job, Request
from tagapi.jobs.schedule_registry import SchedulePage, ScheduleQuery, ScheduleRegistry
from tagapi.jobs.schedules import Schedule
from tagapi.registries.codec import micros
from tagapi.registries.redis import schedule_scripts as scripts
from tagapi.registries.redis.admission import Admission
from tagapi.registries.redis.scripts import PREFIX as P
from tagapi.registries.schedule_codec import due_place, dump_schedule, load_schedule

Asking = Callable[[], AbstractContextManager[None]]


class RedisSchedules(ScheduleRegistry):
    def __init__(
        self,
        now: Callable[[], datetime],
        jobs: Callable[[Sequence[str]], Sequence[Job]],
        redis: Any,
        asking: Asking,
        admission: Admission,
    ) -> None:
        """`asking` is around whatever the server is asked."""
        super().__init__(now, jobs)
        self._redis = redis
        self._asking = asking
        self._admission = admission
        self._insert_script = redis.register_script(scripts.INSERT)
        self._swap_script = redis.register_script(scripts.SWAP)
        self._begin_script = redis.register_script(scripts.BEGIN)
        self._remove_script = redis.register_script(scripts.REMOVE)
        self._page_script = redis.register_script(scripts.PAGE)

    def get_all(self, schedule_ids: Sequence[str]) -> Sequence[Schedule]:
        with self._asking(), self._redis.pipeline(transaction=False) as asked:
            for schedule_id in schedule_ids:
                asked.hmget(f"{P}schedule:{schedule_id}", ["number", "version", "schedule"])
            found = asked.execute()
        return [_loaded(row) for row in found if None not in row]

    def remove(self, schedule_id: str, version: int | None = None) -> bool:
        if not (known := self.get_all([schedule_id])):
            return False
        names = _lists(known[0])
        with self._asking():
            return bool(self._remove_script(args=[schedule_id, "" if version is None else version, json.dumps(names)]))

    def _insert(self, schedule: Schedule, at_most: int) -> Schedule:
        arguments: list[Any] = [schedule.id, _list(None, schedule.owner), at_most, schedule.version]
        arguments += [dump_schedule(schedule), _due(schedule), json.dumps(_lists(schedule))]
        arguments += [self._admission.heard_until()]
        while True:
            with self._asking():
                told = self._insert_script(args=arguments)
            match told[0]:
                case b"new":
                    return replace(schedule, number=told[1])
                case b"full":
                    self._check_room(schedule.owner, told[1], at_most)
                case b"late":
                    raise self._admission.late()
                case b"known" if known := self.get_all([schedule.id]):
                    return known[0]
            # else it was removed in between

    def _swap(self, before: Schedule, after: Schedule) -> bool:
        with self._asking():
            return bool(self._swap_script(args=_moving(before, after)))

    def _begin(self, before: Schedule, after: Schedule, run: Request, bounds: Bounds) -> Job | None:
        job, arguments = self._admission.arguments(run, bounds, None)
        with self._asking():
            told = self._begin_script(args=[*arguments, *_moving(before, after)])
        if told[0] == b"changed":
            return None
        admitted = self._admission.answer(told, job, bounds)
        return admitted and admitted[0]

    def _due(self, now: datetime) -> Sequence[str]:
        with self._asking():
            due = self._redis.zrange(f"{P}schedules:due", "-inf", micros(now), byscore=True)
        return [schedule_id.decode() for schedule_id in due]

    def _page(self, query: ScheduleQuery) -> SchedulePage:
        highest = "+inf" if query.before is None else f"({query.before}"
        name = _list(query.namespace, query.owner)
        with self._asking():
            total, *rows = self._page_script(args=[name, highest, query.offset, query.limit])
        return SchedulePage(schedules=[_loaded(row) for row in rows], total=total)


def _loaded(row: Sequence[bytes]) -> Schedule:
    return load_schedule(int(row[0]), int(row[1]), row[2])


def _due(schedule: Schedule) -> int | str:
    place = due_place(schedule)
    return "" if place is None else place


def _moving(before: Schedule, after: Schedule) -> list[Any]:
    """As SWAP takes it, and BEGIN at its end."""
    return [before.id, before.version, after.version, dump_schedule(after), _due(after)]


def _list(namespace: str | None, owner: str | None) -> str:
    return json.dumps([namespace, owner])


def _lists(schedule: Schedule) -> list[str]:
    return [_list(*which) for which in product((None, schedule.namespace), (None, schedule.owner))]
