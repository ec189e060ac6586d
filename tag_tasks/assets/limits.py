"""How much is done at once, and how fast: for each address, and in the whole process.

Every attempt has a loop of its own, on a thread of its own, and the limits are shared by all: whoever waits is woken
on their loop.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from tag_tasks.assets.addresses import Address, judged

SOCKETS = 512
PER_ADDRESS = 20  # connections at once
PER_SECOND = 200.0  # connections to one address
IDLE_KEPT = 1024  # addresses that are remembered for their pace, before those are forgotten that nobody waits for


@dataclass(eq=False, slots=True)
class _Waiter:
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[None]
    granted: bool = False


class Places:
    """So many at once. Safe to use from many threads and loops; who came first is served first."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._most = most
        self._lock = threading.Lock()
        self._waiting: deque[_Waiter] = deque()

    @property
    def taken(self) -> int:
        with self._lock:
            return self._most - self._free

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        await self.take()
        try:
            yield
        finally:
            self.give_back()

    async def take(self) -> None:
        """Wait for a place. Whoever has it gives it back."""
        with self._lock:
            if self._free and not self._waiting:
                self._free -= 1
                return
            loop = asyncio.get_running_loop()
            waiter = _Waiter(loop, loop.create_future())
            self._waiting.append(waiter)
        try:
            await waiter.future
        except BaseException:
            self._leave(waiter)
            raise

    def _leave(self, waiter: _Waiter) -> None:
        with self._lock:
            if not waiter.granted:
                self._waiting.remove(waiter)
                return
        self.give_back()  # it was given a place, and did not hear of it any more

    def give_back(self) -> None:
        with self._lock:
            while self._waiting:
                waiter = self._waiting.popleft()
                waiter.granted = True
                try:
                    waiter.loop.call_soon_threadsafe(_wake, waiter.future)
                except RuntimeError:  # its loop is closed: nobody waits there
                    continue
                return
            self._free += 1


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


@dataclass(slots=True)
class _Pace:
    """What is remembered of one address."""

    places: Places
    following: float = 0.0
    """When the next connection may begin, by the monotonic clock."""
    users: int = 0
    """Who has a place, or is about to ask for one."""


class _Place:
    """As a class, for it is gone through for each port: a generator would cost half as much as the connect."""

    __slots__ = ("_address", "_limits", "_pace")

    def __init__(self, limits: Limits, address: Address) -> None:
        self._limits = limits
        self._address = judged(address)

    async def __aenter__(self) -> None:
        self._pace = self._limits.enter(self._address)
        try:
            await self._limits.take(self._pace)
        except BaseException:
            self._limits.leave(self._pace)
            raise

    async def __aexit__(self, *_: object) -> None:
        self._limits.give_back(self._pace)
        self._limits.leave(self._pace)


class Limits:
    """The limits of this process. Safe to use from many threads and loops."""

    def __init__(
        self,
        *,
        sockets: int = SOCKETS,
        per_address: int = PER_ADDRESS,
        per_second: float | None = PER_SECOND,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`per_second` is for each address; None is without limit."""
        self.sockets = Places(sockets)
        self._per_address = per_address
        self._between = 1 / per_second if per_second else 0.0
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._paces: dict[Address, _Pace] = {}
        self._most_kept = IDLE_KEPT

    def place(self, address: Address) -> AbstractAsyncContextManager[None]:
        """A place for one socket to this address.

        The socket's own place is taken last, so that who waits for a slow address keeps nobody else from theirs.
        """
        return _Place(self, address)

    async def take(self, pace: _Pace) -> None:
        await pace.places.take()
        try:
            if self._between and (seconds := self._wait_of(pace)) > 0:
                await self._sleep(seconds)
            await self.sockets.take()
        except BaseException:
            pace.places.give_back()
            raise

    def give_back(self, pace: _Pace) -> None:
        self.sockets.give_back()
        pace.places.give_back()

    def leave(self, pace: _Pace) -> None:
        with self._lock:
            pace.users -= 1

    def enter(self, address: Address) -> _Pace:
        """The pace of an address, which is remembered until it is left."""
        with self._lock:
            if len(self._paces) >= self._most_kept:
                self._forget()
                self._most_kept = max(IDLE_KEPT, 2 * len(self._paces))  # not to look through them all each time
            if (pace := self._paces.get(address)) is None:
                pace = self._paces[address] = _Pace(Places(self._per_address))
            pace.users += 1
            return pace

    def _forget(self) -> None:
        now = self._monotonic()
        for address in [one for one, pace in self._paces.items() if not pace.users and pace.following <= now]:
            del self._paces[address]

    def _wait_of(self, pace: _Pace) -> float:
        """Seconds until this connection may begin."""
        with self._lock:
            now = self._monotonic()
            at = max(now, pace.following)
            pace.following = at + self._between
            return at - now
