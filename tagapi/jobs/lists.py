"""Where a job is found: the lists that it is in, what a list is asked, and the queue. All pure functions of the job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import product
from typing import NamedTuple

from tagapi.jobs.model import Job, JobState


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """How many jobs may wait in a lane, and for one owner in it."""

    queued: int
    queued_per_owner: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """Which jobs a list shows, newest first. None means any. Raises ValueError for a label without its namespace."""

    namespace: str | None = None
    owner: str | None = None
    states: frozenset[JobState] | None = None
    label: str | None = None
    since: datetime | None = None
    """Only jobs that were submitted then or later."""

    before: int | None = None
    """Only jobs whose number is lower: how a list is followed, at the same cost at any depth."""

    after: int | None = None
    """Only jobs whose number is higher, and the lowest of them: how a list is followed back, without `before`."""

    offset: int = 0
    limit: int = 50

    def __post_init__(self) -> None:
        if self.label is not None and self.namespace is None:
            raise ValueError("a label is asked for within a namespace: without one it would find nothing")

    def list_keys(self) -> list[ListKey]:
        """Of the lists whose union is what the query asks for; no two of them share a job."""
        states = [None] if self.states is None else sorted(self.states, key=lambda state: state.value)
        return [ListKey(self.namespace, self.owner, state, self.label) for state in states]


class ListKey(NamedTuple):
    """One combination of filters whose jobs are kept in order of their numbers."""

    namespace: str | None
    owner: str | None
    state: JobState | None
    label: str | None
    """Without a namespace: a lane, whose list has the jobs that wait in it."""


class ListedBy(NamedTuple):
    """What of a request decides where its job is listed."""

    namespace: str
    owner: str
    labels: tuple[str, ...]
    lane: str | None


class Moves(NamedTuple):
    left: frozenset[ListKey]
    entered: frozenset[ListKey]


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    jobs: Sequence[Job]
    total: int
    """Of the query's filters, wherever the page is."""

    next: int | None = None
    """What to ask for as `before` to see what follows; None at the end."""

    previous: int | None = None
    """What to ask for as `after` to see what precedes; None at the beginning."""


def task_label(task: str) -> str:
    """The label of all jobs of a task."""
    return f"type:{task.partition('.')[2]}"


WAITING = frozenset({JobState.QUEUED, JobState.WAITING})
"""The states of jobs that are due or will be: those that the bounds of a queue count."""


@lru_cache(10_000)
def lists_of(request: ListedBy, state: JobState) -> frozenset[ListKey]:
    """Every list that a job is in. A label is meant within its namespace, so it is listed only there.

    A job that was accepted before there were lanes is in the list of none: it left the queue long ago.
    """
    namespace, owner, labels, lane = request
    found: set[ListKey] = set()
    if lane is not None and state in WAITING:
        found.update(ListKey(None, whose, state, lane) for whose in (None, owner))
    for whose, where in product((None, owner), (None, state)):
        found.add(ListKey(None, whose, where, None))
        found.update(ListKey(namespace, whose, where, label) for label in (None, *labels))
    return frozenset(found)


@lru_cache(10_000)
def _moved(request: ListedBy, before: JobState | None, after: JobState | None) -> Moves:
    was = lists_of(request, before) if before is not None else frozenset()
    becomes = lists_of(request, after) if after is not None else frozenset()
    return Moves(was - becomes, becomes - was)


def moves(before: Job | None, after: Job | None) -> Moves:
    """The lists that a write takes a job out of, and those that it puts it into. None is a job that is not there."""
    job = after or before
    if job is None:
        return Moves(frozenset(), frozenset())
    listed_by = ListedBy(job.request.namespace, job.request.owner, job.request.labels, job.request.lane)
    return _moved(listed_by, before and before.state, after and after.state)


def due(job: Job) -> datetime | None:
    """From when on the job may be claimed; None while it may not. The queue is in this order."""
    if job.state is JobState.QUEUED:
        return job.submitted_at
    return job.not_before if job.state is JobState.WAITING else None


def waiting(owner: str | None, lane: str | None = None) -> list[ListKey]:
    """The lists of the jobs that are due or will be, of a lane or of all: those that the bounds of the queue count."""
    return [ListKey(None, owner, state, lane) for state in (JobState.QUEUED, JobState.WAITING)]
