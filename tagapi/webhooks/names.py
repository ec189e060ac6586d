"""The addresses of a receiver's name, as the system finds them: each time anew, on a thread that nobody waits for."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

AT_ONCE = 64  # name servers may hang, too, for longer than an attempt lasts
Found = Sequence[tuple[Any, ...]]


class Names(AbstractResolver):
    """Threads of an executor would be waited for at the end of the process; these are not."""

    def __init__(self) -> None:
        self._places = threading.Semaphore(AT_ONCE)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises OSError."""
        if not self._places.acquire(blocking=False):
            raise OSError("too many names are being looked up")
        loop = asyncio.get_running_loop()
        told: asyncio.Future[Found | OSError] = loop.create_future()

        def look() -> None:
            found = _found(host, port, family)
            self._places.release()
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(_tell, told, found)

        threading.Thread(target=look, name="webhooks-name", daemon=True).start()
        if isinstance(answer := await told, OSError):
            raise answer
        return [_result(host, one) for one in answer]

    async def close(self) -> None:
        """There is nothing to close."""


def _tell(told: asyncio.Future[Found | OSError], found: Found | OSError) -> None:
    if not told.done():  # nobody waits for it any more
        told.set_result(found)


def _found(host: str, port: int, family: socket.AddressFamily) -> Found | OSError:
    try:
        return socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except OSError as error:
        return error
    except UnicodeError:
        return OSError("no name of a host")


def _result(host: str, found: tuple[Any, ...]) -> ResolveResult:
    family, _, protocol, _, where = found
    return ResolveResult(
        hostname=host, host=where[0], port=where[1], family=family, proto=protocol, flags=socket.AI_NUMERICHOST
    )
