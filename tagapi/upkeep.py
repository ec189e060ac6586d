"""What runs by the clock. Every step is safe to repeat and may run in each process that shares a registry."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from apscheduler.schedulers.background import BackgroundScheduler

from tagapi.jobs import changes
from tagapi.jobs.errors import JobError, JobNotFound, StoreUnavailable
from tagapi.jobs.lists import Query, task_label
from tagapi.jobs.model import DEFAULT_LANE, EventKind, Job, JobState, new_token
from tagapi.jobs.registry import JobRegistry
from tagapi.jobs.task import Task

log = logging.getLogger(__name__)

RECOVER_EVERY = 5  # seconds
FORGET_EVERY = 60  # seconds
SWEEP_EVERY = 60  # seconds
TABLES_EVERY = 6 * 3600  # seconds
TABLES_FIRST = (
    60  # seconds after the start: a service that is restarted more often than every six hours has its turn too
)
TABLES_HELD = TABLES_EVERY / 2  # seconds for which others leave the tables to the process that tends them
PARKED_JOBS = Query(states=frozenset({JobState.PARKED}), limit=1)
COLLECTORS_EVERY = 60  # seconds
SCHEDULES_EVERY = 1  # seconds
ORPHANS_EVERY = 30  # seconds
WEBHOOKS_EVERY = 60  # seconds
LOOK_AGAIN_EVERY = 300  # seconds
LOOK_AGAIN_AFTER = (timedelta(hours=1), timedelta(days=1))
"""After the end of a job with effects outside: what was sent and not answered may arrive that late."""
LOOKED_FOR = timedelta(days=3)
"""Since their submission jobs are looked at for that; one that took longer to end is looked at once at least."""
NOTHING_LATE = "nothing had arrived late"
FINAL = frozenset(state for state in JobState if state.final)
BATCH = 100  # jobs forgotten in one go, so that nobody waits long for the registry


class Upkeep:
    """Recovery of lapsed leases, retention of finished jobs, and what a table wants from time to time."""

    def __init__(
        self,
        registry: JobRegistry,
        worker: str,
        retention: timedelta | Mapping[str, timedelta],
        max_recoveries: int,
        remove_files: Callable[[Sequence[str]], None],
        tend_tables: Callable[[], None],
        tasks: Mapping[str, Task] | None = None,
        tend_collectors: Callable[[], None] = lambda: None,
        begin_due: Callable[[], None] = lambda: None,
        pause_orphans: Callable[[], None] = lambda: None,
        sweep_files: Callable[[Callable[[str], bool]], None] = lambda _: None,
        tidy_webhooks: Callable[[], None] = lambda: None,
    ) -> None:
        """`retention` is how long finished jobs are kept, by lane.

        `remove_files` is for jobs that are about to be forgotten; it may be told of one more than once.
        `sweep_files` removes what lost attempts have left of jobs of which it is told that they have ended.
        `begin_due` begins the runs of schedules, in each process; `pause_orphans` looks whose owners are gone;
        `tidy_webhooks` sees to what is kept of deliveries.
        """
        self._outside = {
            name: task for name, task in (tasks or {}).items() if type(task).look_again is not Task.look_again
        }
        self._registry = registry
        self._worker = worker
        self._remove_files = remove_files
        self._sweep_files = sweep_files
        self._tend_tables = tend_tables
        self._tend_collectors = tend_collectors
        self._begin_due = begin_due
        self._pause_orphans = pause_orphans
        self._tidy_webhooks = tidy_webhooks
        self._retention = retention if isinstance(retention, Mapping) else {DEFAULT_LANE: retention}
        self._max_recoveries = max_recoveries
        self._scheduler = BackgroundScheduler(timezone="UTC")
        self._every(RECOVER_EVERY, self.recover, RECOVER_EVERY)
        self._every(FORGET_EVERY, self.forget, FORGET_EVERY)
        self._every(SWEEP_EVERY, self.sweep, SWEEP_EVERY)
        self._every(TABLES_EVERY, self.tend, TABLES_FIRST)
        self._every(COLLECTORS_EVERY, self.collect, COLLECTORS_EVERY / 6)
        self._every(LOOK_AGAIN_EVERY, self.look_again, LOOK_AGAIN_EVERY)
        self._every(SCHEDULES_EVERY, self.begin_due, SCHEDULES_EVERY)
        self._every(ORPHANS_EVERY, self.pause_orphans, ORPHANS_EVERY)
        self._every(WEBHOOKS_EVERY, self.tidy_webhooks, WEBHOOKS_EVERY)

    def _every(self, seconds: float, step: Callable[[], None], first: float) -> None:
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

    def recover(self) -> None:
        """Give jobs whose lease has lapsed to another attempt."""
        now = self._registry.now()
        recover = partial(changes.recover, max_recoveries=self._max_recoveries)
        for job in self._registry.active():
            if job.lease_until is not None and job.lease_until <= now:
                token = new_token()
                try:
                    recovered = self._registry.update(job.id, recover, token)
                except JobNotFound:
                    continue  # somebody else's upkeep was faster
                if recovered.token == token:  # else somebody else did it, or its attempt was heard of meanwhile
                    parked = recovered.state is JobState.PARKED
                    log.log(
                        logging.ERROR if parked else logging.WARNING,
                        "job_parked" if parked else "job_recovered",
                        extra={"job_id": job.id, "request_id": job.request.request_id, "state": recovered.state.value},
                    )

    def forget(self) -> None:
        """Remove jobs that finished longer ago than they are kept, their files first: later nobody knows of them."""
        for lane, kept in self._retention.items():
            before = self._registry.now() - kept
            while old := self._registry.finished_before(before, BATCH, lane):
                self._remove_files(old)
                self._registry.forget(old)
                log.info("jobs_forgotten", extra={"jobs": len(old), "lane": lane})

    def sweep(self) -> None:
        """Remove what attempts have left on disk that were lost, of jobs that have ended since."""
        self._sweep_files(self._has_ended)

    def _has_ended(self, job_id: str) -> bool:
        """A job that this registry does not know may be somebody else's."""
        try:
            return self._registry.get(job_id).finished
        except JobNotFound:
            return False

    def look_again(self) -> None:
        """Have tasks look for what arrived outside after their jobs had ended, where no other process does."""
        if not self._outside or not self._registry.lock("look again", self._worker, LOOK_AGAIN_EVERY):
            return
        for name, task in self._outside.items():
            query = Query(namespace=name.partition(".")[0], label=task_label(name), states=FINAL, limit=BATCH)
            query = replace(query, since=self._registry.now() - LOOKED_FOR)
            page = self._registry.find(query)
            while page.jobs:
                for job in page.jobs:
                    self._look_again(task, job)
                if page.next is None:
                    break
                page = self._registry.find(replace(query, before=page.next))

    def _look_again(self, task: Task, job: Job) -> None:
        looked = sum(event.kind is EventKind.LOOKED_AGAIN for event in job.events)
        if not job.journal or job.finished_at is None or looked >= len(LOOK_AGAIN_AFTER):
            return
        if self._registry.now() - job.finished_at < LOOK_AGAIN_AFTER[looked]:
            return
        try:
            found = task.look_again(job)
        except JobError as error:  # the other side is away: the next round looks
            log.warning("not_looked_again", extra={"job_id": job.id, "why": str(error)})
            return
        except Exception:  # none of the others has to wait for it
            log.exception("not_looked_again", extra={"job_id": job.id})
            return
        if found:
            log.warning("late_effects_removed", extra={"job_id": job.id, "what": found})
        self._registry.update(job.id, partial(changes.looked_again, detail=found or NOTHING_LATE))

    def begin_due(self) -> None:
        """Begin what is due by a schedule. Every process looks: whoever is first begins it.

        That the store is away is told by what runs less often.
        """
        with suppress(StoreUnavailable):
            self._begin_due()

    def pause_orphans(self) -> None:
        """Pause the schedules and webhooks of those who are gone, where no other process does."""
        if self._registry.lock("orphans", self._worker, ORPHANS_EVERY / 2):
            self._pause_orphans()

    def tidy_webhooks(self) -> None:
        """See to what is kept of deliveries, where no other process does."""
        if self._registry.lock("webhooks", self._worker, WEBHOOKS_EVERY / 2):
            self._tidy_webhooks()

    def collect(self) -> None:
        """Tend the collectors, where no other process that shares the registry does."""
        if self._registry.lock("collectors", self._worker, COLLECTORS_EVERY / 2):
            self._tend_collectors()

    def tend(self) -> None:
        """Tend the tables, where no other process that shares the registry does.

        Not while a job is parked: what it has staged, however old, may still be committed once it is settled.
        """
        if parked := self._registry.find(PARKED_JOBS).total:
            log.warning("tables_not_tended", extra={"parked": parked})
        elif self._registry.lock("tables", self._worker, TABLES_HELD):
            self._tend_tables()


def _guarded(step: Callable[[], None]) -> None:
    """The clock goes on, whatever happened this time."""
    try:
        step()
    except JobError as error:
        log.warning("upkeep_postponed", extra={"why": str(error)})
    except Exception:
        log.exception("upkeep_failed")
