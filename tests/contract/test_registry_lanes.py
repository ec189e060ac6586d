"""Lanes, the feed of changes, and journals: what every registry promises of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tagapi.jobs import changes, steps
from tagapi.jobs.errors import JournalFull, OwnerQueueFull, QueueFull, StaleAttempt
from tagapi.jobs.lists import Query
from tagapi.jobs.model import JOURNAL_BYTES, EventKind, Job, JobState, Progress, Request
from tagapi.jobs.registry import CHANGES_KEPT, Bounds, JobRegistry
from tests.clock import ManualClock
from tests.contract.backends import BACKENDS, open_backend

LEASE = timedelta(seconds=30)
ROOM = Bounds(queued=10_000, queued_per_owner=10_000)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=BACKENDS)
def registry(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> JobRegistry:
    return open_backend(request.param, tmp_path, clock)


def add(registry: JobRegistry, lane: str | None = "spark", owner: str = "ann", bounds: Bounds = ROOM) -> Job:
    request = Request(job_id=str(uuid4()), task="tags.compute", owner=owner, arguments={}, lane=lane)
    return registry.add(request, bounds).job


def claim(registry: JobRegistry, lane: str = "spark") -> Job:
    job = registry.claim("w1", LEASE, lane=lane)
    assert job is not None
    return job


def write(registry: JobRegistry, job: Job, change: Any, **facts: Any) -> Job:
    return registry.update(job.id, partial(change, epoch=job.epoch, **facts))


# -- lanes ----------------------------------------------------------------------------------


def test_a_lane_claims_its_own_jobs_alone(registry: JobRegistry) -> None:
    first, second = add(registry, "spark"), add(registry, "platforms")
    assert registry.next_due_at("audiences") is None
    assert registry.claim("w1", LEASE, lane="audiences") is None
    assert claim(registry, "platforms").id == second.id
    assert registry.claim("w1", LEASE, lane="platforms") is None
    assert claim(registry, "spark").id == first.id


def test_a_job_is_claimed_by_its_id_once_and_whatever_waits_before_it(registry: JobRegistry) -> None:
    first, second = add(registry), add(registry)
    job = registry.claim_job(second.id, "w1", LEASE)
    assert job is not None
    assert (job.id, job.state, job.worker) == (second.id, JobState.RUNNING, "w1")
    assert registry.claim_job(second.id, "w2", LEASE) is None
    assert registry.claim_job(str(uuid4()), "w2", LEASE) is None
    assert claim(registry).id == first.id


def test_a_job_is_not_claimed_by_its_id_before_its_time_or_after_its_end(
    registry: JobRegistry, clock: ManualClock
) -> None:
    job = add(registry)
    write(registry, claim(registry), changes.retry, delay=timedelta(seconds=10), reason="away")
    assert registry.claim_job(job.id, "w1", LEASE) is None
    clock.advance(10)
    assert registry.claim_job(job.id, "w1", LEASE) is not None
    write(registry, registry.get(job.id), changes.succeed, result={})
    assert registry.claim_job(job.id, "w1", LEASE) is None


def test_what_has_been_due_for_a_while_is_told_the_first_of_all_and_the_oldest(
    registry: JobRegistry, clock: ManualClock
) -> None:
    waits = add(registry)
    write(registry, claim(registry), changes.retry, delay=timedelta(seconds=100), reason="away")
    jobs = [add(registry) for _ in range(4)]
    add(registry, "platforms")
    clock.advance(5)
    young = add(registry)
    before = clock.now() - timedelta(seconds=2)
    assert told(registry, "spark", before, 10) == [job.id for job in jobs]
    assert told(registry, "spark", before, 3) == [job.id for job in jobs[:2]], "the one that waits is one of three"
    assert told(registry, "spark", before, 1) == [jobs[0].id], "however few are looked at, one that is due is told"
    assert told(registry, "audiences", before, 10) == []
    clock.advance(100)
    late = told(registry, "spark", clock.now(), 10)
    assert set(late) == {waits.id, young.id, *(job.id for job in jobs)}


def told(registry: JobRegistry, lane: str, before: datetime, limit: int) -> list[str]:
    """The ids of what is due, in the order of acceptance."""
    return [job.id for job in sorted(registry.due_in(lane, before, limit), key=lambda job: job.number)]


def test_what_waits_is_counted_by_lane(registry: JobRegistry) -> None:
    for lane in ("spark", "platforms", "spark"):
        add(registry, lane)
    assert [registry.queued_in(lane) for lane in ("spark", "platforms", "audiences")] == [2, 1, 0]
    claim(registry, "spark")
    assert [registry.queued_in(lane) for lane in ("spark", "platforms", "audiences")] == [1, 1, 0]


def test_a_job_of_no_lane_is_of_the_first_one(registry: JobRegistry) -> None:
    job = add(registry, None)
    assert registry.next_due_at("spark") == job.submitted_at
    assert claim(registry, "spark").id == job.id


def test_the_bounds_of_a_lane_are_its_own(registry: JobRegistry) -> None:
    small = Bounds(queued=3, queued_per_owner=2)
    add(registry, "platforms"), add(registry, "platforms")
    with pytest.raises(OwnerQueueFull):
        add(registry, "platforms", bounds=small)
    add(registry, "platforms", owner="bob", bounds=small)
    with pytest.raises(QueueFull):
        add(registry, "platforms", owner="eve", bounds=small)
    add(registry, "spark", bounds=small)
    assert registry.queued() == 4
    claim(registry, "platforms")
    add(registry, "platforms", owner="eve", bounds=small)


def test_what_has_finished_is_found_by_its_lane(registry: JobRegistry, clock: ManualClock) -> None:
    jobs = {lane: add(registry, lane) for lane in ("spark", "platforms")}
    for lane in jobs:
        write(registry, claim(registry, lane), changes.succeed, result={})
    clock.advance(1)
    for lane, job in jobs.items():
        assert list(registry.finished_before(clock.now(), 10, lane)) == [job.id]
    registry.forget([jobs["platforms"].id])
    assert list(registry.finished_before(clock.now(), 10, "platforms")) == []
    assert list(registry.finished_before(clock.now(), 10)) == [jobs["spark"].id]


# -- lists by time --------------------------------------------------------------------------


def test_jobs_are_listed_from_a_moment_on(registry: JobRegistry, clock: ManualClock) -> None:
    jobs = []
    for _ in range(20):
        jobs.append(add(registry))
        clock.advance(1)
    registry.update(jobs[12].id, changes.request_cancel)
    registry.forget([jobs[12].id])
    for first in range(20):
        moment = jobs[first].submitted_at
        wanted = [job.id for job in jobs[first:] if job is not jobs[12]][::-1]
        found = registry.find(Query(since=moment, limit=5))
        assert ([job.id for job in found.jobs], found.total) == (wanted[:5], len(wanted)), first
        late = registry.find(Query(since=moment + timedelta(milliseconds=1), owner="ann"))
        assert late.total == len(wanted) - (first != 12), first
    assert registry.find(Query(since=clock.now())).total == 0


# -- the feed of changes --------------------------------------------------------------------


def test_what_was_written_is_told_once_and_in_order(registry: JobRegistry) -> None:
    add(registry)
    begin = registry.changed(None)
    assert (list(begin.job_ids), begin.gap) == ([], False)
    first, second = add(registry), add(registry)
    registry.update(first.id, changes.request_cancel)
    news = registry.changed(begin.upto)
    assert (list(news.job_ids), news.gap) == ([second.id, first.id], False)
    assert list(registry.changed(news.upto).job_ids) == []
    registry.update(second.id, changes.request_cancel)
    registry.forget([first.id])
    assert list(registry.changed(news.upto).job_ids) == [second.id]


def test_it_is_read_in_pieces(registry: JobRegistry) -> None:
    upto, seen = registry.changed(None).upto, []
    jobs = [add(registry) for _ in range(7)]
    while (news := registry.changed(upto, 3)).job_ids:
        assert len(news.job_ids) <= 3
        seen += news.job_ids
        upto = news.upto
    assert seen == [job.id for job in jobs]


def test_who_comes_too_late_is_told_so(registry: JobRegistry) -> None:
    begin = registry.changed(None)
    job = add(registry)
    early = registry.changed(begin.upto)
    running = claim(registry)
    for done in range(CHANGES_KEPT + 500):
        write(registry, running, changes.renew, lease=timedelta(seconds=60 + done))
    late = registry.changed(early.upto)
    assert late.gap
    upto = late.upto
    while (news := registry.changed(upto, 5000)).job_ids:
        assert not news.gap
        assert list(news.job_ids) == [job.id]
        upto = news.upto


# -- journals, phases, endings --------------------------------------------------------------


def test_everything_that_an_attempt_says_is_kept(registry: JobRegistry, clock: ManualClock) -> None:
    job = add(registry)
    running = claim(registry)
    write(registry, running, changes.note, place=0, step="campaign", fact={"about": "create", "имя": "ü"})
    write(registry, running, changes.advance, progress=Progress(total=3), phase="crear")
    write(registry, running, changes.advance, progress=Progress(done=1, total=3), phase="crear")
    clock.advance(2)
    write(registry, running, changes.advance, progress=Progress(total=1), phase="revisar")
    read = registry.get(job.id)
    assert [(entry.step, entry.fact) for entry in read.journal] == [("campaign", {"about": "create", "имя": "ü"})]
    assert [(phase.name, phase.progress.done, phase.ended is None) for phase in read.phases] == [
        ("crear", 1, False),
        ("revisar", 0, True),
    ]
    assert [event.number for event in read.events] == sorted({event.number for event in read.events})
    assert registry.find(Query()).jobs[0] == read


def test_a_journal_is_written_by_the_attempt_that_runs(registry: JobRegistry, clock: ManualClock) -> None:
    add(registry)
    lost = claim(registry)
    clock.advance(31)
    registry.update(lost.id, partial(changes.recover, max_recoveries=3))
    with pytest.raises(StaleAttempt):
        write(registry, lost, changes.note, place=0, step="campaign", fact={})
    again = claim(registry)
    write(registry, again, changes.note, place=0, step="campaign", fact={"id": "1"})
    with pytest.raises(JournalFull):
        write(registry, again, changes.note, place=1, step="campaign", fact={"id": "1" * JOURNAL_BYTES})
    assert len(registry.get(lost.id).journal) == 1


@pytest.mark.parametrize("end", ["fail", "cancel", "lost", "cancel while it waits"])
def test_a_job_with_a_journal_ends_only_once_that_is_taken_back(
    registry: JobRegistry, clock: ManualClock, end: str
) -> None:
    add(registry)
    running = claim(registry)
    write(registry, running, changes.note, place=0, step="campaign", fact={"id": "1"})
    match end:
        case "fail":
            write(registry, running, changes.fail, reason="refused")
        case "cancel":
            registry.update(running.id, changes.request_cancel)
            write(registry, running, changes.cancelled)
        case "lost":
            clock.advance(31)
            registry.update(running.id, partial(changes.recover, max_recoveries=0))
        case _:
            write(registry, running, changes.retry, delay=timedelta(seconds=500), reason="away")
            registry.update(running.id, changes.request_cancel)
    waiting = registry.get(running.id)
    assert (waiting.state, waiting.ending is not None) == (JobState.WAITING, True)
    undoing = claim(registry)
    assert undoing.ending == waiting.ending
    ended = write(registry, undoing, changes.undone)
    wanted = JobState.CANCELLED if end.startswith("cancel") else JobState.FAILED
    assert (ended.state, ended.left) == (wanted, None)
    assert registry.get(running.id) == ended


def test_what_could_not_be_taken_back_is_a_failure_that_names_it(registry: JobRegistry) -> None:
    add(registry)
    running = claim(registry)
    write(registry, running, changes.note, place=0, step="campaign", fact={"id": "77"})
    registry.update(running.id, changes.request_cancel)
    write(registry, running, changes.cancelled)
    ended = write(registry, claim(registry), changes.undone, left="campaign 77 is still there")
    assert (ended.state, ended.left) == (JobState.FAILED, "campaign 77 is still there")
    assert "campaign 77" in str(ended.error)


def test_an_undo_that_never_succeeds_ends_with_what_the_journal_says(registry: JobRegistry, clock: ManualClock) -> None:
    add(registry)
    running = claim(registry)
    write(registry, running, changes.note, place=0, step="campaign", fact={"id": "77"})
    write(registry, running, changes.fail, reason="refused")
    for _ in range(steps.UNDOS_AT_MOST):
        clock.advance(60)
        write(registry, claim(registry), changes.retry, delay=timedelta(seconds=1), reason="the platform is away")
    ended = registry.get(running.id)
    assert ended.state is JobState.FAILED
    assert all(part in str(ended.error) for part in ("refused", "the platform is away", "77"))
    assert [event.kind for event in ended.events].count(EventKind.UNDOING) == 1
