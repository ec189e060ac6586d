"""What there is to see of the service at one moment: pool, queue, Spark, store, workers, schedules, pushes, credits.

Counts and names alone; who may see what of it is for whoever shows it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tagapi.jobs.errors import JobError
from tagapi.jobs.model import Job
from tagapi.jobs.registry import JobRegistry
from tagapi.jobs.scheduling import Scheduling


class Pushes(Protocol):
    """The sockets and streams of this process."""

    @property
    def open(self) -> int: ...
    @property
    def most(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Overview:
    """Safe to use from many threads."""

    registry: JobRegistry
    scheduling: Scheduling
    pushes: Pushes
    lanes: Mapping[str, int]
    """Attempts at once, by lane, of each process."""
    facts: Callable[[], Mapping[str, Any]]
    """Of this process: `version`, `spark`, `executor`, `registry`."""
    processes: int
    """On this machine; of others, those are known that run something."""
    credits: Callable[[str], Mapping[str, Any]] | None
    """What an owner has used of the month's credits: `used`, `total` and `next`; None where there is no limit."""

    def now(self, owner: str | None, caller: str) -> Mapping[str, Any]:
        """As this process sees it. `owner` is whose schedules are meant; None for everybody's."""
        active = self.registry.active()
        workers = Counter(job.worker for job in active if job.worker is not None)
        return {
            **self.facts(),
            "at": self.registry.now(),
            "lanes": [self._lane(lane, slots, active) for lane, slots in self.lanes.items()],
            "workers": workers,
            "processes": max(self.processes, len(workers)),
            "schedules": self._schedules(owner),
            "pushes": {"open": self.pushes.open, "most": self.pushes.most},
            "credits": self._credits(caller),
        }

    def _lane(self, lane: str, slots: int, active: Sequence[Job]) -> Mapping[str, Any]:
        waiting = self.registry.queued_in(lane)
        return {
            "lane": lane,
            "slots": slots,
            "running": sum(job.lane == lane for job in active),
            "waiting": waiting,
            "due_since": self.registry.next_due_at(lane) if waiting else None,
        }

    def _schedules(self, owner: str | None) -> Mapping[str, Any]:
        found = [*self.scheduling.every(owner)]
        running = {due: one for one in found if (due := one.due_at) is not None}
        first = running[min(running)] if running else None
        paused = sum(one.paused is not None for one in found)
        return {"total": len(found), "paused": paused, "next": first}

    def _credits(self, caller: str) -> Mapping[str, Any] | None:
        """None where there is no limit: then nobody has to wait for a storage. One that is away hides nothing else."""
        try:
            return None if self.credits is None else self.credits(caller)
        except JobError:
            return {"used": None, "total": None, "next": None}
