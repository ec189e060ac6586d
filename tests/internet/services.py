"""Services that are no sites: what each says first, and what it hears; and sockets that nobody can connect to."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address

from tag_tasks.assets.addresses import Address

Where = tuple[Address, int]


@dataclass
class Services:
    """Where they are is found out when they listen. Runs on the loop of whoever opens it."""

    stack: AsyncExitStack
    accepted: list[Where] = field(default_factory=list)
    """Of every connection, in order."""
    heard: dict[Where, list[bytes]] = field(default_factory=dict)
    """All that was said to a service, of each connection that is over."""

    async def listen(
        self, at: str, says: bytes = b"", tls: ssl.SSLContext | None = None, *, drips: bool = False
    ) -> Where:
        """A service that says this, byte by byte where it drips, and then listens until the other side goes."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.accepted.append(where)
            heard = b""
            with suppress(OSError):
                for piece in [says[n : n + 1] for n in range(len(says))] if drips else [says]:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                while piece := await reader.read(1024):
                    heard += piece
            writer.transport.abort()
            self.heard.setdefault(where, []).append(heard)

        server = await asyncio.start_server(serve, at, 0, ssl=tls, backlog=1024)
        self.stack.callback(server.close)
        where = (ip_address(at), server.sockets[0].getsockname()[1])
        return where

    async def all_gone(self) -> None:
        """Wait until no connection is open. In turns of the loop, so that no time has to pass."""
        while sum(map(len, self.heard.values())) < len(self.accepted):
            await asyncio.sleep(0)


@asynccontextmanager
async def services() -> AsyncIterator[Services]:
    async with AsyncExitStack() as stack:
        yield Services(stack)


@contextmanager
def silent(at: str) -> Iterator[Where]:
    """A port at which nobody ever answers: as many wait there as may, and whoever comes is not heard."""
    with socket.socket() as listening:
        listening.bind((at, 0))
        listening.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listening.getsockname())
        try:
            yield ip_address(at), listening.getsockname()[1]
        finally:
            for one in waiting:
                one.close()
