"""The whole of it: one name server, sites at loopback addresses, and a list of every connection that was accepted."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Self

from tests.internet.names import NameServer, Zone
from tests.internet.sites import Get, Site

SERVER = "127.0.53.53"
HANDSHAKE = b"\x16"
ANY = "*"
"""The site for names that have none of their own."""


@dataclass
class Internet:
    """An async context. Everything runs on the loop of whoever enters it."""

    zone: Zone
    sites: Mapping[str, Site]
    """By the name that is asked for (a virtual host), or ANY."""
    addresses: Sequence[str] = ("127.1.0.1",)
    """At which there are sites, all at the same port."""
    tls: ssl.SSLContext | None = None
    banner: bytes = b""
    """Said first at each connection, where that is not HTTP."""
    accepted: list[tuple[str, int]] = field(default_factory=list)
    """Address and port of every connection, in order."""
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    port: int = 0
    name_port: int = 0

    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        self.names = NameServer(self.zone)
        self.name_server = await self.names.start(SERVER, self.name_port)
        self._stack.push_async_callback(self.names.stop)
        for address in self.addresses:
            server = await asyncio.start_server(self._serve, address, self.port, ssl=self.tls, backlog=1024)
            self.port = server.sockets[0].getsockname()[1]
            self._stack.callback(server.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        for writer in tuple(self.open):
            writer.transport.abort()
        await self.all_gone()
        await self._stack.aclose()

    async def all_gone(self) -> None:
        """Wait until no connection is open. In turns of the loop, so that no time has to pass."""
        while self.open:
            await asyncio.sleep(0)

    @property
    def servers(self) -> list[tuple[object, int]]:
        """The name servers, as the guard takes them."""
        host, port = self.name_server
        return [(ip_address(host), port)]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        at = writer.get_extra_info("sockname")
        self.accepted.append((at[0], at[1]))
        self.open.add(writer)
        try:
            writer.write(self.banner)
            get = await _read(reader)
            site = self.sites.get(get.host) or self.sites[ANY]
            await site(get, writer)
            await writer.drain()
        except (OSError, EOFError, KeyError):
            pass
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            self.open.discard(writer)


async def _read(reader: asyncio.StreamReader) -> Get:
    """Raises EOFError for a connection on which nothing is asked, or in TLS where there is none."""
    first = await reader.readexactly(1)
    if first == HANDSHAKE:
        raise EOFError
    lines = (first + await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    path = lines[0].split(" ")[1]
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
    return Get(headers["host"].rpartition(":")[0] or headers["host"], path, headers, reader)
