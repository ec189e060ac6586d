"""What is counted as it happens, by the process in which it does.

Labels are few and bounded: rules instead of paths, the names of tasks, words of ours. No ids and no names of people.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram

from tagapi.jobs.model import Job, JobState
from tagapi.jobs.observer import Observer
from tagapi.jobs.webhooks import DeliveryState
from tagapi.metrics import writes

log = logging.getLogger(__name__)

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
OTHER = "other"
"""A method that nobody offers: a client may send any word."""
UNMATCHED = "unmatched"
"""A path that is nobody's."""

REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
JOB_SECONDS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
FINAL = tuple(state.value for state in JobState if state.final)

DELIVERY_OUTCOMES: Mapping[DeliveryState, str] = {
    DeliveryState.DELIVERED: "delivered",
    DeliveryState.WAITING: "failed",
    DeliveryState.GIVEN_UP: "given_up",
}
"""By what became of a delivery: taken; not taken, and tried again; not taken for the last time."""


class _Request(NamedTuple):
    """The series of one kind of request, found once."""

    answered: Counter
    took: Histogram


class Requests:
    """Hears of each request that was answered."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._count = Counter(
            "tagapi_http_requests",
            "Requests answered, by the rule that the path met.",
            ["method", "route", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "tagapi_http_request_duration_seconds",
            "The service's own time for an answer, without its client's.",
            ["method", "route"],
            buckets=REQUEST_SECONDS,
            registry=registry,
        )
        self._known: dict[tuple[str | None, str | None, int], _Request] = {}

    def answered(self, method: str | None, route: str | None, status: int, seconds: float) -> None:
        """On the way of every request: a look-up and two sums. Nothing that goes wrong here harms the request."""
        method = method if method in METHODS else OTHER
        try:
            series = self._known.get((method, route, status)) or self._find(method, route, status)
            series.answered.inc()
            series.took.observe(seconds)
        except Exception:
            log.exception("metrics_failed")

    def _find(self, method: str, route: str | None, status: int) -> _Request:
        place = route or UNMATCHED
        found = _Request(self._count.labels(method, place, str(status)), self._seconds.labels(method, place))
        self._known[method, route, status] = found
        return found


class Jobs(Observer):
    """Hears of every change of a job that this process writes."""

    def __init__(self, registry: CollectorRegistry, tasks: Iterable[str]) -> None:
        self._accepted = Counter("tagapi_jobs_accepted", "Jobs accepted.", ["task"], registry=registry)
        self._finished = Counter("tagapi_jobs_finished", "Jobs ended.", ["task", "outcome"], registry=registry)
        self._attempts = Counter("tagapi_attempts", "Attempts ended.", ["task", "outcome"], registry=registry)
        self._waited = Histogram(
            "tagapi_job_wait_seconds",
            "From when an attempt could have begun until it did.",
            ["task"],
            buckets=JOB_SECONDS,
            registry=registry,
        )
        self._ran = Histogram(
            "tagapi_attempt_duration_seconds",
            "From the beginning of an attempt to its end, whatever that was.",
            ["task"],
            buckets=JOB_SECONDS,
            registry=registry,
        )
        for task in tasks:  # from zero on: the first one of its kind is an increase, too
            self._accepted.labels(task)
            for outcome in FINAL:
                self._finished.labels(task, outcome)

    def written(self, before: Job | None, after: Job) -> None:
        try:
            self._count(before, after)
        except Exception:  # it is written: whoever did so goes on
            log.exception("metrics_failed")

    def _count(self, before: Job | None, after: Job) -> None:
        if before is not None and before.state is after.state:  # a renewal, progress
            return
        task = after.request.task
        if before is None:
            self._accepted.labels(task).inc()
            return
        if (waited := writes.waited(before, after)) is not None:
            self._waited.labels(task).observe(waited)
        if (ended := writes.ended(before, after)) is not None:
            self._attempts.labels(task, ended.outcome).inc()
            self._ran.labels(task).observe(ended.seconds)
        if after.finished:
            self._finished.labels(task, after.state.value).inc()


class Deliveries:
    """Hears of each attempt to tell a webhook something."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._ended = Counter("tagapi_deliveries", "Attempts to deliver to a webhook.", ["outcome"], registry=registry)
        for outcome in DELIVERY_OUTCOMES.values():
            self._ended.labels(outcome)

    def ended(self, state: DeliveryState) -> None:
        """`state` is that of the delivery once the attempt has ended."""
        self._ended.labels(DELIVERY_OUTCOMES[state]).inc()


class Sums:
    """What others count, taken over from time to time."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._series = {
            "spark_restarts": Counter(
                "tagapi_spark_restarts", "Embedded Spark servers that ended and were replaced.", registry=registry
            ),
            "store_errors": Counter(
                "tagapi_store_errors", "Calls that the job store did not answer, or with an error.", registry=registry
            ),
        }
        self._taken = dict.fromkeys(self._series, 0)

    def take(self, sums: Mapping[str, int]) -> None:
        """What has been counted so far, by name."""
        for name, counted in sums.items():
            self._series[name].inc(counted - self._taken[name])
            self._taken[name] = counted
