"""The one door to jobs for namespaces: submit, get, find, cancel, settle."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from tagapi.jobs import changes
from tagapi.jobs.errors import (
    AlreadyFinished,
    IsRunning,
    JobError,
    JobNotFound,
    NotRetryable,
    OwnerQueueFull,
    QueueFull,
    ShuttingDown,
)
from tagapi.jobs.lists import Bounds, Page, Query
from tagapi.jobs.model import DEFAULT_LANE, Job, JobState, Json, Request
from tagapi.jobs.registry import Added, IdempotencyKey, JobRegistry

log = logging.getLogger(__name__)

RESTART_SECONDS = 5  # until a service that stops has been replaced, as a guess
CANCEL_PATIENCE = 5.0  # seconds that a cancel waits for the attempt to leave
NO_ROOM = Bounds(queued=0, queued_per_owner=0)
ELSEWHERE_POLL = 0.1  # seconds between looks at a job that runs in another process


class Executor(Protocol):
    """Where attempts run, as far as the service needs to know."""

    def wake(self, job: Job) -> None:
        """This job is new in the queue of its lane."""

    def cancel(self, job_id: str) -> None:
        """Tell the job's attempt to stop, if it runs here."""

    def wait(self, job_id: str, seconds: float) -> None:
        """Wait until no attempt of the job runs here, at most so long."""


class JobService:
    """Thin on purpose: what may happen to a job is the model's, how it is kept the registry's business."""

    def __init__(
        self, registry: JobRegistry, executor: Executor, bounds: Bounds, lanes: Mapping[str, str] | None = None
    ) -> None:
        """`lanes` has the lane of a task by the task's name; the others are of DEFAULT_LANE."""
        self._registry = registry
        self._lanes = lanes or {}
        self._executor = executor
        self._bounds = bounds
        self.accepting = True

    def refuse_new(self) -> None:
        """Accept nothing more: what is accepted while the process leaves might not run."""
        self.accepting = False

    @property
    def bounds(self) -> Bounds:
        return self._bounds

    def lane_of(self, task: str) -> str:
        return self._lanes.get(task, DEFAULT_LANE)

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
        asked: Json | None = None,
    ) -> Added:
        """Accept a request as a job. `arguments` are validated JSON values with their defaults; where they were made
        of what may have changed when the request comes again, `asked` is what it says by itself.

        Raises ShuttingDown, QueueFull, OwnerQueueFull, or KeyReused where `key` was used on this route
        by this owner with another request; then nothing was accepted.
        """
        request = Request(
            job_id=str(uuid.uuid4()),
            task=task,
            owner=owner,
            arguments=arguments,
            labels=labels,
            request_id=request_id,
            lane=self.lane_of(task),
            asked=asked,
        )
        scoped = None if key is None else IdempotencyKey(owner=owner, route=route, value=key)
        return self._admit(request, scoped)

    def known(self, task: str, asked: Json, *, owner: str, route: str, key: str) -> Added | None:
        """The job that was submitted under this key, if there is one: before its arguments are made anew.

        Raises KeyReused where something else was asked for.
        """
        request = Request(job_id=str(uuid.uuid4()), task=task, owner=owner, arguments={}, asked=asked)
        try:
            return self._registry.add(request, NO_ROOM, IdempotencyKey(owner=owner, route=route, value=key))
        except (QueueFull, OwnerQueueFull):  # a known key comes before the bounds
            return None

    def retry(
        self, job_id: str, *, by: str, force: bool = False, key: str | None = None, request_id: str | None = None
    ) -> Added:
        """Do a finished job again, as a new job of whoever asks.

        One that did not succeed is done again once: whoever asks later hears of the same. One that did is done again
        once for each key.

        Raises JobNotFound; NotRetryable for a job that has not finished, or has succeeded and is not to be forced;
        and what `submit` raises.
        """
        job = self._registry.get(job_id)
        if not job.finished:
            raise NotRetryable(job_id=job_id, state=job.state.value, why="it has not ended yet")
        if job.state is JobState.SUCCEEDED and not force:
            raise NotRetryable(job_id=job_id, state=job.state.value, why="it is not done again unless that is forced")
        request = replace(
            job.request,
            job_id=str(uuid.uuid4()),
            owner=by,
            request_id=request_id,
            lane=self.lane_of(job.request.task),
            retry_of=job_id,
            kept_before=None if job.state is JobState.SUCCEEDED else job.kept or job.request.kept_before,
        )
        scoped = IdempotencyKey(owner="", route="retry", value=job_id)  # no principal has no name
        if key is not None and job.state is JobState.SUCCEEDED:
            scoped = IdempotencyKey(owner=by, route=f"retry/{job_id}", value=key)
        return self._admit(request, scoped)

    def _admit(self, request: Request, key: IdempotencyKey | None) -> Added:
        if not self.accepting:
            raise ShuttingDown(retry_after=RESTART_SECONDS)
        added = self._registry.add(request, self._bounds, key)
        if not added.replayed:
            extra = {"job_id": added.job.id, "task": request.task, "owner": request.owner}
            log.info("job_accepted", extra=extra)
            self._executor.wake(added.job)
        return added

    def wake(self, job: Job) -> None:
        """It was admitted by another way."""
        self._executor.wake(job)

    def once(self, name: str, seconds: float) -> bool:
        """Whether this is the first to ask for `name` in so many seconds, of all who share the registry."""
        return self._registry.lock(name, str(uuid.uuid4()), seconds)

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

    def cancel(
        self, job_id: str, namespace: str | None = None, owner: str | None = None, *, running: bool = True
    ) -> Job:
        """Cancel, and wait up to CANCEL_PATIENCE s for the attempt to leave. Where not `running`, only one that waits.

        Answers with the job: CANCELLED, or still on its way there. Raises AlreadyFinished
        where the job had ended or was past its point of no return, IsRunning, and JobNotFound.
        """
        (answer,) = self.cancel_all([job_id], namespace, owner, running=running)
        if isinstance(answer, JobError):
            raise answer
        return answer

    def cancel_all(
        self, job_ids: Sequence[str], namespace: str | None = None, owner: str | None = None, *, running: bool = True
    ) -> Sequence[Job | JobError]:
        """Cancel each as `cancel` does, and wait for all of them together. Answers in order, with what `cancel` answers
        or raises."""
        each = dict.fromkeys(job_ids)
        told = {job_id: self._ask_to_cancel(job_id, namespace, owner, running) for job_id in each}
        deadline = time.monotonic() + CANCEL_PATIENCE
        leaving = [job_id for job_id, answer in told.items() if isinstance(answer, Job)]
        for job_id in leaving:
            self._executor.cancel(job_id)
        for job_id in leaving:
            told[job_id] = self._cancelled(job_id, deadline)
        return [told[job_id] for job_id in job_ids]

    def _ask_to_cancel(self, job_id: str, namespace: str | None, owner: str | None, running: bool) -> Job | JobError:
        try:
            self.get(job_id, namespace, owner)
            job = self._registry.update(job_id, partial(changes.request_cancel, running=running))
        except (JobNotFound, AlreadyFinished, IsRunning) as error:
            return error
        log.info("cancel_requested", extra={"job_id": job_id})
        return job

    def _cancelled(self, job_id: str, deadline: float) -> Job | JobError:
        """The job once its attempt has left, or as it is when there is no more time."""
        self._executor.wait(job_id, max(0.0, deadline - time.monotonic()))
        while not (job := self._registry.get(job_id)).finished and time.monotonic() < deadline:
            time.sleep(ELSEWHERE_POLL)
        if job.finished and job.state is not JobState.CANCELLED:
            return AlreadyFinished(job_id=job_id, state=job.state.value)
        return job

    def settle(self, job_id: str, verdict: changes.Verdict, *, by: str, namespace: str | None = None) -> Job:
        """Let a person say what became of a parked job. Raises NotParked, and JobNotFound."""
        self.get(job_id, namespace)
        job = self._registry.update(job_id, partial(changes.settle_by_hand, by=by, verdict=verdict))
        log.warning("job_settled_by_hand", extra={"job_id": job_id, "verdict": verdict.value, "by": by})
        self._executor.wake(job)
        return job
