"""The one door to jobs for namespaces: submit, get, find, cancel, settle."""

from __future__ import annotations

import logging
import time
import uuid
from functools import partial
from typing import Protocol

from tagapi.jobs import changes
from tagapi.jobs.errors import AlreadyFinished, JobNotFound, ShuttingDown
from tagapi.jobs.lists import Page, Query
from tagapi.jobs.model import Job, JobState, Json, Request
from tagapi.jobs.registry import Added, Bounds, IdempotencyKey, JobRegistry

log = logging.getLogger(__name__)

RESTART_SECONDS = 5  # until a service that stops has been replaced, as a guess
CANCEL_PATIENCE = 5.0  # seconds that a cancel waits for the attempt to leave
ELSEWHERE_POLL = 0.1  # seconds between looks at a job that runs in another process


class Executor(Protocol):
    """Where attempts run, as far as the service needs to know."""

    def wake(self) -> None:
        """There is something new in the queue."""

    def cancel(self, job_id: str) -> None:
        """Tell the job's attempt to stop, if it runs here."""

    def wait(self, job_id: str, seconds: float) -> None:
        """Wait until no attempt of the job runs here, at most so long."""


class JobService:
    """Thin on purpose: what may happen to a job is the model's, how it is kept the registry's business."""

    def __init__(self, registry: JobRegistry, executor: Executor, bounds: Bounds) -> None:
        self._registry = registry
        self._executor = executor
        self._bounds = bounds
        self.accepting = True

    def refuse_new(self) -> None:
        """Accept nothing more: what is accepted while the process leaves might not run."""
        self.accepting = False

    def submit(
        self,
        task: str,
        arguments: Json,
        *,
        owner: str,
        labels: tuple[str, ...] = (),
        route: str = "",
        key: str | None = None,
        request_id: str | None = None,
    ) -> Added:
        """Accept a request as a job. `arguments` are validated JSON values with their defaults.

        Raises ShuttingDown, QueueFull, OwnerQueueFull, or KeyReused where `key` was used on this route
        by this owner with another request; then nothing was accepted.
        """
        if not self.accepting:
            raise ShuttingDown(retry_after=RESTART_SECONDS)
        request = Request(
            job_id=str(uuid.uuid4()),
            task=task,
            owner=owner,
            arguments=arguments,
            labels=labels,
            request_id=request_id,
        )
        scoped = None if key is None else IdempotencyKey(owner=owner, route=route, value=key)
        added = self._registry.add(request, self._bounds, scoped)
        if not added.replayed:
            log.info("job_accepted", extra={"job_id": added.job.id, "task": task, "owner": owner})
            self._executor.wake()
        return added

    def check_store(self) -> None:
        """Raise StoreUnavailable where the store is known to be away. Costs nothing where it is not."""
        self._registry.check()

    def get(self, job_id: str, namespace: str | None = None, owner: str | None = None) -> Job:
        """The job as it is. Raises JobNotFound, also for a job of another namespace or another owner."""
        job = self._registry.get(job_id)
        foreign = owner is not None and job.request.owner != owner
        if foreign or (namespace is not None and job.request.namespace != namespace):
            raise JobNotFound(job_id=job_id)
        return job

    def id_of(self, number: int) -> str:
        """The id of the job with this number. Raises JobNotFound."""
        return self._registry.id_of(number)

    def find(self, query: Query) -> Page:
        """One page of jobs, newest first, and the total."""
        return self._registry.find(query)

    def parked(self) -> int:
        """How many jobs wait for a person to settle them."""
        return self._registry.find(Query(states=frozenset({JobState.PARKED}), limit=1)).total

    def cancel(self, job_id: str, namespace: str | None = None, owner: str | None = None) -> Job:
        """Cancel, and wait up to CANCEL_PATIENCE s for the attempt to leave.

        Answers with the job: CANCELLED, or still on its way there. Raises AlreadyFinished
        where the job had ended or was past its point of no return, and JobNotFound.
        """
        self.get(job_id, namespace, owner)
        job = self._registry.update(job_id, changes.request_cancel)
        log.info("cancel_requested", extra={"job_id": job_id})
        deadline = time.monotonic() + CANCEL_PATIENCE
        self._executor.cancel(job_id)
        self._executor.wait(job_id, CANCEL_PATIENCE)
        while not (job := self._registry.get(job_id)).finished and time.monotonic() < deadline:
            time.sleep(ELSEWHERE_POLL)
        if job.finished and job.state is not JobState.CANCELLED:
            raise AlreadyFinished(job_id=job_id, state=job.state.value)
        return job

    def settle(self, job_id: str, verdict: changes.Verdict, *, by: str, namespace: str | None = None) -> Job:
        """Let a person say what became of a parked job. Raises NotParked, and JobNotFound."""
        self.get(job_id, namespace)
        job = self._registry.update(job_id, partial(changes.settle_by_hand, by=by, verdict=verdict))
        log.warning("job_settled_by_hand", extra={"job_id": job_id, "verdict": verdict.value, "by": by})
        self._executor.wake()
        return job
