"""What is pushed of jobs: a WebSocket on which a client says what it follows, and the events of one job as a stream.

The watch's thread leaves what it heard here, and the hub's thread says it: a job that changed ten times
meanwhile is looked at once, and its events say what happened.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import orjson

from tagapi.jobs.model import Job
from tagapi.jobs.watch import Follower, Watch
from tagapi.namespaces.problems import Unavailable
from tagapi.namespaces.tasks.followed import MOST_NAMED, Followed
from tagapi.namespaces.tasks.render import UUID, news_after, render_snapshot
from tagapi.pushes.events import EventStream
from tagapi.pushes.events import head as stream_head
from tagapi.pushes.hub import Hub
from tagapi.pushes.websocket import WebSocket
from tagapi.pushes.websocket import head as socket_head

MOST_FOLLOWED = 100
"""Jobs that one message may name."""
HOLDS_EVERY = 2.0  # seconds between two looks at whether the client may listen still
REVOKED = 1008


class PushesFull(Unavailable):
    message = "There are {open} open sockets and streams, which is as many as may be. Try again in {retry_after} s."
    code = "pushes_full"


class Heard:
    """What the watch told of jobs, until the hub's thread comes to it: the newest of each."""

    def __init__(self, rouse: Callable[[], None]) -> None:
        self._rouse = rouse
        self._lock = threading.Lock()
        self._jobs: dict[str, tuple[Job | None, bool]] = {}

    def put(self, job_id: str, job: Job | None, asked: bool = True) -> None:
        with self._lock:
            known, before = self._jobs.get(job_id, (None, False))
            if known is None or job is None or job.version >= known.version:
                self._jobs[job_id] = (job, asked or before)
        self._rouse()

    def take(self) -> dict[str, tuple[Job | None, bool]]:
        """By id: the job, or None where there is none; and whether it was asked about."""
        with self._lock:
            jobs, self._jobs = self._jobs, {}
        return jobs


class Live:
    """Opens pushes; one of each process."""

    def __init__(self, hub: Hub, watch: Watch) -> None:
        self._hub = hub
        self._watch = watch

    def open_socket(
        self, key: str, request_id: str, caller: str, only: str | None, holds: Callable[[], bool]
    ) -> Callable[[socket.socket, bytes], None]:
        """What goes on with the connection. Raises PushesFull."""
        self._reserve()
        return partial(self._go_on_as_socket, key, request_id, caller, only, holds)

    def open_stream(
        self, job: Job, after: int, request_id: str, only: str | None, holds: Callable[[], bool]
    ) -> Callable[[socket.socket, bytes], None]:
        """The same for the events of a job after this one. Raises PushesFull."""
        self._reserve()
        return partial(self._go_on_as_stream, job, after, request_id, only, holds)

    def _reserve(self) -> None:
        if not self._hub.reserve():
            raise PushesFull(open=self._hub.most, retry_after=5)

    def _go_on_as_socket(
        self,
        key: str,
        request_id: str,
        caller: str,
        only: str | None,
        holds: Callable[[], bool],
        sock: socket.socket,
        ahead: bytes,
    ) -> None:
        push = JobSocket(sock, ahead, self._hub, self._watch, caller, only, holds)
        push.send(socket_head(key, request_id))
        self._watch.join(push)
        self._hub.add(push)

    def _go_on_as_stream(
        self,
        job: Job,
        after: int,
        request_id: str,
        only: str | None,
        holds: Callable[[], bool],
        sock: socket.socket,
        ahead: bytes,
    ) -> None:
        push = JobStream(sock, self._hub, self._watch, job, after, only, holds)
        push.send(stream_head(request_id))
        self._watch.join(push)
        self._watch.tell(push, [job.id])
        self._hub.add(push)


class JobSocket(WebSocket, Follower):
    """What a client subscribes to it hears of: a snapshot first, then every event, a final one at the end."""

    def __init__(
        self,
        sock: socket.socket,
        ahead: bytes,
        hub: Hub,
        watch: Watch,
        caller: str,
        only: str | None,
        holds: Callable[[], bool],
    ) -> None:
        now = time.monotonic()
        super().__init__(sock, ahead, now)
        self._watch = watch
        self._caller = caller
        self._only = only
        self._holds, self._held_at = holds, now
        self._followed = Followed(caller, only)
        self._heard = Heard(partial(hub.news, self))

    # -- what the watch calls --------------------------------------------------------------

    @property
    def owner(self) -> str | None:
        return self._only

    def follows(self, job: Job) -> bool:
        return self._followed.wants(job)

    def following(self) -> Iterable[str]:
        return self._followed.ids()

    def hear(self, job: Job, *, asked: bool) -> None:
        self._heard.put(job.id, job, asked)

    def hear_of_none(self, job_id: str) -> None:
        self._heard.put(job_id, None)

    def hear_newest(self, number: int) -> None:
        self._followed.newest = number

    # -- what the hub calls ----------------------------------------------------------------

    def message(self, text: str) -> None:
        try:
            asked = orjson.loads(text)
        except orjson.JSONDecodeError:
            self._refuse("no es JSON válido")
            return
        match asked:
            case {"subscribe": "mine"} if len(asked) == 1:
                self._followed.add_mine()
                self._watch.tell_active(self, self._caller)
            case {"unsubscribe": "mine"} if len(asked) == 1:
                self._followed.drop_mine()
            case {"subscribe": "all"} if len(asked) == 1:
                self._follow_all()
            case {"unsubscribe": "all"} if len(asked) == 1:
                self._followed.drop_all()
            case {"subscribe": [*ids]} if len(asked) == 1 and self._well_formed(ids):
                self._subscribe([job_id.lower() for job_id in ids])
            case {"unsubscribe": [*ids]} if len(asked) == 1 and self._well_formed(ids):
                self._followed.drop([job_id.lower() for job_id in ids])
            case _:
                self._refuse(f'se espera {{"subscribe": [ids]}}, de 1 a {MOST_FOLLOWED}, "mine" o "all"; o unsubscribe')

    def _follow_all(self) -> None:
        if self._followed.add_all():
            self._watch.tell_active(self, None)
        else:
            self._refuse('solo un administrador puede seguir las tareas de todos: "all"')

    @staticmethod
    def _well_formed(ids: Sequence[Any]) -> bool:
        return 0 < len(ids) <= MOST_FOLLOWED and all(isinstance(one, str) and UUID.fullmatch(one) for one in ids)

    def _subscribe(self, ids: Sequence[str]) -> None:
        if self._followed.add(ids):
            self._watch.tell(self, ids)
        else:
            self._refuse(f"se siguen {MOST_NAMED} tareas como máximo")

    def _refuse(self, reason: str) -> None:
        self._say({"error": "invalid", "message": reason})

    def _say(self, message: dict[str, Any]) -> None:
        self.say(orjson.dumps(message).decode())

    def heard(self) -> None:
        self.take()
        for job_id, (job, asked) in self._heard.take().items():
            if job is None:
                self._followed.forget(job_id)
                self._say({"task_id": job_id, "event": "unknown", "status": "PENDING", "final": True})
                continue
            for message in self._followed.messages(job, asked=asked):
                self._say(message)

    def beat(self, now: float) -> None:
        super().beat(now)
        if now - self._held_at > HOLDS_EVERY:
            self._held_at = now
            if not self._holds():
                self.end(REVOKED, "the token was revoked")

    def left(self) -> None:
        self._watch.leave(self)


class JobStream(EventStream, Follower):
    """The events of one job, from one on; it ends with the job."""

    def __init__(
        self,
        sock: socket.socket,
        hub: Hub,
        watch: Watch,
        job: Job,
        after: int,
        only: str | None,
        holds: Callable[[], bool],
    ) -> None:
        now = time.monotonic()
        super().__init__(sock, now)
        self._watch = watch
        self._only = only
        self._holds, self._held_at = holds, now
        self._job_id = job.id
        self._ahead = after > job.events[-1].number
        """The client knows of more than there is: the store was restored from a copy."""
        self._last = job.events[-1].number if self._ahead else after
        self._heard = Heard(partial(hub.news, self))

    @property
    def owner(self) -> str | None:
        return self._only

    def follows(self, job: Job) -> bool:
        return job.id == self._job_id

    def following(self) -> Iterable[str]:
        return [self._job_id]

    def hear(self, job: Job, *, asked: bool) -> None:
        self._heard.put(job.id, job, asked)

    def hear_of_none(self, job_id: str) -> None:
        self._heard.put(job_id, None)

    def hear_newest(self, number: int) -> None:
        """It follows no owner."""

    def heard(self) -> None:
        for job, _ in self._heard.take().values():
            if job is None:  # it is kept no more
                self.closing = True
                return
            news, gap = news_after(job, self._last)
            if gap or self._ahead:
                self._ahead = False
                before = news[0]["number"] - 1 if news else job.events[-1].number
                self.say("snapshot", orjson.dumps(render_snapshot(job, gap=True)).decode(), before)
            for message in news:
                self.say(message["event"], orjson.dumps(message).decode(), message["number"])
                self._last = message["number"]
            if job.finished:
                self.closing = True

    def beat(self, now: float) -> None:
        super().beat(now)
        if now - self._held_at > HOLDS_EVERY:
            self._held_at = now
            self.closing = self.closing or not self._holds()

    def left(self) -> None:
        self._watch.leave(self)
