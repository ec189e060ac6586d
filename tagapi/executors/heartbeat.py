"""The clock of a process that runs attempts: leases are kept, cancels seen, and what is past its limit ended."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from tagapi.jobs.errors import StoreUnavailable
from tagapi.jobs.runner import JobRunner

log = logging.getLogger(__name__)

EVERY = 0.5  # seconds


class Heartbeat:
    """A thread of its own, from `start` to `stop`."""

    def __init__(self, runner: JobRunner) -> None:
        self._runner = runner
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def _beat(self) -> None:
        while not self._stopped.wait(EVERY):
            guarded(self._runner.heartbeat)


def guarded(step: Callable[[], None]) -> bool:
    """Whether it went well. A thread outlives what goes wrong around a job; its own errors end in the runner."""
    try:
        step()
    except StoreUnavailable:
        return False  # the registry has said so already
    except BaseException:  # a panic of a library is no Exception
        log.exception("executor_step_failed")
        return False
    return True
