"""What listens at open ports: what it says first is read, and nothing is ever said to it, a TLS handshake aside."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from tag_tasks.assets import found
from tag_tasks.assets.addresses import Address
from tag_tasks.assets.guard import Connection
from tag_tasks.assets.probes.banners import known, text_of, whole
from tag_tasks.assets.probes.common_ports import USUAL
from tag_tasks.assets.refused import NotReached
from tag_tasks.assets.scan import Scan
from tag_tasks.assets.scope import Asked, Use

BANNER_SECONDS = 2.0  # in which a service that speaks first has spoken
MOST_BANNER = 1024  # bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """What listens at an open port, as far as it can be told."""

    address: Address
    port: int
    name: str | None = None
    guessed: bool = False
    """It is what is usual at the port: it did not say what it is."""
    product: str | None = None
    version: str | None = None
    banner: str = ""
    tls: str | None = None
    """The version of TLS; None where none was spoken, or where it spoke first without it."""

    def facts(self) -> dict[str, Any]:
        """For a row: what is known alone."""
        told = {
            "service": self.name,
            "guessed": self.guessed,
            "product": self.product,
            "version": self.version,
            "banner": self.banner,
            "tls": self.tls,
        }
        return {name: value for name, value in told.items() if value}


async def services(
    scan: Scan,
    opened: Iterable[tuple[Address, int]],
    *,
    seconds: float = BANNER_SECONDS,
    total: int | None = None,
) -> list[Service]:
    """What listens at each, in the order in which it was found out. Each of them has a row: it was open."""
    listening: list[Service] = []

    def tell(service: Service) -> None:
        listening.append(service)
        scan.found(found.address(service.address, service.port, **service.facts()))

    async def listen(at: tuple[Address, int]) -> None:
        asked = Asked(address=at[0], port=at[1], use=Use.SCAN)
        try:
            service = await _service(scan, asked, seconds)
        except NotReached:
            tell(_named(asked, b"", None))
            raise
        tell(service)

    await scan.each(opened, listen, total=total)
    return listening


async def _service(scan: Scan, asked: Asked, seconds: float) -> Service:
    async with scan.guard.connection(asked) as made:
        said = await _first_words(made, seconds)
    if said:
        return _named(asked, said, None)
    try:
        async with scan.guard.connection(asked, tls=True) as made:
            return _named(asked, await _first_words(made, seconds), made.tls)
    except NotReached:  # it waits for words of its own, which are not said here
        return _named(asked, b"", None)


async def _first_words(made: Connection, seconds: float) -> bytes:
    """What is said up to the end of a line. Nothing, where the other side waits."""
    said = b""
    try:
        async with asyncio.timeout(seconds):
            while len(said) < MOST_BANNER and not said.endswith(b"\n") and not whole(said):
                if not (more := await made.read(MOST_BANNER - len(said))):
                    break
                said += more
    except OSError:  # of which TimeoutError is one: what was said before is kept
        pass
    return said


def _named(asked: Asked, said: bytes, tls: str | None) -> Service:
    at = Service(address=asked.address, port=asked.port, banner=text_of(said), tls=tls)
    if (one := known(said)) is not None:
        return replace(at, name=one.service, product=one.product, version=one.version)
    usual = USUAL.get(asked.port)
    return replace(at, name=usual, guessed=usual is not None)
