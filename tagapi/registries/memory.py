"""Jobs in this process's memory: the fastest registry, and gone with the process."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import islice
from typing import Any

from sortedcontainers import SortedList

from tagapi.jobs import changes
from tagapi.jobs.errors import JobNotFound
from tagapi.jobs.lists import Bounds, ListKey, Page, due, moves, waiting
from tagapi.jobs.model import DEFAULT_LANE, Job, Request
from tagapi.jobs.registry import CHANGES_KEPT, Changed, IdempotencyKey, JobRegistry
from tagapi.registries.memory_outbox import MemoryOutbox
from tagapi.registries.memory_schedules import MemorySchedules


class MemoryRegistry(JobRegistry):
    """Everything under one lock, which is held for microseconds."""

    outbox: MemoryOutbox

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._by_number: dict[int, Job] = {}
        self._keys: dict[IdempotencyKey, str] = {}
        self._key_of: dict[str, IdempotencyKey] = {}
        self._last_number = 0
        self._lists: dict[ListKey, SortedList[int]] = defaultdict(SortedList)
        self._queues: dict[str, SortedList[tuple[datetime, int]]] = defaultdict(SortedList)
        self._active: set[str] = set()
        self._finished: dict[str, SortedList[tuple[datetime, int]]] = defaultdict(SortedList)
        self._changes: deque[str] = deque(maxlen=CHANGES_KEPT)
        self._written = 0
        self._locks: dict[str, tuple[str, datetime]] = {}
        self.schedules = MemorySchedules(
            lambda: self.now(), self.get_all, self._lock, lambda run, bounds: self._admitted(run, bounds, None)[0]
        )
        self.outbox = MemoryOutbox(lambda: self.now(), self._lock)

    def check(self) -> None:
        """Memory is never away."""

    def close(self) -> None:
        """There is nothing to let go of."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def get(self, job_id: str) -> Job:
        try:
            return self._jobs[job_id]
        except KeyError:
            raise JobNotFound(job_id=job_id) from None

    def get_all(self, job_ids: Sequence[str]) -> Sequence[Job]:
        with self._lock:
            return [self._jobs[job_id] for job_id in job_ids if job_id in self._jobs]

    def id_of(self, number: int) -> str:
        try:
            return self._by_number[number].id
        except KeyError:
            raise JobNotFound(job_id=number) from None

    def _admit(self, request: Request, bounds: Bounds, key: IdempotencyKey | None) -> tuple[Job, bool]:
        with self._lock:
            return self._admitted(request, bounds, key)

    def _admitted(self, request: Request, bounds: Bounds, key: IdempotencyKey | None) -> tuple[Job, bool]:
        """Under the lock."""
        if key in self._keys:
            known = self._jobs[self._keys[key]]
            return known, known.id != request.job_id
        if request.job_id in self._jobs:
            return self._jobs[request.job_id], False
        queued, of_owner = (self._count(waiting(owner, request.lane)) for owner in (None, request.owner))
        self._check_bounds(queued, of_owner, request.owner, bounds)
        self._last_number += 1
        job = changes.accept(request, self.now(), self._last_number)
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
            delivered = self.outbox.known.deliveries(current, after)
            self._place(current, after)
            self.outbox.put(delivered)
            return True

    def _count(self, wanted: Sequence[ListKey]) -> int:
        return sum(len(self._lists[key]) for key in wanted if key in self._lists)

    def _place(self, before: Job | None, after: Job | None) -> None:
        """Write a job and everything that is derived from it; None is a job that is not there."""
        job = after or before
        assert job is not None
        if after is None:
            del self._jobs[job.id], self._by_number[job.number]
        else:
            self._jobs[job.id] = self._by_number[job.number] = after
            self._changes.append(job.id)
            self._written += 1
        left, entered = moves(before, after)
        for key in left:
            self._lists[key].remove(job.number)
            if not self._lists[key]:
                del self._lists[key]
        for key in entered:
            self._lists[key].add(job.number)
        if not left and not entered and before is not None and after is not None and due(before) == due(after):
            return
        for one, step in ((before, -1), (after, 1)):
            if one is None:
                continue
            change = SortedList.remove if step < 0 else SortedList.add
            if (place := due(one)) is not None:
                change(self._queues[one.lane], (place, one.number))
            if one.finished_at is not None:
                change(self._finished[one.lane], (one.finished_at, one.number))
        if after is not None and after.lease_until is not None:
            self._active.add(job.id)
        else:
            self._active.discard(job.id)

    def _next_due(self, now: datetime, lane: str) -> str | None:
        with self._lock:
            queue = self._queues[lane]
            return self._by_number[queue[0][1]].id if queue and queue[0][0] <= now else None

    def next_due_at(self, lane: str = DEFAULT_LANE) -> datetime | None:
        with self._lock:
            queue = self._queues[lane]
            return queue[0][0] if queue else None

    def changed(self, after: str | None, limit: int = 1000) -> Changed:
        with self._lock:
            seen = self._written if after is None else int(after)
            kept_from = self._written - len(self._changes)
            start = max(seen, kept_from)
            found = list(islice(self._changes, start - kept_from, start - kept_from + limit))
            ids = list(dict.fromkeys(reversed(found)))[::-1]
            return Changed(upto=str(start + len(found)), job_ids=ids, gap=seen < kept_from)

    def _page(self, wanted: Sequence[ListKey], before: int | None, offset: int, limit: int, first: int = 0) -> Page:
        with self._lock:
            found = [self._lists[key] for key in wanted if key in self._lists]
            begins = [numbers.bisect_left(first) if first else 0 for numbers in found]
            total = sum(len(numbers) - begin for numbers, begin in zip(found, begins, strict=True))
            ends = [len(numbers) if before is None else numbers.bisect_left(before) for numbers in found]
            if len(found) == 1:  # by rank: the cost does not depend on the depth
                numbers = found[0][max(begins[0], ends[0] - offset - limit) : max(begins[0], ends[0] - offset)][::-1]
            else:
                spans = zip(found, begins, ends, strict=True)
                below = [one.islice(begin, max(begin, end), reverse=True) for one, begin, end in spans]
                numbers = list(islice(merge(*below, reverse=True), offset, offset + limit))
            return Page(jobs=[self._by_number[number] for number in numbers], total=total)

    def _above(self, wanted: Sequence[ListKey], after: int, limit: int) -> Sequence[int]:
        with self._lock:
            found = [self._lists[key] for key in wanted if key in self._lists]
            return list(islice(merge(*(numbers.irange(after + 1) for numbers in found)), limit))

    def active(self) -> Sequence[Job]:
        with self._lock:
            return [self._jobs[job_id] for job_id in self._active]

    def queued(self) -> int:
        with self._lock:
            return self._count(waiting(None))

    def finished_before(self, moment: datetime, limit: int, lane: str = DEFAULT_LANE) -> Sequence[str]:
        with self._lock:
            old = islice(self._finished[lane].irange(maximum=(moment, 0)), limit)
            return [self._by_number[number].id for _, number in old]

    def forget(self, job_ids: Iterable[str]) -> None:
        with self._lock:
            for job_id in job_ids:
                if (job := self._jobs.get(job_id)) is not None and job.finished:
                    self._place(job, None)
                    if (key := self._key_of.pop(job_id, None)) is not None:
                        del self._keys[key]

    def lock(self, name: str, holder: str, seconds: float) -> bool:
        with self._lock:
            now = self.now()
            other, until = self._locks.get(name, (holder, now))
            if other != holder and until > now:
                return False
            self._locks[name] = (holder, now + timedelta(seconds=seconds))
            return True

    def describe(self) -> Mapping[str, Any]:
        return {"kind": "memory", "durable": "no: jobs end with the process"}
