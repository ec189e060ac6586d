"""Who follows jobs hears of every write to them: one thread reads what changed, in one go, however many listen.

Nothing is asked of the registry while nobody listens. What was written by another process is
seen as soon as what was written here.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tagapi.jobs.errors import StoreUnavailable
from tagapi.jobs.lists import Query
from tagapi.jobs.model import Job, JobState
from tagapi.jobs.registry import JobRegistry

log = logging.getLogger(__name__)

LOOK_EVERY = 0.1  # seconds between two looks at what changed
AWAY_EVERY = 0.5  # seconds, while the store is away
MINE_AT_ONCE = 100  # jobs of an owner that are told when they begin to follow all of theirs
ANSWERED_AT_ONCE = 500  # jobs that one follower asked about, before it is the next one's turn
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
    def hear_newest(self, number: int) -> None:
        """It is about to hear of the jobs of an owner, or of everybody: this is the newest, and later ones are new."""

    @abstractmethod
    def following(self) -> Iterable[str]:
        """The ids of the jobs that it follows by name."""

    @property
    @abstractmethod
    def owner(self) -> str | None:
        """Whose jobs alone it may see; None for everybody's."""


@dataclass(slots=True)
class Asked:
    """What a follower wants to hear of as it is. Asked twice before there was an answer, it is answered once."""

    ids: dict[str, None] = field(default_factory=dict)
    active: bool = False
    """It wants to hear of all jobs of the owner that have not ended."""
    owner: str | None = None
    """None is everybody."""


class Watch:
    """Of one process."""

    def __init__(self, registry: JobRegistry) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._followers: set[Follower] = set()
        self._asked: dict[Follower, Asked] = {}
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
            self._asked.pop(follower, None)

    def tell(self, follower: Follower, job_ids: Sequence[str]) -> None:
        """Have it hear of these jobs as they are. It has joined before."""
        with self._lock:
            if follower in self._followers:
                self._asked.setdefault(follower, Asked()).ids.update(dict.fromkeys(job_ids))
        self._wake.set()

    def tell_active(self, follower: Follower, owner: str | None) -> None:
        """Have it hear of the jobs of an owner, or of everybody, that have not ended. It has joined before."""
        with self._lock:
            if follower in self._followers:
                asked = self._asked.setdefault(follower, Asked())
                asked.owner = None if asked.active and asked.owner is None else owner
                asked.active = True
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
        """Tell those who asked how their jobs are: each in its turn, and who asks much a part at a time."""
        with self._lock:
            waiting = list(self._asked)
        for follower in waiting:
            self._answer_one(follower)
        if self._asked:
            self._wake.set()

    def _answer_one(self, follower: Follower) -> None:
        """What cannot be answered, since the store is away, is asked still."""
        with self._lock:
            asked = self._asked.pop(follower, Asked())
            ids = list(asked.ids)[:ANSWERED_AT_ONCE]
            if rest := dict.fromkeys(list(asked.ids)[ANSWERED_AT_ONCE:]):
                self._asked[follower] = Asked(rest)
        try:
            if asked.active:
                self._tell_active(follower, asked.owner)
            if ids:
                self._tell_of(follower, ids)
        except StoreUnavailable:
            if asked.active:
                self.tell_active(follower, asked.owner)
            self.tell(follower, ids)
            raise

    def _tell_active(self, follower: Follower, owner: str | None) -> None:
        newest = self._registry.find(Query(owner=owner, limit=1)).jobs
        follower.hear_newest(newest[0].number if newest else 0)
        mine = Query(owner=owner, states=ACTIVE, limit=MINE_AT_ONCE)
        for job in reversed(self._registry.find(mine).jobs):
            follower.hear(job, asked=True)

    def _tell_of(self, follower: Follower, ids: Sequence[str]) -> None:
        found = {job.id: job for job in self._registry.get_all(ids)}
        for job_id in ids:
            known = found.get(job_id)
            if known is None or follower.owner not in (None, known.request.owner):
                follower.hear_of_none(job_id)
            else:
                follower.hear(known, asked=True)
