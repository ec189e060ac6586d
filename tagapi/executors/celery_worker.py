"""Attempts in a worker of Celery: a message is taken where its lane has room, and its job's attempt run by a thread.

Each lane has a channel of its own, from which one message at a time is taken, and none while as many attempts of the
lane run here as may: the others stay at the broker, for whoever has room. Celery's own consumer takes from all queues
together, so that many jobs of one lane would keep the others' from coming in.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from celery import Celery, bootsteps, signals
from celery.concurrency.thread import TaskPool
from kombu import Consumer

from tagapi.executors.celery import send_if_waiting
from tagapi.executors.celery_messages import Messages, lane_of
from tagapi.executors.heartbeat import guarded
from tagapi.jobs.registry import JobRegistry
from tagapi.jobs.runner import JobRunner

log = logging.getLogger(__name__)

LOOK_EVERY = 0.1  # seconds between two looks whether a lane can take more: Spark may be back
ASIDE = "no room for it here"
TAKEN = "taken, or not due"
RAN = "an attempt ended"
LOST = "the job store is away"
"""What becomes of a message, for those who look at Flower."""


class Room:
    """How many attempts of each lane run here, or are about to. Safe to use from many threads."""

    def __init__(self, slots: Mapping[str, int], ready: Callable[[str], bool]) -> None:
        """`ready` says whether an attempt of the lane could begin now."""
        self._slots = slots
        self._ready = ready
        self._lock = threading.Lock()
        self._here: dict[str, list[str]] = {}
        """The lanes of messages that have come in, by their ids: a broker may deliver one again."""
        self._taken: Counter[str] = Counter()

    def enter(self, message_id: str, lane: str) -> None:
        """A message has come in: it is here until it leaves."""
        with self._lock:
            self._here.setdefault(message_id, []).append(lane)
            self._taken[lane] += 1

    def leave(self, message_id: str) -> None:
        """One that never came in may leave, too."""
        with self._lock:
            if lanes := self._here.get(message_id):
                self._taken[lanes.pop()] -= 1
                if not lanes:
                    del self._here[message_id]

    def holds(self, lane: str) -> bool:
        """What has come in can all run."""
        return self._taken[lane] <= self._slots.get(lane, 0)

    def takes(self, lane: str) -> bool:
        """One more could begin now."""
        return self._taken[lane] < self._slots.get(lane, 0) and guarded_ready(self._ready, lane)


def guarded_ready(ready: Callable[[str], bool], lane: str) -> bool:
    """A task that cannot say whether it is ready is not."""
    answers: list[bool] = []
    return guarded(lambda: answers.append(ready(lane))) and answers == [True]


class Threads(TaskPool):  # type: ignore[misc]
    """Celery's own, whose attempts leave by themselves once they are told to."""

    def terminate_job(self, pid: object, signal: object = None) -> None:
        """Whoever stops the worker in a hurry has told them already."""


class Carrier:
    """What a message sets going."""

    def __init__(self, runner: JobRunner, registry: JobRegistry, messages: Messages, room: Room) -> None:
        self._runner = runner
        self._registry = registry
        self._messages = messages
        self._room = room

    def carry(self, job_id: str, lane: str) -> str:
        """Run an attempt of the job, if it is due; answers with what came of the message. Nothing is raised."""
        told = [LOST]
        guarded(lambda: told.append(self._carry(job_id, lane)))
        return told[-1]

    def _carry(self, job_id: str, lane: str) -> str:
        if not self._room.holds(lane) or not guarded_ready(self._runner.ready, lane):
            self._put_back(job_id)
            return ASIDE
        ran = self._runner.run(job_id, lane)
        if ran:
            send_if_waiting(self._registry, self._messages, job_id)
        return RAN if ran else TAKEN

    def _put_back(self, job_id: str) -> None:
        for job in self._registry.get_all([job_id]):
            self._messages.send(job)


def register(app: Celery, names: Iterable[str], carrier: Carrier) -> None:
    """A task of Celery for each of ours, under its name."""

    def carried(request: Any) -> str:
        job_id = str(request.args[0])
        return carrier.carry(job_id, lane_of(str(request.delivery_info["routing_key"])))

    for name in names:
        app.task(name=name, bind=True, ignore_result=True, acks_late=False)(_bound(carried))


def _bound(carried: Callable[[Any], str]) -> Callable[..., str]:
    def attempt(self: Any, *_: object, **__: object) -> str:
        return carried(self.request)

    return attempt


class LaneConsumers(bootsteps.StartStopStep):  # type: ignore[misc]
    """Takes messages, lane by lane, as long as the connection to the broker lives. Its thread is Celery's loop."""

    requires = ("celery.worker.consumer.tasks:Tasks",)
    room: Room

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._consumers: dict[str, Consumer] = {}
        self._open: set[str] = set()
        self._loop: Any = None
        wanted = consumer.app.amqp.queues.consume_from
        self._wanted = dict(wanted)
        consumer.app.amqp.queues.deselect(list(wanted))
        signals.task_received.connect(self._received, weak=False)
        for left in (signals.task_postrun, signals.task_revoked):
            left.connect(self._left, weak=False)

    def start(self, consumer: Any) -> None:
        self._open.clear()
        handler = consumer.create_task_handler()
        for name, queue in self._wanted.items():
            channel = consumer.connection.channel()
            channel.basic_qos(0, 1, False)
            self._consumers[lane_of(name)] = Consumer(
                channel,
                queues=[queue],
                accept=consumer.app.conf.accept_content,
                on_message=handler,
                on_decode_error=consumer.on_decode_error,
            )

    def register_with_event_loop(self, consumer: Any, hub: Any) -> None:
        """Once the connection is up, each time."""
        self._loop = hub
        hub.call_soon(self._look)
        hub.call_repeatedly(LOOK_EVERY, self._look)

    def stop(self, consumer: Any) -> None:
        self._loop = None
        consumers, self._consumers = self._consumers, {}
        for one in consumers.values():
            with suppress(Exception):  # whatever a driver raises of a connection that is gone
                one.close()

    def shutdown(self, consumer: Any) -> None:
        self.stop(consumer)

    def _look(self) -> None:
        """Take from the lanes that have room, and from no other."""
        for lane, consumer in self._consumers.items():
            takes = self.room.takes(lane)
            if takes and lane not in self._open:
                consumer.consume()
                self._open.add(lane)
            elif not takes and lane in self._open:
                self._open.discard(lane)
                consumer.cancel()

    def _received(self, request: Any, **_: object) -> None:
        self.room.enter(request.id, lane_of(str(request.delivery_info.get("routing_key"))))
        self._look_soon()

    def _left(self, task_id: str | None = None, request: Any = None, **_: object) -> None:
        self.room.leave(task_id or request.id)
        self._look_soon()

    def _look_soon(self) -> None:
        if (loop := self._loop) is not None:
            loop.call_soon(self._look)


def lane_consumers(room: Room) -> type[LaneConsumers]:
    """Celery makes the step by itself, and hands it nothing of ours."""
    return type("LaneConsumers", (LaneConsumers,), {"room": room, "name": "lanes"})
