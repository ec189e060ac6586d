"""Steps that are run by the clock, in threads of their own; and the one that every process that runs attempts needs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial

from apscheduler.schedulers.background import BackgroundScheduler

from tagapi.jobs import changes
from tagapi.jobs.errors import JobError, JobNotFound, StoreUnavailable
from tagapi.jobs.model import JobState, new_token
from tagapi.jobs.registry import JobRegistry

log = logging.getLogger(__name__)

RECOVER_EVERY = 5  # seconds


class Rounds:
    """From `start` to `stop`."""

    def __init__(self) -> None:
        self._scheduler = BackgroundScheduler(timezone="UTC")

    def every(self, seconds: float, step: Callable[[], None], first: float) -> None:
        """A late run, however late, is worth one run, and so are several that fell together."""
        self._scheduler.add_job(
            _guarded,
            "interval",
            args=[step],
            seconds=seconds,
            next_run_time=datetime.now(UTC) + timedelta(seconds=first),
            misfire_grace_time=None,
            coalesce=True,
            max_instances=1,
        )

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        self._scheduler.shutdown(wait=False)


def _guarded(step: Callable[[], None]) -> None:
    """The clock goes on, whatever happened this time."""
    try:
        step()
    except JobError as error:
        log.warning("upkeep_postponed", extra={"why": str(error)})
    except Exception:
        log.exception("upkeep_failed")


def unless_away(step: Callable[[], None]) -> None:
    """For what is run so often that others tell that the store is away."""
    with suppress(StoreUnavailable):
        step()


def recover(registry: JobRegistry, max_recoveries: int) -> None:
    """Give jobs whose lease has lapsed to another attempt."""
    now = registry.now()
    change = partial(changes.recover, max_recoveries=max_recoveries)
    for job in registry.active():
        if job.lease_until is not None and job.lease_until <= now:
            token = new_token()
            try:
                recovered = registry.update(job.id, change, token)
            except JobNotFound:
                continue  # somebody else's upkeep was faster
            if recovered.token == token:  # else somebody else did it, or its attempt was heard of meanwhile
                parked = recovered.state is JobState.PARKED
                log.log(
                    logging.ERROR if parked else logging.WARNING,
                    "job_parked" if parked else "job_recovered",
                    extra={"job_id": job.id, "request_id": job.request.request_id, "state": recovered.state.value},
                )
