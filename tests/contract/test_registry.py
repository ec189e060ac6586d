"""What every registry promises, whatever it keeps its jobs in."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tagapi.jobs import changes
from tagapi.jobs.errors import (
    IllegalTransition,
    JobCancelled,
    JobError,
    JobNotFound,
    KeyReused,
    OwnerQueueFull,
    QueueFull,
    StoreUnavailable,
)
from tagapi.jobs.lists import Query
from tagapi.jobs.model import Job, JobState, Progress, Request
from tagapi.jobs.registry import Added, Bounds, Claim, IdempotencyKey, JobRegistry
from tests.clock import ManualClock
from tests.contract.backends import BACKENDS, open_backend
from tests.contract.recount import LABELS, NAMESPACES, OWNERS, assert_counters_agree, assert_lists_agree

LEASE = timedelta(seconds=30)
ROOM = Bounds(queued=10_000, queued_per_owner=10_000)
KEY = IdempotencyKey(owner="ann", route="/tags", value="k1")
PATIENCE = 30.0  # seconds


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=BACKENDS)
def registry(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> JobRegistry:
    return open_backend(request.param, tmp_path, clock)


# -- requests and what happens to them ------------------------------------------------------


def a_request(
    owner: str = "ann", task: str = "tags.compute", labels: tuple[str, ...] = (), **arguments: Any
) -> Request:
    return Request(job_id=str(uuid4()), task=task, owner=owner, arguments=arguments, labels=labels)


def add(registry: JobRegistry, bounds: Bounds = ROOM, **facts: Any) -> Job:
    return registry.add(a_request(**facts), bounds).job


def claim(registry: JobRegistry) -> Job:
    job = registry.claim("w1", LEASE)
    assert job is not None
    return job


def attempt_ends(registry: JobRegistry, job: Job, change: Callable[..., Job], **facts: Any) -> Job:
    return registry.update(job.id, partial(change, epoch=job.epoch, **facts))


def finish(registry: JobRegistry) -> Job:
    """Claim the next job and have it succeed."""
    return attempt_ends(registry, claim(registry), changes.succeed, result={})


def at_once(threads: int, step: Callable[[int], Any]) -> list[Any]:
    """Take this step in so many threads, all of which start at the same moment."""
    results: list[Any] = [None] * threads
    start = threading.Barrier(threads)

    def run(n: int) -> None:
        start.wait(PATIENCE)
        try:
            results[n] = step(n)
        except JobError as error:
            results[n] = error

    running = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    return results


# -- admission ------------------------------------------------------------------------------


def test_what_is_added_is_there(registry: JobRegistry, clock: ManualClock) -> None:
    request = replace(a_request(labels=("tag:1",), user_ids=[1, 2], dry_run=False), request_id="r1")
    added = registry.add(request, ROOM)
    assert added == Added(job=changes.accept(request, clock.now(), 1), replayed=False)
    assert registry.get(request.job_id) == added.job


def test_numbers_grow_with_every_job_and_are_never_used_again(registry: JobRegistry, clock: ManualClock) -> None:
    numbers = [add(registry).number for _ in range(5)]
    last = finish(registry)
    clock.advance(1)
    registry.forget([last.id, *registry.finished_before(clock.now(), 10)])
    numbers.append(add(registry).number)
    assert numbers == sorted(set(numbers))


def test_a_repeated_add_finds_itself(registry: JobRegistry) -> None:
    request = a_request()
    first = registry.add(request, ROOM)
    assert registry.add(request, Bounds(queued=1, queued_per_owner=1)) == first
    assert registry.find(Query()).total == 1


def test_a_known_key_answers_with_its_job_and_stores_nothing(registry: JobRegistry) -> None:
    first = registry.add(a_request(n=1), ROOM, KEY)
    again = registry.add(a_request(n=1), ROOM, KEY)
    assert (first.replayed, again.replayed, again.job) == (False, True, first.job)
    assert (registry.find(Query()).total, registry.queued()) == (1, 1)


def test_a_known_key_answers_with_the_job_as_it_is_now(registry: JobRegistry) -> None:
    registry.add(a_request(n=1), ROOM, KEY)
    done = finish(registry)
    assert registry.add(a_request(n=1), ROOM, KEY) == Added(job=done, replayed=True)


@pytest.mark.parametrize("other", [{"n": 2}, {"n": 1, "task": "tags.delete"}])
def test_a_key_with_another_request_is_refused(registry: JobRegistry, other: dict[str, Any]) -> None:
    first = registry.add(a_request(n=1), ROOM, KEY).job
    with pytest.raises(KeyReused):
        registry.add(a_request(**other), ROOM, KEY)
    assert registry.get(first.id) == first
    assert registry.find(Query()).total == 1


@pytest.mark.parametrize("other", [{"owner": "bob"}, {"route": "/users"}, {"value": "k2"}])
def test_a_key_is_one_owner_s_on_one_route(registry: JobRegistry, other: dict[str, str]) -> None:
    registry.add(a_request(n=1), ROOM, KEY)
    assert not registry.add(a_request(n=2), ROOM, replace(KEY, **other)).replayed


def test_a_known_key_comes_before_the_bounds(registry: JobRegistry) -> None:
    full = Bounds(queued=1, queued_per_owner=1)
    first = registry.add(a_request(n=1), full, KEY)
    assert registry.add(a_request(n=1), full, KEY).job == first.job
    with pytest.raises(KeyReused):
        registry.add(a_request(n=2), full, KEY)
    with pytest.raises(QueueFull):
        registry.add(a_request(n=1), full, replace(KEY, value="k2"))


def test_a_refused_key_is_not_used_up(registry: JobRegistry) -> None:
    full = Bounds(queued=1, queued_per_owner=1)
    add(registry)
    with pytest.raises(QueueFull):
        registry.add(a_request(n=1), full, KEY)
    assert not registry.add(a_request(n=2), ROOM, KEY).replayed


def test_a_full_queue_refuses_and_says_when_to_come_back(registry: JobRegistry) -> None:
    for owner in OWNERS:
        add(registry, owner=owner)
    with pytest.raises(QueueFull) as refused:
        add(registry, Bounds(queued=2, queued_per_owner=5), owner="cid")
    assert (refused.value.queued, refused.value.retry_after > 0) == (2, True)
    assert registry.find(Query()).total == 2


def test_an_owner_s_bound_is_the_owner_s(registry: JobRegistry) -> None:
    bounds = Bounds(queued=10, queued_per_owner=2)
    for _ in range(2):
        add(registry, bounds)
    with pytest.raises(OwnerQueueFull) as refused:
        add(registry, bounds)
    assert (refused.value.owner, refused.value.queued, refused.value.retry_after > 0) == ("ann", 2, True)
    add(registry, bounds, owner="bob")


def test_the_queue_s_bound_comes_before_the_owner_s(registry: JobRegistry) -> None:
    add(registry)
    with pytest.raises(QueueFull):
        add(registry, Bounds(queued=1, queued_per_owner=1))


def test_a_refused_request_leaves_no_trace(registry: JobRegistry) -> None:
    first = add(registry)
    refused = a_request()
    with pytest.raises(QueueFull):
        registry.add(refused, Bounds(queued=1, queued_per_owner=1))
    with pytest.raises(JobNotFound):
        registry.get(refused.job_id)
    assert add(registry).number == first.number + 1


@pytest.mark.parametrize("way", ["claim", "cancel"])
def test_what_no_longer_waits_makes_room(registry: JobRegistry, way: str) -> None:
    tight = Bounds(queued=1, queued_per_owner=1)
    job = add(registry, tight)
    if way == "claim":
        claim(registry)
    else:
        registry.update(job.id, changes.request_cancel)
    assert registry.queued() == 0
    add(registry, tight)
    assert registry.queued() == 1


def test_what_comes_back_takes_its_room_again(registry: JobRegistry) -> None:
    tight = Bounds(queued=1, queued_per_owner=1)
    add(registry, tight)
    attempt_ends(registry, claim(registry), changes.release)
    with pytest.raises(QueueFull):
        add(registry, tight)


def test_a_bound_holds_against_many_at_once(registry: JobRegistry) -> None:
    bounds = Bounds(queued=20, queued_per_owner=5)
    answers = at_once(16, lambda _: add(registry, bounds))
    accepted = [job for job in answers if isinstance(job, Job)]
    assert len(accepted) == 5
    assert all(isinstance(answer, OwnerQueueFull) for answer in answers if answer not in accepted)
    assert registry.queued() == 5


def test_one_key_from_many_at_once_is_one_job(registry: JobRegistry) -> None:
    answers = at_once(16, lambda _: registry.add(a_request(n=1), ROOM, KEY))
    assert {answer.job.id for answer in answers} == {registry.find(Query()).jobs[0].id}
    assert [answer.replayed for answer in answers].count(False) == 1


def test_numbers_are_given_once(registry: JobRegistry) -> None:
    mine = at_once(8, lambda _: [add(registry).number for _ in range(10)])
    assert sorted(number for numbers in mine for number in numbers) == list(range(1, 81))
    assert all(numbers == sorted(numbers) for numbers in mine)


# -- update ---------------------------------------------------------------------------------


def count(job: Job, now: datetime) -> Job:
    return replace(job, progress=Progress(done=job.progress.done + 1))


def test_an_update_is_written_and_raises_the_version(registry: JobRegistry) -> None:
    job = add(registry)
    counted = registry.update(job.id, count)
    assert (counted.progress.done, counted.version) == (1, job.version + 1)
    assert registry.get(job.id) == counted


def test_an_update_is_given_the_registry_s_time(registry: JobRegistry, clock: ManualClock) -> None:
    job = add(registry)
    clock.advance(5)
    assert registry.update(job.id, changes.request_cancel).finished_at == clock.now()


def test_an_update_that_changes_nothing_writes_nothing(registry: JobRegistry) -> None:
    job = add(registry)
    assert registry.update(job.id, lambda job, now: job) == job
    assert registry.get(job.id) == job


def test_an_update_that_raises_writes_nothing(registry: JobRegistry) -> None:
    job = add(registry)
    with pytest.raises(IllegalTransition):
        attempt_ends(registry, job, changes.begin_commit, result={})
    assert registry.get(job.id) == job


def test_an_update_of_a_job_that_is_not_there(registry: JobRegistry) -> None:
    with pytest.raises(JobNotFound) as refused:
        registry.update("nobody", changes.request_cancel)
    assert refused.value.job_id == "nobody"


def test_updates_of_many_threads_are_all_there(registry: JobRegistry) -> None:
    job = add(registry)
    at_once(16, lambda _: [registry.update(job.id, count) for _ in range(200)])
    counted = registry.get(job.id)
    assert (counted.progress.done, counted.version) == (3200, job.version + 3200)


def test_a_write_whose_reply_was_lost_is_made_once(registry: JobRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """The backend wrote, but its driver, which sent the write anew, sees a conflict with itself."""
    written: list[bool] = []
    swap = registry._swap

    def lossy(before: Job, after: Job) -> bool:
        written.append(swap(before, after))
        return False

    job = add(registry)
    monkeypatch.setattr(registry, "_swap", lossy)
    assert registry.update(job.id, count).progress.done == 1
    assert written == [True]


def test_one_of_many_ends_a_job(registry: JobRegistry) -> None:
    job = add(registry)
    running = claim(registry)
    ends = [
        partial(attempt_ends, registry, running, changes.succeed, result={}),
        partial(attempt_ends, registry, running, changes.fail, reason="no"),
        partial(attempt_ends, registry, running, changes.cancelled),
        partial(attempt_ends, registry, running, changes.release),
    ]
    answers = at_once(8, lambda n: ends[n % 4]())
    assert [answer for answer in answers if isinstance(answer, Job)] == [registry.get(job.id)]
    assert_lists_agree(registry, [registry.get(job.id)])
    assert_counters_agree(registry, [registry.get(job.id)])


# -- claim ----------------------------------------------------------------------------------


def test_nothing_to_claim(registry: JobRegistry) -> None:
    assert registry.claim("w1", LEASE) is None
    assert registry.next_due_at() is None


def test_a_claim_takes_a_lease(registry: JobRegistry, clock: ManualClock) -> None:
    job = add(registry)
    running = claim(registry)
    assert running == registry.get(job.id)
    assert (running.state, running.worker, running.lease_until) == (JobState.RUNNING, "w1", clock.now() + LEASE)
    assert list(registry.active()) == [running]
    assert registry.claim("w2", LEASE) is None


def test_jobs_are_claimed_in_the_order_of_acceptance(registry: JobRegistry, clock: ManualClock) -> None:
    accepted = []
    for n in range(12):
        accepted.append(add(registry, owner=OWNERS[n % 2]).id)
        clock.advance(n % 3)  # some within the same instant
    assert [claim(registry).id for _ in accepted] == accepted


def test_many_claim_each_job_once_and_in_order(registry: JobRegistry) -> None:
    accepted = [add(registry).number for _ in range(100)]

    def claim_all(n: int) -> list[int]:
        mine = []
        while (job := registry.claim(f"w{n}", LEASE)) is not None:
            mine.append(job.number)
        return mine

    taken = at_once(8, claim_all)
    assert sorted(number for numbers in taken for number in numbers) == accepted
    assert all(numbers == sorted(numbers) for numbers in taken)


def test_a_job_is_not_claimed_before_its_time(registry: JobRegistry, clock: ManualClock) -> None:
    add(registry)
    job = attempt_ends(registry, claim(registry), changes.retry, delay=timedelta(seconds=10), reason="away")
    assert registry.next_due_at() == job.not_before == clock.now() + timedelta(seconds=10)
    clock.advance(9.9)
    assert registry.claim("w1", LEASE) is None
    clock.advance(0.1)
    assert claim(registry).id == job.id


def test_a_job_that_waits_for_its_time_keeps_no_other_waiting(registry: JobRegistry, clock: ManualClock) -> None:
    first = add(registry)
    attempt_ends(registry, claim(registry), changes.retry, delay=timedelta(seconds=10), reason="away")
    clock.advance(1)
    second = add(registry)
    assert registry.next_due_at() == second.submitted_at
    assert claim(registry).id == second.id
    assert registry.claim("w1", LEASE) is None
    clock.advance(9)
    assert claim(registry).id == first.id


def test_what_has_been_due_longest_comes_first(registry: JobRegistry, clock: ManualClock) -> None:
    first = add(registry)
    attempt_ends(registry, claim(registry), changes.retry, delay=timedelta(seconds=10), reason="away")
    clock.advance(11)
    second = add(registry)
    assert [claim(registry).id, claim(registry).id] == [first.id, second.id]


def test_a_cancelled_job_is_not_claimed(registry: JobRegistry) -> None:
    registry.update(add(registry).id, changes.request_cancel)
    assert registry.claim("w1", LEASE) is None


def test_a_lapsed_lease_is_still_seen_and_can_be_recovered(registry: JobRegistry, clock: ManualClock) -> None:
    add(registry)
    running = claim(registry)
    clock.advance(LEASE.total_seconds())
    assert list(registry.active()) == [running]
    registry.update(running.id, partial(changes.recover, max_recoveries=3))
    assert list(registry.active()) == []
    assert claim(registry).epoch > running.epoch


def test_a_renewal_moves_the_lease_and_nothing_else(registry: JobRegistry, clock: ManualClock) -> None:
    add(registry)
    running = claim(registry)
    clock.advance(10)
    renewed = attempt_ends(registry, running, changes.renew, lease=LEASE)
    facts = {"lease_until": clock.now() + LEASE, "version": running.version + 1, "token": renewed.token}
    assert renewed == replace(running, **facts)
    assert list(registry.active()) == [renewed]


# -- a claim whose reply is lost ------------------------------------------------------------


def losing(registry: JobRegistry, monkeypatch: pytest.MonkeyPatch, written: bool) -> None:
    """The store goes away in the middle of the next write: it has happened or not, and nobody hears which."""
    swap = registry._swap

    def lossy(before: Job, after: Job) -> bool:
        monkeypatch.setattr(registry, "_swap", swap)
        if written:
            assert swap(before, after)
        raise StoreUnavailable(retry_after=1)

    monkeypatch.setattr(registry, "_swap", lossy)


def unheard(registry: JobRegistry, monkeypatch: pytest.MonkeyPatch, written: bool = True) -> Claim:
    sent = Claim()
    losing(registry, monkeypatch, written)
    with pytest.raises(StoreUnavailable):
        registry.claim("w1", LEASE, sent)
    return sent


@pytest.mark.parametrize("written", [True, False], ids=["written", "not written"])
def test_a_claim_that_is_sent_again_gets_the_job_that_it_has(
    registry: JobRegistry, monkeypatch: pytest.MonkeyPatch, written: bool
) -> None:
    first, second = add(registry), add(registry)
    sent = unheard(registry, monkeypatch, written)
    got = registry.claim("w1", LEASE, sent)
    assert got == registry.get(first.id)
    assert got is not None
    assert (got.state, got.attempt, got.epoch, got.recoveries) == (JobState.RUNNING, 1, 1, 0)
    assert registry.claim("w1", LEASE, sent) == got, "however often"
    assert claim(registry).id == second.id


def test_it_does_so_whatever_was_written_over_it(registry: JobRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    job = add(registry)
    sent = unheard(registry, monkeypatch)
    asked = registry.update(job.id, changes.request_cancel)
    assert registry.claim("w1", LEASE, sent) == asked


def test_a_claim_for_which_another_was_faster_gets_the_next_job(
    registry: JobRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = add(registry), add(registry)
    sent = unheard(registry, monkeypatch, written=False)
    other = registry.claim("w2", LEASE)
    assert other is not None
    mine = registry.claim("w1", LEASE, sent)
    assert mine is not None
    assert (other.id, mine.id) == (first.id, second.id)


def test_a_claim_whose_job_is_gone_gets_the_next_job(registry: JobRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = add(registry), add(registry)
    sent = unheard(registry, monkeypatch, written=False)
    registry.update(first.id, changes.request_cancel)
    registry.forget([first.id])
    mine = registry.claim("w1", LEASE, sent)
    assert mine is not None
    assert mine.id == second.id


def test_a_claim_that_comes_after_its_lease_begins_another_attempt(
    registry: JobRegistry, monkeypatch: pytest.MonkeyPatch, clock: ManualClock
) -> None:
    job = add(registry)
    sent = unheard(registry, monkeypatch)
    clock.advance(LEASE.total_seconds())
    registry.update(job.id, partial(changes.recover, max_recoveries=3))
    mine = registry.claim("w1", LEASE, sent)
    assert mine is not None
    assert (mine.id, mine.state, mine.attempt) == (job.id, JobState.RUNNING, 2)


# -- parked jobs ----------------------------------------------------------------------------


def park(registry: JobRegistry) -> Job:
    """Claim the next job, and ask in vain what became of its commit, as often as it is asked."""
    job = attempt_ends(registry, claim(registry), changes.begin_commit, result={"rows": 1})
    while True:
        job = attempt_ends(registry, job, changes.retry, delay=timedelta(), reason="nobody knows")
        if job.state is JobState.PARKED:
            return job
        job = registry.update(job.id, partial(changes.claim, worker="w1", lease=LEASE))


def test_doubts_are_kept_with_the_job(registry: JobRegistry) -> None:
    add(registry)
    committing = attempt_ends(registry, claim(registry), changes.begin_commit, result={})
    doubted = attempt_ends(registry, committing, changes.retry, delay=timedelta(), reason="nobody knows")
    assert (doubted.doubts, registry.get(doubted.id)) == (1, doubted)


def test_a_parked_job_is_listed_and_waits_for_nobody_but_a_person(registry: JobRegistry, clock: ManualClock) -> None:
    tight = Bounds(queued=1, queued_per_owner=1)
    add(registry, tight)
    parked = park(registry)
    clock.advance(10 * LEASE.total_seconds())
    assert registry.get(parked.id) == parked
    assert registry.find(Query(states=frozenset({JobState.PARKED}))).jobs == [parked]
    assert (registry.claim("w2", LEASE), registry.queued(), list(registry.active())) == (None, 0, [])
    assert list(registry.finished_before(clock.now(), 10)) == []
    registry.forget([parked.id])
    waiting = add(registry, tight)  # a parked job takes nobody's room
    assert_lists_agree(registry, [parked, waiting])
    assert_counters_agree(registry, [parked, waiting])


@pytest.mark.parametrize(
    ("verdict", "state"),
    [
        (changes.Verdict.RETRY, JobState.WAITING),
        (changes.Verdict.COMPLETED, JobState.SUCCEEDED),
        (changes.Verdict.FAILED, JobState.FAILED),
    ],
)
def test_a_parked_job_that_was_settled_goes_on(
    registry: JobRegistry, verdict: changes.Verdict, state: JobState
) -> None:
    add(registry)
    parked = park(registry)
    told = registry.update(parked.id, partial(changes.settle_by_hand, by="root", verdict=verdict))
    assert (told.state, registry.get(told.id)) == (state, told)
    assert_lists_agree(registry, [told])
    assert_counters_agree(registry, [told])
    if state is JobState.WAITING:
        assert claim(registry).commit_unsettled


# -- find -----------------------------------------------------------------------------------


def numbers(jobs: Sequence[Job]) -> list[int]:
    return [job.number for job in jobs]


@pytest.fixture
def shelf(registry: JobRegistry) -> JobRegistry:
    """1..12: two namespaces, two owners, two labels; 1..3 succeeded, 4 and 5 run, 6 was cancelled."""
    for n in range(1, 13):
        add(registry, task=f"{NAMESPACES[n % 2]}.work", owner=OWNERS[n % 3 == 0], labels=(LABELS[n % 4 == 0],))
    for _ in range(3):
        finish(registry)
    for _ in range(2):
        claim(registry)
    registry.update(registry.find(Query(offset=6, limit=1)).jobs[0].id, changes.request_cancel)
    return registry


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (Query(), [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]),
        (Query(namespace="tags"), [12, 10, 8, 6, 4, 2]),
        (Query(owner="bob"), [12, 9, 6, 3]),
        (Query(namespace="tags", owner="bob"), [12, 6]),
        (Query(states=frozenset({JobState.SUCCEEDED})), [3, 2, 1]),
        (Query(states=frozenset({JobState.RUNNING, JobState.SUCCEEDED})), [5, 4, 3, 2, 1]),
        (Query(states=frozenset(JobState)), [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]),
        (Query(states=frozenset()), []),
        (Query(namespace="tags", label="tag:2"), [12, 8, 4]),
        (Query(namespace="tags", label="tag:2", states=frozenset({JobState.RUNNING})), [4]),
        (Query(namespace="tags", label="tag:2", owner="bob"), [12]),
        (Query(namespace="tags", label="tag:1", states=frozenset({JobState.CANCELLED, JobState.QUEUED})), [10, 6]),
        (Query(namespace="campaigns", label="tag:2"), []),
        (Query(namespace="nobody"), []),
        (Query(owner="nobody"), []),
    ],
    ids=repr,
)
def test_a_list_holds_what_was_asked_for_newest_first(shelf: JobRegistry, query: Query, found: list[int]) -> None:
    page = shelf.find(query)
    assert (numbers(page.jobs), page.total) == (found, len(found))


def test_a_label_is_asked_for_within_a_namespace() -> None:
    """It would find nothing, since a job is listed under its labels nowhere else."""
    with pytest.raises(ValueError, match="namespace"):
        Query(label="tag:1")
    with pytest.raises(ValueError, match="namespace"):
        replace(Query(namespace="tags", label="tag:1"), namespace=None)


@pytest.mark.parametrize("states", [None, frozenset(JobState)], ids=["one list", "several lists"])
@pytest.mark.parametrize(
    ("offset", "limit", "found"),
    [
        (0, 5, [12, 11, 10, 9, 8]),
        (5, 5, [7, 6, 5, 4, 3]),
        (10, 5, [2, 1]),
        (11, 1, [1]),
        (12, 5, []),
        (100, 5, []),
        (0, 0, []),
        (3, 0, []),
        (0, 1000, [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]),
    ],
)
def test_a_page_of_a_list(
    shelf: JobRegistry, states: frozenset[JobState] | None, offset: int, limit: int, found: list[int]
) -> None:
    page = shelf.find(Query(states=states, offset=offset, limit=limit))
    assert (numbers(page.jobs), page.total) == (found, 12)


def test_a_list_shows_jobs_as_they_are(registry: JobRegistry) -> None:
    add(registry)
    running = claim(registry)
    told = attempt_ends(registry, running, changes.advance, progress=Progress(done=1, total=2))
    page = registry.find(Query())
    assert (list(page.jobs), page.total) == ([told], 1)


def test_a_job_is_listed_once_under_a_label_that_it_has_twice(registry: JobRegistry) -> None:
    add(registry, labels=("tag:1", "tag:2", "tag:1"))
    query = Query(namespace="tags", label="tag:1")
    assert registry.find(query).total == 1
    finish(registry)
    assert registry.find(query).total == 1
    assert registry.find(replace(query, states=frozenset({JobState.QUEUED}))).total == 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_lists_and_totals_agree_with_a_recount_after_a_random_history(
    registry: JobRegistry, clock: ManualClock, seed: int
) -> None:
    dice = random.Random(seed)
    known = _history(registry, clock, dice, steps=250)
    jobs = [registry.get(job_id) for job_id in known]
    assert len({job.state for job in jobs}) >= 6
    assert_lists_agree(registry, jobs)
    assert_counters_agree(registry, jobs)


def test_lists_and_totals_agree_with_a_recount_after_histories_at_once(
    registry: JobRegistry, clock: ManualClock
) -> None:
    known = at_once(4, lambda n: _history(registry, clock, random.Random(n), steps=60))
    jobs = [registry.get(job_id) for mine in known for job_id in mine]
    assert len(jobs) == registry.find(Query()).total
    assert_lists_agree(registry, jobs)
    assert_counters_agree(registry, jobs)


def _history(registry: JobRegistry, clock: ManualClock, dice: random.Random, steps: int) -> list[str]:
    """Adds and claims, and lets what it claimed go on in some way; answers with the ids of its jobs."""
    known: list[str] = []
    running: list[Job] = []
    ends: list[Callable[..., Job]] = [
        partial(changes.begin_commit, result={}),
        partial(changes.succeed, result={}),
        partial(changes.fail, reason="no"),
        changes.cancelled,
        changes.release,
        partial(changes.retry, delay=timedelta(seconds=3), reason="away"),
    ]
    for _ in range(steps):
        step = dice.random()
        if step < 0.35:
            facts = {"owner": dice.choice(OWNERS), "task": f"{dice.choice(NAMESPACES)}.work"}
            known.append(add(registry, labels=tuple(dice.sample(LABELS, dice.randint(0, 2))), **facts).id)
        elif step < 0.6:
            running += [job for job in [registry.claim("w1", LEASE)] if job is not None]
        elif step < 0.9 and running:
            _try(registry, dice.choice(running), dice.choice(ends))
        elif step < 0.95 and known:
            with_cancel = registry.get(dice.choice(known))
            _try(registry, with_cancel, lambda job, now, epoch: changes.request_cancel(job, now))
        else:
            clock.advance(dice.random())
    return known


def _try(registry: JobRegistry, job: Job, change: Callable[..., Job]) -> None:
    """What the model refuses is refused: that is no news here."""
    try:
        attempt_ends(registry, job, change)
    except (JobError, JobCancelled):
        return


# -- forgetting -----------------------------------------------------------------------------


def test_finished_jobs_are_named_oldest_first(registry: JobRegistry, clock: ManualClock) -> None:
    ended = []
    for _ in range(4):
        add(registry)
        ended.append(finish(registry).id)
        clock.advance(1)
    add(registry)
    claim(registry)
    assert list(registry.finished_before(clock.now(), 10)) == ended
    assert list(registry.finished_before(clock.now(), 2)) == ended[:2]
    assert list(registry.finished_before(clock.now() - timedelta(seconds=2), 10)) == ended[:2]
    third = registry.get(ended[2]).finished_at
    assert third is not None
    assert list(registry.finished_before(third, 10)) == ended[:2]  # before it, not at it


def test_every_way_of_ending_is_an_end(registry: JobRegistry, clock: ManualClock) -> None:
    ids = [add(registry).id for _ in range(3)]
    registry.update(ids[2], changes.request_cancel)
    clock.advance(1)
    attempt_ends(registry, claim(registry), changes.succeed, result={})
    clock.advance(1)
    attempt_ends(registry, claim(registry), changes.fail, reason="no")
    clock.advance(1)
    assert list(registry.finished_before(clock.now(), 10)) == [ids[2], ids[0], ids[1]]


def test_what_is_forgotten_is_gone_with_its_key_and_its_places(registry: JobRegistry, clock: ManualClock) -> None:
    gone = registry.add(a_request(n=1, labels=("tag:1",)), ROOM, KEY).job
    finish(registry)
    kept = add(registry, labels=("tag:1",))
    clock.advance(1)
    registry.forget([gone.id])
    with pytest.raises(JobNotFound):
        registry.get(gone.id)
    with pytest.raises(JobNotFound):
        registry.update(gone.id, changes.request_cancel)
    assert_lists_agree(registry, [kept])
    assert_counters_agree(registry, [kept])
    assert not registry.add(a_request(n=2), ROOM, KEY).replayed


def test_only_finished_jobs_are_forgotten(registry: JobRegistry) -> None:
    ids = [registry.add(a_request(n=n), ROOM, replace(KEY, value=str(n))).job.id for n in range(3)]
    attempt_ends(registry, claim(registry), changes.begin_commit, result={})
    claim(registry)
    registry.forget(ids)
    jobs = [registry.get(job_id) for job_id in ids]
    assert_lists_agree(registry, jobs)
    assert registry.add(a_request(n=2), ROOM, replace(KEY, value="2")).replayed


def test_forgetting_twice_or_nobody_is_no_error(registry: JobRegistry) -> None:
    add(registry)
    done = finish(registry)
    registry.forget([])
    for _ in range(2):
        registry.forget([done.id, "nobody"])
    assert registry.find(Query()).total == 0


def test_a_job_that_was_added_again_after_it_was_forgotten_is_new(registry: JobRegistry) -> None:
    request = a_request()
    registry.add(request, ROOM)
    done = finish(registry)
    registry.forget([done.id])
    assert registry.add(request, ROOM).job.number > done.number


# -- the clock ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BACKENDS)
def test_a_registry_s_own_clock_is_aware(name: str, tmp_path: Path) -> None:
    assert BACKENDS[name](tmp_path).now().utcoffset() == timedelta(0)


# -- locks ----------------------------------------------------------------------------------


def test_a_lock_is_one_holder_s_until_its_time_is_over(registry: JobRegistry) -> None:
    assert registry.lock("tables", "here", 0.2)
    assert registry.lock("tables", "here", 0.2), "its holder may keep it"
    assert not registry.lock("tables", "there", 60)
    assert registry.lock("other", "there", 60)


def test_a_lock_whose_time_is_over_is_free(registry: JobRegistry, clock: ManualClock) -> None:
    assert registry.lock("tables", "here", 0.05)
    clock.advance(0.05)
    deadline = time.monotonic() + PATIENCE  # a shared store counts this by its own clock
    while not registry.lock("tables", "there", 60):
        assert time.monotonic() < deadline


def test_jobs_are_read_together_and_the_unknown_are_left_out(registry: JobRegistry) -> None:
    first, second = add(registry, n=1), add(registry, n=2)
    assert registry.get_all([second.id, "nobody", first.id]) == [second, first]
    assert registry.get_all([]) == []


def test_a_job_is_found_by_its_number(registry: JobRegistry) -> None:
    job = add(registry)
    assert registry.id_of(job.number) == job.id
    with pytest.raises(JobNotFound):
        registry.id_of(job.number + 1)


def test_a_store_tells_what_it_is(registry: JobRegistry) -> None:
    assert registry.describe()["kind"] in BACKENDS
    registry.check()


def test_a_list_that_is_followed_shows_no_job_twice_and_none_that_came_later(registry: JobRegistry) -> None:
    jobs = [add(registry, n=n) for n in range(7)]
    page = registry.find(Query(limit=3))
    add(registry, n=7)
    rest = registry.find(Query(before=page.next, limit=10))
    assert [*page.jobs, *rest.jobs] == jobs[::-1]
    assert rest.next is None


@pytest.mark.parametrize("states", [None, frozenset(JobState)], ids=["one listing", "several listings"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_a_list_is_followed_back_over_the_same_pages(
    registry: JobRegistry, limit: int, states: frozenset[JobState] | None
) -> None:
    for n in range(7):
        add(registry, n=n)
    finish(registry)
    query = Query(limit=limit, states=states)
    there = [registry.find(query)]
    while (below := there[-1].next) is not None:
        there.append(registry.find(replace(query, before=below)))
    assert numbers([job for page in there for job in page.jobs]) == [7, 6, 5, 4, 3, 2, 1]
    back = [there[-1]]
    while (above := back[-1].previous) is not None:
        back.append(registry.find(replace(query, after=above)))
    assert back == there[::-1]


def test_what_came_later_is_before_the_first_page(registry: JobRegistry) -> None:
    for n in range(4):
        add(registry, n=n)
    second = registry.find(Query(limit=2, before=registry.find(Query(limit=2)).next))
    for n in range(3):
        add(registry, n=n)
    pages = [second]
    while (above := pages[-1].previous) is not None:
        pages.append(registry.find(Query(limit=2, after=above)))
    assert [numbers(page.jobs) for page in pages] == [[2, 1], [4, 3], [6, 5], [7]]
    assert [page.next for page in pages] == [None, 3, 5, 7]


def test_above_the_newest_there_is_nothing_and_a_way_back(registry: JobRegistry) -> None:
    job = add(registry)
    page = registry.find(Query(after=job.number))
    assert (list(page.jobs), page.total, page.previous) == ([], 1, None)
    assert list(registry.find(Query(before=page.next)).jobs) == [job]
    gone = registry.find(Query(owner="nobody", after=3))
    assert (list(gone.jobs), gone.next, gone.previous) == ([], None, None)


@pytest.mark.parametrize("limit", [1, 3, 4, 5])
def test_a_numbered_page_at_any_depth(registry: JobRegistry, limit: int) -> None:
    jobs = [add(registry, n=n) for n in range(10)][::-1]
    for offset in range(12):
        page = registry.find(Query(offset=offset, limit=limit))
        assert list(page.jobs) == jobs[offset : offset + limit]
        assert (page.next is None) == (offset + limit >= 10)


def test_a_large_request_is_the_same_each_time_it_is_read(registry: JobRegistry) -> None:
    job = add(registry, user_ids=[f"user_{n}" for n in range(20_000)])
    claimed = claim(registry)
    assert registry.get(job.id) == claimed
    assert registry.find(Query()).jobs[0] == claimed
    assert claimed.request == job.request


def test_events_are_kept_with_the_job(registry: JobRegistry, clock: ManualClock) -> None:
    job = add(registry)
    attempt = claim(registry)
    clock.advance(1)
    attempt_ends(registry, attempt, changes.advance, progress=Progress(done=1, total=2))
    ended = attempt_ends(registry, attempt, changes.fail, reason="no")
    assert [event.kind.value for event in ended.events] == ["accepted", "started", "progress", "finished"]
    assert registry.get(job.id).events == ended.events
    assert ended.events[-1].at == clock.now()
