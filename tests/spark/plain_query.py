"""Queries over documents once more, by sets of rows: no patterns, no Spark, nothing of how the product searches.

A text becomes words by a walk over its characters; each word knows where it is; AND, OR and NOT are those of sets.
Beside it the same in SQL, for what DuckDB can say by itself.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from tag_tasks.documents.query.tree import And, Has, Near, Node, Not, Or, Phrase, Range, Term, Word

COLUMNS = {
    "text": ("title", "content"),
    "hashtag": ("title", "content"),
    "mention": ("title", "content"),
    "title": ("title",),
    "content": ("content",),
    "author": ("author_name",),
    "author_id": ("author_id",),
    "source_id": ("source_id",),
    "lang": ("lang",),
    "sourcetype": ("source_type",),
    "posttype": ("post_type",),
    "domainurl": ("domain_url",),
    "host_url": ("host_url",),
    "root_url": ("root_url",),
    "sourcecountry": ("country_code",),
    "tag": ("tags",),
    "gender": ("author_gender",),
}
IDS = ("author_id", "source_id")
URLS = ("domainurl", "host_url", "root_url")
STROKES = str.maketrans("øłđħŧı", "oldhti")

Row = Mapping[str, Any]
Rows = frozenset[int]
Places = dict[int, list[tuple[int, int]]]
"""Of what was sought in a text: by row, its first and its last word's number."""


@cache
def plain(char: str) -> str:
    """Nothing, for what is to be ignored; else one character."""
    code = ord(char)
    if code == 0xAD or 0x300 <= code <= 0x36F or 0x20D0 <= code <= 0x20FF or 0xFE00 <= code <= 0xFE0F:
        return ""
    letters = [one for one in unicodedata.normalize("NFD", char.casefold()) if plain_mark(one)]
    return letters[0].translate(STROKES) if len(letters) == 1 else char.lower()


def plain_mark(char: str) -> bool:
    return not 0x300 <= ord(char) <= 0x36F


def fold(text: str) -> str:
    return "".join(map(plain, text))


def split(text: str) -> list[str]:
    found, current = [], ""
    for char in f"{fold(text)} ":
        if char == "_" or unicodedata.category(char)[0] in "LNM":
            current += char
        else:
            if current not in ("", "#", "@"):
                found.append(current)
            current = char if char in "#@" else ""
    return found


class Plain:
    """Documents, and what finds which of them, by their numbers."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self._all: Rows = frozenset(range(len(rows)))
        self._words = {column: _places(rows, column) for column in ("title", "content", "author_name")}
        self._known: dict[Node, Rows] = {}
        self._known_places: dict[tuple[str, str], Places] = {}
        self._by_value: dict[str, dict[Any, set[int]]] = {}

    def find(self, node: Node) -> Rows:
        if node not in self._known:
            self._known[node] = self._find(node)
        return self._known[node]

    def _find(self, node: Node) -> Rows:
        if isinstance(node, And):
            return frozenset.intersection(*map(self.find, node.parts))
        if isinstance(node, Or):
            return frozenset.union(*map(self.find, node.parts))
        if isinstance(node, Not):
            return self._all - self.find(node.part)
        if isinstance(node, Has):
            return self._where("image_urls", bool)
        if isinstance(node, Range):
            return self._where(node.field, lambda value: _within(node, value))
        if isinstance(node, Term):
            return self._where(COLUMNS[node.field][0], lambda value: _has_term(node, value))
        columns = COLUMNS[node.left.field if isinstance(node, Near) else node.field]
        return frozenset().union(*(self._sought(column, node) for column in columns))

    def _where(self, column: str, holds: Callable[[Any], bool]) -> Rows:
        if column not in self._by_value:
            numbers: dict[Any, set[int]] = defaultdict(set)
            for number, row in enumerate(self.rows):
                value = row[column]
                numbers[tuple(value) if isinstance(value, list) else value].add(number)
            self._by_value[column] = numbers
        found = [rows for value, rows in self._by_value[column].items() if value is not None and holds(value)]
        return frozenset().union(*found)

    def _sought(self, column: str, node: Word | Phrase | Near) -> Iterable[int]:
        if not isinstance(node, Near):
            return self._found(column, node)
        left, right = self._found(column, node.left), self._found(column, node.right)
        return {row for row in left.keys() & right.keys() if _close(node, left[row], right[row])}

    def _found(self, column: str, node: Word | Phrase) -> Places:
        words = (node.text,) if isinstance(node, Word) else node.words
        slop = 0 if isinstance(node, Word) else node.slop
        found = self._of_word(column, words[0])
        for word in words[1:]:
            nexts = self._of_word(column, word)
            joined: Places = {}
            for row in found.keys() & nexts.keys():
                both = [(a, d) for a, b in found[row] for c, d in nexts[row] if 1 <= c - b <= slop + 1]
                if both:
                    joined[row] = both
            found = joined
        return found

    def _of_word(self, column: str, wanted: str) -> Places:
        if (column, wanted) not in self._known_places:
            self._known_places[column, wanted] = self._look_up(column, wanted)
        return self._known_places[column, wanted]

    def _look_up(self, column: str, wanted: str) -> Places:
        """A wildcard never reaches over a sigil: `#` stands at a word's beginning alone."""
        found: Places = defaultdict(list)
        for word, places in self._words[column].items():
            is_one = fnmatchcase(word, wanted) and (word[0] in "#@") == (wanted[0] in "#@")
            if is_one:
                for row, number in places:
                    found[row].append((number, number))
        return found


def _places(rows: Sequence[Row], column: str) -> dict[str, list[tuple[int, int]]]:
    places: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for number, row in enumerate(rows):
        for at, word in enumerate(split(row[column] or "")):
            places[word].append((number, at))
    return places


def _close(node: Near, left: list[tuple[int, int]], right: list[tuple[int, int]]) -> bool:
    for first, last in left:
        for other_first, other_last in right:
            if 1 <= other_first - last <= node.distance:
                return True
            if not node.ordered and 1 <= first - other_last <= node.distance:
                return True
    return False


def _within(node: Range, value: Any) -> bool:
    if isinstance(value, datetime):
        value = round((value - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000)
    return (node.low is None or node.low <= value) and (node.high is None or value <= node.high)


def _has_term(node: Term, value: Any) -> bool:
    return any(_is_term(node, one) for one in (value if isinstance(value, tuple) else [value]))


def _is_term(node: Term, value: str | None) -> bool:
    if value is None:
        return False
    told = value if node.field in IDS else fold(value)
    if node.field in URLS:
        told = told.removeprefix("http://").removeprefix("https://")
    forms = {told, told.removesuffix("/")} if node.field in URLS else {told}
    return any(one == node.value if node.literal else fnmatchcase(one, _globbed(node.value)) for one in forms)


def _globbed(value: str) -> str:
    return value.replace("[", "[[]")


# -- DuckDB -----------------------------------------------------------------------------------

WORDS_TABLE = """
CREATE TABLE documents AS SELECT *,
    regexp_extract_all(plain(title), '[#@]?[\\p{L}\\p{N}_]+') AS title_words,
    regexp_extract_all(plain(content), '[#@]?[\\p{L}\\p{N}_]+') AS content_words,
    regexp_extract_all(plain(author_name), '[#@]?[\\p{L}\\p{N}_]+') AS author_name_words
FROM read_parquet($path)
"""
PLAIN = (
    "CREATE MACRO plain(text) AS lower(strip_accents("
    "regexp_replace(text, '[\\x{ad}\\x{300}-\\x{36f}\\x{fe00}-\\x{fe0f}]', '', 'g')))"
)


def sql(node: Node) -> str:
    """What DuckDB can say: AND, OR and NOT of words, values and ranges, all of them without wildcards."""
    if isinstance(node, And | Or):
        return "(" + f" {type(node).__name__.upper()} ".join(map(sql, node.parts)) + ")"
    if isinstance(node, Not):
        return f"(NOT {sql(node.part)})"
    if isinstance(node, Range):
        column = f"epoch_us({node.field})" if node.field == "published" else node.field
        bounds = [f"{column} >= {node.low}"] * (node.low is not None) + [f"{column} <= {node.high}"] * (
            node.high is not None
        )
        return f"coalesce({' AND '.join([*bounds, f'{column} IS NOT NULL'])}, false)"
    if isinstance(node, Has):
        return "coalesce(len(image_urls) > 0, false)"
    if isinstance(node, Word):
        found = [f"coalesce(list_contains({one}_words, '{node.text}'), false)" for one in COLUMNS[node.field]]
        return f"({' OR '.join(found)})"
    assert isinstance(node, Term)
    return f"coalesce({_sql_term(node, COLUMNS[node.field][0])}, false)"


def _sql_term(node: Term, column: str) -> str:
    if node.field in IDS:
        return f"{column} = '{node.value}'"
    if node.field in URLS:
        return f"rtrim(regexp_replace(plain({column}), '^https?://', ''), '/') = '{node.value}'"
    if COLUMNS[node.field][0] in ("tags", "source_type", "post_type"):
        return f"list_contains(list_transform({column}, lambda one: plain(one)), '{node.value}')"
    return f"plain({column}) = '{node.value}'"
