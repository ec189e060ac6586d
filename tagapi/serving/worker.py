"""A gunicorn worker whose threads never wait for a network.

The event loop reads each request whole and only then spends a thread on it; the thread makes the answer, and
what the client does not take at once the loop sends. So a connection that stalls costs memory, which is
bounded, and after a while is ended; nobody waits for it.

The loop alone touches connections; a thread has one for as long as its state is WORKING.
"""

from __future__ import annotations

import errno
import logging
import math
import socket
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any

from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

from tagapi.serving.answering import Answering
from tagapi.serving.connection import Connection, State
from tagapi.serving.framing import Refused, Stage
from tagapi.serving.limits import Ended, Limits
from tagapi.serving.records import OBSERVER, REQUEST_ID, TAKE_OVER, RequestLog
from tagapi.serving.refusals import refusal

log = logging.getLogger(__name__)

READ = 64 * 1024  # bytes at once: the loop has others to serve
LOOK_EVERY = 0.25  # seconds between two looks at who has waited too long
LINGER = 2.0  # seconds that a client has to hang up, anew with whatever it still sends,
LINGER_MOST = 10.0  # and in all
LAST_REQUESTS = 10.0  # seconds that a stopping worker waits for the rest of a request, and
LAST_HEADS = 5.0  # for a request on a fresh connection, and
LAST_ANSWERS = 12.0  # for answers to be taken in
NO_HANDLES = 0.05  # seconds that the loop rests where there is no handle for a connection, nor one to end
LOST = (errno.ENOTCONN, errno.EHOSTUNREACH, errno.ENETUNREACH)
SPARE = 64  # connections beyond the bound, while room is made


class LoopWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn is untyped
    """gthread with its connections kept by the loop; the application has `limits` and `requests_level`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.limits: Limits = self.app.limits
        self.worker_connections = self.limits.connections + SPARE
        self.ended = Ended()
        self.requests = RequestLog(self.app.requests_level)
        self._open: set[Connection] = set()
        self._held = 0  # bytes in memory, of all connections
        self._look_again = 0.0
        self._last = math.inf  # when the last answer is to be taken in, once the worker stops

    def init_process(self) -> None:
        """The worker's whole life, after the fork."""
        self.answering = Answering(self, self.requests)
        self.requests.start()
        try:
            super().init_process()
        finally:
            self.requests.stop()

    def load_wsgi(self) -> None:
        super().load_wsgi()
        self.requests.observer = getattr(self.wsgi, "extensions", {}).get(OBSERVER)

    # -- coming in -------------------------------------------------------------------------

    def accept(self, listener: socket.socket) -> bool:
        """Take in one connection, if one waits."""
        try:
            sock, client = listener.accept()
        except OSError as error:
            if error.errno in (errno.EBADF, errno.EINVAL, errno.ENOTSOCK):
                raise
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self.ended.count("handles", "")
                if not self._make_room():
                    time.sleep(NO_HANDLES)
            return False
        now = time.monotonic()
        connection = Connection(sock, client, listener.getsockname(), now)
        connection.deadline = now + (self.limits.head_seconds if self.alive else LAST_HEADS)
        if len(self._open) >= self.limits.connections:
            self._make_room()  # of the others: where threads work for all of them, there are some to spare
        self._open.add(connection)
        self.nr_conns += 1
        self._watch(connection, EVENT_READ)
        self._on_event(connection, sock)
        return True

    def _on_event(self, connection: Connection, _sock: Any) -> None:
        """The poller says that a connection can go on."""
        if connection not in self._open:  # it was ended in the same round
            return
        try:
            if connection.state is State.READING:
                self._read(connection)
            elif connection.state is State.SENDING:
                self._send(connection)
            elif connection.state is State.LEAVING:
                self._throw_away(connection)
            else:
                self._watch(connection, 0)  # what comes now has to wait for the thread
        except BlockingIOError:
            pass
        except Exception as error:
            self._give_up(connection, error)

    def _read(self, connection: Connection) -> None:
        data = connection.sock.recv(READ)
        if not data:
            self._drop(connection)
            return
        now = connection.moved = time.monotonic()
        if connection.idle:
            connection.begins(now, self.limits.head_seconds)
        connection.incoming.data += data
        self._hold(connection, len(data))
        if connection in self._open:
            self._look(connection, now)

    def _look(self, connection: Connection, now: float) -> None:
        """A thread for a request that is whole; more time for one that is coming."""
        incoming = connection.incoming
        try:
            stage = incoming.look()
        except Refused as refused:
            self.ended.count("malformed", connection.address)
            self._refuse(connection, refused.status)
            return
        if stage is Stage.WHOLE:
            connection.state = State.WORKING
            self.enqueue_req(connection)
        elif stage is Stage.BODY:
            if connection.body_began is None:
                connection.body_began = now
                if incoming.expects and not incoming.body:
                    connection.outgoing.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                    connection.outgoing.flush()
            allowed = self.limits.body_seconds + incoming.body / self.limits.body_rate
            connection.deadline = connection.body_began + allowed

    def handle(self, connection: Connection) -> int:
        """In a thread: make an answer, or go on with one; 0, or the status of a refusal."""
        return self.answering.go_on(connection)

    # -- going out -------------------------------------------------------------------------

    def finish_request(self, connection: Connection, done: Future[int]) -> None:
        """A thread has let go of a connection."""
        try:
            if (failed := done.exception()) is not None:
                self._give_up(connection, failed)
            elif status := done.result():
                if status < 500:
                    self.ended.count("malformed", connection.address)
                self._refuse(connection, status)
            else:
                self._go_on(connection)
        except Exception as error:
            self._give_up(connection, error)

    def _go_on(self, connection: Connection) -> None:
        """Send what is left, have more made, or wait for the next request."""
        answer, now = connection.answer, time.monotonic()
        if connection.outgoing:
            if connection.state is not State.SENDING:
                connection.state, connection.moved = State.SENDING, now
                connection.deadline = min(now + self.limits.send_seconds, self._last)
                self._watch(connection, EVENT_WRITE)
            self._hold(connection, connection.outgoing.pending - connection.unsent)
            connection.unsent = connection.outgoing.pending
        elif answer is None:
            self._leave(connection)
        elif not answer.made:
            connection.state = State.WORKING
            self._watch(connection, 0)
            self.enqueue_req(connection)
        elif answer.environ[TAKE_OVER]:
            self.answering.end(connection, answer)
            self._hand_over(connection, answer.environ[TAKE_OVER][0])
        else:
            self.answering.end(connection, answer)
            if answer.response.should_close():
                self._leave(connection)
            else:
                self._wait_for_next(connection, now)

    def _hand_over(self, connection: Connection, take: Callable[[socket.socket, bytes], None]) -> None:
        """Somebody else of this process goes on with the socket: from here on it is none of ours."""
        connection.incoming.skip()
        self._watch(connection, 0)
        self._open.discard(connection)
        self._hold(connection, -connection.held)
        self.nr_conns -= 1
        take(connection.sock, bytes(connection.incoming.data))

    def _send(self, connection: Connection) -> None:
        if connection.outgoing.flush():
            connection.moved = time.monotonic()
            connection.deadline = min(connection.moved + self.limits.send_seconds, self._last)
            self._go_on(connection)

    def _wait_for_next(self, connection: Connection, now: float) -> None:
        linger = self.cfg.keepalive if self.alive else STOP_KEEPALIVE_LINGER
        connection.rests(now, now + linger)
        self._hold(connection, len(connection.incoming.data) - connection.held)
        self._watch(connection, EVENT_READ)
        if not connection.idle:
            connection.begins(now, self.limits.head_seconds)
            self._look(connection, now)

    def _refuse(self, connection: Connection, status: int) -> None:
        """Answer what is no request, or came too slowly, and hang up."""
        connection.outgoing.sendall(self._refusal(connection, status))
        if connection.answer is not None:
            connection.answer.end()
        connection.answer = None
        connection.outgoing.flush()
        self._go_on(connection)

    def _refusal(self, connection: Connection, status: int) -> bytes:
        name = uuid.uuid4().hex
        answer = refusal(status, connection.incoming.path, self.wsgi, name)
        known = {REQUEST_ID: name}
        self.requests.note(connection.address, connection.incoming.method, known, status, 0.0, len(answer))
        return answer

    # -- the end of a connection -----------------------------------------------------------

    def _leave(self, connection: Connection) -> None:
        """Say that nothing more comes, and let the client hang up: with bytes unread, a close would be a reset."""
        connection.sock.shutdown(socket.SHUT_WR)
        connection.incoming.data.clear()
        self._hold(connection, -connection.held)
        connection.state, connection.began = State.LEAVING, time.monotonic()
        connection.deadline = connection.began + LINGER
        self._watch(connection, EVENT_READ)

    def _throw_away(self, connection: Connection) -> None:
        if not connection.sock.recv(READ):
            self._drop(connection)
            return
        connection.deadline = min(time.monotonic() + LINGER, connection.began + LINGER_MOST)

    def _give_up(self, connection: Connection, error: BaseException) -> None:
        """A client that is lost is nothing to tell of; whatever else goes wrong here must not end the loop."""
        lost = isinstance(error, ConnectionError | TimeoutError) or getattr(error, "errno", None) in LOST
        if not lost:
            log.error("connection_failed", exc_info=error)
        self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        self._watch(connection, 0)
        self._open.discard(connection)
        self._hold(connection, -connection.held)
        self.nr_conns -= 1
        if connection.answer is not None:
            self.answering.end(connection, connection.answer)
        connection.sock.close()

    def murder_keepalived(self, force: bool = False) -> None:
        """End who has waited too long; at the very end everybody for whom no thread works."""
        now = time.monotonic()
        if now < self._look_again and not force:
            return
        self._look_again = now + LOOK_EVERY
        for connection in [*self._open]:
            if connection not in self._open or connection.state is State.WORKING:
                continue  # one that was ended may have taken another with it
            if force or now >= connection.deadline:
                self._expire(connection)
        self.ended.tell(now)

    def _expire(self, connection: Connection) -> None:
        try:
            if connection.state is State.READING and not connection.idle:
                self.ended.count(connection.incoming.stage.value, connection.address)
                self._refuse(connection, 408)
                return
            if connection.state is State.SENDING:
                self.ended.count("send", connection.address)
            self._drop(connection)
        except Exception as error:
            self._give_up(connection, error)

    def _cap_keepalive(self, deadline: float) -> None:
        """The worker stops: whoever sends a request has a little time left for it."""
        now = time.monotonic()
        self._last = now + LAST_ANSWERS
        for connection in self._open:
            if connection.state is State.SENDING:
                connection.deadline = min(connection.deadline, self._last)
            if connection.state is State.READING:
                fresh = LAST_REQUESTS if not connection.idle else LAST_HEADS
                last = deadline if connection.idle and connection.answered else now + fresh
                connection.deadline = min(connection.deadline, last)

    # -- bounds ----------------------------------------------------------------------------

    def _hold(self, connection: Connection, more: int) -> None:
        """So many more bytes in memory, or fewer."""
        connection.held += more
        self._held += more
        while more > 0 and self._held > self.limits.buffer_bytes and self._make_room(holding=True):
            pass

    def _make_room(self, holding: bool = False) -> bool:
        """End the connection that has not moved for longest, of those that hold memory where that is what is short."""
        still = [one for one in self._open if one.state is not State.WORKING and (one.held or not holding)]
        if not still:
            return False
        longest = min(still, key=lambda one: one.moved)
        if longest.state is not State.LEAVING and not longest.idle:
            self.ended.count("room", longest.address)
        if longest.state is State.READING and not longest.idle:
            with suppress(OSError):
                longest.sock.send(self._refusal(longest, 503))
        self._drop(longest)
        return True

    def _watch(self, connection: Connection, events: int) -> None:
        """Have the poller look for these events, or for none."""
        if connection.events == events:
            return
        if not events:
            self.poller.unregister(connection.sock)
        elif connection.events:
            self.poller.modify(connection.sock, events, partial(self._on_event, connection))
        else:
            self.poller.register(connection.sock, events, partial(self._on_event, connection))
        connection.events = events
