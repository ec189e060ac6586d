"""One GET of a page from one address, and nothing that the page asks for beside."""

from __future__ import annotations

import socket
import ssl
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from urllib.parse import urljoin

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from tag_tasks.assets.addresses import Address
from tag_tasks.assets.guard.body import Body
from tag_tasks.assets.guard.doors import Door
from tag_tasks.assets.guard.words import words
from tag_tasks.assets.refused import NotReached
from tag_tasks.assets.urls import Url

MOST_BODY = 2 * 1024 * 1024  # bytes, unpacked
REDIRECTS = frozenset({301, 302, 303, 307, 308})
HEADERS = {"User-Agent": "tagapi (a check of one's own assets)", "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """What a site answered."""

    url: str
    """Behind the last redirect."""
    address: Address
    """That it came from."""
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    cut: bool
    """Whether there was more of the body, or the rest could not be unpacked."""
    passed: tuple[str, ...] = ()
    """The URLs that redirected, in order."""

    def header(self, name: str) -> str | None:
        """The first of this name, in whatever case."""
        return next((value for one, value in self.headers if one.lower() == name.lower()), None)

    @property
    def leads_to(self) -> str | None:
        """Where it redirects to, not checked in any way."""
        location = self.header("Location") if self.status in REDIRECTS else None
        if location is None:
            return None
        try:
            return urljoin(self.url, location)
        except ValueError:  # as with half of an IPv6 address
            return location


class _Pinned(AbstractResolver):
    """Answers with the address that was checked. A host that is an address is not asked for at all."""

    def __init__(self, address: Address) -> None:
        self._address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        family = socket.AF_INET if self._address.version == 4 else socket.AF_INET6
        at = str(self._address)
        return [ResolveResult(hostname=host, host=at, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST)]

    async def close(self) -> None:
        """There is nothing to close."""


@cache
def any_tls(old: bool = False) -> ssl.SSLContext:
    """Takes every certificate and every version, or the old ones alone: what is wrong with them is what is looked for,
    and nothing is sent that is secret."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    if old:
        with warnings.catch_warnings():  # that it is old is what it is for
            warnings.simplefilter("ignore", DeprecationWarning)
            context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


async def get(door: Door, where: Url, most: int) -> Page:
    """The answer, with at most so many bytes of its body. Raises NotReached, and what a door raises."""
    connector = aiohttp.TCPConnector(
        resolver=_Pinned(door.asked.address),
        socket_factory=door.socket_for,
        ssl=any_tls(),
        force_close=True,
        use_dns_cache=False,
    )
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=HEADERS,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        auto_decompress=False,
        trust_env=False,
    )
    try:
        async with session, session.get(URL(str(where)), allow_redirects=False) as response:
            return await _page(response, where, door.asked.address, most)
    except (aiohttp.ClientError, ValueError) as error:
        raise NotReached(what=str(where), reason=words(error)) from error


async def _page(response: aiohttp.ClientResponse, where: Url, address: Address, most: int) -> Page:
    body = Body(response.headers.get("Content-Encoding", ""), most)
    if response.status not in REDIRECTS:
        async for piece in response.content.iter_any():
            if not body.feed(piece):
                break
    return Page(
        url=str(where),
        address=address,
        status=response.status,
        headers=tuple(_headers(response.headers)),
        body=bytes(body.content),
        cut=body.cut,
    )


def _headers(given: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(str(name), str(value)) for name, value in given.items()]


def behind(page: Page, passed: tuple[Page, ...]) -> Page:
    """The page with the way to it."""
    return replace(page, passed=tuple(one.url for one in passed))
