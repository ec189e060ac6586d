"""From a tree to a condition on the documents' columns. No text of a query becomes SQL: each is a literal.

Never null: what is absent matches nothing, and its negation everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F

from tag_tasks.documents.query.fold import folded_column, spaced
from tag_tasks.documents.query.tree import HAS, MOMENT, And, Has, Near, Node, Not, Or, Range, Value, Words

COLUMNS: Mapping[str, str] = {
    "author": "author_name",
    "author_id": "author_id",
    "source_id": "source_id",
    "lang": "lang",
    "sourcetype": "source_type",
    "posttype": "post_type",
    "domainurl": "domain_url",
    "host_url": "host_url",
    "root_url": "root_url",
    "sourcecountry": "country_code",
    "tag": "tags",
    "gender": "author_gender",
}
LISTS = frozenset({"sourcetype", "posttype", "tag"})
"""Fields of which a document has several values."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BETWEEN = "[^ ]+ "
"""A word, and the space behind it, in a text that is spaced."""
EARLIEST, LATEST = -62_135_596_800_000, 253_402_300_799_999
"""Milliseconds of the years 1 and 9999: what a moment can be."""


def matches(node: Node) -> Column:
    """Whether a document is one that the query means."""
    return _Compiled().of(node)


class _Compiled:
    """Each text is prepared once, however many words are looked for in it."""

    def __init__(self) -> None:
        self._texts: dict[str, Column] = {}

    def of(self, node: Node) -> Column:
        match node:
            case And():
                return reduce(Column.__and__, map(self.of, node.parts))
            case Or():
                return reduce(Column.__or__, map(self.of, node.parts))
            case Not():
                return ~self.of(node.part)
            case Words():
                return self._in_texts(node.field, lambda text: _holds(text, node.words, node.slop))
            case Near():
                return self._in_texts(node.field, lambda text: text.rlike(_near(node)))
            case Value():
                return _has_value(node)
            case Range():
                return _within(node)
            case Has():
                return F.coalesce(F.size(F.col(HAS[node.what])) > 0, F.lit(False))

    def _in_texts(self, field: str | None, holds: Callable[[Column], Column]) -> Column:
        names = ("title", "content") if field is None else (COLUMNS.get(field, field),)
        return reduce(Column.__or__, [holds(self._text(name)) for name in names])

    def _text(self, name: str) -> Column:
        if name not in self._texts:
            self._texts[name] = spaced(F.col(name))
        return self._texts[name]


def _holds(text: Column, words: tuple[str, ...], slop: int) -> Column:
    if slop or any(sign in word for word in words for sign in "*?"):
        return text.rlike(_run(words, slop))
    return text.contains(F.lit(f" {' '.join(words)} "))


def _run(words: tuple[str, ...], slop: int = 0) -> str:
    """Words one after the other in a spaced text."""
    between = f"(?:{BETWEEN}){{0,{slop}}}" if slop else ""
    return " " + between.join(f"{_pattern(word)} " for word in words)


def _pattern(word: str) -> str:
    return "".join("[^ ]*" if one == "*" else "[^ ]" if one == "?" else re.escape(one) for one in word)


def _near(node: Near) -> str:
    between = f"(?:{BETWEEN}){{0,{node.within}}}"
    first, second = _run(node.first), _run(node.second)
    orders = [first + between + second[1:]]
    if not node.ordered:
        orders.append(second + between + first[1:])
    return "|".join(f"(?:{order})" for order in orders)


def _has_value(node: Value) -> Column:
    column = F.col(COLUMNS[node.field])
    if node.field in LISTS:
        # Elements are compared in one text of them all: a line each, which no value has in it.
        column = F.array_join(column, "\n")
        pattern = f"(?:^|\n){_value_pattern(node.value)}(?:$|\n)"
        return F.coalesce(folded_column(column).rlike(pattern), F.lit(False))
    if any(sign in node.value for sign in "*?"):
        return folded_column(column).rlike(f"^{_value_pattern(node.value)}$")
    return folded_column(column) == F.lit(node.value)


def _value_pattern(value: str) -> str:
    return "".join("[^\n]*" if one == "*" else "[^\n]" if one == "?" else re.escape(one) for one in value)


def _within(node: Range) -> Column:
    column, parts = F.col(node.field), []
    if node.low is not None:
        parts.append(column >= _bound(node.field, node.low))
    if node.high is not None:
        high = _bound(node.field, node.high)
        parts.append(column < high if node.field == MOMENT else column <= high)
    if not parts:
        parts.append(column.isNotNull())
    return F.coalesce(reduce(Column.__and__, parts), F.lit(False))


def _bound(field: str, value: int) -> Column:
    if field != MOMENT:
        return F.lit(value).cast("long")
    return F.lit(EPOCH + timedelta(milliseconds=min(max(value, EARLIEST), LATEST)))
