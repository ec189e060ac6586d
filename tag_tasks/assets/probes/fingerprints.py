"""By what a site shows to every visitor, which technologies it is made with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tag_tasks.assets.guard.pages import Page
from tag_tasks.assets.probes import technologies
from tag_tasks.assets.probes.html import Html

MOST_SHOWN = 1000  # characters of a text that are looked at
MOST_TEXTS = 200  # headers, cookies, scripts and so on, of each sort
MOST_BODY = 64 * 1024  # bytes of a page that are searched


@dataclass(frozen=True, slots=True, order=True)
class Technology:
    name: str
    version: str = ""


def _lines(table: str) -> list[tuple[str, str]]:
    pairs = (one.split(" ", 1) for one in table.strip().splitlines())
    return [(name.replace("_", " "), rest) for name, rest in pairs]


def _shapes(table: str) -> list[tuple[str, re.Pattern[str]]]:
    for part, meaning in technologies.PARTS.items():
        table = table.replace(part, meaning)
    return [(name, re.compile(shape, re.IGNORECASE)) for name, shape in _lines(table)]


SHAPES = {
    "server": _shapes(technologies.SERVER),
    "powered": _shapes(technologies.POWERED),
    "header": _shapes(technologies.HEADER),
    "cookie": _shapes(technologies.COOKIE),
    "generator": _shapes(technologies.GENERATOR),
    "script": _shapes(technologies.SCRIPT),
    "title": _shapes(technologies.TITLE),
}
MARKS = [(name, mark.encode()) for name, mark in _lines(technologies.BODY)]


def fingerprints(page: Page, html: Html) -> tuple[Technology, ...]:
    """What the site is made with, each once, by name; with its version where that is told."""
    versions: dict[str, str] = {}
    for name, version in (*_by_shape(_texts(page, html)), *_by_mark(page)):
        versions[name] = versions.get(name) or version
    return tuple(sorted(Technology(name, version) for name, version in versions.items()))


def _texts(page: Page, html: Html) -> Mapping[str, Iterable[str]]:
    headers = [(name.lower(), value[:MOST_SHOWN]) for name, value in page.headers[:MOST_TEXTS]]
    return {
        "server": [part for name, value in headers if name == "server" for part in (value, *value.split(" ")[1:20])],
        "powered": [value for name, value in headers if name == "x-powered-by"],
        "header": [f"{name}: {value}" for name, value in headers],
        "cookie": [value.partition("=")[0].strip() for name, value in headers if name == "set-cookie"],
        "generator": [html.generator or ""],
        "script": [*html.scripts[:MOST_TEXTS], *html.resources[:MOST_TEXTS]],
        "title": [html.title or ""],
    }


def _by_shape(texts: Mapping[str, Iterable[str]]) -> Iterator[tuple[str, str]]:
    for where, those in texts.items():
        for text in filter(None, those):
            for name, shape in SHAPES[where]:
                if (found := shape.search(text[:MOST_SHOWN])) is not None:
                    yield name, found.groupdict().get("version") or ""


def _by_mark(page: Page) -> Iterator[tuple[str, str]]:
    beginning = page.body[:MOST_BODY]
    yield from ((name, "") for name, mark in MARKS if mark in beginning)
