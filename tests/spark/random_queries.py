"""Random documents and random queries over them, the same for a seed: texts that are written as people write them.

A query is a tree and, beside it, one of the many texts that say it.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tag_tasks.documents.query.tree import ANY_TEXT, And, Has, Near, Node, Not, Or, Phrase, Range, Term, Word

# A word as queries know it, and as texts have it.
VOCABULARY = {
    "cafe": ("café", "Café", "CAFÉ", "cafe\u0301", "cafe", "ca\u00adfé"),
    "nino": ("niño", "Nin\u0303o", "NIÑO"),
    "елка": ("ёлка", "Ёлка", "елка"),
    "иод": ("йод", "Йод", "И\u0306ОД"),
    "σισυφοσ": ("Σίσυφος", "ΣΊΣΥΦΟΣ", "σίσυφος"),
    "οδοσ": ("οδός", "ΟΔΟΣ"),
    "istanbul": ("İstanbul", "istanbul", "ISTANBUL", "ıstanbul"),
    "straße": ("Straße", "STRAẞE"),
    "lodz": ("Łódź", "łódź", "LODZ"),
    "strasse": ("strasse",),
    "北京": ("北京",),
    "हिन्दी": ("हिन्दी",),
    "한글": ("한글",),
    "foo": ("foo", "FOO", "Foo"),
    "foobar": ("foobar", "FooBar"),
    "fob": ("fob",),
    "a": ("a", "A", "à"),
    "b": ("b", "B"),
    "a_1": ("a_1", "Á_1"),
    "2022": ("2022",),
    "#foo": ("#foo", "#Foo"),
    "#cafe": ("#café", "#\u0301cafe"),
    "@foo": ("@foo", "@FOO"),
    "@bar": ("@bar",),
}
ASCII = [word for word in VOCABULARY if word.isascii() and word not in ("lodz", "istanbul")]
"""Words that DuckDB folds as we do: it leaves ł, and İ becomes two characters."""

BETWEEN = (" ", " ", " ", " ", ", ", "  ", "\n", " - ", ". ", " # ", " ❤️ ", "/", "'", " \u0301 ", "-", "!?", "\u00a0")
NAMES = ("Íñigo García", "Anna Foo", "@foo", "Σίσυφος", "", "Łódź-Cafe", None)
LANGS = ("es", "EN", "ru", None)
COUNTRIES = ("ES", "us", "DE", None)
GENDERS = ("MALE", "FEMALE", "UNKNOWN", None)
SOURCE_TYPES = ([], ["BLOG"], ["SOCIALMEDIA", "SOCIALMEDIA_TWITTER"], ["ONLINENEWS", None], None)
POST_TYPES = (["TEXT"], ["TEXT", "IMAGE"], [], None)
TAGS = (["Très urgent"], ["press", "A*b"], ["a.b"], ["axb", ""], [], [None], None)
DOMAINS = ("reddit.com", "Twitter.com", "el-faro.example", "", None)
IDS = ("Ab_1", "ab_1", "ab-2", "x?y", None)
IMAGES = (["https://img.example/1.jpg"], [], None)
START = datetime(2022, 1, 1, tzinfo=UTC)

VALUES: dict[str, Sequence[str]] = {
    "author_id": ("Ab_1", "ab_1", "Ab*", "ab?2", "nobody"),
    "source_id": ("Ab_1", "a?_1", "x?y", "ab-2"),
    "lang": ("es", "en", "ru", "zz"),
    "sourcetype": ("blog", "socialmedia", "socialmedia_*", "socialmedia*", "online????", "twitter"),
    "posttype": ("text", "image", "t*", "link"),
    "domainurl": ("reddit.com", "twitter.com", "el-faro.*", "redditxcom"),
    "host_url": ("www.reddit.com", "www.?witter.com", "www.*"),
    "root_url": ("reddit.com", "twitter.com", "reddit.com*"),
    "sourcecountry": ("es", "us", "de", "zz"),
    "tag": ("tres urgent", "press", "a*b", "a.b", "axb", "tres*", "a?b"),
    "gender": ("male", "female", "unknown"),
}
NUMBERS = {"sentiment": (-5, 5), "engagement": (0, 60), "word_count": (0, 60)}


def documents(chance: random.Random, count: int) -> list[dict[str, Any]]:
    return [_document(chance, number) for number in range(count)]


def _document(chance: random.Random, number: int) -> dict[str, Any]:
    def some(value: Any) -> Any:
        return None if chance.random() < 0.08 else value

    domain = chance.choice(DOMAINS)
    return {
        "id": f"doc{number:06}",
        "published": START + timedelta(microseconds=chance.randrange(40 * 86_400 * 1_000_000)),
        "title": some(_text(chance, 4)),
        "content": some(_text(chance, 11)),
        "domain_url": domain,
        "host_url": domain and f"https://www.{domain}/",
        "root_url": domain and f"http://{domain}",
        "lang": chance.choice(LANGS),
        "sentiment": some(chance.randint(-5, 5)),
        "source_type": chance.choice(SOURCE_TYPES),
        "post_type": chance.choice(POST_TYPES),
        "author_id": chance.choice(IDS),
        "author_name": chance.choice(NAMES),
        "author_gender": chance.choice(GENDERS),
        "source_id": chance.choice(IDS),
        "country_code": chance.choice(COUNTRIES),
        "image_urls": chance.choice(IMAGES),
        "tags": chance.choice(TAGS),
        "word_count": some(chance.randint(0, 60)),
        "engagement": some(chance.randint(0, 60) * chance.choice([1, 1, 10**12])),
    }


def _text(chance: random.Random, most: int) -> str:
    words = [chance.choice(chance.choice(list(VOCABULARY.values()))) for _ in range(chance.randint(0, most))]
    return "".join(word + chance.choice(BETWEEN) for word in words)


@dataclass
class Queries:
    """`simple`: only what DuckDB can say."""

    chance: random.Random
    simple: bool = False

    def tree(self, depth: int = 3, field: str | None = None) -> Node:
        """`field`: that of every word in it."""
        kind = self.chance.random()
        if depth and kind < 0.25:
            return And(self._parts(depth, field))
        if depth and kind < 0.5:
            return Or(self._parts(depth, field))
        if depth and kind < 0.65:
            return Not(self.tree(depth - 1, field))
        return self._leaf(field)

    def _parts(self, depth: int, field: str | None) -> tuple[Node, ...]:
        return tuple(self.tree(depth - 1, field) for _ in range(self.chance.choice([2, 2, 3])))

    def _leaf(self, field: str | None) -> Node:
        kind = self.chance.random()
        if field is None and kind < 0.2:
            return self._term()
        if field is None and kind < 0.32:
            return self._range()
        if field is None and kind < 0.36:
            return Has("image")
        if field is None and kind < 0.42:
            return self._tagged()
        field = field or self.chance.choice([ANY_TEXT, ANY_TEXT, "title", "content", "author"])
        if self.simple or kind < 0.65:
            return Word(field, self._word())
        if kind < 0.85:
            return self._phrase(field, self.chance.choice([0, 0, 1, 2, 100]))
        one, other = (
            self._phrase(field, 0) if self.chance.random() < 0.2 else Word(field, self._word()) for _ in range(2)
        )
        return Near(one, other, self.chance.choice([1, 2, 3, 10, 100]), self.chance.random() < 0.5)

    def _phrase(self, field: str, slop: int) -> Phrase:
        size = self.chance.choice([2, 2, 2, 3])
        return Phrase(field, tuple(self.chance.choice(list(VOCABULARY)) for _ in range(size)), slop)

    def _word(self) -> str:
        if self.simple:
            return self.chance.choice(ASCII)
        word = self.chance.choice(list(VOCABULARY))
        sigil, letters = (word[0], word[1:]) if word[0] in "#@" else ("", word)
        kind = self.chance.random()
        if kind < 0.15 and len(letters) > 1:
            letters = letters[: self.chance.randint(1, len(letters))] + "*"
        elif kind < 0.3 and len(letters) > 1 and not any(unicodedata.combining(one) for one in letters):
            at = self.chance.randrange(len(letters))
            letters = f"{letters[:at]}?{letters[at + 1 :]}"
        return sigil + letters

    def _tagged(self) -> Word:
        field, sigil = self.chance.choice([("hashtag", "#"), ("mention", "@")])
        words = ["foo", "bar", "cafe"] if self.simple else ["foo", "bar", "cafe", "f*", "f?o"]
        return Word(field, sigil + self.chance.choice(words))

    def _term(self) -> Term:
        field = self.chance.choice(list(VALUES))
        values = [one for one in VALUES[field] if not (self.simple and set(one) & set("*?"))]
        value = self.chance.choice(values)
        literal = field == "tag" and bool(set(value) & set("*?")) and (" " in value or self.chance.random() < 0.5)
        literal = literal or (field == "tag" and "*" in value[:-1])
        return Term(field, value, literal)

    def _range(self) -> Range:
        if self.chance.random() < 0.3:
            first = int(START.timestamp()) * 1_000_000
            bounds = [first + self.chance.randrange(40) * 86_400_000_000 for _ in range(2)]
            return Range("published", *self._open(min(bounds), max(bounds) + 86_400_000_000 - 1))
        field = self.chance.choice(list(NUMBERS))
        low, high = sorted(self.chance.randint(*NUMBERS[field]) for _ in range(2))
        return Range(field, *self._open(low, high))

    def _open(self, low: int, high: int) -> tuple[int | None, int | None]:
        kind = self.chance.random()
        return (None if kind < 0.3 else low), (None if 0.25 < kind < 0.5 else high)


@dataclass
class Writer:
    """A tree as somebody might have typed it."""

    chance: random.Random

    def write(self, node: Node, field: str = ANY_TEXT) -> str:
        """`field`: that of the group it stands in."""
        if field == ANY_TEXT and not isinstance(node, Has | Range | Term | Word | Phrase | Near):
            common = _fields(node)
            if len(common) == 1 and common <= {"title", "content", "author"} and self.chance.random() < 0.7:
                only = next(iter(common))
                return f"{only}:({self.write(node, only)})"
        if isinstance(node, And):
            return self._and(node, field)
        if isinstance(node, Or):
            return " OR ".join(self._inner(part, field, Or) for part in node.parts)
        if isinstance(node, Not):
            return self.chance.choice(["-", "NOT "]) + self._inner(node.part, field, And, Or)
        return self._leaf(node, field)

    def _and(self, node: And, field: str) -> str:
        text = self._inner(node.parts[0], field, And, Or)
        for part in node.parts[1:]:
            text += self.chance.choice([" AND ", " ", "  AND\n"]) + self._inner(part, field, And, Or)
        return text

    def _inner(self, node: Node, field: str, *loose: type) -> str:
        """In parentheses where the tree would be another one without, and now and then where it would not."""
        text = self.write(node, field)
        return f"({text})" if isinstance(node, loose) or self.chance.random() < 0.05 else text

    def _leaf(self, node: Node, field: str) -> str:
        if isinstance(node, Has):
            return "has:image"
        if isinstance(node, Range):
            return f"{node.field}:{self._range(node)}"
        if isinstance(node, Term):
            return f"{node.field}:{self._value(node)}"
        if isinstance(node, Near):
            near = f"{'O' if node.ordered else ''}NEAR/{node.distance}"
            inside = node.left.field
            text = f"{self._leaf(node.left, inside)} {near} {self._leaf(node.right, inside)}"
            return text if inside == field else f"{inside}:({text})" if inside != ANY_TEXT else text
        assert isinstance(node, Word | Phrase)
        text = self._word(node.text) if isinstance(node, Word) else self._phrase(node)
        if node.field in ("hashtag", "mention") and self.chance.random() < 0.7:
            text = text[1:]
        return text if node.field == field else f"{node.field}:{text}"

    def _word(self, word: str) -> str:
        return self.chance.choice(VOCABULARY[word]) if word in VOCABULARY else word

    def _phrase(self, node: Phrase) -> str:
        words = self.chance.choice([" ", ", ", " - "]).join(map(self._word, node.words))
        return f'"{words}"' + (f"~{node.slop}" if node.slop else "")

    def _value(self, node: Term) -> str:
        value = node.value
        if node.field in ("sourcetype", "posttype", "gender", "lang", "sourcecountry", "domainurl"):
            value = self.chance.choice([value, value.upper()])
        if node.field.endswith("url") and self.chance.random() < 0.3 and not value.endswith("*"):
            value = f"https://{value}/"
        return f'"{value}"' if " " in value or node.literal else value

    def _range(self, node: Range) -> str:
        low, high = (self._bound(node, node.low), self._bound(node, node.high))
        if low == high != "*":
            return low
        if high == "*" != low and self.chance.random() < 0.5:
            return f">={low}"
        if low == "*" != high and self.chance.random() < 0.5:
            return f"<={high}"
        return f"[{low} TO {high}]"

    @staticmethod
    def _bound(node: Range, bound: int | None) -> str:
        if bound is None or node.field != "published":
            return "*" if bound is None else str(bound)
        return f"{START + timedelta(microseconds=bound - int(START.timestamp()) * 1_000_000):%Y-%m-%d}"


def _fields(node: Node) -> set[str]:
    if isinstance(node, And | Or):
        return set().union(*map(_fields, node.parts))
    if isinstance(node, Not):
        return _fields(node.part)
    return {node.left.field} if isinstance(node, Near) else {getattr(node, "field", "has")}
