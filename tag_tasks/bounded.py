"""Work that may hang, on threads that may be left behind: so many at most, each waited for so long and no longer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextvars import copy_context
from typing import TypeVar

Answer = TypeVar("Answer")


class NoAnswer(Exception):
    """Nobody had time for the work, or it did not end in time. Then it may go on, and its answer is lost."""


class BoundedThreads:
    """Runs work for whoever must not hang with it. Safe to use from many threads.

    The threads are daemons: those that hang do not keep the process from ending.
    """

    def __init__(self, name: str, most: int, seconds: float, patience: float = 0.0) -> None:
        """`patience` is for how long work waits for a thread, unless it is known that they hang."""
        self._name = name
        self._free = threading.BoundedSemaphore(most)
        self._patience = patience
        self._hang = False
        """Somebody waited for a thread in vain, and none was given back since."""
        self.seconds = seconds

    def run(self, work: Callable[[], Answer]) -> Answer:
        """The answer of the work. Raises what it raises; NoAnswer where it takes too long, or all threads hang."""
        if not self._thread_is_free():
            raise NoAnswer("too much of it hangs, or is under way")
        future: Future[Answer] = Future()

        def step() -> None:
            try:
                answer = work()
            except BaseException as error:  # handed to whoever waits
                self._give_back()  # first: who hears the answer may have more work at once
                future.set_exception(error)
            else:
                self._give_back()
                future.set_result(answer)

        try:
            threading.Thread(target=copy_context().run, args=(step,), name=self._name, daemon=True).start()
        except RuntimeError as error:
            self._free.release()
            raise NoAnswer("no thread can be had") from error
        if not wait([future], self.seconds).done:
            raise NoAnswer(f"no answer within {self.seconds:g} s")
        return future.result()

    def _thread_is_free(self) -> bool:
        if self._free.acquire(blocking=False):
            return True
        if self._hang or not self._patience:
            return False
        self._hang = not self._free.acquire(timeout=self._patience)
        return not self._hang

    def _give_back(self) -> None:
        self._hang = False
        self._free.release()
