"""Jobs in this process's memory: the fastest registry, and gone with the process."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from heapq import merge
from itertools import islice

from sortedcontainers import SortedList

from tagapi.jobs.errors import JobNotFound
from tagapi.jobs.model import Job, Request
from tagapi.jobs.registry import Bounds, IdempotencyKey, JobRegistry, Listing, Page, due, listings


class MemoryRegistry(JobRegistry):
    """Everything under one lock, which is held for microseconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._by_number: dict[int, Job] = {}
        self._keys: dict[IdempotencyKey, str] = {}
        self._key_of: dict[str, IdempotencyKey] = {}
        self._last_number = 0
        self._listings: dict[Listing, SortedList[int]] = defaultdict(SortedList)
        self._queue: SortedList[tuple[datetime, int]] = SortedList()
        self._queued_of: Counter[str] = Counter()
        self._active: set[str] = set()
        self._finished: SortedList[tuple[datetime, int]] = SortedList()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def get(self, job_id: str) -> Job:
        try:
            return self._jobs[job_id]
        except KeyError:
            raise JobNotFound(job_id=job_id) from None

    def _admit(self, request: Request, bounds: Bounds, key: IdempotencyKey | None) -> tuple[Job, bool]:
        with self._lock:
            if key in self._keys:
                return self._jobs[self._keys[key]], True
            if request.job_id in self._jobs:
                return self._jobs[request.job_id], False
            self._check_bounds(len(self._queue), self._queued_of[request.owner], request.owner, bounds)
            self._last_number += 1
            job = Job(request=request, number=self._last_number, submitted_at=self.now())
            self._place(None, job)
            if key is not None:
                self._keys[key] = job.id
                self._key_of[job.id] = key
            return job, False

    def _swap(self, before: Job, after: Job) -> bool:
        with self._lock:
            current = self._jobs.get(before.id)
            if current is None or current.version != before.version:
                return False
            self._place(current, after)
            return True

    def _place(self, before: Job | None, after: Job | None) -> None:
        """Write a job and everything that is derived from it; None is a job that is not there."""
        job = after or before
        assert job is not None
        if after is None:
            del self._jobs[job.id], self._by_number[job.number]
        else:
            self._jobs[job.id] = self._by_number[job.number] = after
        if before is not None and after is not None and _placed_alike(before, after):
            return
        was = set(listings(before)) if before else set()
        becomes = set(listings(after)) if after else set()
        for listing in was - becomes:
            self._listings[listing].remove(job.number)
            if not self._listings[listing]:
                del self._listings[listing]
        for listing in becomes - was:
            self._listings[listing].add(job.number)
        for one, step in ((before, -1), (after, 1)):
            if one is None:
                continue
            change = SortedList.remove if step < 0 else SortedList.add
            if (place := due(one)) is not None:
                change(self._queue, (place, one.number))
                self._queued_of[one.request.owner] += step
            if one.finished_at is not None:
                change(self._finished, (one.finished_at, one.number))
        if after is not None and after.lease_until is not None:
            self._active.add(job.id)
        else:
            self._active.discard(job.id)

    def _next_due(self, now: datetime) -> str | None:
        with self._lock:
            if not self._queue or self._queue[0][0] > now:
                return None
            return self._by_number[self._queue[0][1]].id

    def next_due_at(self) -> datetime | None:
        with self._lock:
            return self._queue[0][0] if self._queue else None

    def _page(self, wanted: Sequence[Listing], offset: int, limit: int) -> Page:
        with self._lock:
            found = [self._listings[listing] for listing in wanted if listing in self._listings]
            total = sum(map(len, found))
            if len(found) == 1:  # by rank: the cost does not depend on the depth
                numbers = found[0][max(0, total - offset - limit) : max(0, total - offset)][::-1]
            else:
                numbers = list(islice(merge(*map(reversed, found), reverse=True), offset, offset + limit))
            return Page(jobs=[self._by_number[number] for number in numbers], total=total)

    def active(self) -> Sequence[Job]:
        with self._lock:
            return [self._jobs[job_id] for job_id in self._active]

    def queued(self) -> int:
        with self._lock:
            return len(self._queue)

    def finished_before(self, moment: datetime, limit: int) -> Sequence[str]:
        with self._lock:
            old = islice(self._finished.irange(maximum=(moment, 0)), limit)
            return [self._by_number[number].id for _, number in old]

    def forget(self, job_ids: Iterable[str]) -> None:
        with self._lock:
            for job_id in job_ids:
                if (job := self._jobs.get(job_id)) is not None and job.finished:
                    self._place(job, None)
                    if (key := self._key_of.pop(job_id, None)) is not None:
                        del self._keys[key]


def _placed_alike(before: Job, after: Job) -> bool:
    """Whether a write, such as a renewal or progress, leaves the job where it is in every list."""
    return (before.state, before.not_before, before.lease_until is None) == (
        after.state,
        after.not_before,
        after.lease_until is None,
    )
