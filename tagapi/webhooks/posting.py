"""One delivery over the network, and exactly one of the ways in which it can end."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import aiohttp
from yarl import URL

from tagapi.webhooks.addresses import Allowed
from tagapi.webhooks.names import Names

SECONDS = 12.0  # for all of it: the name, the connection, the handshake, the answer's headers
NOT_ALLOWED = "address not allowed"
TIMEOUT, NO_NAME, NO_TLS, NO_CONNECTION = "timeout", "no such host", "no TLS handshake", "no answer"
RETRY_AFTER_MOST = 3600.0  # seconds
MOST_HEARD = 64 * 1024  # bytes: of TLS, and the head; a receiver may send preliminary answers (1xx) without end


@dataclass(frozen=True, slots=True)
class Outcome:
    status: int | None = None
    """Of the answer, where there was one."""

    error: str | None = None
    """What went wrong, where there was none. Never the text of an exception, which may hold the address."""

    retry_after: float = 0.0
    """Seconds that the receiver asks for."""


class Listening(socket.socket):
    """Hears so much and then nothing more, as if the other side had ended."""

    heard = 0

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        got = super().recv(size, flags) if self.heard <= MOST_HEARD else b""
        self.heard += len(got)
        return got

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        got = super().recv_into(buffer, size, flags) if self.heard <= MOST_HEARD else 0
        self.heard += got
        return got


class Door:
    """Makes the sockets for one delivery, after a look at the very address that each is about to be connected to."""

    def __init__(self, host: str, allowed: Allowed) -> None:
        self._host = host
        self._allowed = allowed
        self.refused = False
        """All that was asked for so far."""
        self._made: list[socket.socket] = []

    def __call__(self, info: tuple[Any, ...]) -> socket.socket:
        """A socket for an entry as `getaddrinfo` has them. Raises OSError, so that the name's next one is tried."""
        family, kind, protocol, _, where = info
        if not self._allowed.reaches(self._host, ip_address(where[0].partition("%")[0])):
            self.refused = not self._made
            raise OSError(NOT_ALLOWED)
        self.refused = False
        made = Listening(family, kind, protocol)
        self._made.append(made)
        made.setblocking(False)
        return made

    def leave(self) -> None:
        """End what is still open: a receiver may take half a minute over the farewell of TLS, and as long as it likes
        over reading the rest."""
        for made in self._made:
            with suppress(OSError):  # it is closed already
                made.shutdown(socket.SHUT_RDWR)


class Poster:
    def __init__(self, allowed: Allowed, context: ssl.SSLContext | None = None, seconds: float | None = None) -> None:
        """`context` is what a receiver's certificate is checked with: by default as the system does."""
        self._allowed = allowed
        self._context = context or ssl.create_default_context()
        self._seconds = seconds or SECONDS
        self._names = Names()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """On a connection of its own, without redirects, cookies or proxies. Of the answer nothing but its head is
        read: nobody asked what the receiver says."""
        door = Door("", self._allowed)
        try:
            where = URL(url)
            door = Door(where.raw_host or "", self._allowed)  # as it stands in the address, and in the setting
            async with asyncio.timeout(self._seconds):
                return await self._post(where, headers, body, door)
        except TimeoutError:
            return Outcome(error=TIMEOUT)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Outcome(error=NOT_ALLOWED if door.refused else _lost(error))
        finally:
            door.leave()

    async def _post(self, where: URL, headers: Mapping[str, str], body: bytes, door: Door) -> Outcome:
        connector = aiohttp.TCPConnector(
            socket_factory=door,
            resolver=self._names,
            ssl=self._context,
            force_close=True,
            use_dns_cache=False,
        )
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            auto_decompress=False,
            trust_env=False,
        )
        async with session:
            answer = await session.post(where, data=body, headers=headers, allow_redirects=False)
            answer.close()
            return Outcome(status=answer.status, retry_after=_retry_after(answer.headers.get("Retry-After", "")))


def _lost(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return NO_NAME
    return NO_TLS if isinstance(error, (aiohttp.ClientSSLError, ssl.SSLError)) else NO_CONNECTION


def _retry_after(said: str) -> float:
    return min(float(said), RETRY_AFTER_MOST) if said.isascii() and said.isdecimal() else 0.0
