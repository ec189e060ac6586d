"""What the scripts of sites give away: names, endpoints, addresses, and what looks like a key, which is masked here.

A script is text that a site hands to every visitor; it is read, and never run.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from itertools import chain, islice

from tag_tasks.assets import found
from tag_tasks.assets.probes.html import Html, is_html, parsed, text_of
from tag_tasks.assets.probes.names import names_in
from tag_tasks.assets.probes.sites import Site
from tag_tasks.assets.probes.spider import Crawled
from tag_tasks.assets.refused import NotReached, Refused
from tag_tasks.assets.scan import Scan
from tag_tasks.assets.searching import matches
from tag_tasks.assets.secrets import masked_secrets, masked_url

MOST_SCRIPTS = 50  # of a site that are fetched
MOST_LOST = 5  # scripts of a site that are not reached, before it is left alone
MOST_OF_A_SORT = 1000  # values out of one script
MOST_READ = 2 * 1024 * 1024  # characters of one
PATH = re.compile(r"""["'`](/[A-Za-z0-9_][A-Za-z0-9_./{}$:?=&%~+@,;*-]{1,300}+)["'`]""")
"""A path in quotes, the whole text of it."""
FILES = re.compile(r"\.(?:js|mjs|css|map|png|jpe?g|gif|svg|ico|webp|woff2?|ttf|eot|mp[34])(?:\?|$)", re.IGNORECASE)
"""What is loaded, and is no endpoint."""
ADDRESS = re.compile(r"(?<![\w.-])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w.-])")
ADDRESS6 = re.compile(r"""["'`\[/@]([0-9A-Fa-f]{2,4}:[0-9A-Fa-f:.]{2,41})["'`\]/]""")
"""In quotes or brackets; behind the colons of other things there is seldom what could be one."""
SILENT = frozenset(map(IPv4Address, ("0.0.0.0", "127.0.0.1", "255.255.255.255")))  # noqa: S104
"""That say nothing of anybody's machines."""


@dataclass(frozen=True, slots=True)
class _Given:
    """What one script gives away, by sort."""

    names: Sequence[str]
    endpoints: Sequence[str]
    addresses: Sequence[str]
    secrets: Sequence[str]
    """Masked."""

    def rows(self, site: Site, script: str) -> Iterator[found.Found]:
        sorts = {"name": self.names, "endpoint": self.endpoints, "address": self.addresses, "secret": self.secrets}
        for sort, values in sorts.items():
            yield from (found.wih(site.url, sort, value, script) for value in values)


async def hunt(scan: Scan, sites: Sequence[Site], crawled: Sequence[Crawled], domains: Sequence[str]) -> set[str]:
    """Look through the scripts of the sites and of their pages; answers with the names below the domains."""
    pages: dict[str, list[Crawled]] = {}
    for one in crawled:
        pages.setdefault(one.site.url, []).append(one)
    names: set[str] = set()

    async def look(site: Site) -> None:
        said = [(site.url, await parsed(site.page)), *((one.url, one.html) for one in pages.get(site.url, ()))]
        for where, text in _inline(said):
            await tell(site, where, text)
        lost = 0
        for at, script in enumerate(_scripts(said)):
            if at == MOST_SCRIPTS or lost == MOST_LOST:
                why = f"it has more than {MOST_SCRIPTS}" if at == MOST_SCRIPTS else f"{lost} were not reached"
                scan.skipped(site.url, f"not all of its scripts are looked through: {why}")
                return
            try:
                fetched = await _fetched(scan, script)
            except NotReached as error:
                scan.skipped(script, str(error.facts["reason"]))
                lost += 1
            else:
                await tell(site, masked_url(script), fetched)

    async def tell(site: Site, script: str, text: str) -> None:
        given = await asyncio.to_thread(_given, text[:MOST_READ], domains)
        names.update(given.names)
        scan.found(*given.rows(site, script))

    await scan.each(sites, look, total=len(sites))
    return names


def _inline(said: Iterable[tuple[str, Html]]) -> Iterator[tuple[str, str]]:
    for where, html in said:
        if html.inline:
            yield masked_url(where), "\n".join(html.inline)


def _scripts(said: Iterable[tuple[str, Html]]) -> Iterator[str]:
    """Their URLs, each once, those of the first page first."""
    return iter(dict.fromkeys(script for _, html in said for script in html.scripts))


async def _fetched(scan: Scan, script: str) -> str:
    """Nothing where it is refused, which is recorded, or no script. Raises NotReached."""
    try:
        page = await scan.guard.fetch(script)
    except Refused:
        return ""
    return "" if page.status != 200 or is_html(page) else await asyncio.to_thread(text_of, page)


def _given(text: str, domains: Sequence[str]) -> _Given:
    return _Given(
        names=sorted(names_in(text, domains)),
        endpoints=_few(map(masked_url, _endpoints(text))),
        addresses=_few(_addresses(text)),
        secrets=_few(masked_secrets(text)),
    )


def _few(values: Iterable[str]) -> list[str]:
    return list(islice(dict.fromkeys(values), MOST_OF_A_SORT))


def _endpoints(text: str) -> Iterator[str]:
    for match in matches(PATH, text):
        path = match[1]
        if not FILES.search(path) and any(map(str.isalpha, path)):
            yield path


def _addresses(text: str) -> Iterator[str]:
    for match in chain(matches(ADDRESS, text), matches(ADDRESS6, text)):
        try:
            address = ip_address(match[match.re.groups])  # of the second the part without quotes
        except ValueError:
            continue
        if address not in SILENT:
            yield str(address)
