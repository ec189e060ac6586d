"""What runs by the clock. Every step is safe to repeat and may run in each process that shares a registry."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

from tagapi.jobs import changes
from tagapi.jobs.errors import JobError, JobNotFound
from tagapi.jobs.lists import Query, task_label
from tagapi.jobs.model import DEFAULT_LANE, EventKind, Job, JobState
from tagapi.jobs.registry import JobRegistry
from tagapi.jobs.task import Task
from tagapi.rounds import RECOVER_EVERY, Rounds, recover, unless_away

log = logging.getLogger(__name__)

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
SEND_AGAIN_EVERY = 1  # seconds
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
        send_again: Callable[[], None] | None = None,
    ) -> None:
        """`retention` is how long finished jobs are kept, by lane.

        `remove_files` is for jobs that are about to be forgotten; it may be told of one more than once.
        `sweep_files` removes what lost attempts have left of jobs of which it is told that they have ended.
        `begin_due` begins the runs of schedules, in each process; `pause_orphans` looks whose owners are gone;
        `tidy_webhooks` sees to what is kept of deliveries; `send_again`, where attempts run elsewhere, to jobs of which
        nobody there seems to know.
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
        self._rounds = rounds = Rounds()
        rounds.every(RECOVER_EVERY, self.recover, RECOVER_EVERY)
        rounds.every(FORGET_EVERY, self.forget, FORGET_EVERY)
        rounds.every(SWEEP_EVERY, self.sweep, SWEEP_EVERY)
        rounds.every(TABLES_EVERY, self.tend, TABLES_FIRST)
        rounds.every(COLLECTORS_EVERY, self.collect, COLLECTORS_EVERY / 6)
        rounds.every(LOOK_AGAIN_EVERY, self.look_again, LOOK_AGAIN_EVERY)
        rounds.every(SCHEDULES_EVERY, self.begin_due, SCHEDULES_EVERY)
        rounds.every(ORPHANS_EVERY, self.pause_orphans, ORPHANS_EVERY)
        rounds.every(WEBHOOKS_EVERY, self.tidy_webhooks, WEBHOOKS_EVERY)
        if send_again is not None:
            rounds.every(SEND_AGAIN_EVERY, partial(unless_away, send_again), SEND_AGAIN_EVERY)

    def start(self) -> None:
        self._rounds.start()

    def stop(self) -> None:
        self._rounds.stop()

    def recover(self) -> None:
        """Give jobs whose lease has lapsed to another attempt."""
        recover(self._registry, self._max_recoveries)

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
        unless_away(self._begin_due)

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
