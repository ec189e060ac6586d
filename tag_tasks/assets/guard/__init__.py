"""The only place that opens a socket to a target; nobody else in `tag_tasks.assets` may import what could.

Each connection is checked by the very address that it goes to, at the moment in which its socket is made: after the
name was resolved, and again behind each redirect. So it does not matter what a name server, a page or a spelling says:
what is not in the scope is not contacted, and each refusal is recorded.
"""

from __future__ import annotations

import asyncio
import enum
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tag_tasks.assets.addresses import Address
from tag_tasks.assets.guard.doors import Allowance, Door, Doors, MakeSocket
from tag_tasks.assets.guard.gate import Gate
from tag_tasks.assets.guard.names import Names, Records, addresses_in
from tag_tasks.assets.guard.pages import MOST_BODY, Page, any_tls, behind, get
from tag_tasks.assets.limits import Limits
from tag_tasks.assets.refused import NotReached, Refusal, Refused, refused
from tag_tasks.assets.scope import Asked, Own, Scope, Use, Why
from tag_tasks.assets.spelling import Misspelt, domain
from tag_tasks.assets.urls import OtherScheme, Url, url

TARGET_SECONDS = 10.0
CONNECT_SECONDS = 3.0  # to see whether a port is open: the system asks a second time after one
MOST_REDIRECTS = 5
MOST_TRIED = 3  # of the addresses that a name has


class Port(enum.Enum):
    """What a port is."""

    OPEN = "open"
    CLOSED = "closed"
    """Its machine says that nobody listens."""
    SILENT = "silent"
    """Nobody says anything, or there is no way to it."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a name leads to; whether that may be contacted is another question."""

    name: str
    addresses: tuple[Address, ...]
    aliases: tuple[str, ...]
    seconds: float = field(default=0.0, compare=False)
    """That the name servers took."""


class Connection:
    """An open connection. What comes is read, and nothing is ever written."""

    def __init__(self, reader: asyncio.StreamReader, certificate: bytes | None, tls: str | None) -> None:
        self._reader = reader
        self.certificate = certificate
        """In DER; None without TLS."""
        self.tls = tls
        """The version, such as `TLSv1.3`."""

    async def read(self, most: int) -> bytes:
        """What is there, at most so many bytes; nothing at the end."""
        return await self._reader.read(most)


class Guard:
    """The guard of one job: an async context, on whose end everything is closed. To be used on one loop."""

    def __init__(
        self,
        *,
        scopes: Callable[[], Sequence[Scope]],
        limits: Limits,
        record: Callable[[Refusal], None],
        names: Names | None = None,
        own: Callable[[], Sequence[Own]] = tuple,
        seconds: float = TARGET_SECONDS,
        most_body: int = MOST_BODY,
        make_socket: MakeSocket = socket.socket,
    ) -> None:
        """`scopes` says what is allowed now, or raises ScopeError; `own` says which sockets are this
        service's own.

        `make_socket` is there for tests that have an internet of their own.
        """
        self._gate = Gate(scopes, own, record)
        self._limits = limits
        self._doors = Doors(self._gate, limits, make_socket)
        self._names = names or Names()
        self._seconds = seconds
        self._most_body = most_body
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._gate.shut = False
        self._watching = asyncio.create_task(self._doors.watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
        self._gate.shut = True
        self._doors.look()

    def look(self) -> None:
        """Close what the scopes do not allow any more. It is done every second without that."""
        self._doors.look()

    # -- names -----------------------------------------------------------------------------

    async def records(self, name: str, kind: str) -> Records:
        """What the name servers have of a kind, such as `MX`. Raises Refused and NotReached."""
        asked = self._understood(name)
        self._gate.check_name(asked)
        async with self._limits.sockets.one():
            found = await self._names.ask(asked, kind)
        self._gate.check_aliases(asked, found.aliases)
        return found

    async def resolve(self, name: str) -> Resolved:
        """The addresses of a name, IPv4 first; none of one that is not there. Raises Refused and NotReached."""
        asked = self._understood(name)
        self._gate.check_name(asked)  # once, not for each kind
        both = await asyncio.gather(self.records(asked, "A"), self.records(asked, "AAAA"), return_exceptions=True)
        for one in both:
            if isinstance(one, BaseException) and not isinstance(one, NotReached):
                raise one
        found = [one for one in both if isinstance(one, Records)]
        if not found:
            raise NotReached(what=asked, reason="no name server has an answer")
        addresses = [address for records in found for address in addresses_in(records)]
        return Resolved(asked, tuple(addresses), found[0].aliases, max(one.seconds for one in found))

    def _understood(self, name: str) -> str:
        try:
            return domain(name)
        except Misspelt:
            self._gate.refuse(name, None, Why.SPELLING)

    # -- connections -----------------------------------------------------------------------

    async def port(self, address: Address, port: int) -> Port:
        """Whether somebody listens at a port. Raises Refused."""
        asked = Asked(address=address, port=port, use=Use.SCAN)
        allowance = Allowance(min(self._seconds, CONNECT_SECONDS))
        try:
            async with self._doors.door(asked, asked, allowance) as door:
                return await _knocked(door)
        except NotReached:
            return Port.SILENT

    @asynccontextmanager
    async def connection(self, asked: Asked, tls: bool = False, old: bool = False) -> AsyncIterator[Connection]:
        """An open connection for as long as the target has; `old` offers TLS 1.1 and older alone.

        Raises Refused and NotReached, NoTls among it.
        """
        async with self._doors.door(asked, asked, Allowance(self._seconds)) as door:
            reader, writer = await asyncio.open_connection(
                sock=await door.connected(),
                ssl=any_tls(old) if tls else None,
                server_hostname=(asked.name or str(asked.address)) if tls else None,
            )
            try:
                about = writer.get_extra_info("ssl_object")
                yield Connection(reader, about and about.getpeercert(True), about and about.version())
            finally:
                writer.transport.abort()

    # -- pages -----------------------------------------------------------------------------

    async def fetch(self, where: str, redirects: int = MOST_REDIRECTS) -> Page:
        """The page at a URL, behind so many redirects. Raises Refused, at whichever hop, and NotReached."""
        allowance = Allowance(self._seconds)
        passed: list[Page] = []
        while True:
            try:
                page = await self._get(self._url(where), allowance)
            except Refused as error:
                raise refused(error.refusal, passed) from error
            if page.leads_to is None or not redirects:
                return behind(page, tuple(passed))
            if len(passed) == redirects:
                raise NotReached(what=page.url, reason=f"it redirects more than {redirects} times")
            passed.append(page)
            where = page.leads_to

    def _url(self, text: str) -> Url:
        try:
            return url(text)
        except OtherScheme:
            self._gate.refuse(text, None, Why.SCHEME)
        except Misspelt:
            self._gate.refuse(text, None, Why.SPELLING)

    async def _get(self, where: Url, allowance: Allowance) -> Page:
        lost: NotReached | None = None
        for asked in await self._allowed(where, allowance):
            try:
                async with self._doors.door(asked, where, allowance) as door:
                    return await get(door, where, self._most_body)
            except NotReached as error:
                lost = error
        raise lost or NotReached(what=str(where), reason="the name has no address")

    async def _allowed(self, where: Url, allowance: Allowance) -> Sequence[Asked]:
        """The first of the addresses that may be contacted. Raises Refused where there are others alone."""
        if isinstance(where.host, str):
            found = await self.resolve(where.host)
            allowance.left -= found.seconds
            addresses: Sequence[Address] = found.addresses
        else:
            addresses = [where.host]
        allowed, refused = [], None
        for address in addresses:
            asked = Asked(address=address, port=where.port, use=Use.VISIT, name=where.name)
            try:
                self._gate.check(asked, where)
                allowed.append(asked)
            except Refused as error:
                refused = error
        if refused is not None and not allowed:
            raise refused
        return allowed[:MOST_TRIED]


async def _knocked(door: Door) -> Port:
    """Most are closed: that is no error here, which would cost more than the connect. Raises OSError."""
    try:
        made = await door.connected()
    except ConnectionRefusedError:
        return Port.CLOSED
    with made:
        itself = made.getsockname() == made.getpeername()  # from a free port to that very port
    return Port.CLOSED if itself else Port.OPEN
