"""Sites: what a server says to a GET, by the name and path that it is asked for. They have all habits there are."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Get:
    """A request as it came."""

    host: str
    path: str
    headers: Mapping[str, str]
    reader: asyncio.StreamReader
    """What is said after it, which is nothing: it ends when the other side goes."""


Site = Callable[[Get, asyncio.StreamWriter], Awaitable[None]]
"""Writes an answer; the connection is closed when it returns."""


def answer(body: bytes = b"", status: int = 200, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


def page(body: bytes, **headers: str) -> Site:
    async def say(_: Get, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(body, **headers))

    return say


def redirect(location: str, status: int = 302) -> Site:
    async def say(_: Get, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(status=status, Location=location))

    return say


def redirects(ways: Mapping[str, str]) -> Site:
    """Each path leads to another place; those that are not named are pages."""

    async def say(get: Get, writer: asyncio.StreamWriter) -> None:
        where = ways.get(get.path)
        writer.write(answer(b"here") if where is None else answer(status=302, Location=where))

    return say


async def silent(get: Get, _: asyncio.StreamWriter) -> None:
    """Say nothing until the other side goes."""
    await get.reader.read()


async def dripping(get: Get, writer: asyncio.StreamWriter) -> None:
    """Begin, and never end."""
    writer.write(b"HTTP/1.1 200 OK\r\n\r\nso")
    await writer.drain()
    await get.reader.read()


async def endless(get: Get, writer: asyncio.StreamWriter) -> None:
    """A body without end, as fast as it is read."""
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while not (writer.is_closing() or get.reader.at_eof()):
        writer.write(b"more " * 4096)
        await writer.drain()
        await asyncio.sleep(0)


def bomb(size: int) -> Site:
    """So many zeros, packed a thousand times smaller."""
    packed = gzip.compress(bytes(size), 9)
    return page(packed, Content_Encoding="gzip")


@dataclass
class Tree:
    """A site of several pages; what is not named is not found."""

    pages: Mapping[str, bytes | Site]
    """By path and query."""
    asked: list[str] = field(default_factory=list)
    """Paths, in order."""
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content_Type": "text/html"})

    async def __call__(self, get: Get, writer: asyncio.StreamWriter) -> None:
        self.asked.append(get.path)
        said = self.pages.get(get.path, b"")
        if not isinstance(said, bytes):
            await said(get, writer)
        elif get.path in self.pages:
            writer.write(answer(said, **self.headers))
        else:
            writer.write(answer(b"<title>Not found</title>", 404, **self.headers))


def status(number: int, body: bytes = b"") -> Site:
    async def say(_: Get, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(body, number))

    return say


async def garbage(_: Get, writer: asyncio.StreamWriter) -> None:
    """No HTTP."""
    writer.write(b"\xff\x00so what\r\n" * 100)


async def torn(_: Get, writer: asyncio.StreamWriter) -> None:
    """End in the middle of a body."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<title>torn")
