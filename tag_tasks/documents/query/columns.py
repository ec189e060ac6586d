"""From a query's tree to a condition on the documents' columns.

It is never null: what is absent matches nothing, and its negation matches. Every leaf says `is not null` beside
what it asks, instead of a coalesce around it, so that ranges still skip what the Parquet footers rule out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from operator import and_, or_

from pyspark.sql import Column
from pyspark.sql import functions as F

from tag_tasks.documents.query import patterns
from tag_tasks.documents.query.fields import Kind, field
from tag_tasks.documents.query.fold import IGNORED, SIGILS
from tag_tasks.documents.query.tree import And, Has, Leaf, Near, Node, Not, Or, Phrase, Range, Term, Word

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NO_WORD = rf"[^\p{{L}}\p{{N}}\p{{M}}_{SIGILS}]+"
SCHEME = "(?:[hH][tT][tT][pP][sS]?://)?"
CODES = (Kind.COUNTRY, Kind.LANGUAGE, Kind.GENDER)
"""Values of a few ASCII letters: to lower them and compare is quicker than a pattern."""


def matches(node: Node) -> Column:
    """Whether a document is found; true or false for each. Needs a session in the process, as all Columns do."""
    if isinstance(node, And):
        # Cheap ones first: what they rule out for all of a batch is not looked at by the others.
        return _joined(and_, [matches(part) for part in sorted(node.parts, key=_cost)])
    if isinstance(node, Or):
        return _joined(or_, list(_alternatives(node)))
    if isinstance(node, Not):
        return ~matches(node.part)
    return _leaf(node)


def _alternatives(node: Or) -> Iterator[Column]:
    """Words of one field are asked for together, each of the others by itself."""
    words: dict[tuple[str, ...], list[Word | Phrase]] = {}
    others: list[Node] = []
    for part in node.parts:
        if isinstance(part, Word) or (isinstance(part, Phrase) and not part.slop):
            words.setdefault(field(part.field).columns, []).append(part)
        else:
            others.append(part)
    for part in sorted(others, key=_cost):
        yield matches(part)
    for together in words.values():
        yield _in_texts(together)


def _cost(node: Node) -> int:
    if isinstance(node, And | Or):
        return max(map(_cost, node.parts))
    if isinstance(node, Not):
        return _cost(node.part)
    if isinstance(node, Near) or (isinstance(node, Phrase) and node.slop):
        return 3
    if isinstance(node, Term):
        return 1
    return 2 if isinstance(node, Word | Phrase) else 0


def _leaf(leaf: Leaf) -> Column:
    if isinstance(leaf, Range):
        return _range(leaf)
    if isinstance(leaf, Has):
        return _there("image_urls", lambda urls: F.size(urls) > 0)
    if isinstance(leaf, Term):
        return _term(leaf)
    if isinstance(leaf, Near):
        return _counted(leaf.left.field, (leaf.left, leaf.right), patterns.near(leaf))
    if isinstance(leaf, Phrase) and leaf.slop:
        parts = [Word(leaf.field, word) for word in leaf.words]
        return _counted(leaf.field, parts, patterns.loose(leaf))
    return _in_texts([leaf])


# -- texts ------------------------------------------------------------------------------------


def _in_texts(found: Sequence[Word | Phrase]) -> Column:
    """Any of them, in any column of their field."""
    columns = field(found[0].field).columns
    sought = list(patterns.any_of(found))
    return _joined(or_, [_there(name, _rlike(pattern)) for name in columns for pattern in sought])


def _counted(name: str, parts: Iterable[Word | Phrase], pattern: str) -> Column:
    """What takes a tidy text, which is made of those alone that have all the parts: making it costs ten searches."""
    wanted = [patterns.in_text(part) for part in dict.fromkeys(parts)]

    def there(text: Column) -> Column:
        all_there = _joined(and_, [text.rlike(one) for one in wanted])
        return F.when(all_there, _tidy(text).rlike(pattern)).otherwise(F.lit(False))

    return _joined(or_, [_there(column, there) for column in field(name).columns])


def _tidy(text: Column) -> Column:
    words = F.regexp_replace(F.regexp_replace(text, f"[{IGNORED}]+", ""), NO_WORD, " ")
    for sigil in SIGILS:
        words = F.replace(words, F.lit(sigil), F.lit(f" {sigil}"))
    return F.concat(F.lit(" "), words, F.lit(" "))


# -- values -----------------------------------------------------------------------------------


def _term(term: Term) -> Column:
    of = field(term.field)
    column = of.columns[0]
    if of.kind in CODES:
        return _there(column, lambda code: F.lower(code) == F.lit(term.value))
    if of.kind is Kind.URL:
        pattern = patterns.value(term, is_folded=True, before=SCHEME, behind="/?")
    else:
        pattern = patterns.value(term, is_folded=of.kind is not Kind.ID)
    if of.many:
        # Not `exists`: Sail loses the column that it reads, once it is in a filter.
        return _there(column, lambda values: F.array_join(values, patterns.SEPARATOR).rlike(pattern))
    return _there(column, _rlike(pattern))


def _range(asked: Range) -> Column:
    of = field(asked.field)

    def literal(bound: int) -> Column:
        return F.lit(EPOCH + timedelta(microseconds=bound) if of.kind is Kind.TIME else bound)

    def within(column: Column) -> Column:
        low = [column >= literal(asked.low)] if asked.low is not None else []
        high = [column <= literal(asked.high)] if asked.high is not None else []
        return _joined(and_, [*low, *high] or [F.lit(True)])

    return _there(of.columns[0], within)


def _there(name: str, asked: Callable[[Column], Column]) -> Column:
    column = F.col(name)
    return column.isNotNull() & asked(column)


def _rlike(pattern: str) -> Callable[[Column], Column]:
    return lambda text: text.rlike(pattern)


def _joined(how: Callable[[Column, Column], Column], columns: Sequence[Column]) -> Column:
    """Halved again and again: a chain of 50 would be 50 levels deep."""
    if len(columns) == 1:
        return columns[0]
    half = len(columns) // 2
    return how(_joined(how, columns[:half]), _joined(how, columns[half:]))
