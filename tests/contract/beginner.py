"""A process that begins what is due and runs it, until it is killed: `python -m tests.contract.beginner <url>`."""

from __future__ import annotations

import random
import sys
from datetime import timedelta
from functools import partial

from tagapi import timetable
from tagapi.jobs import changes
from tagapi.jobs.errors import JobError
from tagapi.jobs.lists import Bounds
from tagapi.jobs.model import Job
from tagapi.jobs.registry import JobRegistry
from tagapi.jobs.scheduling import Scheduling
from tagapi.jobs.service import JobService
from tagapi.registries import open_registry

ROOM = Bounds(queued=10_000, queued_per_owner=10_000)
LEASE = timedelta(seconds=0.5)


class NoExecutor:
    def wake(self, job: Job) -> None: ...

    def cancel(self, job_id: str) -> None: ...

    def wait(self, job_id: str, seconds: float) -> None: ...


def opened(registry: JobRegistry) -> Scheduling:
    return Scheduling(registry, JobService(registry, NoExecutor(), ROOM), timetable.next_of, timetable.check)


def run(registry: JobRegistry) -> None:
    """Give up what a killed process had, and run some of what waits; not all of it, so that some runs take long."""
    for job in registry.active():
        if job.lease_until is not None and job.lease_until <= registry.now():
            registry.update(job.id, partial(changes.recover, max_recoveries=1000))
    while random.random() < 0.9 and (job := registry.claim("beginner", LEASE)) is not None:
        registry.update(job.id, partial(changes.succeed, epoch=job.epoch, result={}))


def main(url: str) -> None:
    registry = open_registry(url)
    scheduling = opened(registry)
    while True:
        try:
            scheduling.begin_due()
            run(registry)
        except JobError as error:  # another process was faster, or holds the file
            print(error, file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1])
