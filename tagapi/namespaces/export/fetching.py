"""What is fetched for streams: on a few threads, since the hub's may wait for nothing; and when it is worth a look.

While streams wait for documents to come, one thread asks for all of them whether anything was committed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable, Mapping
from queue import SimpleQueue
from typing import Any

from tagapi.jobs.errors import JobError

log = logging.getLogger(__name__)

Work = Callable[[], None]
States = Mapping[Any, Hashable]
"""Of what is read, by its key: another state where there is something new."""

THREADS = 4
LOOK_EVERY = 0.25  # seconds between two looks at whether something was committed, while somebody waits for it


class Fetching:
    """Of one process. Its threads begin with the first work, behind the fork. Safe to use from many threads."""

    def __init__(self, states: Callable[[], States], threads: int = THREADS, look_every: float = LOOK_EVERY) -> None:
        """`states` may take long, and raise a JobError."""
        self._states = states
        self._look_every = look_every
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._change = threading.Condition()
        self._waiting: dict[object, tuple[Hashable, Hashable, Work]] = {}
        self._stopped = threading.Event()
        self._started = False
        self._threads = [
            *(threading.Thread(target=self._run, name=f"fetch-{number}", daemon=True) for number in range(threads)),
            threading.Thread(target=self._look, name="fetch-news", daemon=True),
        ]

    def stop(self) -> None:
        """What was not begun never is; what hangs is not waited for."""
        self._stopped.set()
        with self._change:
            self._change.notify_all()
        for _ in self._threads:
            self._queue.put(None)

    def begin(self, work: Work) -> None:
        """Do work that raises nothing, as soon as a thread is free."""
        self._start()
        self._queue.put(work)

    def begin_after(self, who: object, key: Hashable, state: Hashable, work: Work) -> None:
        """Do it when what has this key is in another state, or gone."""
        self._start()
        with self._change:
            self._waiting[who] = (key, state, work)
            self._change.notify_all()

    def forget(self, who: object) -> None:
        """It waits for nothing any more."""
        with self._change:
            self._waiting.pop(who, None)

    def _start(self) -> None:
        with self._change:
            if not self._started:
                self._started = True
                for thread in self._threads:
                    thread.start()

    # -- the threads -----------------------------------------------------------------------

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            if not self._stopped.is_set():
                work()

    def _look(self) -> None:
        while self._somebody_waits():
            for work in self._due(self._seen()):
                self._queue.put(work)
            self._stopped.wait(self._look_every)

    def _somebody_waits(self) -> bool:
        with self._change:
            self._change.wait_for(lambda: self._waiting or self._stopped.is_set())
            return not self._stopped.is_set()

    def _seen(self) -> States:
        """None of them where the storage does not say: then whoever waits is to meet that for themselves."""
        try:
            return self._states()
        except JobError as error:
            log.warning("news_not_seen", extra={"error": str(error)})
        except Exception:
            log.exception("news_failed")
        return {}

    def _due(self, states: States) -> list[Work]:
        with self._change:
            due = {who: work for who, (key, seen, work) in self._waiting.items() if states.get(key) != seen}
            for who in due:
                del self._waiting[who]
        return list(due.values())
