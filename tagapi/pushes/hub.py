"""All open pushes of a process, on one thread that never waits for any of them.

A push holds no thread that serves requests, so a hundred of them cost a request nothing. They are
bounded in number, and each in what it leaves untaken.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from tagapi.pushes.push import Gone, Push

log = logging.getLogger(__name__)

BEAT = 0.5  # seconds
LINGER = 2.0  # seconds that a client has to hang up, once the last word is said
GOODBYE_SECONDS = 0.8  # that clients have to take in what was said at the end
GOING_AWAY = 1001


class Hub:
    """Safe to call from many threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._lock = threading.Lock()
        self._pushes: set[Push] = set()
        self._coming: list[Push] = []
        self._news: set[Push] = set()
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._stopping = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._run, name="pushes", daemon=True)

    def start(self) -> None:
        self._wake.setblocking(False)
        self._woken.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread.start()

    def stop(self) -> None:
        """Say goodbye to everybody, and have that taken in for a moment."""
        self._stopping.set()
        self._rouse()
        if self._thread.is_alive():
            self._thread.join(2 * GOODBYE_SECONDS)

    @property
    def most(self) -> int:
        """How many pushes may be open."""
        return self._most

    @property
    def open(self) -> int:
        """How many are, or are about to be."""
        return self._taken

    def reserve(self) -> bool:
        """A place for one more push; False where there is none. It is given back when the push ends, or by `cede`."""
        with self._lock:
            if self._taken >= self._most or self._stopping.is_set():
                return False
            self._taken += 1
            return True

    def cede(self) -> None:
        with self._lock:
            self._taken -= 1

    def add(self, push: Push) -> None:
        """Go on with a push that has its place; one that comes after the end is hung up on."""
        with self._lock:
            if not (late := self._over):
                self._coming.append(push)
        if late:
            self._let_go(push)
        self._rouse()

    def news(self, push: Push) -> None:
        """It has heard of something."""
        with self._lock:
            self._news.add(push)
        self._rouse()

    def _rouse(self) -> None:
        with suppress(BlockingIOError, OSError):
            self._wake.send(b".")

    # -- the thread ------------------------------------------------------------------------

    def _run(self) -> None:
        beat = time.monotonic()
        while not self._stopping.is_set():
            self._round(BEAT)
            if (now := time.monotonic()) - beat >= BEAT:
                beat = now
                for push in [*self._pushes]:
                    self._guarded(push, partial(self._beat, push, now))
        self._say_goodbye()
        with self._lock:
            self._over = True
            coming = self._coming
        for push in coming:
            self._let_go(push)
        self._selector.close()
        self._wake.close()
        self._woken.close()

    def _round(self, seconds: float) -> None:
        ready = self._selector.select(seconds)
        with self._lock:
            coming, self._coming = self._coming, []
            news, self._news = self._news, set()
        for push in coming:
            self._pushes.add(push)
            self._selector.register(push.sock, selectors.EVENT_READ, push)
            self._guarded(push, push.heard)
        for key, events in ready:
            if key.data is None:
                with suppress(BlockingIOError):
                    self._woken.recv(4096)
            elif key.data in self._pushes:
                self._guarded(key.data, partial(self._moved, key.data, events))
        for push in news & self._pushes:
            self._guarded(push, push.heard)

    @staticmethod
    def _beat(push: Push, now: float) -> None:
        if push.leaving is not None and now - push.leaving > LINGER:
            raise Gone
        push.beat(now)

    def _moved(self, push: Push, events: int) -> None:
        push.moved = time.monotonic()
        if events & selectors.EVENT_READ and (data := push.read()) and not push.closing:
            push.received(data)

    def _guarded(self, push: Push, step: Callable[[], None]) -> None:
        """Whatever happens to one push is no other's business."""
        try:
            step()
            push.flush()
            self._watch(push)
        except Gone:
            self._drop(push)
        except Exception:
            log.exception("push_failed")
            self._drop(push)

    def _watch(self, push: Push) -> None:
        """For what it can take in, and what it has to send; for neither, where it waits for news alone."""
        wanted = (0 if push.deaf else selectors.EVENT_READ) | (selectors.EVENT_WRITE if push.unsent else 0)
        known = self._selector.get_map().get(push.sock)
        if known is None:
            if wanted:
                self._selector.register(push.sock, wanted, push)
        elif not wanted:
            self._selector.unregister(push.sock)
        elif known.events != wanted:
            self._selector.modify(push.sock, wanted, push)

    def _drop(self, push: Push) -> None:
        self._pushes.discard(push)
        with suppress(KeyError):
            self._selector.unregister(push.sock)
        self._let_go(push)

    def _let_go(self, push: Push) -> None:
        push.sock.close()
        push.left()
        self.cede()

    def _say_goodbye(self) -> None:
        until = time.monotonic() + GOODBYE_SECONDS
        self._round(0)
        for push in [*self._pushes]:
            self._guarded(push, partial(push.end, GOING_AWAY, "the service is stopping"))
        while self._pushes and (left := until - time.monotonic()) > 0:
            self._round(left)
        for push in [*self._pushes]:
            self._drop(push)
