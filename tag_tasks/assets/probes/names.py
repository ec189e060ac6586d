"""Which names there are: those of a word list and variations of known ones are asked for, and what only a wildcard
answers is dropped."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from tag_tasks.assets import found
from tag_tasks.assets.addresses import Address, in_order
from tag_tasks.assets.guard import Resolved
from tag_tasks.assets.options import Options
from tag_tasks.assets.probes.variants import variants
from tag_tasks.assets.probes.wildcards import Wildcards
from tag_tasks.assets.refused import NotReached
from tag_tasks.assets.scan import Scan
from tag_tasks.assets.spelling import MOST_NAME, Misspelt, domain

HOSTS = Path(__file__).with_name("hosts.txt")
"""Labels of hosts, the most common first."""
WORDS = {"test": 20, "small": 500, "big": 5000}
"""How many of them are tried."""
MOST_VARIATIONS = 2000  # for each domain
MOST_READ = 2 * 1024 * 1024  # characters of a text that are looked through
MOST_LIKELY = 50_000  # words in it that end like the domains
MOST_IN_TEXT = 5000  # names that are taken out of one text
ESCAPES = re.compile(r"%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}|\\[nrtbf]")
NAMELIKE = re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]++(?:\.[A-Za-z0-9_-]++)++")
"""Begins only where a word does, and never goes back: what does not fit is passed over once."""
GUESSED = frozenset({"brute", "alt"})
"""The sources of names that nobody has ever seen."""
GIVEN = "given"
"""The source of names that were asked for: of them it is told where there is nothing."""
MOST_UNANSWERED = 50  # guesses below one parent, before it is given up that has answered none


@dataclass(frozen=True, slots=True)
class Name:
    """A name that there is."""

    name: str
    addresses: tuple[Address, ...]
    aliases: tuple[str, ...]
    """The names over which it leads there."""
    source: str
    """How it was found: given, brute, alt, certificate or page."""


@dataclass(slots=True)
class _Parent:
    """How the name servers answered to guesses below a name."""

    answered: bool = False
    unanswered: int = 0

    @property
    def given_up(self) -> bool:
        return not self.answered and self.unanswered >= MOST_UNANSWERED


@dataclass(slots=True)
class _Parents:
    """Those below which something was guessed."""

    known: dict[str, _Parent] = field(default_factory=dict)

    def of(self, name: str) -> _Parent:
        return self.known.setdefault(name.partition(".")[2], _Parent())

    def tell(self, scan: Scan) -> None:
        for name, one in self.known.items():
            if one.unanswered:
                rest = ", the rest was not asked" if one.given_up else ""
                scan.skipped(f"*.{name}", f"{one.unanswered} guesses had no answer{rest}")


def candidates(domains: Sequence[str], options: Options) -> Iterator[tuple[str, str]]:
    """Names to ask for, each with its source: the domains themselves, then the word list below each of them. Drawn one
    by one: they may be many millions."""
    for name in domains:
        yield name, GIVEN
    if not options.domain_brute:
        return
    with HOSTS.open(encoding="ascii") as lines:
        words = [line.strip() for line in islice(lines, WORDS[options.domain_brute_type])]
    for name in domains:
        yield from ((f"{word}.{name}", "brute") for word in words if len(word) + 1 + len(name) <= MOST_NAME)


def most_candidates(domains: Sequence[str], options: Options) -> int:
    """How many candidates there are; a little fewer where names would be too long."""
    return len(domains) * (1 + (WORDS[options.domain_brute_type] if options.domain_brute else 0))


def variations(names: Iterable[str], domains: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Names that are like known ones, so many for each domain; no known one, and none twice."""
    known = set(names)
    below: dict[str, list[str]] = {one: [] for one in domains}
    for name in sorted(known):
        if (over := _over(name, below.keys())) is not None and over != name:
            below[over].append(name.removesuffix(f".{over}"))
    for over, prefixes in below.items():
        mine: set[str] = set()
        for prefix in _in_turn([variants(one) for one in prefixes]):
            name = f"{prefix}.{over}"
            if len(name) <= MOST_NAME and name not in known and name not in mine:
                mine.add(name)
                yield name, "alt"
            if len(mine) == MOST_VARIATIONS:
                break


def _in_turn(many: Sequence[Iterator[str]]) -> Iterator[str]:
    """The first of each, then the second of each, and so on: of many names each has its share."""
    while many:
        drawn = [(next(one, None), one) for one in many]
        many = [one for first, one in drawn if first is not None]
        yield from (first for first, _ in drawn if first is not None)


def names_in(text: str, domains: Iterable[str]) -> set[str]:
    """The host names that occur in a text and are one of these domains, or below one. In linear time."""
    over = frozenset(domains)
    ends = tuple({one.rpartition(".")[2] for one in over})
    plain = ESCAPES.sub(" ", text[:MOST_READ]).lower()
    words = (word.strip("-") for word in NAMELIKE.findall(plain))
    likely = dict.fromkeys(islice((word for word in words if word.endswith(ends)), MOST_LIKELY))
    names = (word for word in likely if len(word) <= MOST_NAME and _over(word, over) and _is_name(word))
    return set(islice(names, MOST_IN_TEXT))


def _over(name: str, domains: Container[str]) -> str | None:
    """The nearest of these domains which the name is, or is below."""
    while name and name not in domains:
        name = name.partition(".")[2]
    return name or None


def _is_name(word: str) -> bool:
    try:
        return domain(word) == word
    except Misspelt:
        return False


async def resolve(
    scan: Scan, names: Iterable[tuple[str, str]], known: set[str], *, total: int | None = None
) -> list[Name]:
    """The names that there are, each once, with how it was found. `known` are those that are not told any more; what
    is found is added to them.

    Names are drawn as there is room for them, and those that are refused or have no answer are no obstacle to others.
    """
    there: list[Name] = []
    wildcards, parents = Wildcards(scan), _Parents()

    async def ask(candidate: tuple[str, str]) -> None:
        name, source = candidate
        if name in known:
            return
        guessed = source in GUESSED
        resolved = await (_guess(scan, parents.of(name), name) if guessed else scan.guard.resolve(name))
        if resolved is None or not resolved.addresses:
            if source == GIVEN:
                scan.skipped(name, "the name has no address")
            return
        if guessed and await wildcards.explain(resolved):
            return
        if resolved.name not in known:
            known.add(resolved.name)
            addresses = in_order(resolved.addresses)  # name servers tell them in turn
            there.append(Name(resolved.name, addresses, resolved.aliases, source))
            scan.found(found.domain(resolved.name, addresses, resolved.aliases, source))

    await scan.each(names, ask, total=total)
    parents.tell(scan)
    return there


async def _guess(scan: Scan, parent: _Parent, name: str) -> Resolved | None:
    """None where there was no answer, as now and then with a name server that is asked much."""
    if parent.given_up:
        return None
    try:
        resolved = await scan.guard.resolve(name)
    except NotReached:
        parent.unanswered += 1
        return None
    parent.answered = True
    return resolved
