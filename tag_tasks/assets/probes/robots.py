"""What a site asks of robots, by RFC 9309, and whether a page may be fetched then."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

AGENT = "tagapi"
MOST_ROBOTS = 500 * 1024  # bytes that are read
MOST_WITH_STARS = 500  # rules with wildcards that are looked at for each page
TOKEN = re.compile(r"[A-Za-z_-]+|\*")
PERCENT = re.compile(r"%([0-9A-Fa-f]{2})")
UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
PLAIN = re.compile(r"[\x21-\x7e]*")


@dataclass(frozen=True, slots=True)
class Starred:
    """A rule with wildcards: parts of text that follow each other, with anything between them."""

    parts: Sequence[str]
    ends: bool
    """Whether nothing may follow."""
    length: int
    allowed: bool

    def fits(self, path: str) -> bool:
        first, *others = self.parts
        if not path.startswith(first):
            return False
        at = len(first)
        last = others.pop() if self.ends and others else None
        for part in others:
            if (found := path.find(part, at)) < 0:
                return False
            at = found + len(part)
        if last is not None:
            return len(path) - len(last) >= at and path.endswith(last)
        return not self.ends or at == len(path)


@dataclass(slots=True)
class Robots:
    """The rules for this service, of one site. Without any everything is allowed."""

    plain: dict[str, bool] = field(default_factory=dict)
    """By the beginning of a path: whether it is allowed."""
    starred: list[Starred] = field(default_factory=list)
    longest: int = 0
    """Of the plain rules."""
    closed: bool = False
    """Nothing is allowed."""

    def allows(self, path: str) -> bool:
        """Whether a page may be fetched, by its path with its query. The longest rule decides; of two, what allows."""
        if self.closed:
            return path == "/robots.txt"
        normal = normalised(path)
        lengths = range(min(self.longest, len(normal)), 0, -1)
        plain = next(((n, self.plain[normal[:n]]) for n in lengths if normal[:n] in self.plain), (0, True))
        starred = [(one.length, one.allowed) for one in self.starred if one.fits(normal)]
        return max([plain, *starred])[1] or normal == "/robots.txt"

    def add(self, pattern: str, allowed: bool) -> None:
        normal = normalised(pattern)
        ends = normal.endswith("$")
        if "*" not in normal and not ends:
            self.plain[normal] = self.plain.get(normal, False) or allowed
            self.longest = max(self.longest, len(normal))
        elif len(self.starred) < MOST_WITH_STARS:
            self.starred.append(Starred(normal.removesuffix("$").split("*"), ends, len(normal), allowed))
        else:
            self.closed = True  # what cannot be looked at cannot be obeyed


CLOSED = Robots(closed=True)
"""Of a site whose rules cannot be read."""


def normalised(path: str) -> str:
    """With every character written in one way: encoded where it has to be, and not where it need not."""
    if PLAIN.fullmatch(path) and "%" not in path:
        return path
    encoded = "".join(chr(byte) if 0x21 <= byte <= 0x7E else f"%{byte:02X}" for byte in path.encode("utf-8", "replace"))
    return PERCENT.sub(_decoded, encoded)


def _decoded(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return character if character in UNRESERVED else f"%{found[1].upper()}"


def robots_of(body: bytes, agent: str = AGENT) -> Robots:
    """The rules of the groups that name the agent; where there are none, of those for all."""
    rules = {agent: Robots(), "*": Robots()}
    named: set[str] = set()
    group: set[str] = set()
    in_names = False
    for key, value in _lines(body):
        if key == "user-agent":
            token = TOKEN.match(value)
            group = group if in_names else set()
            group |= {token[0].lower()} & rules.keys() if token else set()
            named, in_names = named | group, True
        elif key in ("allow", "disallow"):
            in_names = False
            for who in group if value else ():
                rules[who].add(value, key == "allow")
    return rules[agent if agent in named else "*"]


def _lines(body: bytes) -> Iterator[tuple[str, str]]:
    text = body[:MOST_ROBOTS].decode("utf-8-sig", "replace").replace("\r", "\n")
    for line in text.split("\n"):
        key, _, value = line.partition("#")[0].partition(":")
        yield key.strip().lower(), value.strip()
