"""The one door to schedules for namespaces, and how their runs are begun.

Everything here may be done by several processes at once: which of them begins a run, the registry decides.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Protocol

from tagapi.jobs import schedules
from tagapi.jobs.errors import (
    JobError,
    KeyReused,
    OwnerQueueFull,
    QueueFull,
    ScheduleNotFound,
    ShuttingDown,
    StoreUnavailable,
    Unusable,
)
from tagapi.jobs.model import Job, Json, new_token
from tagapi.jobs.registry import JobRegistry
from tagapi.jobs.schedule_registry import SchedulePage, ScheduleQuery
from tagapi.jobs.schedules import Cron, NextOfCron, Schedule, Timing, run_id
from tagapi.jobs.service import RESTART_SECONDS, JobService

log = logging.getLogger(__name__)

KEYS = uuid.UUID("0f1d7c3e-94a5-4d43-8e0c-7b0f5f9c2d11")
"""The name space of the ids of schedules that were asked for under a key."""
OWNER_GONE = "its owner may not have it begun any more"
LEAST = 1.0  # seconds between two runs, where a caller knows nothing better
LONGEST = 366 * 24 * 3600  # seconds of an interval
AT_MOST = 1000
"""Schedules of one owner."""
READ_AT_ONCE = 500


class Check(Protocol):
    """Raises Unusable where a cron cannot be used, or has two times with less than `least` seconds between them."""

    def __call__(self, cron: Cron, now: datetime, least: float) -> None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Scheduled:
    schedule: Schedule
    job: Job | None
    """The first run, where it was to begin at once; None, too, where it is forgotten by now."""

    replayed: bool = False
    """The key was known: this is the schedule of the first request."""


class Scheduling:
    """Thin on purpose, as the service of jobs is: how a schedule changes is `schedules.py`'s business."""

    def __init__(
        self,
        registry: JobRegistry,
        service: JobService,
        next_of: NextOfCron,
        check: Check,
        at_most: int = AT_MOST,
        may: Callable[[Schedule], bool] = lambda schedule: True,
    ) -> None:
        """`may` says whether a schedule's owner may still have it begun; where that cannot be said, it says yes."""
        self._registry = registry
        self._service = service
        self._next_of = next_of
        self._check = check
        self._at_most = at_most
        self._may = may

    # -- what namespaces ask for -------------------------------------------------------------

    def schedule(
        self,
        task: str,
        arguments: Json,
        timing: Timing,
        *,
        owner: str,
        labels: tuple[str, ...] = (),
        lane: str | None = None,
        least: float = LEAST,
        at_once: bool = False,
        route: str = "",
        key: str | None = None,
        asked: Json | None = None,
    ) -> Scheduled:
        """Have a task run again and again; `at_once`: from now on. `asked` is as in `JobService.submit`; `lane` is
        another one than the task's, where runs should not stand in the way of those who ask by hand.

        Raises ShuttingDown, TooManySchedules, Unusable for a timing that is none or has less than `least` seconds
        between two runs, KeyReused, and, where the first run is to begin at once, QueueFull or OwnerQueueFull;
        then nothing was accepted.
        """
        if not self._service.accepting:
            raise ShuttingDown(retry_after=RESTART_SECONDS)
        now = self._registry.now()
        self._check_timing(timing, now, least)
        wanted = Schedule(
            id=_id(owner, route, key),
            task=task,
            owner=owner,
            arguments=arguments,
            timing=timing,
            created_at=now,
            next_at=now if at_once else schedules.first(timing, now, self._next_of),
            labels=labels,
            lane=lane or self._service.lane_of(task),
            asked=asked,
            token=new_token(),
        )
        kept = self._registry.schedules.add(wanted, self._at_most)
        if kept.token == wanted.token:
            log.info("schedule_accepted", extra={"schedule": kept.id, "task": task, "owner": owner})
        if at_once and kept.version == 1:
            self._begin_at_once(kept)
        return self._answer(kept, task, wanted.compared, timing, replayed=kept.token != wanted.token)

    def known(self, task: str, timing: Timing, asked: Json, *, owner: str, route: str, key: str) -> Scheduled | None:
        """The schedule that was asked for under this key, if there is one: before its arguments are made anew.

        Raises KeyReused where something else was asked for.
        """
        found = self._registry.schedules.get_all([_id(owner, route, key)])
        return self._answer(found[0], task, asked, timing, replayed=True) if found else None

    def check_unused(self, *, owner: str, route: str, key: str) -> None:
        """Raise KeyReused where a schedule was asked for under this key: what is asked now is none."""
        if self._registry.schedules.get_all([_id(owner, route, key)]):
            raise KeyReused

    def get(self, schedule_id: str, namespace: str | None = None, owner: str | None = None) -> Schedule:
        """The schedule as it is. Raises ScheduleNotFound, also for one of another namespace or another owner."""
        schedule = self._registry.schedules.get(schedule_id)
        if namespace not in (None, schedule.namespace) or owner not in (None, schedule.owner):
            raise ScheduleNotFound(schedule_id=schedule_id)
        return schedule

    def find(self, query: ScheduleQuery) -> SchedulePage:
        """One page of schedules, newest first, and the total."""
        return self._registry.schedules.find(query)

    def every(self, owner: str | None = None) -> Iterator[Schedule]:
        """All of an owner's, or of everybody's, newest first."""
        query = ScheduleQuery(owner=owner, limit=READ_AT_ONCE)
        while True:
            page = self.find(query)
            yield from page.schedules
            if page.next is None:
                return
            query = replace(query, before=page.next)

    def unschedule(self, schedule_id: str, namespace: str | None = None, owner: str | None = None) -> None:
        """Forget a schedule. A run that has begun goes on. Raises ScheduleNotFound, as `get` does."""
        self.get(schedule_id, namespace, owner)
        if not self._registry.schedules.remove(schedule_id):
            raise ScheduleNotFound(schedule_id=schedule_id)  # somebody was faster
        log.info("schedule_removed", extra={"schedule": schedule_id})

    def pause(self, schedule_id: str, *, by: str, namespace: str | None = None, owner: str | None = None) -> Schedule:
        """Begin nothing until it is resumed. A run that has begun goes on. Raises ScheduleNotFound, as `get` does."""
        self.get(schedule_id, namespace, owner)
        return self._pause(schedule_id, f"{by} asked for it")

    def resume(self, schedule_id: str, namespace: str | None = None, owner: str | None = None) -> Schedule:
        """Go on with the next time that comes. Raises ScheduleNotFound, as `get` does."""
        self.get(schedule_id, namespace, owner)
        return self._registry.schedules.update(schedule_id, partial(schedules.resume, next_of=self._next_of))

    # -- what runs by the clock --------------------------------------------------------------

    def begin_due(self) -> None:
        """Begin every run that is due; those that find no room in the queue are due the next time, too."""
        full: set[tuple[str | None, str | None]] = set()
        if self._service.accepting:
            for schedule in self._registry.schedules.ready():
                if full.isdisjoint({(schedule.lane, None), (schedule.lane, schedule.owner)}):
                    self._begin_or_wait(schedule, full)

    def pause_orphans(self) -> None:
        """Pause the schedules of owners who are gone, whenever they are due next."""
        for schedule in self.every():
            if schedule.paused is None and not self._may(schedule):
                self._pause_orphan(schedule)

    def _begin_or_wait(self, schedule: Schedule, full: set[tuple[str | None, str | None]]) -> None:
        """`full` is what has no room: whole lanes, and lanes for one owner."""
        try:
            if not self._may(schedule):
                self._pause_orphan(schedule)
            else:
                self._begin(schedule.id)
        except QueueFull:
            full.add((schedule.lane, None))
        except OwnerQueueFull:
            full.add((schedule.lane, schedule.owner))
        except StoreUnavailable:
            raise
        except JobError as error:  # none of the others has to wait for it
            log.error("schedule_not_begun", extra={"schedule": schedule.id, "why": str(error)})
        except Exception:
            log.exception("schedule_not_begun", extra={"schedule": schedule.id})

    def _begin(self, schedule_id: str) -> None:
        begun = self._registry.schedules.begin(schedule_id, self._next_of, self._service.bounds)
        if begun is None:
            return  # somebody was faster
        job, schedule = begun.job, begun.schedule
        extra = {"job_id": job.id, "task": schedule.task, "owner": schedule.owner, "schedule": schedule_id}
        log.info("job_accepted", extra=extra)
        self._service.wake(job)

    def _begin_at_once(self, schedule: Schedule) -> None:
        """Raises QueueFull or OwnerQueueFull; the schedule is forgotten then, unless it has begun meanwhile."""
        try:
            self._begin(schedule.id)
        except (QueueFull, OwnerQueueFull):
            if self._registry.schedules.remove(schedule.id, schedule.version):
                raise

    def _pause_orphan(self, schedule: Schedule) -> None:
        with suppress(ScheduleNotFound):
            self._pause(schedule.id, OWNER_GONE)

    def _pause(self, schedule_id: str, why: str) -> Schedule:
        paused = self._registry.schedules.update(schedule_id, partial(schedules.pause, why=why))
        log.info("schedule_paused", extra={"schedule": schedule_id, "why": paused.paused})
        return paused

    def _check_timing(self, timing: Timing, now: datetime, least: float) -> None:
        if isinstance(timing, Cron):
            self._check(timing, now, least)
        elif not least <= timing.seconds <= LONGEST:
            raise Unusable(field="every_seconds", reason=f"must be {least:.0f} to {LONGEST}")

    def _answer(self, kept: Schedule, task: str, asked: Json, timing: Timing, replayed: bool) -> Scheduled:
        """What somebody hears who asked for this. Raises KeyReused where something else was asked for."""
        if (kept.task, kept.compared, kept.timing) != (task, asked, timing):
            raise KeyReused
        first = self._registry.get_all([run_id(kept.id, kept.created_at)])
        schedule = self._registry.schedules.get_all([kept.id]) if first else ()
        return Scheduled(schedule=next(iter(schedule), kept), job=next(iter(first), None), replayed=replayed)


def _id(owner: str, route: str, key: str | None) -> str:
    """One key of one owner on one route is one schedule, for as long as that is kept."""
    return str(uuid.uuid4() if key is None else uuid.uuid5(KEYS, json.dumps([owner, route, key])))
