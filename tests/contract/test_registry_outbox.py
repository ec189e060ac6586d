"""What every registry promises of webhooks: what a change delivers is written with it, and sent by one at a time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import fields, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest

from tagapi.jobs import changes, webhooks
from tagapi.jobs.errors import (
    DeliveryNotFound,
    IllegalTransition,
    StaleAttempt,
    StoreTooNew,
    StoreUnavailable,
    TooManyWebhooks,
    WebhookNotFound,
)
from tagapi.jobs.lists import Bounds
from tagapi.jobs.model import Entry, Job, JobState, Progress, Request
from tagapi.jobs.outbox import KEPT_FOR, Outbox
from tagapi.jobs.registry import JobRegistry
from tagapi.jobs.webhooks import GIVEN_UP_AFTER, TYPES, Answer, Delivery, DeliveryState, Webhook
from tagapi.registries import open_registry, webhook_codec
from tagapi.registries.redis.registry import RedisRegistry
from tagapi.registries.sqlite.registry import SqliteRegistry
from tagapi.registries.webhook_codec import dump_delivery, dump_webhook, load_delivery, load_webhook
from tests.clock import START, ManualClock
from tests.contract.backends import BACKENDS, open_backend, valkey
from tests.contract.test_registry import at_once

LEASE = timedelta(seconds=30)
SECOND = timedelta(seconds=1)
ROOM = Bounds(queued=10_000, queued_per_owner=10_000)
MANY = 10_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=BACKENDS)
def registry(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[JobRegistry]:
    registry = open_backend(request.param, tmp_path, clock)
    yield registry
    registry.close()


@pytest.fixture
def outbox(registry: JobRegistry) -> Outbox:
    return registry.outbox


@pytest.fixture
def another(registry: JobRegistry, clock: ManualClock) -> Iterator[Callable[[], JobRegistry]]:
    """Opens the same store once more, as another process does. Memory is of one process."""
    with ExitStack() as opened:

        def open_again() -> JobRegistry:
            if registry.describe()["kind"] == "memory":
                return registry
            url = f"sqlite:///{registry._path}" if isinstance(registry, SqliteRegistry) else valkey().url
            other = open_registry(url)
            other.now = clock.now  # type: ignore[method-assign]
            opened.callback(other.close)
            return other

        yield open_again


def a_webhook(**facts: Any) -> Webhook:
    usual: dict[str, Any] = {"id": str(uuid4()), "owner": "ann", "url": "https://example.org/", "secret": b"s" * 24}
    return Webhook(**{**usual, "types": TYPES, "created_at": START, **facts})


def add(registry: JobRegistry, **facts: Any) -> Webhook:
    return registry.outbox.add(a_webhook(**facts), MANY)


def submit(registry: JobRegistry, owner: str = "ann", task: str = "tags.compute", **facts: Any) -> Job:
    request = Request(job_id=str(uuid4()), task=task, owner=owner, arguments={"secret": "no"}, **facts)
    return registry.add(request, ROOM).job


def claim(registry: JobRegistry, job: Job) -> Job:
    return registry.update(job.id, partial(changes.claim, worker="w1", lease=LEASE))


def end(registry: JobRegistry, job: Job, change: Any = changes.succeed, **facts: Any) -> Job:
    return registry.update(job.id, partial(change, epoch=registry.get(job.id).epoch, **facts))


def log(registry: JobRegistry, webhook: Webhook) -> list[Delivery]:
    """Oldest first."""
    page = registry.outbox.find(webhook.id, None, 1000)
    assert len(page.deliveries) == page.total
    return [*reversed(page.deliveries)]


def types(registry: JobRegistry, webhook: Webhook) -> list[str]:
    return [one.type for one in log(registry, webhook)]


def one_delivery(registry: JobRegistry) -> tuple[Webhook, Delivery]:
    webhook = add(registry, types=("job.started",))
    claim(registry, submit(registry))
    (delivery,) = log(registry, webhook)
    return webhook, delivery


def answer(clock: ManualClock, status: int | None) -> Answer:
    error = "timeout" if status is None else None
    return Answer(at=clock.now(), seconds=0.25, status=status, error=error)


# -- webhooks ------------------------------------------------------------------------------


def test_they_are_told_as_they_were_kept_newest_first(
    registry: JobRegistry, another: Callable[[], JobRegistry]
) -> None:
    first = add(registry, tasks=("tags.compute",), everyone=True)
    second = add(registry, owner="bob", types=("job.failed",))
    for one in (registry, another()):
        assert list(one.outbox.every()) == [second, first]
        assert one.outbox.get(first.id) == first
    assert second.number > first.number


def test_an_owner_has_so_many_and_no_more(outbox: Outbox) -> None:
    for _ in range(2):
        outbox.add(a_webhook(), 2)
    with pytest.raises(TooManyWebhooks):
        outbox.add(a_webhook(), 2)
    outbox.add(a_webhook(owner="bob"), 2)
    assert len(outbox.every()) == 3


def test_of_many_who_come_at_once_no_more_get_in(registry: JobRegistry, another: Callable[[], JobRegistry]) -> None:
    registries = [registry, another()]

    def ask(n: int) -> bool:
        try:
            registries[n % 2].outbox.add(a_webhook(), 3)
        except TooManyWebhooks:
            return False
        return True

    assert sum(at_once(8, ask)) == 3 == len(registry.outbox.every())


def test_what_a_frozen_server_finds_too_late_is_not_kept(tmp_path: Path, clock: ManualClock) -> None:
    """Somebody was told long ago that it was not accepted, and does not know its secret."""
    registry = open_backend("redis", tmp_path, clock)
    assert isinstance(registry, RedisRegistry)
    registry._admission.heard_until = lambda: 0  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        add(registry)
    assert not registry.outbox.every()
    registry.close()


def test_one_that_is_gone_is_unknown_with_its_log(registry: JobRegistry) -> None:
    webhook, delivery = one_delivery(registry)
    other = add(registry)
    registry.outbox.remove(webhook.id)
    assert list(registry.outbox.every()) == [other]
    assert registry.outbox.find(webhook.id, None, 10).total == 0
    for ask in (registry.outbox.get, registry.outbox.remove):
        with pytest.raises(WebhookNotFound):
            ask(webhook.id)
    with pytest.raises(DeliveryNotFound):
        registry.outbox.delivery(webhook.id, delivery.id)
    assert registry.outbox.claim(delivery, LEASE) is None
    assert not registry.outbox.due({webhook.id: 10})


def test_a_paused_one_is_told_so_everywhere(registry: JobRegistry, another: Callable[[], JobRegistry]) -> None:
    webhook, other = add(registry), another()
    paused = other.outbox.update(webhook.id, partial(webhooks.pause, why="gone"))
    assert registry.outbox.get(webhook.id) == paused
    assert registry.outbox.update(webhook.id, partial(webhooks.pause, why="another reason")).paused == "gone"
    assert other.outbox.update(webhook.id, webhooks.resume).paused is None


# -- what a change delivers ----------------------------------------------------------------


def test_it_hears_of_each_thing_that_happens_once_and_in_order(registry: JobRegistry) -> None:
    webhook, job = add(registry), submit(registry)
    claim(registry, job)
    registry.update(job.id, partial(changes.advance, epoch=1, progress=Progress(done=1, total=4)))
    registry.update(job.id, partial(changes.retry, epoch=1, delay=timedelta(), reason="busy"))
    claim(registry, job)
    ended = end(registry, job, result={"n": 1})
    told = log(registry, webhook)
    assert [one.type for one in told] == ["job.started", "job.retrying", "job.started", "job.succeeded"]
    assert [one.job.state.value for one in told] == ["running", "waiting", "running", "succeeded"]
    assert told[-1].job == webhooks.told_of(ended)
    assert told[-1].job.result == {"n": 1}
    assert [one.number for one in told] == sorted({one.number for one in told})


def test_nothing_of_what_was_asked_for_is_kept_in_it(registry: JobRegistry) -> None:
    webhook, job = add(registry), submit(registry, labels=("tag:1",), asked={"who": "secret"})
    claim(registry, job)
    registry.update(job.id, partial(changes.note, epoch=1, place=0, step="s", fact={"id": "outside"}))
    end(registry, job, changes.retry, delay=timedelta(), reason="busy")
    for one in log(registry, webhook):
        assert (one.job.request.arguments, one.job.request.asked, one.job.request.labels) == ({}, None, ())
        assert (one.job.journal, one.job.events) == ((), ())


def test_a_large_result_is_left_to_be_fetched(registry: JobRegistry) -> None:
    webhook = add(registry, types=("job.succeeded",))
    for size in (100, webhooks.LARGEST_RESULT):
        end(registry, claim(registry, submit(registry)), result={"text": "x" * size})
    small, large = log(registry, webhook)
    assert (small.job.result, large.job.result) == ({"text": "x" * 100}, None)


@pytest.mark.parametrize(
    ("facts", "hears"),
    [
        ({}, True),
        ({"owner": "bob"}, False),
        ({"owner": "bob", "everyone": True}, True),
        ({"tasks": ("tags.compute", "workers.export")}, True),
        ({"tasks": ("workers.export",)}, False),
        ({"types": ("job.failed",)}, False),
        ({"paused": "gone"}, False),
    ],
)
def test_it_hears_of_what_it_asked_for_alone(registry: JobRegistry, facts: dict[str, Any], hears: bool) -> None:
    webhook = add(registry, **facts)
    claim(registry, submit(registry))
    assert types(registry, webhook) == (["job.started"] if hears else [])


@pytest.mark.parametrize(
    ("change", "facts", "told"),
    [
        (changes.succeed, {"result": {}}, "job.succeeded"),
        (changes.fail, {"reason": "no"}, "job.failed"),
        (changes.release, {}, "job.retrying"),
    ],
)
def test_how_an_attempt_ends(registry: JobRegistry, change: Any, facts: dict[str, Any], told: str) -> None:
    webhook = add(registry)
    end(registry, claim(registry, submit(registry)), change, **facts)
    assert types(registry, webhook) == ["job.started", told]


def test_a_cancel_in_the_queue_and_one_that_is_parked(registry: JobRegistry) -> None:
    webhook = add(registry, types=("job.cancelled", "job.parked"))
    registry.update(submit(registry).id, changes.request_cancel)
    job = submit(registry)
    while registry.get(job.id).state is not JobState.PARKED:
        claim(registry, job)
        end(registry, job, changes.begin_commit, result={}) if not registry.get(job.id).commit_unsettled else None
        end(registry, job, changes.retry, delay=timedelta(), reason="no answer")
    assert types(registry, webhook) == ["job.cancelled", "job.parked"]


def test_a_change_that_is_refused_delivers_nothing(registry: JobRegistry) -> None:
    webhook, job = add(registry), submit(registry)
    with pytest.raises(IllegalTransition):
        end(registry, job)
    claim(registry, job)
    with pytest.raises(StaleAttempt):
        registry.update(job.id, partial(changes.succeed, epoch=7))
    assert types(registry, webhook) == ["job.started"]


def test_a_result_that_cannot_be_told_is_not_written_either(registry: JobRegistry) -> None:
    webhook, job = add(registry, types=("job.succeeded",)), claim(registry, submit(registry))
    with pytest.raises((TypeError, UnicodeError)):
        end(registry, job, result={"text": "half of a pair: \ud83d"})
    assert registry.get(job.id) == job
    end(registry, job, result={})
    assert types(registry, webhook) == ["job.succeeded"]


def test_a_write_that_is_sent_again_delivers_once(registry: JobRegistry) -> None:
    webhook, job = add(registry), submit(registry)
    change = partial(changes.claim, worker="w1", lease=LEASE)
    assert registry.update(job.id, change, "t1") == registry.update(job.id, change, "t1")
    assert types(registry, webhook) == ["job.started"]


def test_what_another_process_has_made_hears_of_the_very_next_change(
    registry: JobRegistry, another: Callable[[], JobRegistry]
) -> None:
    """Though this one has not looked: the write itself does."""
    other, jobs = another(), [submit(registry) for _ in range(4)]
    webhook = add(other)
    claim(registry, jobs[0])
    assert types(registry, webhook) == ["job.started"]
    other.outbox.update(webhook.id, partial(webhooks.pause, why="gone"))
    claim(registry, jobs[1])
    other.outbox.update(webhook.id, webhooks.resume)
    claim(registry, jobs[2])
    assert types(registry, webhook) == ["job.started"] * 2
    other.outbox.remove(webhook.id)
    claim(registry, jobs[3])
    assert registry.outbox.find(webhook.id, None, 10).total == 0


def test_whatever_comes_at_once_each_change_has_its_delivery(
    registry: JobRegistry, another: Callable[[], JobRegistry]
) -> None:
    registries, jobs = [registry, another()], [submit(registry) for _ in range(40)]
    webhook = add(registry, types=("job.started", "job.succeeded"))

    def work(n: int) -> None:
        chance, mine = random.Random(n), registries[n % 2]
        for job in jobs[n::4]:
            if chance.random() < 0.3:
                add(mine, owner="nobody")
            end(mine, claim(mine, job), result={})

    at_once(4, work)
    told = log(registry, webhook)
    assert {(one.job.id, one.type) for one in told} == {(job.id, kind) for job in jobs for kind in webhook.types}
    assert len(told) == 80


# -- sending -------------------------------------------------------------------------------


def test_what_is_due_is_told_for_each_that_has_room(registry: JobRegistry) -> None:
    first, second, third = (add(registry, types=("job.started",)) for _ in range(3))
    for _ in range(3):
        claim(registry, submit(registry))
    due = registry.outbox.due({first.id: 2, second.id: 1, third.id: 0})
    assert [one.webhook_id for one in due] == [first.id, first.id, second.id]
    assert list(due[:2]) == log(registry, first)[:2]
    assert not registry.outbox.due({})


def test_one_sender_has_it_at_a_time(registry: JobRegistry, another: Callable[[], JobRegistry]) -> None:
    webhook, delivery = one_delivery(registry)
    registries = [registry, another()]
    got = [one for one in at_once(8, lambda n: registries[n % 2].outbox.claim(delivery, LEASE)) if one]
    assert [one.attempts for one in got] == [1]
    assert not registry.outbox.due({webhook.id: 10})


def test_whoever_is_not_heard_of_loses_it(registry: JobRegistry, clock: ManualClock) -> None:
    webhook, delivery = one_delivery(registry)
    lost = registry.outbox.claim(delivery, LEASE)
    assert lost is not None
    clock.advance(LEASE.total_seconds())
    (due,) = registry.outbox.due({webhook.id: 10})
    taken = registry.outbox.claim(due, LEASE)
    assert taken is not None
    assert taken.attempts == 2
    registry.outbox.answer(lost, answer(clock, 500), SECOND)
    assert registry.outbox.delivery(webhook.id, delivery.id) == taken, "what comes too late counts no more"
    assert registry.outbox.answer(taken, answer(clock, 204), SECOND).state is DeliveryState.DELIVERED
    assert not registry.outbox.due({webhook.id: 10})


def test_one_that_fails_comes_again_until_it_is_given_up(registry: JobRegistry, clock: ManualClock) -> None:
    webhook, delivery = one_delivery(registry)
    step = GIVEN_UP_AFTER / 4
    for attempt in range(1, 6):
        (due,) = registry.outbox.due({webhook.id: 10})
        claimed = registry.outbox.claim(due, LEASE)
        assert claimed is not None
        told = registry.outbox.answer(claimed, answer(clock, None if attempt % 2 else 503), step)
        assert (told.attempts, told.failures) == (attempt, attempt)
        assert not registry.outbox.due({webhook.id: 10})
        clock.advance(step.total_seconds())
    assert (told.state, told.due_at) == (DeliveryState.GIVEN_UP, None)
    assert told.answer == Answer(at=told.answer.at, seconds=0.25, error="timeout") if told.answer else False
    assert log(registry, webhook) == [told]
    assert delivery.id == told.id


def test_who_is_gone_is_asked_no_more(registry: JobRegistry, clock: ManualClock) -> None:
    _, delivery = one_delivery(registry)
    claimed = registry.outbox.claim(delivery, LEASE)
    assert claimed is not None
    assert registry.outbox.answer(claimed, answer(clock, 410), SECOND).state is DeliveryState.GIVEN_UP


@pytest.mark.parametrize("status", [204, 410])
def test_one_that_is_final_is_sent_again_by_hand(registry: JobRegistry, clock: ManualClock, status: int) -> None:
    webhook, delivery = one_delivery(registry)
    claimed = registry.outbox.claim(delivery, LEASE)
    assert claimed is not None
    final = registry.outbox.answer(claimed, answer(clock, status), SECOND)
    clock.advance(GIVEN_UP_AFTER.total_seconds() * 2)
    asked = registry.outbox.update_delivery(final, webhooks.again)
    assert (asked.state, asked.due_at, asked.failures) == (DeliveryState.WAITING, clock.now(), 0)
    assert list(registry.outbox.due({webhook.id: 10})) == [asked]
    assert asked.until == clock.now() + GIVEN_UP_AFTER


def test_one_that_is_being_sent_is_left_to_that(registry: JobRegistry) -> None:
    _, delivery = one_delivery(registry)
    claimed = registry.outbox.claim(delivery, LEASE)
    assert claimed is not None
    assert registry.outbox.update_delivery(claimed, webhooks.again) == claimed


# -- the log -------------------------------------------------------------------------------


def test_pages_follow_each_other(registry: JobRegistry) -> None:
    webhook = add(registry, types=("job.started",))
    for _ in range(7):
        claim(registry, submit(registry))
    seen, before = [], None
    while True:
        page = registry.outbox.find(webhook.id, before, 3)
        assert page.total == 7
        seen += page.deliveries
        if (before := page.next) is None:
            break
    assert seen == log(registry, webhook)[::-1]


def test_another_webhooks_delivery_is_an_unknown_one(registry: JobRegistry) -> None:
    _, delivery = one_delivery(registry)
    with pytest.raises(DeliveryNotFound):
        registry.outbox.delivery(add(registry).id, delivery.id)


def test_what_is_old_goes_and_of_the_rest_what_is_final(
    registry: JobRegistry, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagapi.jobs.outbox.KEPT_AT_MOST", 2)
    webhook, other = add(registry, types=("job.started",)), add(registry, types=("job.started",))
    claim(registry, submit(registry))
    clock.advance(KEPT_FOR.total_seconds())
    for _ in range(5):
        claim(registry, submit(registry))
    assert registry.outbox.tidy(webhook.id) == 6, "what waits is kept, and what is not older than so"
    clock.advance(1)
    assert registry.outbox.tidy(webhook.id) == 5
    told = log(registry, webhook)
    for one in (told[0], told[1], told[4]):
        claimed = registry.outbox.claim(one, LEASE)
        assert claimed is not None
        registry.outbox.answer(claimed, answer(clock, 200), SECOND)
    assert registry.outbox.tidy(webhook.id) == 2
    assert [one.id for one in log(registry, webhook)] == [one.id for one in told[2:]]
    assert len(log(registry, other)) == 6
    registry.outbox.due({webhook.id: 10})


# -- what is stored ------------------------------------------------------------------------

EVERY_FACT = a_webhook(
    id="w", owner="имя", tasks=("tags.compute",), everyone=True, number=3, version=2, token="t0", paused="gone"
)


def test_every_fact_of_a_webhook_is_stored() -> None:
    assert all(getattr(EVERY_FACT, one.name) not in (None, "", False) for one in fields(Webhook))
    assert load_webhook(3, 2, dump_webhook(EVERY_FACT)) == EVERY_FACT


def test_every_fact_of_a_delivery_is_stored(clock: ManualClock) -> None:
    request = Request(job_id="j", task="tags.compute", owner="ann", arguments={})
    job = replace(changes.accept(request, START, 7), journal=(Entry(step="s", fact={}, at=START),), events=())
    delivery = Delivery(
        id="d",
        webhook_id="w",
        type="job.parked",
        at=START,
        job=job,
        due_at=START + SECOND,
        until=START + GIVEN_UP_AFTER,
        state=DeliveryState.GIVEN_UP,
        attempts=3,
        failures=2,
        claim="c",
        answer=answer(clock, 500),
        number=5,
        version=4,
        token="t",
    )
    assert all(getattr(delivery, one.name) not in (None, "", 0) for one in fields(Delivery))
    assert load_delivery(5, 4, dump_delivery(delivery)) == delivery


def test_what_a_newer_release_wrote_is_refused() -> None:
    newer = orjson.dumps({"v": webhook_codec.VERSION + 1})
    for load in (load_webhook, load_delivery):
        with pytest.raises(StoreTooNew):
            load(1, 1, newer)


def test_a_secret_is_in_no_repr() -> None:
    assert "ssss" not in repr(EVERY_FACT)
