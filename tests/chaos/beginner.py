"""A process that begins what is due by the service's own upkeep, and runs it, until it is killed.

`python -m tests.chaos.beginner <url of the registry> <file of the clock> <file of what was begun>`
"""

from __future__ import annotations

import logging
import os
import random
import sys
import time
from datetime import timedelta
from functools import partial
from pathlib import Path

from tagapi.jobs import changes
from tagapi.jobs.errors import JobError
from tagapi.jobs.registry import JobRegistry
from tagapi.registries import open_registry
from tagapi.upkeep import Upkeep
from tests.chaos.leaps import Clock
from tests.contract.beginner import opened

LEASE = timedelta(seconds=20)
PAUSE = 0.005  # seconds between two rounds, so that three processes leave room for one another
LEFT, STOPPED = 0.02, 0.05  # how often a run is left to its lease, and the rest of them to the next round


class Ledger(logging.Handler):
    """Writes down each run that this process says to have begun, in one write."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg == "job_accepted":
            os.write(self._file, f"{vars(record)['job_id']}\n".encode())


def upkeep_of(registry: JobRegistry) -> Upkeep:
    return Upkeep(
        registry,
        "beginner",
        retention=timedelta(days=10_000),
        max_recoveries=1_000_000,
        remove_files=lambda _: None,
        tend_tables=lambda: None,
        begin_due=opened(registry).begin_due,
    )


def run_some(registry: JobRegistry) -> None:
    """Of what waits. Some runs take long, and some are left as by a process that was killed."""
    while random.random() > STOPPED and (job := registry.claim("beginner", LEASE)) is not None:
        if random.random() > LEFT:
            registry.update(job.id, partial(changes.succeed, epoch=job.epoch, result={}))


def main(url: str, clock: str, ledger: str) -> None:
    logging.getLogger("tagapi").setLevel(logging.INFO)
    logging.getLogger("tagapi.jobs.scheduling").addHandler(Ledger(Path(ledger)))
    registry = open_registry(url)
    registry.now = Clock(Path(clock)).now  # type: ignore[method-assign]
    upkeep = upkeep_of(registry)
    while True:
        try:
            upkeep.recover()
            upkeep.begin_due()
            run_some(registry)
        except JobError as error:  # another process was faster, or holds the file
            print(type(error).__name__, file=sys.stderr)
        time.sleep(PAUSE)


if __name__ == "__main__":
    main(*sys.argv[1:])
