"""Messages to workers of Celery, by a real broker; and what a worker does with one."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagapi.engine import build_engine
from tagapi.executors.celery import LOST_AFTER, SENT_AGAIN_AFTER, Again, CeleryExecutor
from tagapi.executors.celery_messages import Messages, celery_app, public
from tagapi.executors.celery_worker import ASIDE, LOST, RAN, TAKEN, Carrier, Room
from tagapi.jobs.errors import StoreUnavailable
from tagapi.jobs.lists import Bounds
from tagapi.jobs.model import DEFAULT_LANE, Job, Request
from tagapi.jobs.registry import JobRegistry
from tagapi.jobs.runner import JobRunner, RunnerLimits
from tagapi.registries.memory import MemoryRegistry
from tagapi.settings import load_settings
from tests.clock import ManualClock
from tests.e2e.server import free_port, until
from tests.unit.fakes import RESULT, TASK, FakeTask
from tests.valkey import Valkey

ROOM = Bounds(queued=100, queued_per_owner=100)
LANES = {DEFAULT_LANE: 2, "platforms": 1}


class Registry(MemoryRegistry):
    """On a clock that the test sets, and away where it says so."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.now = self.clock.now  # type: ignore[method-assign]
        self.away = False

    def get(self, job_id: str) -> Job:
        if self.away:
            raise StoreUnavailable(retry_after=1)
        return super().get(job_id)


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture(scope="module")
def broker() -> Iterator[Valkey]:
    with Valkey() as server:
        yield server


@pytest.fixture
def messages(broker: Valkey) -> Iterator[Messages]:
    broker.client().flushdb()
    one = Messages(celery_app(broker.url, LANES), LANES)
    one.start()
    until(lambda: one.up, "the broker answers")
    yield one
    one.stop()


def add(registry: JobRegistry, name: str, lane: str = DEFAULT_LANE) -> Job:
    request = Request(job_id=name, task=TASK, owner="ann", arguments={}, lane=lane)
    return registry.add(request, ROOM).job


def lying(broker: Valkey, lane: str = DEFAULT_LANE) -> int:
    return int(broker.client().llen(f"tagapi.{lane}"))


# -- messages -------------------------------------------------------------------------------


def test_a_message_lies_in_the_queue_of_its_lane(broker: Valkey, messages: Messages, registry: Registry) -> None:
    messages.send(add(registry, "a"))
    messages.send(add(registry, "b", "platforms"))
    messages.send(add(registry, "c", "no such lane"))
    until(lambda: lying(broker) == 1 and lying(broker, "platforms") == 1, "they are there")
    text = broker.client().lindex("tagapi.spark", 0)
    assert b'"task": "%s"' % TASK.encode() in text


def test_a_message_is_sent_when_it_is_time(broker: Valkey, messages: Messages, registry: Registry) -> None:
    messages.send(add(registry, "late"), after=3600)
    messages.send(add(registry, "soon"), after=0.1)
    until(lambda: lying(broker) == 1, "one is there")


def test_a_broker_that_is_not_there_costs_nobody_anything(registry: Registry) -> None:
    executor = CeleryExecutor(f"redis://ann:secret@127.0.0.1:{free_port()}/0", registry, LANES, "here")
    executor.start()
    for number in range(10):
        executor.wake(add(registry, str(number)))
    until(lambda: executor._messages.up is False, "it is noticed")
    executor.wake(add(registry, "more"))
    executor.send_again()
    assert executor.describe() == {"kind": "celery", "broker": "redis", "up": False}
    executor.stop(drain_seconds=0)


def test_in_a_lane_that_is_never_empty_the_oldest_is_sent_again(
    broker: Valkey, messages: Messages, registry: Registry
) -> None:
    again = Again(registry, messages, LANES, "here")
    for name in ("lost", "lost too", "waits"):
        add(registry, name)
    messages.send(registry.get("waits"))
    until(lambda: lying(broker) == 1 and messages.lying(DEFAULT_LANE) == 1, "one lies there")
    registry.clock.advance(SENT_AGAIN_AFTER.total_seconds() + 1)
    again.send()
    registry.clock.advance(LOST_AFTER.total_seconds())
    again.send()
    until(lambda: lying(broker) == 2, "one more is there")
    assert b'"lost"' in b64decode(json.loads(broker.client().lindex("tagapi.spark", 0))["body"])
    again.send()
    messages.send(add(registry, "after", "platforms"))
    until(lambda: lying(broker, "platforms") == 1, "whatever was sent before has arrived")
    assert lying(broker) == 2


def test_what_waits_is_sent_again_by_one_process_and_only_while_none_lies_there(
    broker: Valkey, messages: Messages, registry: Registry
) -> None:
    mine, theirs = (Again(registry, messages, LANES, holder) for holder in ("here", "there"))
    for name in ("a", "b"):
        add(registry, name)
    mine.send()
    assert messages.lying(DEFAULT_LANE) == 0, "they have not waited long"
    registry.clock.advance(SENT_AGAIN_AFTER.total_seconds())
    mine.send()
    until(lambda: lying(broker) == 2, "they are sent again")
    for one in (mine, theirs):
        one.send()
    messages.send(add(registry, "after", "platforms"))
    until(lambda: lying(broker, "platforms") == 1, "whatever was sent before has arrived")
    assert lying(broker) == 2
    broker.client().delete("tagapi.spark")
    until(lambda: messages.lying(DEFAULT_LANE) == 0, "the loss is noticed")
    theirs.send()
    messages.send(add(registry, "at last", "platforms"))
    until(lambda: lying(broker, "platforms") == 2, "whatever was sent before has arrived")
    assert lying(broker) == 0, "another process has done it a moment ago"
    registry.clock.advance(SENT_AGAIN_AFTER.total_seconds())
    theirs.send()
    until(lambda: lying(broker) == 2, "and now it is its turn")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://127.0.0.1:6379/1", "redis://127.0.0.1:6379/1"),
        ("amqp://ann:secret@host:5672/vhost", "amqp://host:5672/vhost"),
        ("rediss://:p@ss@host/0?password=secret", "rediss://host/0"),
    ],
)
def test_a_password_is_not_told(url: str, said: str) -> None:
    assert public(url) == said


# -- a worker -------------------------------------------------------------------------------


class Desk:
    """A carrier, and what it carries for."""

    def __init__(self, registry: Registry, messages: Messages) -> None:
        self.task = FakeTask(lambda context: RESULT, lambda job: False)
        self.runner = JobRunner(registry, {TASK: self.task}, "here", RunnerLimits(lease=0.0))
        self.room = Room(LANES, self.runner.ready)
        self.carrier = Carrier(self.runner, registry, messages, self.room)

    def carry(self, job_id: str) -> str:
        return self.carrier.carry(job_id, DEFAULT_LANE)


@pytest.fixture
def desk(registry: Registry, messages: Messages) -> Desk:
    return Desk(registry, messages)


def test_a_job_is_run_once_however_many_messages_come(desk: Desk, registry: Registry) -> None:
    job = add(registry, "a")
    assert [desk.carry("a"), desk.carry("a"), desk.carry("no such job")] == [RAN, TAKEN, TAKEN]
    assert registry.get(job.id).attempt == 1


def test_a_message_for_which_there_is_no_room_is_put_back(broker: Valkey, desk: Desk, registry: Registry) -> None:
    job = add(registry, "a")
    for number in range(3):
        desk.room.enter(str(number), DEFAULT_LANE)
    assert desk.carry("a") == ASIDE
    until(lambda: lying(broker) == 1, "it is back")
    desk.room.leave("0")
    desk.task.open = False
    assert desk.carry("a") == ASIDE, "Spark is away"
    desk.task.open = True
    assert desk.carry("a") == RAN
    assert registry.get(job.id).attempt == 1


def test_a_store_that_is_away_is_no_error_of_the_worker(desk: Desk, registry: Registry) -> None:
    add(registry, "a")
    registry.away = True
    assert desk.carry("a") == LOST
    registry.away = False
    assert desk.carry("a") == RAN


def test_room_is_counted_by_lane(desk: Desk) -> None:
    room = desk.room
    room.enter("a", DEFAULT_LANE)
    assert room.takes(DEFAULT_LANE)
    room.enter("b", DEFAULT_LANE)
    assert (room.takes(DEFAULT_LANE), room.holds(DEFAULT_LANE)) == (False, True)
    room.enter("c", DEFAULT_LANE)
    assert not room.holds(DEFAULT_LANE)
    assert room.takes("platforms"), "the others' room is their own"
    for name in ("a", "b", "c", "c", "unknown"):
        room.leave(name)
    assert room.takes(DEFAULT_LANE)
    assert not room.takes("no such lane")


def test_a_message_that_is_delivered_again_frees_no_room_while_the_first_one_runs(desk: Desk) -> None:
    room = desk.room
    for name in ("a", "a"):
        room.enter(name, DEFAULT_LANE)
    room.leave("a")
    room.enter("b", DEFAULT_LANE)
    assert not room.takes(DEFAULT_LANE)
    room.leave("a")
    assert room.takes(DEFAULT_LANE)


def test_a_task_that_cannot_say_whether_it_is_ready_takes_no_message(desk: Desk) -> None:
    def unsure() -> bool:
        raise ValueError("what Spark's client may raise")

    desk.task.ready = unsure  # type: ignore[method-assign]
    assert not desk.room.takes(DEFAULT_LANE)


def test_a_worker_knows_what_no_scan_may_reach(tmp_path: Path) -> None:
    told = {
        "TAGAPI_DATA__DIR": str(tmp_path),
        "TAGAPI_EXECUTOR": "celery://amqp://ann:secret@127.0.0.1:5679//",
        "TAGAPI_EXECUTOR__METRICS": "127.0.0.1:9101",
        "TAGAPI_ASSETS__OWN": "['[::1]:5001', '127.0.0.1:5000']",
    }
    own = build_engine(load_settings("local", told), "here").means.guarding.own()
    assert {(str(one.address), one.port) for one in own} == {
        ("127.0.0.1", 5679),
        ("127.0.0.1", 9101),
        ("::1", 5001),
        ("127.0.0.1", 5000),
    }
