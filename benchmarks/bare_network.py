"""What a scan does, without a guard, scopes or limits: dnspython, aiohttp and plain sockets, to measure against."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import TypeVar

import aiohttp
import dns.asyncresolver
import dns.nameserver
from aiohttp.abc import AbstractResolver, ResolveResult

T = TypeVar("T")


async def each(items: Iterable[T], work: Callable[[T], Awaitable[object]], at_once: int) -> None:
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())


class Resolver(AbstractResolver):
    """Asks one name server for both kinds of addresses, as browsers do."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._resolver = dns.asyncresolver.Resolver(configure=False)
        self._resolver.nameservers = [dns.nameserver.Do53Nameserver(*server)]

    async def addresses(self, name: str) -> list[str]:
        kinds = ("A", "AAAA")
        asked = [self._resolver.resolve(f"{name}.", kind, search=False, raise_on_no_answer=False) for kind in kinds]
        return [one.to_text() for answer in await asyncio.gather(*asked) for one in answer.rrset or ()]

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=one, port=port, family=socket.AF_INET, proto=0, flags=0)
            for one in await self.addresses(host)
        ]

    async def close(self) -> None:
        """There is nothing to close."""


async def fetch(urls: Iterable[str], server: tuple[str, int], at_once: int) -> int:
    """The bytes of these pages, each over a connection of its own."""
    total = 0
    connector = aiohttp.TCPConnector(resolver=Resolver(server), force_close=True, use_dns_cache=False, limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def get(url: str) -> None:
            nonlocal total
            async with session.get(url) as response:
                total += len(await response.read())

        await each(urls, get, at_once)
    return total


async def connect(address: str, ports: Iterable[int], at_once: int) -> int:
    """How many ports are open."""
    opened = 0

    async def knock(port: int) -> None:
        nonlocal opened
        with socket.socket() as made:
            made.setblocking(False)
            with suppress(OSError):
                await asyncio.get_running_loop().sock_connect(made, (address, port))
                opened += made.getsockname() != made.getpeername()

    await each(ports, knock, at_once)
    return opened
