"""What is needed of a page of HTML: its title, its scripts, and where it leads.

No parser of a whole document, since most of one is not looked at: the tags that matter are searched for, and what
browsers would not read as tags (comments, the texts of scripts and styles) is passed over. Each character is passed
once, whatever stands there, and what is kept of each thing has a bound.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import unescape

from tag_tasks.assets.guard.joining import joined as joined
from tag_tasks.assets.guard.pages import Page
from tag_tasks.assets.probes.decoding import text_of as text_of
from tag_tasks.assets.probes.text import line
from tag_tasks.assets.searching import first
from tag_tasks.assets.spelling import Misspelt
from tag_tasks.assets.urls import url

MOST_LINKS = MOST_RESOURCES = 2000
MOST_SCRIPTS = 500
MOST_ICONS = 10
MOST_INLINE = 2 * 1024 * 1024  # characters, of all inline scripts together
MOST_TITLE = 300  # characters
MOST_RAW = 4000  # characters of a title or an attribute that are read
MOST_JOINED = 10_000  # links, images and so on that are understood, each spelling once
MOST_PARTS = 100_000  # tags and attributes of a page that are looked at
ASIDE = 64 * 1024  # bytes from which on a page is read in a thread

TAG = re.compile(
    r"<(?=[!/A-Za-z])(?:(?P<comment>!--)|(?P<name>/svg|a|area|audio|base|body|embed|form|frame|iframe|img|input|link|meta"
    r"|noframes|object|script|source|style|svg|textarea|title|track|video|xmp)(?=[\s/>]))",
    re.IGNORECASE,
)
ATTRIBUTE = re.compile(
    r"[\s/]*+(?:(?P<end>>)|(?P<name>[^\s/>][^\s/>=]*+)"
    r"(?:\s*+=\s*+(?:\"(?P<double>[^\"]*+)(?:\"|\Z)|'(?P<single>[^']*+)(?:'|\Z)|(?P<bare>[^\s>]*+)))?+)"
)
"""One attribute, or the end of the tag. A quote that is not closed takes the rest, as it does in browsers."""
TEXTS = frozenset({"iframe", "noframes", "script", "style", "textarea", "title", "xmp"})
"""Elements inside of which there are no tags."""
ENDS = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in TEXTS}
REFRESH = re.compile(r"\s{0,20}[0-9.]{0,20}\s{0,20}[;,]\s{0,20}(?:url\s{0,20}=\s{0,20})?[\"']?([^\"']*)", re.IGNORECASE)

LEADS = {"a": "href", "area": "href", "form": "action", "frame": "src", "iframe": "src"}
"""By which attribute each element leads to another page."""
LOADS = {
    "audio": "src", "body": "background", "embed": "src", "frame": "src", "iframe": "src", "img": "src", "input": "src",
    "object": "data", "script": "src", "source": "src", "track": "src", "video": "src",
}  # fmt: skip
"""By which attribute each loads what is shown with the page."""
LOADED = frozenset({"stylesheet", "icon", "preload", "modulepreload", "prefetch", "manifest"})
"""The relations of a link whose target is loaded."""


@dataclass(frozen=True, slots=True)
class Html:
    """What a page says. All URLs are absolute, each once, in order, without their fragments."""

    title: str | None = None
    links: tuple[str, ...] = ()
    """Of a, area, form, frames, and what is refreshed to."""
    scripts: tuple[str, ...] = ()
    inline: tuple[str, ...] = ()
    """The texts of the scripts that are in the page itself."""
    resources: tuple[str, ...] = ()
    """What the page loads: images, styles, frames, scripts, media."""
    generator: str | None = None
    icons: tuple[str, ...] = ()
    forms: tuple[str, ...] = ()
    """Those of the links that forms alone lead to."""


@dataclass(slots=True)
class _Reading:
    """What has been read so far."""

    base: str
    based: bool = False
    """Whether the page has named a base: the first one counts."""
    title: str | None = None
    generator: str | None = None
    drawing: bool = False
    """Inside of SVG, where a title is that of a picture."""
    understood: dict[str, str | None] = field(default_factory=dict)
    """What each link means, as it is spelt: a page has most of them many times."""
    links: dict[str, bool] = field(default_factory=dict)
    """Each with whether something else than a form leads there."""
    scripts: dict[str, None] = field(default_factory=dict)
    resources: dict[str, None] = field(default_factory=dict)
    icons: dict[str, None] = field(default_factory=dict)
    inline: list[str] = field(default_factory=list)
    room: int = MOST_INLINE

    def where(self, link: str) -> str | None:
        """What it means here; None where that is nothing that could be fetched."""
        if link not in self.understood and len(self.understood) < MOST_JOINED:
            self.understood[link] = joined(self.base, link)
        return self.understood.get(link)


def is_html(page: Page) -> bool:
    """Whether a browser would show it as HTML, by what the site says, or by how it begins."""
    kind = page.header("Content-Type")
    if kind is not None:
        return "html" in kind[:100].lower() or "xml" in kind[:100].lower()
    return page.body[:512].lstrip(b"\xef\xbb\xbf\t\r\n\f ").startswith(b"<")


def read(page: Page) -> Html:
    """What the page says; nothing of one that is no HTML."""
    if not is_html(page):
        return Html()
    reading = _Reading(page.url)
    for name, attributes, text in _elements(text_of(page)):
        _take(reading, name, attributes, text)
    return Html(
        title=reading.title,
        links=tuple(reading.links),
        scripts=tuple(reading.scripts),
        inline=tuple(reading.inline),
        resources=tuple(reading.resources),
        generator=reading.generator,
        icons=tuple(reading.icons),
        forms=tuple(one for one, linked in reading.links.items() if not linked),
    )


async def parsed(page: Page) -> Html:
    """The same, without holding up the loop."""
    return read(page) if len(page.body) < ASIDE else await asyncio.to_thread(read, page)


def same_site(where: str, site: str) -> bool:
    """Whether both have the same scheme, host and port."""
    try:
        one, other = url(where), url(site)
    except Misspelt:
        return False
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)


def _elements(text: str) -> Iterator[tuple[str, Mapping[str, str], str]]:
    """Each tag that matters, with its attributes, and the text up to its end tag, where there are no tags in it."""
    at, parts = 0, MOST_PARTS
    while parts > 0 and (tag := first(TAG, text, at)) is not None:
        if tag["comment"]:
            end = text.find("-->", tag.end() - 2)  # `<!-->` is a whole one
            at = len(text) if end < 0 else end + 3
            parts -= 1
            continue
        name = tag["name"].lower()
        attributes, at, read = _attributes(text, tag.end(), parts)
        parts -= 1 + read
        inner = ""
        if name in TEXTS:
            ended = first(ENDS[name], text, at)
            inner, at = text[at : ended.start() if ended else len(text)], ended.end() if ended else len(text)
        yield name, attributes, inner


def _attributes(text: str, at: int, most: int) -> tuple[dict[str, str], int, int]:
    """Those of a tag, where it ends, and how many were read. Of two with a name the first one counts."""
    found: dict[str, str] = {}
    for read in range(most):
        one = ATTRIBUTE.match(text, at)
        if one is None:
            return {}, len(text), read  # a tag that does not end is none
        at = one.end()
        if one["end"]:
            return found, at, read
        value = one["double"] or one["single"] or one["bare"] or ""
        found.setdefault(one["name"][:40].lower(), value if len(value) > MOST_RAW else unescape(value))
    return {}, len(text), most


def _take(reading: _Reading, name: str, attributes: Mapping[str, str], text: str) -> None:
    if name in ("svg", "/svg"):
        reading.drawing = name == "svg"
    elif name == "title":
        if reading.title is None and not reading.drawing:
            reading.title = _words(unescape(text[:MOST_RAW]))
    elif name == "base":
        _take_base(reading, attributes)
    elif name == "meta":
        _take_meta(reading, attributes)
    elif name == "link":
        _take_link(reading, attributes)
    elif name == "script" and "src" not in attributes:
        _take_inline(reading, text)
    else:
        _take_urls(reading, name, attributes)


def _words(text: str) -> str:
    """On one line, and cut."""
    whole = line(" ".join(text[:MOST_RAW].split()))
    return whole if len(whole) <= MOST_TITLE else f"{whole[: MOST_TITLE - 1]}…"


def _take_base(reading: _Reading, attributes: Mapping[str, str]) -> None:
    if not reading.based and (base := joined(reading.base, attributes.get("href", ""))) is not None:
        reading.base, reading.based = base, True
        reading.understood.clear()


def _take_meta(reading: _Reading, attributes: Mapping[str, str]) -> None:
    content = attributes.get("content", "")
    if attributes.get("name", "").lower() == "generator" and reading.generator is None:
        reading.generator = _words(content)
    if attributes.get("http-equiv", "").lower() == "refresh" and (found := REFRESH.match(content[:MOST_RAW])):
        _lead(reading, found[1], True)


def _take_link(reading: _Reading, attributes: Mapping[str, str]) -> None:
    relations = frozenset(attributes.get("rel", "").lower().split())
    if not relations & LOADED or (where := reading.where(attributes.get("href", ""))) is None:
        return
    _keep(reading.resources, where, MOST_RESOURCES)
    if "icon" in relations:
        _keep(reading.icons, where, MOST_ICONS)


def _take_inline(reading: _Reading, text: str) -> None:
    if text.strip() and reading.room > 0 and len(reading.inline) < MOST_SCRIPTS:
        reading.inline.append(text[: reading.room])
        reading.room -= len(text)


def _take_urls(reading: _Reading, name: str, attributes: Mapping[str, str]) -> None:
    if name in LEADS and LEADS[name] in attributes:
        _lead(reading, attributes[LEADS[name]], name != "form")
    if name in LOADS and attributes.get(LOADS[name]) and (where := reading.where(attributes[LOADS[name]])):
        _keep(reading.resources, where, MOST_RESOURCES)
        if name == "script":
            _keep(reading.scripts, where, MOST_SCRIPTS)


def _lead(reading: _Reading, link: str, linked: bool) -> None:
    if len(reading.links) < MOST_LINKS and (where := reading.where(link)) is not None:
        reading.links[where] = reading.links.get(where, False) or linked


def _keep(where: dict[str, None], one: str, most: int) -> None:
    if len(where) < most:
        where.setdefault(one)
