"""Where schedules are kept, beside the jobs and in the same store: the contract in words, and the policy in code.

The contract, which one suite checks on every backend:

- `add` is atomic: a known id answers with its schedule; an owner who has too many is refused; else it is numbered
  and stored, and only then acknowledged.
- `update` changes a schedule as `JobRegistry.update` does a job.
- `begin` is one atomic write: the schedule goes on to its next time and the job of the due one is admitted, or
  neither. The job's id is made of the time that was due. So a run is begun once, by whoever of many is first,
  and the same `begin` sent again finds itself.
- No run begins while the last one has not finished, or while the lane is full: it stays due, and is begun once
  then, for all times that have passed.
- What is stored carries a version: an earlier release's is read, a newer one's is refused (StoreTooNew).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tagapi.jobs import schedules
from tagapi.jobs.errors import ScheduleNotFound, TooManySchedules
from tagapi.jobs.lists import Bounds
from tagapi.jobs.model import Job, Request, new_token
from tagapi.jobs.observer import Observer
from tagapi.jobs.schedules import Change, NextOfCron, Schedule, run_of

DUE_AT_ONCE = 100
"""Due schedules that are read in one go."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleQuery:
    """Which schedules a list shows, newest first. None means any."""

    namespace: str | None = None
    owner: str | None = None
    before: int | None = None
    """Only those whose number is lower: how a list is followed."""

    offset: int = 0
    limit: int = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class SchedulePage:
    schedules: Sequence[Schedule]
    total: int
    """Of the query's filters, wherever the page is."""

    next: int | None = None
    """What to ask for as `before` to see what follows; None at the end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    schedule: Schedule
    job: Job


class ScheduleRegistry(ABC):
    """Policy; a backend supplies the primitives below. Safe to call from many threads."""

    observer = Observer()
    """Of the runs that are begun."""

    def __init__(self, now: Callable[[], datetime], jobs: Callable[[Sequence[str]], Sequence[Job]]) -> None:
        """`now` is the registry's clock; `jobs` reads those of some jobs that exist."""
        self._now = now
        self._jobs = jobs

    def add(self, schedule: Schedule, at_most: int) -> Schedule:
        """Keep a schedule; one with this id that is known already is the answer, as it is.

        Raises TooManySchedules where its owner has `at_most` of them.
        """
        return self._insert(schedule, at_most)

    def get(self, schedule_id: str) -> Schedule:
        """The schedule as it is. Raises ScheduleNotFound."""
        if found := self.get_all([schedule_id]):
            return found[0]
        raise ScheduleNotFound(schedule_id=schedule_id)

    def update(self, schedule_id: str, change: Change, token: str | None = None) -> Schedule:
        """Apply a change to the schedule as it is and answer with what it became.

        Raises ScheduleNotFound, and whatever the change raises (then nothing is written). After StoreUnavailable
        it may be repeated with the same `token`, and is then applied once.
        """
        token = token or new_token()
        while True:
            before = self.get(schedule_id)
            if before.token == token:
                return before  # our own write, whose reply was lost
            after = change(before, self._now())
            if after is before:
                return before
            after = replace(after, version=before.version + 1, token=token)
            if self._swap(before, after):
                return after

    def begin(self, schedule_id: str, next_of: NextOfCron, bounds: Bounds, token: str | None = None) -> Begun | None:
        """Begin the run that is due. None where none is, or the last one has not finished, or the schedule is gone.

        Raises QueueFull or OwnerQueueFull, having changed nothing. After StoreUnavailable it may be repeated with
        the same `token`, and then answers with the run that it began, if it did and nobody has written since.
        """
        token = token or new_token()
        while found := self.get_all([schedule_id]):
            (before,) = found
            if before.token == token and before.last_job_id is not None:
                return next((Begun(schedule=before, job=job) for job in self._jobs([before.last_job_id])), None)
            now = self._now()
            if not before.is_due(now) or self._running(found):
                return None
            after = replace(schedules.begun(before, now, next_of), version=before.version + 1, token=token)
            if (job := self._begin(before, after, run_of(before), bounds)) is not None:
                self.observer.written(None, job)
                return Begun(schedule=after, job=job)
        return None

    def ready(self) -> Iterator[Schedule]:
        """Those that are due and whose last run has finished, longest due first. Each may have been begun meanwhile."""
        ids = self._due(self._now())
        for place in range(0, len(ids), DUE_AT_ONCE):
            found = self.get_all(ids[place : place + DUE_AT_ONCE])
            running = self._running(found)
            yield from (one for one in found if one.last_job_id not in running)

    def _running(self, found: Sequence[Schedule]) -> set[str]:
        """The ids of their last runs that have not finished. Nobody but a `begin` makes another run the last one."""
        last = [one.last_job_id for one in found if one.last_job_id is not None]
        return {job.id for job in self._jobs(last) if not job.finished} if last else set()

    def find(self, query: ScheduleQuery) -> SchedulePage:
        """One page of a list, newest first, and the total."""
        page = self._page(replace(query, limit=query.limit + 1))
        shown = page.schedules[: query.limit]
        follows = len(page.schedules) > query.limit
        return replace(page, schedules=shown, next=shown[-1].number if shown and follows else None)

    @staticmethod
    def _check_room(owner: str, has: int, at_most: int) -> None:
        """Raise where one more would be too many. A backend calls it inside its atomic `_insert`."""
        if has >= at_most:
            raise TooManySchedules(owner=owner, schedules=has)

    # -- primitives ------------------------------------------------------------------------

    @abstractmethod
    def get_all(self, schedule_ids: Sequence[str]) -> Sequence[Schedule]:
        """Those of these schedules that exist, in this order, in one read."""

    @abstractmethod
    def remove(self, schedule_id: str, version: int | None = None) -> bool:
        """Forget a schedule, if it has this version still; whether there was one. Its jobs stay."""

    @abstractmethod
    def _insert(self, schedule: Schedule, at_most: int) -> Schedule:
        """Atomically: the schedule with this id; or `_check_room`; or this one, numbered and stored."""

    @abstractmethod
    def _swap(self, before: Schedule, after: Schedule) -> bool:
        """Atomically replace the schedule, if it still has the version of `before`."""

    @abstractmethod
    def _begin(self, before: Schedule, after: Schedule, run: Request, bounds: Bounds) -> Job | None:
        """Atomically: None where the schedule has not the version of `before`; or what the bounds of the queue raise;
        or replace the schedule and admit the run. A run that is known already is the answer, as it is."""

    @abstractmethod
    def _due(self, now: datetime) -> Sequence[str]:
        """The ids of all schedules whose `due_at` is not after `now`, longest due first.

        All of them: those whose last run has not finished would stand in the way of the others for ever.
        """

    @abstractmethod
    def _page(self, query: ScheduleQuery) -> SchedulePage:
        """The schedules of one page, by descending number, and the total."""
