"""Where jobs are kept: the contract in words, the policy in code, and the few primitives a backend supplies.

The contract, which one suite checks on every backend:

- `add` is the one door of admission, atomic, and decides in this order: a known idempotency
  key answers with its job (or KeyReused, where the request differs); a bound that is reached
  refuses; else the job is stored, numbered, and only then acknowledged.
- `update` is the only way to change a job: the change is pure, applied to the job as it is,
  and written only if nobody wrote in between, else applied anew. `now` is the registry's clock.
- A write whose outcome is unknown, since the store went away in the middle, raises
  StoreUnavailable; repeated with the same token (or the same request, or claim) it happens once.
- What is stored carries a version: an earlier release's is read, a newer one's is refused (StoreTooNew).
- Lists and totals are kept by the same write as the job, so they never disagree with it.
- Everything that a list, the queue or a bound needs is a pure function of the job: `lists.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from tagapi.jobs import changes
from tagapi.jobs.errors import IllegalTransition, JobNotFound, KeyReused, OwnerQueueFull, QueueFull, StaleAttempt
from tagapi.jobs.lists import Bounds, ListKey, Page, Query, due, waiting
from tagapi.jobs.model import DEFAULT_LANE, Change, Job, Request, new_token
from tagapi.jobs.observer import Observer
from tagapi.jobs.outbox import Outbox
from tagapi.jobs.schedule_registry import ScheduleRegistry


@dataclass(frozen=True, kw_only=True, slots=True)
class IdempotencyKey:
    """A client's key, valid for one principal on one route, for as long as the job lives."""

    owner: str
    route: str
    value: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Added:
    job: Job
    replayed: bool
    """The key was known: this is the job of the first request."""


class Claim:
    """One claim, however often it is sent."""

    def __init__(self) -> None:
        self.token = new_token()
        self.job_id: str | None = None
        """The job that it was last sent for: it may have it. None: it has none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Changed:
    """What was written lately, for those who follow it."""

    upto: str
    """What to ask for next."""

    job_ids: Sequence[str]
    """Each once, in the order of its last write."""

    gap: bool = False
    """There was more than is kept: whoever follows a job has to read it anew."""


CHANGES_KEPT = 10_000
"""Writes that a registry remembers for those who follow them: they look several times a second."""

QUEUE_RETRY_AFTER = 5  # seconds: a full queue of small jobs has drained well below its bound by then


class JobRegistry(ABC):
    """Policy; a backend supplies the primitives below. Safe to call from many threads."""

    schedules: ScheduleRegistry
    """What is begun by the clock, in the same store."""

    outbox: Outbox
    """Who is told of jobs, in the same store: a change of a job is written with what it delivers."""

    observer = Observer()

    def observed_by(self, observer: Observer) -> None:
        """Tell it of every change of a job that this process writes from now on."""
        self.observer = self.schedules.observer = observer

    def add(self, request: Request, bounds: Bounds, key: IdempotencyKey | None = None) -> Added:
        """Admit a request. Raises KeyReused, QueueFull or OwnerQueueFull, having stored nothing."""
        job, replayed = self._admit(request, bounds, key)
        if replayed and (job.request.task, job.request.compared) != (request.task, request.compared):
            raise KeyReused
        if not replayed:
            self.observer.written(None, job)
        return Added(job=job, replayed=replayed)

    def update(self, job_id: str, change: Change, token: str | None = None) -> Job:
        """Apply a change to the job as it is and answer with the job as it became.

        Raises JobNotFound, and whatever the change raises (then nothing is written). After
        StoreUnavailable it may be repeated with the same `token`, and is then applied once.
        """
        token, sent = token or new_token(), None
        while True:
            before = self.get(job_id)
            if before.token == token:  # our own write, whose reply was lost
                if sent is not None:  # by this very call, which the driver sent again
                    self.observer.written(sent, before)
                return before
            after = change(before, self.now())
            if after is before:
                return before
            after, sent = replace(after, version=before.version + 1, token=token), before
            if self._swap(before, after):
                self.observer.written(before, after)
                return after

    def claim(self, worker: str, lease: timedelta, sent: Claim | None = None, lane: str = DEFAULT_LANE) -> Job | None:
        """Begin an attempt on the job of the lane that has been due longest; None where none is due.

        After StoreUnavailable it may be sent again, and then answers with the job that it got, if it did.
        """
        sent = sent or Claim()
        while (job_id := sent.job_id or self._next_due(self.now(), lane)) is not None:
            if (job := self.claim_job(job_id, worker, lease, sent)) is not None:
                return job
        return None

    def claim_job(self, job_id: str, worker: str, lease: timedelta, sent: Claim | None = None) -> Job | None:
        """Begin an attempt on this job; None where it is not due, or somebody else was faster. May be sent again."""
        sent = sent or Claim()
        sent.job_id = job_id
        change = partial(changes.claim, worker=worker, lease=lease, token=sent.token)
        try:
            return self.update(job_id, change, sent.token)
        except (IllegalTransition, StaleAttempt, JobNotFound):
            sent.job_id = None
            return None

    def due_in(self, lane: str, before: datetime, limit: int) -> Sequence[Job]:
        """Jobs of the lane that have been due since `before` or longer: the one that has been so longest, and those
        among the `limit` oldest that wait. One that leaves meanwhile may be among them."""
        first = self._next_due(before, lane)
        if first is None:
            return []
        ids = [self.id_of(number) for number in self._above(waiting(None, lane), 0, limit)]
        jobs = self.get_all(list(dict.fromkeys([first, *ids])))
        return [job for job in jobs if (since := due(job)) is not None and since <= before]

    def find(self, query: Query) -> Page:
        """One page of a list, newest first, and the total."""
        if query.after is not None:
            return self._find_above(query.list_keys(), query.after, query.limit)
        first = 0 if query.since is None else self._first_since(query.since)
        page = self._page(query.list_keys(), query.before, query.offset, query.limit + 1, first)
        jobs = page.jobs[: query.limit]
        follows, precedes = len(page.jobs) > query.limit, query.before is not None or query.offset > 0
        return Page(
            jobs=jobs,
            total=page.total,
            next=jobs[-1].number if jobs and follows else None,
            previous=jobs[0].number if jobs and precedes else None,
        )

    def _find_above(self, wanted: Sequence[ListKey], after: int, limit: int) -> Page:
        """The page that ends right above `after`, whatever came in meanwhile: at the beginning it may be short."""
        above = self._above(wanted, after, limit + 1)
        highest = max(above[:limit], default=after)
        page = self._page(wanted, highest + 1, 0, limit + 1)
        jobs = [job for job in page.jobs if job.number > after][:limit]
        lowest = jobs[-1].number if jobs else after + 1
        return Page(
            jobs=jobs,
            total=page.total,
            next=lowest if len(page.jobs) > len(jobs) else None,
            previous=highest if len(above) > limit else None,
        )

    def _first_since(self, moment: datetime) -> int:
        """A number from which on jobs were submitted then or later. Numbers grow with time, so halving finds it."""
        everything = [ListKey(None, None, None, None)]
        low, high = 0, max((job.number for job in self._page(everything, None, 0, 1).jobs), default=0) + 1
        while low < high:
            middle = (low + high) // 2
            at_or_above = self._above(everything, middle - 1, 1)
            number = at_or_above[0] if at_or_above else high
            if number >= high or self.get(self.id_of(number)).submitted_at >= moment:
                high = middle
            else:
                low = number + 1
        return low

    @staticmethod
    def _check_bounds(queued: int, queued_of_owner: int, owner: str, bounds: Bounds) -> None:
        """Raise where one more would be too many. A backend calls it inside its atomic `_admit`."""
        if queued >= bounds.queued:
            raise QueueFull(queued=queued, retry_after=QUEUE_RETRY_AFTER)
        if queued_of_owner >= bounds.queued_per_owner:
            raise OwnerQueueFull(owner=owner, queued=queued_of_owner, retry_after=QUEUE_RETRY_AFTER)

    def queued_in(self, lane: str) -> int:
        """How many jobs wait for an attempt in this lane."""
        return self._page(waiting(None, lane), None, 0, 1).total

    @property
    def errors(self) -> int:
        """How many calls of this process the store has not answered, or answered with an error."""
        return 0

    # -- primitives ------------------------------------------------------------------------

    @abstractmethod
    def check(self) -> None:
        """Raise StoreUnavailable where the store is known to be away. Costs nothing where it is not."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections."""

    @abstractmethod
    def now(self) -> datetime:
        """The registry's clock, in UTC: one clock for all who share it."""

    @abstractmethod
    def get(self, job_id: str) -> Job:
        """The job as it is. Raises JobNotFound."""

    @abstractmethod
    def get_all(self, job_ids: Sequence[str]) -> Sequence[Job]:
        """Those of these jobs that exist, in one read."""

    @abstractmethod
    def id_of(self, number: int) -> str:
        """The id of the job with this number. Raises JobNotFound."""

    @abstractmethod
    def _admit(self, request: Request, bounds: Bounds, key: IdempotencyKey | None) -> tuple[Job, bool]:
        """Atomically: the key's job and True; or `_check_bounds`; or the new job, stored, and False."""

    @abstractmethod
    def _swap(self, before: Job, after: Job) -> bool:
        """Atomically replace the job, if it still has the version of `before`, with all that is derived from it, and
        put what that delivers into the outbox."""

    @abstractmethod
    def _next_due(self, now: datetime, lane: str) -> str | None:
        """The id of the job of the lane with the earliest `due` that is not after `now`."""

    @abstractmethod
    def _page(self, wanted: Sequence[ListKey], before: int | None, offset: int, limit: int, first: int = 0) -> Page:
        """A page of the union of these lists without numbers below `first`, by descending number, from below `before`
        on; and the total of that union, wherever the page is."""

    @abstractmethod
    def _above(self, wanted: Sequence[ListKey], after: int, limit: int) -> Sequence[int]:
        """The lowest `limit` job numbers above `after` in the union of these lists, ascending."""

    @abstractmethod
    def next_due_at(self, lane: str = DEFAULT_LANE) -> datetime | None:
        """When the lane's first job is or was due; None where nothing waits."""

    @abstractmethod
    def active(self) -> Sequence[Job]:
        """The jobs that hold a lease, lapsed ones among them."""

    @abstractmethod
    def queued(self) -> int:
        """How many jobs wait for an attempt, in whatever lane."""

    @abstractmethod
    def changed(self, after: str | None, limit: int = 1000) -> Changed:
        """What was written after an `upto` of before, oldest first; nothing but where to begin, for None.

        `limit` is of writes. At least the last CHANGES_KEPT of them are kept; after more than that there is a gap.
        """

    @abstractmethod
    def finished_before(self, moment: datetime, limit: int, lane: str = DEFAULT_LANE) -> Sequence[str]:
        """Ids of at most `limit` jobs of the lane that finished before `moment`, oldest first."""

    @abstractmethod
    def forget(self, job_ids: Iterable[str]) -> None:
        """Remove finished jobs with their keys and their places in lists."""

    @abstractmethod
    def lock(self, name: str, holder: str, seconds: float) -> bool:
        """Be the one holder of `name` from now on for so long; False while another one is."""

    @abstractmethod
    def describe(self) -> Mapping[str, Any]:
        """What the store is and how durable, for people: `kind`, and whatever its kind has to say."""
