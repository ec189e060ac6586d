"""Bounded pools of threads, one for each lane, each thread of which claims a job only when it is free to run it.

The standard pool would take every job at once into a queue of its own, without a bound and
out of the registry's sight. Here the queue is the registry's, and a thread is the bound.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from tagapi.executors.heartbeat import Heartbeat, guarded
from tagapi.jobs.model import Job
from tagapi.jobs.registry import JobRegistry
from tagapi.jobs.runner import JobRunner

IDLE_POLL = 1.0  # seconds: at least so often an idle thread looks for work that another process brought
BUSY_POLL = 0.05  # seconds: while something is due that cannot be claimed yet, or Spark does not answer
RELEASE_SECONDS = 5.0  # that interrupted attempts have to leave before the process does


class _News:
    """How the threads of a lane hear of new work."""

    def __init__(self) -> None:
        self.wanted = threading.Condition()
        self.count = 0

    def tell(self) -> None:
        with self.wanted:
            self.count += 1
            self.wanted.notify()


class ThreadPoolExecutor:
    """Runs up to so many attempts of each lane at once, from `start` to `stop`."""

    send_again = None

    def __init__(self, runner: JobRunner, registry: JobRegistry, lanes: Mapping[str, int]) -> None:
        """`lanes` has the number of threads by the name of the lane."""
        self._runner = runner
        self._registry = registry
        self._news = {lane: _News() for lane in lanes}
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(lane,), name=f"{lane}-{n}", daemon=True)
            for lane, threads in lanes.items()
            for n in range(threads)
        ]
        self._heartbeat = Heartbeat(runner)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()
        self._heartbeat.start()

    def wake(self, job: Job) -> None:
        if job.lane in self._news:
            self._news[job.lane].tell()

    def cancel(self, job_id: str) -> None:
        self._runner.cancel(job_id)

    def wait(self, job_id: str, seconds: float) -> None:
        self._runner.wait(job_id, seconds)

    def stop(self, drain_seconds: float) -> None:
        """Begin nothing more, give running attempts their time, then send them back to the queue."""
        self._runner.refuse_new()
        self._stopping.set()
        for news in self._news.values():
            with news.wanted:
                news.wanted.notify_all()
        self._join(drain_seconds)
        self._runner.release_all()
        self._join(RELEASE_SECONDS)
        self._heartbeat.stop()

    def describe(self) -> Mapping[str, Any]:
        return {"kind": "threads"}

    def _join(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _work(self, lane: str) -> None:
        while not self._stopping.is_set():
            if not guarded(lambda: self._run_or_wait(lane)):
                self._stopping.wait(IDLE_POLL)  # the registry is away: no use in asking it faster

    def _run_or_wait(self, lane: str) -> None:
        if not self._runner.ready(lane):  # the registry is left to those who hand in work
            self._stopping.wait(BUSY_POLL)
            return
        news = self._news[lane]
        with news.wanted:
            seen = news.count
        if not self._runner.run_next(lane):
            self._idle(lane, news, seen)

    def _idle(self, lane: str, news: _News, seen: int) -> None:
        """Wait for news, or for the time of the lane's first job."""
        due = self._registry.next_due_at(lane)
        seconds = IDLE_POLL if due is None else (due - self._registry.now()).total_seconds()
        with news.wanted:
            if news.count == seen and not self._stopping.is_set():
                news.wanted.wait(min(IDLE_POLL, max(BUSY_POLL, seconds)))
