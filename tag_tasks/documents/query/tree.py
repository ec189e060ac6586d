"""What a query says, as values that can be compared and kept.

Words are folded (lower case, without accents), and keep a `#` or `@` before them. Knows no Spark.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

ANY_TEXT = "text"
"""The field of what names none: the title or the content."""


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Node


@dataclass(frozen=True, slots=True)
class Word:
    """A whole word of a text. `?` stands for one character, `*` at the end for any number of them."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class Phrase:
    """At least two words of one text, in this order, at most `slop` others between one and the next."""

    field: str
    words: tuple[str, ...]
    """May hold wildcards where they were not quoted: `foo-ba*`."""
    slop: int = 0


@dataclass(frozen=True, slots=True)
class Near:
    """Two words or phrases of one text, the second at most `distance` words behind the first (1: next to it).

    They do not overlap. Where it is not `ordered`, either may come first.
    """

    left: Word | Phrase
    right: Word | Phrase
    distance: int
    ordered: bool


@dataclass(frozen=True, slots=True)
class Term:
    """A whole value of a field, or of one in its list. `*` and `?` stand for themselves where `literal` is true."""

    field: str
    value: str
    """Folded, unless the field's values are ids."""
    literal: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """A number, or a moment in microseconds since 1970, from `low` to `high`, both included; None is open.

    Without any bound it finds whatever has a value.
    """

    field: str
    low: int | None
    high: int | None


@dataclass(frozen=True, slots=True)
class Has:
    what: str


Leaf: TypeAlias = Word | Phrase | Near | Term | Range | Has
Node: TypeAlias = And | Or | Not | Leaf
