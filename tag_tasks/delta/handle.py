"""The one open table of a process: shared by whoever needs it, and left behind with whoever hangs in it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from deltalake import DeltaTable

from tag_tasks.bounded import BoundedThreads, NoAnswer
from tag_tasks.storage import answered
from tagapi.jobs.errors import Contended, Transient

Answer = TypeVar("Answer")


class TableHandle:
    """Keeps a table open, since to bring it up to date is cheaper than to open it. Safe to use from many threads."""

    def __init__(self, open_table: Callable[[], DeltaTable], threads: BoundedThreads, problem: str) -> None:
        self._open = open_table
        self._threads = threads
        self._problem = problem
        self._kept = _Kept()

    def use(self, work: Callable[[DeltaTable], Answer], fresh: bool = True) -> Answer:
        """The answer of work on the table, at its newest version unless told otherwise.

        Raises Transient where that hangs: then the handle, and the lock on it, are given up, so that the
        next one finds others. Whoever hangs may go on later, with a table that is of that time: a commit
        of theirs is refused wherever a fence commit, or any other, was made meanwhile.
        """
        kept = self._kept
        try:
            return answered(self._threads, partial(self._on, kept, work, fresh), self._problem)
        except Transient as error:
            if isinstance(error.__cause__, NoAnswer) and self._kept is kept:
                self._kept = _Kept()
            raise

    def _on(self, kept: _Kept, work: Callable[[DeltaTable], Answer], fresh: bool) -> Answer:
        if not kept.lock.acquire(timeout=self._threads.seconds):
            raise NoAnswer("somebody else hangs in it")
        try:
            if kept.table is None:
                kept.table = self._open()
            if fresh:
                kept.table.update_incremental()
            return work(kept.table)
        except Contended:
            raise
        except BaseException:
            kept.table = None  # who knows what state it is in
            raise
        finally:
            kept.lock.release()


class _Kept:
    """A table and the lock that is held for each call on it, which is not safe to share without."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.table: DeltaTable | None = None
