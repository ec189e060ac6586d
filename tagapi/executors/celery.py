"""Attempts are carried to workers of Celery: the service's side.

The registry stays the truth: whoever gets a message claims its job in the registry before anything of it begins, as a
thread of the pool does. So a message may be lost, doubled or late without harm, and is sent again for jobs that wait
while none lies at the broker.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from tagapi.executors.celery_messages import Messages, celery_app
from tagapi.jobs.errors import StoreUnavailable
from tagapi.jobs.model import Job
from tagapi.jobs.registry import JobRegistry

log = logging.getLogger(__name__)

SENT_AGAIN_AFTER = timedelta(seconds=2)
"""Of waiting: by then the message of a job that has a free worker has long arrived."""

SENT_AT_ONCE = 100  # messages that are sent again in one round for one lane


class Again:
    """Has messages sent again for jobs that have waited for a while, where none of their lane lies at the broker."""

    def __init__(self, registry: JobRegistry, messages: Messages, lanes: Iterable[str], holder: str) -> None:
        """`holder` names this process to the others, of which one sends at a time."""
        self._registry = registry
        self._messages = messages
        self._lanes = list(lanes)
        self._holder = holder

    def send(self) -> None:
        """Called about every second. Raises StoreUnavailable."""
        if self._messages.up:
            for lane in self._lanes:
                self._send(lane)

    def _send(self, lane: str) -> None:
        if self._messages.lying(lane):
            return  # whoever has room takes them first
        before = self._registry.now() - SENT_AGAIN_AFTER
        waiting = self._registry.due_in(lane, before, SENT_AT_ONCE)
        if waiting and self._registry.lock(f"messages:{lane}", self._holder, SENT_AGAIN_AFTER.total_seconds()):
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
