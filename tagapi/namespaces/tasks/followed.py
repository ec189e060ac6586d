"""Which jobs a client follows on a socket, and how much of each it was told. It knows no socket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tagapi.jobs.model import Job
from tagapi.namespaces.tasks.render import news_after, render_snapshot

MOST_NAMED = 10_000
"""Jobs that one socket may follow by name."""
MOST_ENDED = 10_000
"""Jobs of which it is remembered that the last word was said."""


class Followed:
    """One thread changes it; others may ask what is wanted."""

    def __init__(self, caller: str, only: str | None) -> None:
        """`only` is whose jobs alone the client may see; None for everybody's."""
        self._caller = caller
        self._only = only
        self._named: set[str] = set()
        self._mine = False
        self._all = False
        self.newest: int | None = None
        """The number of the newest job when all of them, or the caller's, began to be followed: later ones are new."""
        self._told: dict[str, tuple[int, bool]] = {}
        """The last event that was told of a job, and whether the job is the caller's own."""
        self._ended: dict[str, None] = {}
        """Jobs of which the last word was said: nothing that comes late is told."""

    def add(self, ids: Sequence[str]) -> bool:
        """Follow these, from a snapshot on; False where that would be too many."""
        if len(self._named.union(ids)) > MOST_NAMED:
            return False
        for job_id in ids:
            self._ended.pop(job_id, None)
            self._told.pop(job_id, None)
            self._named.add(job_id)
        return True

    def drop(self, ids: Sequence[str]) -> None:
        """Follow these no more, but where they are followed with all of the caller's, or of everybody's."""
        for job_id in ids:
            self._named.discard(job_id)
            if not self._all and not (self._mine and self._told.get(job_id, (0, False))[1]):
                self._told.pop(job_id, None)

    def add_mine(self) -> None:
        self._mine = True
        self.newest = None  # until the watch has looked

    def add_all(self) -> bool:
        """Follow everybody's jobs; False for a client who may not see them."""
        if self._only is not None:
            return False
        self._all = True
        self.newest = None
        return True

    def drop_all(self) -> None:
        self._all = False
        self._keep_told()

    def drop_mine(self) -> None:
        self._mine = False
        self._keep_told()

    def _keep_told(self) -> None:
        """Of what is followed still."""
        if self._all:
            return
        self._told = {
            job_id: told for job_id, told in self._told.items() if job_id in self._named or (self._mine and told[1])
        }

    def forget(self, job_id: str) -> None:
        """There is no such job."""
        self._named.discard(job_id)
        self._told.pop(job_id, None)

    def wants(self, job: Job) -> bool:
        """Whether there is anything to be told of it. Never of a job that is not the client's to see, named or not."""
        if self._only not in (None, job.request.owner):
            return False
        return self._all or job.id in self._named or (self._mine and job.request.owner == self._caller)

    def ids(self) -> list[str]:
        """Those that may have changed unheard."""
        return [*list(self._named), *list(self._told)]

    def messages(self, job: Job, *, asked: bool) -> list[dict[str, Any]]:
        """What is new of a job: a snapshot first, then every event once.

        Of a job that came when all of the caller's were followed, everything that happened to it.
        """
        if job.id in self._ended or not self.wants(job):
            return []
        known = self._told.get(job.id)
        if known is not None and job.events[-1].number < known[0]:
            return []  # it was read before what was told
        told = self._news(job, known, asked=asked)
        self._told[job.id] = job.events[-1].number, job.request.owner == self._caller
        if job.finished:
            self._end(job.id)
        return told

    def _news(self, job: Job, known: tuple[int, bool] | None, *, asked: bool) -> list[dict[str, Any]]:
        new = self.newest is not None and job.number > self.newest
        if known is None and (asked or job.id in self._named or not new):
            return [render_snapshot(job)]
        news, gap = news_after(job, known[0] if known else 0)
        return [render_snapshot(job, gap=True)] if gap else news

    def _end(self, job_id: str) -> None:
        self.forget(job_id)
        self._ended[job_id] = None
        while len(self._ended) > MOST_ENDED:
            self._ended.pop(next(iter(self._ended)))
