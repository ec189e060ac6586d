"""What every executor is to the world that starts and stops it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from tagapi.jobs.service import Executor


class Pool(Executor, Protocol):
    """It begins attempts, here or elsewhere, from `start` to `stop`."""

    @property
    def send_again(self) -> Callable[[], None] | None:
        """To be called about every second, where what begins attempts may not have heard of a job."""

    def start(self) -> None: ...

    def stop(self, drain_seconds: float) -> None:
        """Begin nothing more; what runs here has so long, then goes back to the queue."""

    def describe(self) -> Mapping[str, Any]:
        """For people: `kind`, and whatever its kind has to say."""
