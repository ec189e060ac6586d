"""Where sockets to targets are opened: checked, counted, timed, and closed again whatever happens."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Any

from tag_tasks.assets.guard.gate import Gate
from tag_tasks.assets.guard.room import check_room
from tag_tasks.assets.guard.words import words
from tag_tasks.assets.limits import Limits
from tag_tasks.assets.refused import NoTls, NotReached
from tag_tasks.assets.scope import Asked, Why

LOOK_SECONDS = 1.0  # between two looks whether what is open is allowed still
TURNS = 10  # of the loop, in which a transport that was aborted has closed its socket
MakeSocket = Callable[[int, int, int], socket.socket]
"""By family, kind and protocol, as `socket.socket` does."""
NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "UNEXPECTED_EOF_WHILE_READING", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST"})
"""What OpenSSL says of an answer that is none of TLS."""


@dataclass(slots=True)
class Allowance:
    """Seconds that are left for a target. To wait for a place costs none."""

    left: float


@dataclass(eq=False, slots=True)
class Door:
    """A connection that is allowed, while it is open."""

    asked: Asked
    what: object
    """What it is for: its text is for people, and is made where somebody reads it."""
    clock: asyncio.Timeout
    gate: Gate
    make: MakeSocket
    why: Why | None = None
    """Why it was closed before its end."""
    sockets: list[socket.socket] = field(default_factory=list)

    def socket_for(self, info: tuple[Any, ...]) -> socket.socket:
        """A socket for an entry as `getaddrinfo` has them, after a look at the very address that is in it."""
        family, kind, protocol, _, where = info
        return self._made(family, kind, protocol, replace(self.asked, address=ip_address(where[0]), port=where[1]))

    def _made(self, family: int, kind: int, protocol: int, asked: Asked) -> socket.socket:
        self.gate.check(asked, self.what)
        try:
            made = self.make(family, kind, protocol)
        except OSError as error:
            check_room(error)
            raise
        made.setblocking(False)
        self.sockets.append(made)
        return made

    async def connected(self) -> socket.socket:
        """A socket that is connected. Raises OSError."""
        address, port = self.asked.address, self.asked.port
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        made = self._made(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, self.asked)
        try:
            await asyncio.get_running_loop().sock_connect(made, (str(address), port))
        except BaseException:
            made.close()
            self.sockets.remove(made)
            raise
        return made

    async def closed(self) -> None:
        """Wait until what was aborted is closed, and end what is not."""
        try:
            if not await self._all_closed():
                self._cut()
                await self._all_closed()
        finally:
            self._cut()

    async def _all_closed(self) -> bool:
        for _ in range(TURNS):
            if all(one.fileno() < 0 for one in self.sockets):
                return True
            await asyncio.sleep(0)
        return False

    def _cut(self) -> None:
        """End every connection now. A socket that a transport has is shut down, and left for that to close: its number
        would be given to another socket, of which the loop believes that it is the transport's."""
        loop = asyncio.get_running_loop()
        for one in self.sockets:
            if one.fileno() < 0:
                continue
            try:
                loop.remove_reader(one)
            except RuntimeError:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            else:
                one.close()


class Doors:
    """The doors of one job."""

    def __init__(self, gate: Gate, limits: Limits, make: MakeSocket) -> None:
        self._gate = gate
        self._make = make
        self._limits = limits
        self._open: set[Door] = set()

    @asynccontextmanager
    async def door(self, asked: Asked, what: object, allowance: Allowance) -> AsyncIterator[Door]:
        """Raises Refused, and NotReached where the allowance is used up, or a socket fails."""
        self._gate.check(asked, what)
        async with self._limits.place(asked.address):
            began = asyncio.get_running_loop().time()
            clock = asyncio.timeout(allowance.left)
            door = Door(asked, what, clock, self._gate, self._make)
            try:
                async with clock:
                    self._open.add(door)
                    try:
                        yield door
                    finally:
                        self._open.discard(door)
                        if door.sockets:
                            await door.closed()
            except OSError as error:  # of which TimeoutError is one
                self._tell(door, error)
            finally:
                allowance.left -= asyncio.get_running_loop().time() - began

    def _tell(self, door: Door, error: OSError) -> None:
        if door.why is not None:
            self._gate.refuse(str(door.what), str(door.asked.address), door.why)
        if isinstance(error, ssl.SSLError) and not door.clock.expired():
            lost = NoTls if error.reason in NO_TLS else NotReached
            raise lost(what=str(door.what), reason=words(error)) from error
        reason = "it took too long" if door.clock.expired() else words(error)
        raise NotReached(what=str(door.what), reason=reason) from error

    async def watch(self) -> None:
        """Look again and again, for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Close what is not allowed any more."""
        for door in tuple(self._open):
            if (why := self._gate.judge(door.asked)) is not None:
                self._close(door, why)

    def _close(self, door: Door, why: Why) -> None:
        door.why = door.why or why
        with suppress(RuntimeError):  # it is closing already
            door.clock.reschedule(asyncio.get_running_loop().time())
