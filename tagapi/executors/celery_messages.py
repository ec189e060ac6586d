"""Messages to workers of Celery: how a broker is spoken to, and what both of its sides agree upon.

A message says nothing but "this job is worth a look".
"""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from celery import Celery
from kombu import Connection, Exchange, Queue
from kombu.exceptions import OperationalError

from tagapi.jobs.model import Job

log = logging.getLogger(__name__)

PREFIX = "tagapi."
"""Of the names of queues, each of which is a lane's."""

LOOK_EVERY = 1.0  # seconds between two questions to the broker
ASK_AGAIN = 1.0  # seconds after it did not answer
ANSWERS_WITHIN = 5.0  # seconds
KEPT = 20_000  # messages that wait to be sent; more are left to be sent again later
TRANSIENT = 1  # a message that a broker loses is sent again: it needs no disk
TIMEOUTS: Mapping[str, Mapping[str, Any]] = {
    "redis": {"socket_timeout": ANSWERS_WITHIN, "socket_connect_timeout": ANSWERS_WITHIN},
    "amqp": {"read_timeout": ANSWERS_WITHIN, "write_timeout": ANSWERS_WITHIN, "confirm_publish": True},
}


def queue_of(lane: str) -> Queue:
    """The lane's, by the default exchange: there is nothing to bind, and nothing that a broker could forget."""
    return Queue(PREFIX + lane, Exchange(""), routing_key=PREFIX + lane)


def lane_of(queue: str) -> str:
    return queue.removeprefix(PREFIX)


def celery_app(broker: str, lanes: Iterable[str]) -> Celery:
    """It speaks JSON alone: what comes from a broker is never unpickled."""
    app = Celery("tagapi", set_as_current=False)
    app.conf.update(
        broker_url=broker,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=ANSWERS_WITHIN,
        task_queues=[queue_of(lane) for lane in lanes],
        task_create_missing_queues=False,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_send_sent_event=True,
        worker_send_task_events=True,
    )
    return app


@dataclass(order=True, slots=True)
class _Message:
    at: float
    """When it is to be sent, by the monotonic clock."""
    number: int
    lane: str = field(compare=False)
    task: str = field(compare=False)
    job_id: str = field(compare=False)


class Messages:
    """Sends messages, from `start` to `stop`, in a thread of its own: nobody waits for a broker."""

    def __init__(self, app: Celery, lanes: Iterable[str]) -> None:
        self._app = app
        self._queues = {lane: queue_of(lane) for lane in lanes}
        self._lying = dict.fromkeys(self._queues, 0)
        self._wanted = threading.Condition()
        self._heap: list[_Message] = []
        self._numbers = count()
        self._stopped = False
        self._asked_at = -ASK_AGAIN
        self.up: bool | None = None
        """Whether the broker answers; None until that is known."""
        self._thread = threading.Thread(target=self._run, name="messages", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """What is to be sent now is sent, where the broker takes it at once."""
        with self._wanted:
            self._stopped = True
            self._wanted.notify()
        if self._thread.is_alive():
            self._thread.join(ASK_AGAIN)

    def send(self, job: Job, after: float = 0.0) -> None:
        """In so many seconds, or as soon as that is possible; it may get lost."""
        with self._wanted:
            if self.up is not False and len(self._heap) < KEPT:
                at, number = time.monotonic() + after, next(self._numbers)
                heapq.heappush(self._heap, _Message(at, number, job.lane, job.request.task, job.id))
                self._lying[job.lane] = self._lying.get(job.lane, 0) + 1
                self._wanted.notify()

    def lying(self, lane: str) -> int:
        """How many messages of the lane there are at the broker, as it said lately."""
        return self._lying.get(lane, 0)

    # -- the thread ------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopped:
            try:
                with self._connected() as connection:
                    self._tell(up=True)
                    self._serve(connection)
            except Exception as error:  # whatever a driver raises
                self._lose(error)

    def _connected(self) -> Connection:
        kind = "redis" if self._app.conf.broker_url.startswith("redis") else "amqp"
        connection = self._app.connection_for_write(transport_options=dict(TIMEOUTS[kind]))
        try:
            connection.connect()
            self._look(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _serve(self, connection: Connection) -> None:
        producer = self._app.amqp.Producer(connection, auto_declare=False)
        while (message := self._next()) is not None or not self._stopped:
            if message is not None:
                self._publish(message, producer)
            if time.monotonic() - self._asked_at > LOOK_EVERY:
                self._look(connection)

    def _publish(self, message: _Message, producer: Any) -> None:
        queue = self._queues.get(message.lane)
        if queue is not None:
            more = {"queue": queue, "producer": producer, "retry": False, "delivery_mode": TRANSIENT}
            self._app.send_task(message.task, [message.job_id], **more)

    def _next(self) -> _Message | None:
        """The next message that is to be sent; None where there is none for a while, or none any more."""
        with self._wanted:
            wait = self._until_next()
            if wait > 0 and not self._stopped:
                self._wanted.wait(min(wait, LOOK_EVERY))
            return heapq.heappop(self._heap) if self._heap and self._until_next() <= 0 else None

    def _until_next(self) -> float:
        return self._heap[0].at - time.monotonic() if self._heap else LOOK_EVERY

    def _look(self, connection: Connection) -> None:
        """Ask how many messages there are, which also says whether the broker answers."""
        channel = connection.default_channel
        lying = {lane: queue.bind(channel).queue_declare(nowait=False) for lane, queue in self._queues.items()}
        with self._wanted:
            self._lying = {lane: told.message_count for lane, told in lying.items()}
            self._asked_at = time.monotonic()

    def _lose(self, error: Exception) -> None:
        """The broker is away: what was to be sent is sent again, once it is back."""
        self._tell(up=False, why=_words(error))
        with self._wanted:
            self._heap.clear()
            self._lying = dict.fromkeys(self._queues, 0)
            if not self._stopped:
                self._wanted.wait(ASK_AGAIN)

    def _tell(self, *, up: bool, why: str | None = None) -> None:
        was, self.up = self.up, up
        where = public(self._app.conf.broker_url)
        if not up and was is not False:
            log.error("broker_away", extra={"broker": where, "why": why})
        if up and was is False:
            log.warning("broker_back", extra={"broker": where})


def _words(error: Exception) -> str:
    """Its kind and its first line: a driver may put an address there, but no password."""
    cause = error.__cause__ if isinstance(error, OperationalError) and error.__cause__ else error
    return f"{type(cause).__name__}: {str(cause).partition(chr(10))[0]}"[:200]


def public(url: str) -> str:
    """A broker's URL without who asks, and without their password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"
