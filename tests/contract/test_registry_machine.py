"""Random histories: whatever is done to a registry, it agrees with a dictionary of jobs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tagapi.jobs import changes, steps
from tagapi.jobs.errors import JobCancelled, JobError, KeyReused, OwnerQueueFull, QueueFull, StoreUnavailable
from tagapi.jobs.model import Change, Job, JobState, Progress, Request
from tagapi.jobs.registry import Bounds, Claim, IdempotencyKey, new_token
from tests.clock import ManualClock
from tests.contract.backends import BACKENDS, open_backend
from tests.contract.recount import LABELS, NAMESPACES, OWNERS, assert_counters_agree, assert_lists_agree

LEASE = timedelta(seconds=30)
BOUNDS = Bounds(queued=4, queued_per_owner=3)
WAITING = (JobState.QUEUED, JobState.WAITING)


def park(job: Job, now: datetime, *, epoch: int) -> Job:
    """What became of the commit cannot be found out, for the last time that it is tried."""
    in_doubt = job.commit_unsettled or job.state is JobState.COMMITTING
    tried = replace(job, doubts=steps.DOUBTS_AT_MOST - 1) if in_doubt else job
    return changes.retry(tried, now, epoch=epoch, delay=timedelta(), reason="nobody knows")


ATTEMPT_WRITES: dict[str, Callable[..., Job]] = {
    "advance": partial(changes.advance, progress=Progress(done=1, total=2)),
    "begin_commit": partial(changes.begin_commit, result={"rows": 1}),
    "cancelled": changes.cancelled,
    "fail": partial(changes.fail, reason="no"),
    "park": park,
    "release": changes.release,
    "renew": partial(changes.renew, lease=LEASE),
    "retry": partial(changes.retry, delay=timedelta(seconds=5), reason="away"),
    "settle": changes.settle,
    "succeed": partial(changes.succeed, result={"rows": 2}),
}

WAYS = [
    (),
    ("advance", "renew"),
    ("begin_commit",),
    ("begin_commit", "succeed"),
    ("begin_commit", "fail"),
    ("begin_commit", "retry"),
    ("begin_commit", "park"),
    ("succeed",),
    ("fail",),
    ("cancelled",),
    ("release",),
    ("retry",),
    ("settle", "begin_commit", "succeed"),
]
"""What attempts write, one thing after the other."""

some_job = st.integers(0, 7)  # one of the last eight
some_labels = st.lists(st.sampled_from(LABELS), max_size=3).map(tuple)
some_request = st.fixed_dictionaries(
    {
        "task": st.sampled_from([f"{namespace}.work" for namespace in NAMESPACES]),
        "owner": st.sampled_from(OWNERS),
        "arguments": st.sampled_from([{"n": 1}, {"n": 2}]),
        "labels": some_labels,
        "request_id": st.sampled_from([None, "r1"]),
    }
)


class Histories(RuleBasedStateMachine):
    """The registry, and beside it the model: a dictionary of jobs, changed by the same pure changes."""

    def __init__(self, backend: str) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = ManualClock()
        self.registry = open_backend(backend, Path(self.folder.name), self.clock)
        self.losing = 0
        for name in ("_admit", "_swap"):
            setattr(self.registry, name, partial(self.losing_replies, getattr(self.registry, name)))
        self.jobs: dict[str, Job] = {}
        self.keys: dict[IdempotencyKey, str] = {}
        self.accepted = 0
        self.asked = 0

    def teardown(self) -> None:
        self.registry.close()
        self.folder.cleanup()

    def losing_replies(self, write: Callable[..., Any], *arguments: Any) -> Any:
        """The write happens; that it did, its caller does not hear."""
        told = write(*arguments)
        if self.losing:
            self.losing -= 1
            raise StoreUnavailable(retry_after=1)
        return told

    def insisting(self, step: Callable[[], Any]) -> Any:
        """As a caller does who will not have its write twice, nor not at all."""
        while True:
            try:
                return step()
            except StoreUnavailable:
                continue

    # -- the model --------------------------------------------------------------------------

    def admit(self, request: Request, key: IdempotencyKey | None) -> tuple[Job, bool]:
        if key in self.keys:
            job = self.jobs[self.keys[key]]
            if (job.request.task, job.request.arguments) != (request.task, request.arguments):
                raise KeyReused
            return job, True
        waiting = [job for job in self.jobs.values() if job.state in WAITING]
        if len(waiting) >= BOUNDS.queued:
            raise QueueFull(queued=len(waiting), retry_after=0)
        mine = [job for job in waiting if job.request.owner == request.owner]
        if len(mine) >= BOUNDS.queued_per_owner:
            raise OwnerQueueFull(owner=request.owner, queued=len(mine), retry_after=0)
        self.accepted += 1
        job = changes.accept(request, self.clock.now(), self.accepted)
        self.jobs[job.id] = job
        if key is not None:
            self.keys[key] = job.id
        return job, False

    def changed(self, job_id: str, change: Change) -> Job:
        before = self.jobs[job_id]
        after = change(before, self.clock.now())
        if after is not before:
            self.jobs[job_id] = after = replace(after, version=before.version + 1)
        return after

    def forgotten(self, job_ids: Iterable[str]) -> None:
        for job_id in job_ids:
            if job_id in self.jobs and self.jobs[job_id].finished_at is not None:
                del self.jobs[job_id]
                self.keys = {key: kept for key, kept in self.keys.items() if kept != job_id}

    def next_due(self) -> Job | None:
        times = [(job.not_before or job.submitted_at, job.number, job) for job in self.jobs.values()]
        due = [one for one in times if one[2].state in WAITING and one[0] <= self.clock.now()]
        return min(due)[2] if due else None

    # -- both at once -----------------------------------------------------------------------

    def pick(self, some: int) -> str:
        newest_first = sorted(self.jobs, key=lambda job_id: -self.jobs[job_id].number)
        return newest_first[some % len(newest_first)]

    def change_both(self, job_id: str, change: Change) -> None:
        write = partial(self.registry.update, job_id, change, new_token())
        assert outcome(partial(self.insisting, write)) == outcome(lambda: self.changed(job_id, change))

    @rule(requests=st.lists(some_request, min_size=1, max_size=3), key=st.sampled_from([None, "k1"]))
    def add(self, requests: list[dict[str, Any]], key: str | None) -> None:
        for request in requests:
            self.asked += 1
            asked = Request(job_id=str(UUID(int=self.asked)), **request)
            scoped = None if key is None else IdempotencyKey(owner=asked.owner, route="/", value=key)
            told = outcome(partial(self.insisting, partial(self.registry.add, asked, BOUNDS, scoped)))
            assert told == outcome(partial(self.admit, asked, scoped))

    @precondition(lambda self: self.jobs)
    @rule(some=some_job)
    def add_again(self, some: int) -> None:
        """The same request is sent once more, its reply having been lost."""
        job = self.jobs[self.pick(some)]
        assert outcome(lambda: self.insisting(lambda: self.registry.add(job.request, BOUNDS))) == (job, False)

    @rule(ways=st.lists(st.sampled_from(WAYS), min_size=1, max_size=3))
    def attempts_run(self, ways: list[tuple[str, ...]]) -> None:
        """Claims, and what the attempts write. Some of them stop half-way, as if their process were lost."""
        for way in ways:
            due = self.next_due()
            ask = partial(self.registry.claim, "w1", LEASE, Claim())
            claimed = outcome(partial(self.insisting, ask))
            if due is None:
                assert claimed is None
                return
            job = self.changed(due.id, partial(changes.claim, worker="w1", lease=LEASE))
            assert claimed == job
            for name in way:
                self.change_both(job.id, partial(ATTEMPT_WRITES[name], epoch=job.epoch))
            self.clock.advance(0.5)

    @precondition(lambda self: self.jobs)
    @rule(some=some_job, name=st.sampled_from(sorted(ATTEMPT_WRITES)), late=st.sampled_from([0, 0, 0, 1]))
    def attempt_writes(self, some: int, name: str, late: int) -> None:
        job_id = self.pick(some)
        self.change_both(job_id, partial(ATTEMPT_WRITES[name], epoch=self.jobs[job_id].epoch - late))

    @precondition(lambda self: self.jobs)
    @rule(some=some_job)
    def request_cancel(self, some: int) -> None:
        self.change_both(self.pick(some), changes.request_cancel)

    @precondition(lambda self: self.jobs)
    @rule(some=some_job, verdict=st.sampled_from(changes.Verdict))
    def settle_by_hand(self, some: int, verdict: changes.Verdict) -> None:
        self.change_both(self.pick(some), partial(changes.settle_by_hand, by="root", verdict=verdict))

    @precondition(lambda self: any(job.state is JobState.PARKED for job in self.jobs.values()))
    @rule(verdict=st.sampled_from(changes.Verdict))
    def settle_what_is_parked(self, verdict: changes.Verdict) -> None:
        parked = next(job.id for job in self.jobs.values() if job.state is JobState.PARKED)
        self.change_both(parked, partial(changes.settle_by_hand, by="root", verdict=verdict))

    @precondition(lambda self: self.jobs)
    @rule(some=some_job)
    def recover(self, some: int) -> None:
        self.change_both(self.pick(some), partial(changes.recover, max_recoveries=1))

    @rule(replies=st.integers(1, 3))
    def replies_get_lost(self, replies: int) -> None:
        self.losing = replies

    @rule(seconds=st.sampled_from([0.5, 5.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: self.jobs)
    @rule(some=st.lists(some_job, min_size=1, max_size=3))
    def forget(self, some: list[int]) -> None:
        """Finished ones go, with their keys; the others stay."""
        picked = [self.pick(one) for one in some]
        self.registry.forget(picked)
        self.forgotten(picked)

    @precondition(lambda self: any(job.finished_at for job in self.jobs.values()))
    @rule(at_most=st.sampled_from([1, 2, 100]))
    def forget_the_oldest(self, at_most: int) -> None:
        """As retention does it."""
        old = self.registry.finished_before(self.clock.now(), at_most)
        assert len(old) <= at_most
        self.registry.forget(old)
        self.forgotten(old)

    # -- what always holds ------------------------------------------------------------------

    @invariant()
    def every_job_is_as_the_model_says(self) -> None:
        assert {job_id: forgetful(self.registry.get(job_id)) for job_id in self.jobs} == self.jobs

    @invariant()
    def every_list_and_total_agrees(self) -> None:
        assert_lists_agree(self.registry, [self.registry.get(job_id) for job_id in self.jobs])

    @invariant()
    def every_counter_agrees(self) -> None:
        assert_counters_agree(self.registry, self.jobs.values())

    @invariant()
    def what_is_cancelled_or_failed_has_no_commit_in_doubt(self) -> None:
        ended = [job for job in self.jobs.values() if job.state in (JobState.CANCELLED, JobState.FAILED)]
        assert not any(job.commit_unsettled or job.result is not None for job in ended)


def outcome(step: Callable[[], Any]) -> Any:
    """What a step answers, or the kind of its refusal."""
    try:
        told = step()
    except (JobError, JobCancelled) as error:
        return type(error)
    if isinstance(told, Job):
        return forgetful(told)
    return (forgetful(told.job), told.replayed) if hasattr(told, "replayed") else told


def forgetful(job: Job) -> Job:
    """Without the tokens: they are random."""
    return replace(job, token="", claim_token="")


@pytest.mark.timeout(400)  # a failure is made small first, for up to five minutes
@pytest.mark.parametrize("backend", BACKENDS)
def test_random_histories(backend: str) -> None:
    run_state_machine_as_test(
        partial(Histories, backend),
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
