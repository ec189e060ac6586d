"""Who follows jobs hears of every write to them: one thread reads what changed, in one go, however many listen.

Nothing is asked of the registry while nobody listens. What was written by another process is
seen as soon as what was written here.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from queue import Empty, SimpleQueue

from tagapi.jobs.errors import StoreUnavailable
from tagapi.jobs.lists import Query
from tagapi.jobs.model import Job, JobState
from tagapi.jobs.registry import JobRegistry

log = logging.getLogger(__name__)

LOOK_EVERY = 0.1  # seconds between two looks at what changed
AWAY_EVERY = 0.5  # seconds, while the store is away
MINE_AT_ONCE = 100  # jobs of an owner that are told when they begin to follow all of theirs
ACTIVE = frozenset(state for state in JobState if not state.final)


class Follower(ABC):
    """Whoever follows jobs. It is called by the watch's thread, and must not wait."""

    @abstractmethod
    def follows(self, job: Job) -> bool:
        """Whether it wants to hear of this job."""

    @abstractmethod
    def hear(self, job: Job, *, asked: bool) -> None:
        """The job as it is now: since it asked how the job is, or since that was written. None is left out."""

    @abstractmethod
    def hear_of_none(self, job_id: str) -> None:
        """There is no such job, or it is none of the follower's."""

    @abstractmethod
    def following(self) -> Iterable[str]:
        """The ids of the jobs that it follows by name."""

    @property
    @abstractmethod
    def owner(self) -> str | None:
        """Whose jobs alone it may see; None for everybody's."""


class Watch:
    """Of one process."""

    def __init__(self, registry: JobRegistry) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._followers: set[Follower] = set()
        self._asked: SimpleQueue[tuple[Follower, Sequence[str] | str]] = SimpleQueue()
        self._wake = threading.Event()
        self._stopped = False
        self._upto: str | None = None
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped = True
        self._wake.set()

    def join(self, follower: Follower) -> None:
        """From now on it hears of what it follows."""
        with self._lock:
            self._followers.add(follower)
        self._wake.set()

    def leave(self, follower: Follower) -> None:
        with self._lock:
            self._followers.discard(follower)

    def tell(self, follower: Follower, job_ids: Sequence[str]) -> None:
        """Have it hear of these jobs as they are."""
        self._asked.put((follower, job_ids))
        self._wake.set()

    def tell_active(self, follower: Follower, owner: str) -> None:
        """Have it hear of the jobs of an owner that have not ended."""
        self._asked.put((follower, owner))
        self._wake.set()

    # -- the thread ------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopped:
            with self._lock:
                followers = list(self._followers)
            try:
                pause = LOOK_EVERY if followers else None
                self._round(followers)
            except StoreUnavailable:
                pause = AWAY_EVERY
            except Exception:
                log.exception("watch_failed")
                pause = AWAY_EVERY
            self._wake.wait(pause)
            self._wake.clear()

    def _round(self, followers: Sequence[Follower]) -> None:
        if not followers:
            self._upto = None
            self._answer()
            return
        news = self._registry.changed(self._upto)
        gap = news.gap
        if self._upto is None:  # whoever joined before hears of what is, and from here on of what becomes
            gap = True
        self._answer()
        ids = set(news.job_ids)
        if gap:
            ids.update(job_id for follower in followers for job_id in follower.following())
        for job in self._registry.get_all(list(ids)) if ids else ():
            for follower in followers:
                if follower.follows(job):
                    follower.hear(job, asked=False)
        self._upto = news.upto  # at last: what the store could not tell is asked for again

    def _answer(self) -> None:
        """Tell those who asked how their jobs are."""
        unanswered: list[tuple[Follower, Sequence[str] | str]] = []
        try:
            while True:
                unanswered.append(asked := self._asked.get_nowait())
                self._answer_one(*asked)
                unanswered.clear()
        except Empty:
            pass
        finally:
            for asked in unanswered:
                self._asked.put(asked)

    def _answer_one(self, follower: Follower, asked: Sequence[str] | str) -> None:
        if isinstance(asked, str):
            mine = Query(owner=asked, states=ACTIVE, limit=MINE_AT_ONCE)
            for job in reversed(self._registry.find(mine).jobs):
                follower.hear(job, asked=True)
            return
        found = {job.id: job for job in self._registry.get_all(list(asked))}
        for job_id in asked:
            known = found.get(job_id)
            if known is None or follower.owner not in (None, known.request.owner):
                follower.hear_of_none(job_id)
            else:
                follower.hear(known, asked=True)
