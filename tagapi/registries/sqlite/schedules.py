"""Schedules in the file of the jobs, written by the same writer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol, TypeVar

import apsw
import orjson

from tagapi.jobs.lists import Bounds
from tagapi.jobs.model import Job, Request
from tagapi.jobs.schedule_registry import SchedulePage, ScheduleQuery, ScheduleRegistry
from tagapi.jobs.schedules import Schedule
from tagapi.registries.codec import micros
from tagapi.registries.schedule_codec import due_place, dump_schedule, load_schedule
from tagapi.registries.sqlite.lists import EACH

Answer = TypeVar("Answer")

INSERT = """
INSERT INTO schedules (id, version, owner, namespace, due, schedule) VALUES (?, ?, ?, ?, ?, ?) RETURNING number
"""
SWAP = "UPDATE schedules SET version = ?, due = ?, schedule = ? WHERE id = ? AND version = ?"
READ = "SELECT id, number, version, schedule FROM schedules WHERE "


class Write(Protocol):
    """Has a step committed, and answers with what it answered."""

    def __call__(self, step: Callable[[apsw.Connection], Answer]) -> Answer: ...


Reading = Callable[[], AbstractContextManager[apsw.Connection]]
Admit = Callable[[apsw.Connection, Request, Bounds], Job]
"""Admits a job, in the transaction of the connection."""


class SqliteSchedules(ScheduleRegistry):
    def __init__(
        self,
        now: Callable[[], datetime],
        jobs: Callable[[Sequence[str]], Sequence[Job]],
        reading: Reading,
        write: Write,
        admit: Admit,
    ) -> None:
        """`reading` is for several statements that see one moment."""
        super().__init__(now, jobs)
        self._reading = reading
        self._write = write
        self._admit = admit

    def get_all(self, schedule_ids: Sequence[str]) -> Sequence[Schedule]:
        with self._reading() as db:
            return _read(db, schedule_ids)

    def remove(self, schedule_id: str, version: int | None = None) -> bool:
        def removed(db: apsw.Connection) -> bool:
            db.execute("DELETE FROM schedules WHERE id = ? AND version = coalesce(?, version)", (schedule_id, version))
            return bool(db.changes())

        return self._write(removed)

    def _insert(self, schedule: Schedule, at_most: int) -> Schedule:
        columns = (schedule.id, schedule.version, schedule.owner, schedule.namespace, due_place(schedule))
        stored = dump_schedule(schedule)

        def inserted(db: apsw.Connection) -> Schedule:
            if known := _read(db, [schedule.id]):
                return known[0]
            has = int(db.execute("SELECT count(*) FROM schedules WHERE owner = ?", (schedule.owner,)).get)
            self._check_room(schedule.owner, has, at_most)
            return replace(schedule, number=int(db.execute(INSERT, (*columns, stored)).get))

        return self._write(inserted)

    def _swap(self, before: Schedule, after: Schedule) -> bool:
        columns = _moving(before, after)

        def swapped(db: apsw.Connection) -> bool:
            db.execute(SWAP, columns)
            return bool(db.changes())

        return self._write(swapped)

    def _begin(self, before: Schedule, after: Schedule, run: Request, bounds: Bounds) -> Job | None:
        columns = _moving(before, after)

        def begun(db: apsw.Connection) -> Job | None:
            if db.execute("SELECT version FROM schedules WHERE id = ?", (before.id,)).get != before.version:
                return None
            job = self._admit(db, run, bounds)  # it raises before anything is written, or not at all
            db.execute(SWAP, columns)
            return job

        return self._write(begun)

    def _due(self, now: datetime) -> Sequence[str]:
        with self._reading() as db:
            due = db.execute("SELECT id FROM schedules WHERE due <= ? ORDER BY due, number", (micros(now),))
            return [schedule_id for (schedule_id,) in due]

    def _page(self, query: ScheduleQuery) -> SchedulePage:
        asked = {"owner": query.owner, "namespace": query.namespace}
        filters = {name: wanted for name, wanted in asked.items() if wanted is not None}
        where, values = " AND ".join(["true", *(f"{name} = ?" for name in filters)]), tuple(filters.values())
        below = "" if query.before is None else f" AND number < {int(query.before)}"
        with self._reading() as db:
            total = int(db.execute(f"SELECT count(*) FROM schedules WHERE {where}", values).get)
            rows: list[Any] = db.execute(
                f"{READ} {where}{below} ORDER BY number DESC LIMIT ? OFFSET ?", (*values, query.limit, query.offset)
            ).fetchall()
        return SchedulePage(schedules=[load_schedule(*row) for _, *row in rows], total=total)


def _moving(before: Schedule, after: Schedule) -> tuple[Any, ...]:
    """As SWAP takes it."""
    return after.version, due_place(after), dump_schedule(after), before.id, before.version


def _read(db: apsw.Connection, schedule_ids: Sequence[str]) -> Sequence[Schedule]:
    rows: list[Any] = db.execute(f"{READ} id IN ({EACH})", (orjson.dumps(list(schedule_ids)).decode(),)).fetchall()
    found = {schedule_id: load_schedule(*row) for schedule_id, *row in rows}
    return [found[schedule_id] for schedule_id in schedule_ids if schedule_id in found]
