"""What the script of admission takes and answers: for a request, and for a run of a schedule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from tagapi.jobs import changes
from tagapi.jobs.errors import StoreUnavailable
from tagapi.jobs.lists import Bounds, moves, waiting
from tagapi.jobs.model import Job, Request
from tagapi.jobs.registry import IdempotencyKey
from tagapi.registries.availability import Availability
from tagapi.registries.codec import dump_moving, dump_request, micros
from tagapi.registries.redis.names import digest, list_names, of_lane

TIMEOUT = 0.8  # seconds for an answer; with it a request is told within about a second that the store is away
HEARD_WITHIN = timedelta(seconds=2 * TIMEOUT)  # both tries; a request that a frozen server finds later is nobody's


class Admission:
    """Of one registry, whose clock, jobs, policy and availability it is handed."""

    def __init__(
        self,
        now: Callable[[], datetime],
        server_time: Callable[[], datetime],
        jobs: Callable[[Sequence[str]], Sequence[Job]],
        check_bounds: Callable[[int, int, str, Bounds], None],
        available: Availability,
    ) -> None:
        self._now = now
        self._server_time = server_time
        self._jobs = jobs
        self._check_bounds = check_bounds
        self._available = available

    def arguments(self, request: Request, bounds: Bounds, key: IdempotencyKey | None) -> tuple[Job, list[Any]]:
        """The job to be, and what the script takes."""
        job = changes.accept(request, self._now())
        _, entered = moves(None, job)
        arguments: list[Any] = [
            job.id,
            "" if key is None else digest(key),
            bounds.queued,
            bounds.queued_per_owner,
            list_names(frozenset(waiting(None, request.lane))),
            list_names(frozenset(waiting(request.owner, request.lane))),
        ]
        arguments += [dump_moving(job), dump_request(request), micros(job.submitted_at), list_names(entered)]
        return job, [*arguments, self.heard_until(), of_lane(job.lane)]

    def answer(self, told: list[Any], job: Job, bounds: Bounds) -> tuple[Job, bool] | None:
        """What the script told. None where the key's job was forgotten in between: there is room for a new one.

        Raises QueueFull or OwnerQueueFull, and StoreUnavailable where the script came too late.
        """
        match told[0]:
            case b"new":
                return changes.accept(job.request, job.submitted_at, told[1]), False
            case b"full":
                self._check_bounds(told[1], told[2], job.request.owner, bounds)
            case b"late":
                raise self.late()
            case b"known" if known := self._jobs([told[1].decode()]):
                return known[0], known[0].id != job.id
        return None

    def heard_until(self) -> int:
        """Until when somebody waits for an answer, in microseconds of the server's clock."""
        return micros(self._server_time() + HEARD_WITHIN)

    def late(self) -> StoreUnavailable:
        return self._available.lost(TimeoutError("the server was not heard of in time"))
