"""What every registry promises of schedules: each run is begun once, by whichever process is there."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import fields, replace
from datetime import timedelta
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest

from tagapi.jobs import changes, schedules
from tagapi.jobs.errors import (
    JobNotFound,
    OwnerQueueFull,
    QueueFull,
    ScheduleNotFound,
    StoreTooNew,
    StoreUnavailable,
    TooManySchedules,
)
from tagapi.jobs.lists import Query
from tagapi.jobs.model import Job, Request, new_token
from tagapi.jobs.registry import Bounds, JobRegistry
from tagapi.jobs.schedule_registry import Begun, ScheduleQuery
from tagapi.jobs.schedules import Cron, Every, Schedule, run_id, run_label
from tagapi.registries import open_registry, schedule_codec
from tagapi.registries.redis.registry import RedisRegistry
from tagapi.registries.schedule_codec import dump_schedule, load_schedule
from tagapi.registries.sqlite.registry import SqliteRegistry
from tagapi.timetable import next_of
from tests.clock import START, ManualClock
from tests.contract.backends import BACKENDS, open_backend, valkey
from tests.contract.recount import assert_counters_agree, assert_lists_agree
from tests.contract.test_registry import at_once

LEASE = timedelta(days=30)
ROOM = Bounds(queued=10_000, queued_per_owner=10_000)
MANY = 10_000
HOUR = 3600
NIGHTLY = Cron(expression="0 3 * * *", timezone="Europe/Madrid")
EVERY_FACT = Schedule(
    id="every fact",
    task="tags.compute",
    owner="ann",
    arguments={"имя": ["ü", None, 1.5, True]},
    timing=NIGHTLY,
    created_at=START,
    next_at=START + timedelta(microseconds=1),
    labels=("tag:1", "tag:2"),
    lane="platforms",
    asked={"who": "all"},
    token="t0",
    paused="ann asked for it",
    runs=3,
    missed=2,
    last_job_id="j3",
    last_due_at=START - timedelta(hours=1),
    last_begun_at=START,
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=BACKENDS)
def registry(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> JobRegistry:
    return open_backend(request.param, tmp_path, clock)


@pytest.fixture
def another(registry: JobRegistry, clock: ManualClock) -> Iterator[Callable[[], JobRegistry]]:
    """Opens the same store once more, as another process does. Memory is of one process."""
    with ExitStack() as opened:

        def open_again() -> JobRegistry:
            kind = registry.describe()["kind"]
            if kind == "memory":
                return registry
            url = f"sqlite:///{registry._path}" if isinstance(registry, SqliteRegistry) else valkey().url
            other = open_registry(url)
            other.now = clock.now  # type: ignore[method-assign]
            opened.callback(other.close)
            return other

        yield open_again


def a_schedule(clock: ManualClock, **facts: Any) -> Schedule:
    """Every hour from now on, unless the facts say otherwise."""
    now = clock.now()
    usual = {"id": str(uuid4()), "task": "tags.compute", "owner": "ann", "arguments": {"n": 1}}
    return Schedule(**{**usual, "timing": Every(seconds=HOUR), "created_at": now, "next_at": now, **facts})


def add(registry: JobRegistry, clock: ManualClock, **facts: Any) -> Schedule:
    return registry.schedules.add(a_schedule(clock, **facts), MANY)


def begin(registry: JobRegistry, schedule: Schedule, bounds: Bounds = ROOM, token: str | None = None) -> Begun | None:
    return registry.schedules.begin(schedule.id, next_of, bounds, token)


def begin_now(registry: JobRegistry, schedule: Schedule) -> Begun:
    begun = begin(registry, schedule)
    assert begun is not None
    return begun


def finish(registry: JobRegistry, job_id: str) -> Job:
    claimed = registry.update(job_id, partial(changes.claim, worker="w1", lease=LEASE))
    return registry.update(job_id, partial(changes.succeed, epoch=claimed.epoch, result={}))


def ready(registry: JobRegistry) -> list[str]:
    return [schedule.id for schedule in registry.schedules.ready()]


def every_job(registry: JobRegistry) -> list[Job]:
    return list(registry.find(Query(limit=MANY)).jobs)


# -- kept -----------------------------------------------------------------------------------


def test_what_is_added_is_there_with_every_fact(
    registry: JobRegistry, another: Callable[[], JobRegistry], clock: ManualClock
) -> None:
    kept = registry.schedules.add(EVERY_FACT, MANY)
    assert kept == replace(EVERY_FACT, number=1)
    interval = add(registry, clock)
    for one in (registry, another()):
        assert one.schedules.get(kept.id) == kept
        assert one.schedules.get_all([interval.id, "nobody", kept.id]) == [interval, kept]


def test_every_fact_is_stored() -> None:
    """A new one needs a step in `schedule_codec.py`."""
    assert set(schedule_codec.KEPT) == {field.name for field in fields(Schedule)} - {"number", "version"}
    assert load_schedule(7, 3, dump_schedule(EVERY_FACT)) == replace(EVERY_FACT, number=7, version=3)


def test_what_version_1_stored_is_read() -> None:
    """As it was written by the first release that had schedules."""
    stored = {
        "v": 1,
        "id": "every fact",
        "task": "tags.compute",
        "owner": "ann",
        "arguments": {"имя": ["ü", None, 1.5, True]},
        "timing": {"expression": "0 3 * * *", "timezone": "Europe/Madrid"},
        "created_at": "2024-02-29T23:59:00+00:00",
        "next_at": "2024-02-29T23:59:00.000001+00:00",
        "labels": ["tag:1", "tag:2"],
        "lane": "platforms",
        "asked": {"who": "all"},
        "token": "t0",
        "paused": "ann asked for it",
        "runs": 3,
        "missed": 2,
        "last_job_id": "j3",
        "last_due_at": "2024-02-29T22:59:00+00:00",
        "last_begun_at": "2024-02-29T23:59:00+00:00",
    }
    assert load_schedule(1, 1, orjson.dumps(stored)) == replace(EVERY_FACT, number=1)
    interval = orjson.dumps({**stored, "timing": {"seconds": 60}})
    assert load_schedule(1, 1, interval) == replace(EVERY_FACT, number=1, timing=Every(seconds=60))


def test_what_a_newer_release_stored_is_not_guessed_at() -> None:
    with pytest.raises(StoreTooNew):
        load_schedule(1, 1, b'{"v": 1000}')


def test_one_that_is_not_there(registry: JobRegistry, clock: ManualClock) -> None:
    with pytest.raises(ScheduleNotFound) as refused:
        registry.schedules.get("nobody")
    assert refused.value.schedule_id == "nobody"
    with pytest.raises(ScheduleNotFound):
        registry.schedules.update("nobody", partial(schedules.pause, why="no"))
    assert not registry.schedules.remove("nobody")
    assert begin(registry, a_schedule(clock)) is None
    assert ready(registry) == []


def test_a_repeated_add_finds_itself_as_it_is_now(registry: JobRegistry, clock: ManualClock) -> None:
    wanted = a_schedule(clock)
    registry.schedules.add(wanted, 1)
    paused = registry.schedules.update(wanted.id, partial(schedules.pause, why="no"))
    assert registry.schedules.add(wanted, 1) == paused
    assert registry.schedules.find(ScheduleQuery()).total == 1


def test_an_owner_has_so_many_and_no_more(registry: JobRegistry, clock: ManualClock) -> None:
    answers = at_once(12, lambda _: registry.schedules.add(a_schedule(clock), 5))
    assert sum(isinstance(answer, Schedule) for answer in answers) == 5
    refused = [answer for answer in answers if isinstance(answer, TooManySchedules)]
    assert {(one.owner, one.schedules) for one in refused} == {("ann", 5)}
    registry.schedules.add(a_schedule(clock, owner="bob"), 5)
    (last,) = registry.schedules.find(ScheduleQuery(owner="ann", limit=1)).schedules
    assert registry.schedules.remove(last.id)
    registry.schedules.add(a_schedule(clock), 5)


def test_numbers_grow_and_are_never_used_again(registry: JobRegistry, clock: ManualClock) -> None:
    numbers = [add(registry, clock).number for _ in range(3)]
    last = add(registry, clock)
    registry.schedules.remove(last.id)
    assert [*numbers, last.number, add(registry, clock).number] == [1, 2, 3, 4, 5]


def test_what_is_removed_is_gone_from_everywhere(registry: JobRegistry, clock: ManualClock) -> None:
    schedule = add(registry, clock)
    assert ready(registry) == [schedule.id]
    assert not registry.schedules.remove(schedule.id, schedule.version + 1)
    assert registry.schedules.remove(schedule.id, schedule.version)
    assert not registry.schedules.remove(schedule.id)
    assert ready(registry) == []
    assert begin(registry, schedule) is None
    assert registry.schedules.find(ScheduleQuery(owner="ann")).total == 0
    assert registry.schedules.get_all([schedule.id]) == []


# -- update ---------------------------------------------------------------------------------


def count(schedule: Schedule, now: Any) -> Schedule:
    return replace(schedule, missed=schedule.missed + 1)


def test_updates_of_many_threads_are_all_there(registry: JobRegistry, clock: ManualClock) -> None:
    schedule = add(registry, clock)
    at_once(8, lambda _: [registry.schedules.update(schedule.id, count) for _ in range(25)])
    counted = registry.schedules.get(schedule.id)
    assert (counted.missed, counted.version) == (200, schedule.version + 200)


def test_an_update_that_changes_nothing_writes_nothing(registry: JobRegistry, clock: ManualClock) -> None:
    schedule = add(registry, clock)
    assert registry.schedules.update(schedule.id, lambda one, now: one) == schedule
    with pytest.raises(ZeroDivisionError):
        registry.schedules.update(schedule.id, lambda one, now: 1 / 0)
    assert registry.schedules.get(schedule.id) == schedule


def test_an_update_whose_reply_was_lost_is_made_once(
    registry: JobRegistry, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule, swap, token = add(registry, clock), registry.schedules._swap, new_token()

    def lossy(before: Schedule, after: Schedule) -> bool:
        swap(before, after)
        raise StoreUnavailable(retry_after=1)

    monkeypatch.setattr(registry.schedules, "_swap", lossy)
    with pytest.raises(StoreUnavailable):
        registry.schedules.update(schedule.id, count, token)
    assert registry.schedules.update(schedule.id, count, token).missed == 1


# -- lists ----------------------------------------------------------------------------------


def test_lists_are_by_owner_and_namespace_and_followed_by_pages(registry: JobRegistry, clock: ManualClock) -> None:
    known = [
        add(registry, clock, owner=owner, task=task)
        for _, owner, task in product(range(5), ("ann", "bob"), ("tags.compute", "workers.export"))
    ]
    registry.schedules.remove(known.pop(7).id)
    for namespace, owner in product((None, "tags", "workers", "export"), (None, "ann", "bob", "eve")):
        wanted = [one for one in reversed(known) if namespace in (None, one.namespace) and owner in (None, one.owner)]
        query = ScheduleQuery(namespace=namespace, owner=owner, limit=3)
        page = registry.schedules.find(query)
        seen = list(page.schedules)
        while page.next is not None:
            page = registry.schedules.find(replace(query, before=page.next))
            assert page.schedules
            seen += page.schedules
        assert (seen, page.total) == (wanted, len(wanted))
        third = registry.schedules.find(replace(query, offset=6))
        assert (list(third.schedules), third.total) == (wanted[6:9], len(wanted))


# -- runs -----------------------------------------------------------------------------------


def test_a_run_is_a_job_like_others(registry: JobRegistry, clock: ManualClock) -> None:
    schedule = add(registry, clock, labels=("tag:1",), lane="platforms", owner="bob")
    clock.advance(5)
    begun = begin_now(registry, schedule)
    job, after = begun.job, begun.schedule
    assert job.id == run_id(schedule.id, schedule.next_at)
    assert (job.request.task, job.request.owner, job.request.arguments) == ("tags.compute", "bob", {"n": 1})
    assert (job.request.labels, job.lane) == (("tag:1", run_label(schedule.id)), "platforms")
    assert (job.submitted_at, job.number) == (clock.now(), 1)
    assert registry.get(job.id) == job
    assert registry.schedules.get(schedule.id) == after
    assert (after.next_at, after.runs, after.missed) == (START + timedelta(hours=1), 1, 0)
    assert (after.last_job_id, after.last_due_at, after.last_begun_at) == (job.id, START, clock.now())
    assert [one.id for one in registry.find(Query(namespace="tags", label=run_label(schedule.id))).jobs] == [job.id]
    assert registry.next_due_at("platforms") == job.submitted_at
    assert list(registry.changed("0" if registry.describe()["kind"] != "redis" else "0-0").job_ids) == [job.id]
    assert_lists_agree(registry, [job])


def test_nothing_begins_before_its_time(registry: JobRegistry, clock: ManualClock) -> None:
    schedule = add(registry, clock, next_at=clock.now() + timedelta(seconds=HOUR))
    clock.advance(HOUR - 0.001)
    assert (begin(registry, schedule), ready(registry)) == (None, [])
    clock.advance(0.001)
    assert ready(registry) == [schedule.id]
    begin_now(registry, schedule)


def test_those_that_are_due_longest_come_first(registry: JobRegistry, clock: ManualClock) -> None:
    later, sooner = (add(registry, clock, next_at=START + timedelta(seconds=s)) for s in (50, 10))
    many = {add(registry, clock, next_at=START + timedelta(seconds=20)).id for _ in range(250)}
    add(registry, clock, next_at=START + timedelta(seconds=61))
    clock.advance(60)
    found = ready(registry)
    assert (found[0], set(found[1:-1]), found[-1]) == (sooner.id, many, later.id)


def test_of_many_processes_one_begins_a_run(
    registry: JobRegistry, another: Callable[[], JobRegistry], clock: ManualClock
) -> None:
    schedule = add(registry, clock)
    processes = [registry, another(), another()]
    for n in range(1, 6):
        answers = at_once(9, lambda k: begin(processes[k % 3], schedule))
        begun = [answer for answer in answers if answer is not None]
        assert len(begun) == 1
        assert [job.id for job in every_job(registry)].count(begun[0].job.id) == 1
        assert registry.schedules.get(schedule.id).runs == n == len(every_job(registry))
        finish(registry, begun[0].job.id)
        clock.advance(HOUR)


@pytest.mark.parametrize("same_token", [True, False])
def test_a_begin_whose_reply_was_lost_has_begun_once(
    registry: JobRegistry, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, same_token: bool
) -> None:
    schedule, token = add(registry, clock), new_token()
    inner = registry.schedules._begin

    def lossy(*facts: Any) -> Job | None:
        inner(*facts)
        raise StoreUnavailable(retry_after=1)

    with monkeypatch.context() as patched:
        patched.setattr(registry.schedules, "_begin", lossy)
        with pytest.raises(StoreUnavailable):
            begin(registry, schedule, token=token)
    again = begin(registry, schedule, token=token if same_token else None)
    assert (again.job.id if again else None) == (run_id(schedule.id, START) if same_token else None)
    assert len(every_job(registry)) == registry.schedules.get(schedule.id).runs == 1


def test_a_driver_that_sends_a_begin_twice_has_begun_once(
    registry: JobRegistry, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = add(registry, clock)
    inner = registry.schedules._begin

    def twice(*facts: Any) -> Job | None:
        inner(*facts)
        return inner(*facts)

    monkeypatch.setattr(registry.schedules, "_begin", twice)
    assert begin_now(registry, schedule).schedule == registry.schedules.get(schedule.id)
    assert len(every_job(registry)) == 1


def test_a_run_never_begins_beside_the_one_before(registry: JobRegistry, clock: ManualClock) -> None:
    schedule = add(registry, clock)
    first = begin_now(registry, schedule).job
    clock.advance(HOUR + 10)
    assert (begin(registry, schedule), ready(registry)) == (None, []), "it waits in the queue"
    registry.update(first.id, partial(changes.claim, worker="w1", lease=LEASE))
    assert (begin(registry, schedule), ready(registry)) == (None, []), "it runs"
    epoch = registry.get(first.id).epoch
    registry.update(first.id, partial(changes.retry, epoch=epoch, delay=timedelta(hours=9), reason="away"))
    assert (begin(registry, schedule), ready(registry)) == (None, []), "it waits for another attempt"
    registry.update(first.id, changes.request_cancel)
    assert ready(registry) == [schedule.id]
    second = begin_now(registry, schedule)
    assert (second.schedule.last_due_at, second.schedule.missed) == (START + timedelta(hours=1), 0)
    assert second.schedule.next_at == START + timedelta(hours=2)


def test_times_that_passed_while_a_run_went_on_are_one_run(registry: JobRegistry, clock: ManualClock) -> None:
    schedule = add(registry, clock)
    first = begin_now(registry, schedule).job
    clock.advance(3 * HOUR + 10)
    assert begin(registry, schedule) is None
    finish(registry, first.id)
    second = begin_now(registry, schedule)
    assert (second.schedule.runs, second.schedule.missed) == (2, 2)
    assert second.schedule.next_at == START + timedelta(hours=4)
    finish(registry, second.job.id)
    assert begin(registry, schedule) is None


def test_the_run_before_may_be_forgotten(registry: JobRegistry, clock: ManualClock) -> None:
    schedule = add(registry, clock)
    registry.forget([finish(registry, begin_now(registry, schedule).job.id).id])
    clock.advance(HOUR)
    assert ready(registry) == [schedule.id]
    begin_now(registry, schedule)


@pytest.mark.parametrize("timing", [Every(seconds=HOUR), Cron(expression="59 * * * *")])
def test_what_was_missed_is_made_up_for_once(
    registry: JobRegistry, another: Callable[[], JobRegistry], clock: ManualClock, timing: Any
) -> None:
    """The service was down for a day; it comes back as another process."""
    schedule = add(registry, clock, timing=timing)
    finish(registry, begin_now(registry, schedule).job.id)
    clock.advance(24 * HOUR + 60)
    restarted = another()
    begun = begin_now(restarted, schedule)
    assert (begun.schedule.runs, begun.schedule.missed) == (2, 23)
    assert begun.schedule.next_at == START + timedelta(hours=25)
    finish(restarted, begun.job.id)
    assert begin(restarted, schedule) is None
    assert len(every_job(restarted)) == 2


def test_a_clock_that_goes_back_repeats_nothing(registry: JobRegistry, clock: ManualClock) -> None:
    schedule = add(registry, clock)
    finish(registry, begin_now(registry, schedule).job.id)
    clock.advance(HOUR)
    finish(registry, begin_now(registry, schedule).job.id)
    clock.advance(-2 * HOUR)
    registry.schedules.update(schedule.id, partial(schedules.pause, why="no"))
    registry.schedules.update(schedule.id, partial(schedules.resume, next_of=next_of))
    seen = []
    for _ in range(7):
        clock.advance(HOUR / 2)
        if (begun := begin(registry, schedule)) is not None:
            seen.append(begun.schedule.last_due_at)
            finish(registry, begun.job.id)
    assert seen == [START + timedelta(hours=2)]


@pytest.mark.parametrize(
    ("bounds", "refusal"),
    [(Bounds(queued=1, queued_per_owner=9), QueueFull), (Bounds(queued=9, queued_per_owner=1), OwnerQueueFull)],
)
def test_a_full_queue_leaves_it_due(
    registry: JobRegistry, clock: ManualClock, bounds: Bounds, refusal: type[Exception]
) -> None:
    waits = registry.add(Request(job_id=str(uuid4()), task="tags.compute", owner="ann", arguments={}), ROOM).job
    schedule = add(registry, clock)
    clock.advance(10)
    with pytest.raises(refusal):
        begin(registry, schedule, bounds)
    assert registry.schedules.get(schedule.id) == schedule
    with pytest.raises(JobNotFound):
        registry.get(run_id(schedule.id, schedule.next_at))
    assert ready(registry) == [schedule.id]
    registry.update(waits.id, changes.request_cancel)
    assert begin(registry, schedule, bounds) is not None


# -- paused, removed ------------------------------------------------------------------------


def test_what_is_paused_begins_nothing_and_goes_on_with_the_next_time(
    registry: JobRegistry, clock: ManualClock
) -> None:
    schedule = add(registry, clock)
    registry.schedules.update(schedule.id, partial(schedules.pause, why="ann asked for it"))
    clock.advance(2.5 * HOUR)
    assert (begin(registry, schedule), ready(registry)) == (None, [])
    resumed = registry.schedules.update(schedule.id, partial(schedules.resume, next_of=next_of))
    assert (resumed.paused, resumed.next_at) == (None, START + timedelta(hours=3))
    assert (begin(registry, schedule), ready(registry)) == (None, [])
    clock.advance(HOUR / 2)
    assert ready(registry) == [schedule.id]
    assert begin_now(registry, schedule).schedule.missed == 0


@pytest.mark.parametrize("change", ["pause", "remove", "begin"])
def test_who_was_faster_is_noticed_in_the_write(
    registry: JobRegistry,
    another: Callable[[], JobRegistry],
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
) -> None:
    """Between the look at a schedule and the write that begins its run."""
    schedule, other = add(registry, clock), another().schedules
    inner, steps = (
        registry.schedules._begin,
        {
            "pause": lambda: other.update(schedule.id, partial(schedules.pause, why="no")),
            "remove": lambda: other.remove(schedule.id),
            "begin": lambda: other.begin(schedule.id, next_of, ROOM),
        },
    )

    def late(*facts: Any) -> Job | None:
        monkeypatch.setattr(registry.schedules, "_begin", inner)
        steps[change]()
        return inner(*facts)

    monkeypatch.setattr(registry.schedules, "_begin", late)
    assert begin(registry, schedule) is None
    assert len(every_job(registry)) == (change == "begin")


# -- a history at random --------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_each_time_has_one_run_or_is_counted(
    registry: JobRegistry,
    another: Callable[[], JobRegistry],
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:
    """Three processes, replies that get lost, runs that take long, a clock that jumps: for each interval the runs
    and the missed times together are all times that have passed, and no two runs go on at once."""
    chance, processes = random.Random(seed), [registry, another(), another()]
    known = [add(registry, clock, owner=f"u{n % 3}", timing=Every(seconds=60 + n)) for n in range(12)]
    running: dict[str, str] = {}
    answered: list[bool] = []

    def lossy(inner: Callable[..., Any], *facts: Any) -> Any:
        answered.append(False)  # a busy store may refuse what came too late
        answer = inner(*facts)
        answered.append(True)
        if chance.random() < 0.2:
            raise StoreUnavailable(retry_after=1)
        return answer

    for one in {id(process): process for process in processes}.values():
        monkeypatch.setattr(one.schedules, "_begin", partial(lossy, one.schedules._begin))
    for _ in range(120):
        clock.advance(chance.choice([1, 5, 30, 30, 30, 400]))
        process = chance.choice(processes)
        for schedule in list(process.schedules.ready()):
            assert schedule.id not in running
            begun, told = False, None
            for _ in range(20):
                try:
                    told = begin(process, schedule)
                    break
                except StoreUnavailable:
                    begun, process = begun or answered[-1], chance.choice(processes)
            assert (told is None) is begun
            running[schedule.id] = str(registry.schedules.get(schedule.id).last_job_id)
        for schedule_id in [one for one in running if chance.random() < 0.4]:
            finish(registry, running.pop(schedule_id))
    jobs = every_job(registry)
    for schedule in registry.schedules.get_all([one.id for one in known]):
        step = timedelta(seconds=60 + schedule.number - 1)
        mine = [job for job in jobs if run_label(schedule.id) in job.request.labels]
        assert len({job.id for job in mine}) == schedule.runs == len(mine)
        assert schedule.runs + schedule.missed == (schedule.next_at - START) / step
    assert_counters_agree(registry, jobs)


def test_what_a_frozen_server_finds_too_late_is_not_kept(tmp_path: Path, clock: ManualClock) -> None:
    """Whoever asked was told by then that the store is away."""
    registry = open_backend("redis", tmp_path, clock)
    assert isinstance(registry, RedisRegistry)
    schedule = add(registry, clock)
    registry._admission.heard_until = lambda: 0  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        add(registry, clock)
    with pytest.raises(StoreUnavailable):
        begin(registry, schedule)
    assert registry.schedules.find(ScheduleQuery()).schedules == [schedule]
    assert every_job(registry) == []
