"""The pages that a site links to: so many links deep, of the site alone, and none that its robots.txt asks to leave."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from tag_tasks.assets import found
from tag_tasks.assets.guard.joining import joined
from tag_tasks.assets.probes import shown
from tag_tasks.assets.probes.html import Html, is_html, parsed
from tag_tasks.assets.probes.robots import CLOSED, Robots, robots_of
from tag_tasks.assets.probes.sites import Site
from tag_tasks.assets.refused import NotReached, Refused
from tag_tasks.assets.scan import Scan

DEPTH = 2  # links from the first page
MOST_PAGES = 100  # of a site, the first one aside
MOST_LOOKED = 5000  # links of a site that are looked at
MOST_LOST = 5  # pages of a site that are not reached, before it is left alone
AT_ONCE = 4  # pages of one site
MOST_TEXT = 4 * 1024 * 1024  # characters of a site's pages that are kept
MOST_TEXTS = 64 * 1024 * 1024  # of all sites together

ENDINGS = """
7z aac apk avi avif bin bmp bz2 cab class css csv dat deb dmg doc docx eot exe flac flv gif gz ico img iso jar jpeg
jpg js json m4a m4v map mjs mkv mov mp3 mp4 mpeg mpg msi odp ods odt ogg ogv otf pdf pkg png ppt pptx ps psd rar rpm
rss rtf svg swf tar tgz tif tiff ttf txt war wasm wav webm webmanifest webp wmv woff woff2 xls xlsx xml xz zip zst
"""
FILES = frozenset(ENDINGS.split())
"""The endings of what is no page."""
DOES = re.compile(
    r"(?<![a-z])(?:log|sign)[-_]?(?:out|off)(?![a-z])|(?<![a-z])(?:unsubscribe|delete|remove)(?![a-z])|注销|退出",
    re.IGNORECASE,
)
"""In links that do something: whoever only looks does not follow them."""


@dataclass(frozen=True, slots=True)
class Crawled:
    """A page that a site links to. Of what it says that alone is kept which no page before it has said."""

    site: Site
    url: str
    html: Html


@dataclass(slots=True)
class _Room:
    """Characters that may be kept still."""

    left: int

    def take(self, size: int) -> bool:
        if size > self.left:
            return False
        self.left -= size
        return True


@dataclass(slots=True)
class _Crawl:
    """One site, while it is looked through."""

    site: Site
    robots: Robots
    rooms: Sequence[_Room]
    met: set[str] = field(default_factory=set)
    """URLs that were asked for, or need not be."""
    kept: set[int] = field(default_factory=set)
    """Hashes of what pages have said."""
    lost: int = 0
    asked: int = 0
    left_out: str | None = None
    """Why pages were left out."""

    def news(self, texts: Iterable[str]) -> tuple[str, ...]:
        """Those that no page before has said, as far as there is room for them."""
        new = []
        for one in dict.fromkeys(texts):
            if hash(one) not in self.kept and all(room.take(len(one)) for room in self.rooms):
                self.kept.add(hash(one))
                new.append(one)
        return tuple(new)

    def wanted(self, links: Iterable[str]) -> list[str]:
        """Those of the links that are to be asked for, each of them once."""
        wanted: list[str] = []
        for one in links:
            if len(self.met) >= MOST_LOOKED or len(wanted) > MOST_PAGES:
                break
            if one.startswith(self.site.url) and one not in self.met:  # both are spelt as they are fetched
                self.met.add(one)
                rest = one[len(self.site.url) - 1 :]
                if is_page(rest) and self.robots.allows(rest):
                    wanted.append(one)
        return wanted

    def more(self) -> bool:
        """Whether another page may be asked for; then it counts."""
        if self.asked >= MOST_PAGES:
            self.left_out = f"it has more than {MOST_PAGES} pages: the others are not looked at"
        elif self.lost >= MOST_LOST:
            self.left_out = f"{MOST_LOST} pages were not reached: the others are not looked at"
        else:
            self.asked += 1
            return True
        return False


def is_page(rest: str) -> bool:
    """Whether there may be a page, that does nothing when it is asked for; by its path with its query."""
    name = rest.partition("?")[0].rpartition("/")[2]
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    return ending not in FILES and not DOES.search(rest)


async def spider(scan: Scan, sites: Sequence[Site]) -> list[Crawled]:
    """A row for each page, whatever its status; answers with what those of HTML say."""
    crawled: list[Crawled] = []
    everything = _Room(MOST_TEXTS)

    async def crawl(site: Site) -> None:
        html = await parsed(site.page)
        if site.redirects_to is not None or not html.links:
            return
        one = _Crawl(site, await _robots(scan, site), (_Room(MOST_TEXT), everything), {site.url, site.page.url})
        one.kept.update(map(hash, (*html.links, *html.scripts, *html.resources, *html.inline)))
        level = await asyncio.to_thread(one.wanted, _followed(html))
        for _ in range(DEPTH):
            level = await _level(scan, one, level, crawled)
        if one.left_out is not None:
            scan.skipped(site.url, one.left_out)

    await scan.each(sites, crawl, total=len(sites))
    return crawled


async def _level(scan: Scan, crawl: _Crawl, level: list[str], crawled: list[Crawled]) -> list[str]:
    """Look at pages that are equally deep, those that they redirect to among them; answers with the links on them."""
    following: list[str] = []
    redirected: list[str] = []

    async def look(where: str) -> None:
        if not crawl.more():
            return
        try:
            page = await scan.guard.fetch(where, redirects=0)
        except NotReached:
            crawl.lost += 1
            raise
        html = await parsed(page)
        scan.found(found.page(shown.link(where), crawl.site.url, page.status, shown.word(html.title)))
        if page.leads_to is not None:
            redirected.extend(filter(None, [joined(where, page.leads_to)]))
        elif is_html(page):
            following.extend(_followed(html))
            crawled.append(Crawled(crawl.site, where, _new(crawl, html)))

    while level:
        await scan.each(level, look, at_once=AT_ONCE, counted=False)
        level = await asyncio.to_thread(crawl.wanted, redirected)
        redirected.clear()
    return await asyncio.to_thread(crawl.wanted, following)


def _followed(html: Html) -> list[str]:
    """The links that people click on: a form is filled in."""
    forms = frozenset(html.forms)
    return [one for one in html.links if one not in forms]


def _new(crawl: _Crawl, html: Html) -> Html:
    return replace(
        html,
        links=crawl.news(html.links),
        scripts=crawl.news(html.scripts),
        resources=crawl.news(html.resources),
        inline=crawl.news(html.inline),
        icons=(),
        forms=(),
    )


async def _robots(scan: Scan, site: Site) -> Robots:
    """What the site asks of robots. Where it cannot be read, nothing is followed."""
    where = f"{site.url}robots.txt"
    try:
        page = await scan.guard.fetch(where)
    except Refused:
        return _unreadable(scan, site, "robots.txt leads out of the scope")
    except NotReached as error:
        return _unreadable(scan, site, f"robots.txt is not reached: {error.facts['reason']}")
    if page.status >= 500:
        return _unreadable(scan, site, f"robots.txt has the status {page.status}")
    return await asyncio.to_thread(robots_of, page.body) if page.status == 200 else Robots()


def _unreadable(scan: Scan, site: Site, reason: str) -> Robots:
    scan.skipped(site.url, f"its pages are not looked through: {reason}")
    return CLOSED
