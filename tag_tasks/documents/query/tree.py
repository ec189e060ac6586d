"""What a query says, as a tree. Texts in it are folded: lower case, without accents, as words are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

TEXT_FIELDS = ("title", "content", "author")
"""Those whose words are looked at; a term without a field is about the first two."""
VALUE_FIELDS = (
    *("author_id", "source_id", "lang", "sourcetype", "posttype", "domainurl", "host_url", "root_url"),
    *("sourcecountry", "tag", "gender"),
)
"""Those that are a value, or a list of such, compared whole."""
SIGNED_FIELDS = {"hashtag": "#", "mention": "@"}
"""Words of a text that have such a sign before them."""
NUMBER_FIELDS = ("sentiment", "engagement", "word_count")
MOMENT = "published"
HAS = {"image": "image_urls"}


@dataclass(frozen=True, slots=True)
class And:
    parts: Sequence[Node]


@dataclass(frozen=True, slots=True)
class Or:
    parts: Sequence[Node]


@dataclass(frozen=True, slots=True)
class Not:
    part: Node


@dataclass(frozen=True, slots=True)
class Words:
    """Words one after the other; `?` stands for one character in them, `*` at the end of one for any.

    With `slop`, so many others may stand between each two of them.
    """

    words: tuple[str, ...]
    field: str | None = None
    slop: int = 0


@dataclass(frozen=True, slots=True)
class Near:
    """Two runs of words with at most so many others between them, in one text.

    `ordered` where the first comes first.
    """

    first: tuple[str, ...]
    second: tuple[str, ...]
    within: int
    ordered: bool
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Value:
    """One of VALUE_FIELDS is this; wildcards as in words."""

    field: str
    value: str


@dataclass(frozen=True, slots=True)
class Range:
    """A number within bounds, both included; of `published`, milliseconds, the upper bound not included."""

    field: str
    low: int | None
    high: int | None


@dataclass(frozen=True, slots=True)
class Has:
    """There is any of these."""

    what: str


Node = And | Or | Not | Words | Near | Value | Range | Has
