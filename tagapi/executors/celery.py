"""Attempts are carried to workers of Celery: the service's side.

The registry stays the truth: whoever gets a message claims its job in the registry before anything of it begins, as a
thread of the pool does. So a message may be lost, doubled or late without harm, and is sent again for jobs that wait
while none lies at the broker.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from tagapi.executors.celery_messages import Messages, celery_app
from tagapi.jobs.errors import StoreUnavailable
from tagapi.jobs.model import Job
from tagapi.jobs.registry import JobRegistry

log = logging.getLogger(__name__)

SENT_AGAIN_AFTER = timedelta(seconds=2)
"""Of waiting: by then the message of a job that has a free worker has long arrived."""

LOST_AFTER = timedelta(seconds=30)
"""Of waiting in a lane whose messages are never all taken: whose turn it was long ago may have lost its message."""

SENT_AT_ONCE = 100  # messages that are sent again in one round for one lane


class Again:
    """Has messages sent again for jobs that have waited for a while: for all of a lane where none lies at the broker,
    else, less often, for the one that has waited longest, since a busy lane may never be without messages."""

    def __init__(self, registry: JobRegistry, messages: Messages, lanes: Iterable[str], holder: str) -> None:
        """`holder` names this process to the others, of which one sends at a time."""
        self._registry = registry
        self._messages = messages
        self._lanes = list(lanes)
        self._holder = holder
        self._sent_at: dict[str, datetime] = {}
        """When a message was sent again last, by lane."""

    def send(self) -> None:
        """Called about every second. Raises StoreUnavailable."""
        if self._messages.up:
            for lane in self._lanes:
                self._send(lane)

    def _send(self, lane: str) -> None:
        busy, now = self._messages.lying(lane) > 0, self._registry.now()  # whoever has room takes those first
        pause, most = (LOST_AFTER, 1) if busy else (SENT_AGAIN_AFTER, SENT_AT_ONCE)
        if busy and now - self._sent_at.get(lane, now - pause) < pause:
            return
        waiting = self._registry.due_in(lane, now - pause, most)[:most]
        if waiting and self._registry.lock(f"messages:{lane}", self._holder, pause.total_seconds()):
            self._sent_at[lane] = now
            log.info("messages_sent_again", extra={"lane": lane, "jobs": len(waiting)})
            for job in waiting:
                self._messages.send(job)


class CeleryExecutor:
    """Runs nothing here: says to workers what there is."""

    def __init__(self, broker: str, registry: JobRegistry, lanes: Iterable[str], holder: str) -> None:
        lanes = list(lanes)
        self._broker = broker
        self._messages = Messages(celery_app(broker, lanes), lanes)
        self._again = Again(registry, self._messages, lanes, holder)

    def start(self) -> None:
        self._messages.start()

    def stop(self, drain_seconds: float) -> None:
        self._messages.stop()

    def wake(self, job: Job) -> None:
        self._messages.send(job)

    def cancel(self, job_id: str) -> None:
        """Its worker sees the registry's flag."""

    def wait(self, job_id: str, seconds: float) -> None:
        """No attempt runs here."""

    def send_again(self) -> None:
        """Called about every second."""
        self._again.send()

    def describe(self) -> Mapping[str, Any]:
        """What health says, to whoever asks: so not where the broker is."""
        return {"kind": "celery", "broker": self._broker.partition(":")[0], "up": self._messages.up is not False}


def send_if_waiting(registry: JobRegistry, messages: Messages, job_id: str) -> None:
    """After an attempt: where its job waits for another one, say so as soon as that can begin."""
    try:
        found = registry.get_all([job_id])
    except StoreUnavailable:
        return  # it is sent again
    for job in found:
        if job.not_before is not None:
            messages.send(job, max(0.0, (job.not_before - registry.now()).total_seconds()))
