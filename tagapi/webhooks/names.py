"""The addresses of a receiver's name, as the system finds them: each time anew, on a thread that nobody waits for."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

AT_ONCE = 64  # names; their servers may hang, too, for longer than an attempt lasts
ADDRESSES = 2  # of a name, and of each kind: they are tried side by side, and whose name it is may list thousands
Found = Sequence[tuple[Any, ...]]
Asked = tuple[str, int, socket.AddressFamily]


class Names(AbstractResolver):
    """Threads of an executor would be waited for at the end of the process; these are not. Who asks for a name that is
    being looked up waits with the one who did: whatever is sent there, a name that nobody answers for takes one place.
    """

    def __init__(self) -> None:
        self._under_way: dict[Asked, asyncio.Future[Found | OSError]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises OSError."""
        asked = (host, port, family)
        told = self._under_way.get(asked) or self._begin(asked)
        if isinstance(answer := await asyncio.shield(told), OSError):
            raise answer
        return [_result(host, one) for one in _few(answer)]

    def _begin(self, asked: Asked) -> asyncio.Future[Found | OSError]:
        if len(self._under_way) >= AT_ONCE:
            raise OSError("too many names are being looked up")
        loop = asyncio.get_running_loop()
        told: asyncio.Future[Found | OSError] = loop.create_future()

        def look() -> None:
            found = _found(*asked)
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(told.set_result, found)

        threading.Thread(target=look, name="webhooks-name", daemon=True).start()
        self._under_way[asked] = told
        told.add_done_callback(lambda _: self._under_way.pop(asked))
        return told

    async def close(self) -> None:
        """There is nothing to close."""


def _few(found: Found) -> Iterator[tuple[Any, ...]]:
    """The first of each kind, in their order."""
    seen: Counter[int] = Counter()
    for one in found:
        seen[one[0]] += 1
        if seen[one[0]] <= ADDRESSES:
            yield one


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
