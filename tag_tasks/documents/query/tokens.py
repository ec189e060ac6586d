"""A query's text in pieces, each with where it begins."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tag_tasks.documents.query.fields import FIELDS

LONGEST = 4096  # characters of a query
FURTHEST = 100  # words, of NEAR and of ~
SHOWN = 40  # characters of what was found instead
THE_END = "the end"

QUOTES = '"“”„'
"""Those that word processors make of a plain one are meant as such."""

_bare = re.compile(rf"[^\s()\[\]{QUOTES}]+")
_field = re.compile(r"([A-Za-z_][A-Za-z_.]*):")
_compared = re.compile(rf"(>=|<=|>|<)\s*([^\s()\[\]{QUOTES}]*)")
_range = re.compile(r"\[\s*([^\s\[\]]+)\s+TO\s+([^\s\[\]]+)\s*\]")
_near = re.compile(r"(O?)NEAR(?:/([0-9]{1,9}))?(?![^/])")
_quoted = re.compile(f"[{QUOTES}]([^{QUOTES}]*)[{QUOTES}]")
_slop = re.compile(r"~([0-9]{0,9})")
_surrogate = re.compile("[\ud800-\udfff]")


class QueryError(Exception):
    """A query that says nothing. `position` counts characters from 0; the others are for people."""

    def __init__(self, position: int, expected: str, found: str) -> None:
        super().__init__(f"expected {expected} at position {position}, found {found}")
        self.position = position
        self.expected = expected
        self.found = found


class Kind(enum.Enum):
    OPEN = "("
    CLOSE = ")"
    AND = "AND"
    OR = "OR"
    NOT = "NOT"
    MINUS = "-"
    NEAR = "NEAR/n"
    FIELD = "a field"
    QUOTED = "a phrase"
    BARE = "a word"
    RANGE = "[low TO high]"
    COMPARED = "a comparison"
    END = THE_END


@dataclass(frozen=True, slots=True)
class Token:
    kind: Kind
    position: int
    text: str
    """As it is written; of a phrase what is between the quotes, of a field its name."""

    number: int = 0
    """Of NEAR, and of ~ behind a phrase."""

    ordered: bool = False
    bounds: tuple[tuple[int, str], ...] = ()
    """Of a range its two, of a comparison its one, each with its position."""

    @property
    def shown(self) -> str:
        if self.kind is Kind.END:
            return THE_END
        return shown(f'"{self.text}"' if self.kind is Kind.QUOTED else self.text)

    def error(self, expected: str) -> QueryError:
        return QueryError(self.position, expected, self.shown)


def shown(text: str) -> str:
    return f"'{text}'" if len(text) <= SHOWN else f"'{text[: SHOWN - 1]}…'"


def tokens(text: str) -> Iterator[Token]:
    """All of them, the end last. Raises QueryError at the first that is none."""
    if len(text) > LONGEST:
        raise QueryError(LONGEST, f"a query of at most {LONGEST} characters", f"{len(text)} characters")
    if lone := _surrogate.search(text):
        raise QueryError(lone.start(), "a character", "half of one")
    position, kind = 0, Kind.OPEN
    while (position := _behind_space(text, position)) < len(text):
        token, position = _token(text, position, is_value=kind is Kind.FIELD)
        kind = token.kind
        yield token
    yield Token(Kind.END, len(text), "")


def _behind_space(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _token(text: str, at: int, is_value: bool) -> tuple[Token, int]:
    """The token there, and where the next may begin."""
    char = text[at]
    if char in "()":
        return Token(Kind(char), at, char), at + 1
    if char in QUOTES:
        return _phrase(text, at)
    if char in "[]":
        return _bounds(text, at)
    if compared := _compared.match(text, at):
        bound = (compared.start(2), compared[2])
        return Token(Kind.COMPARED, at, compared[1], bounds=(bound,)), compared.end()
    if char == "-" and not is_value and at + 1 < len(text) and not text[at + 1].isspace():
        return Token(Kind.MINUS, at, char), at + 1
    if not is_value and (name := _field.match(text, at)):
        if (known := name[1].lower()) not in FIELDS:
            raise QueryError(at, f"one of the fields {', '.join(FIELDS)} (or quotes)", shown(name[0]))
        return Token(Kind.FIELD, at, known), name.end()
    return _word(text, at)


def _word(text: str, at: int) -> tuple[Token, int]:
    """An operator or a word. The character there is one that a word may have: none of the others matched."""
    end = _bare.match(text, at).end()  # type: ignore[union-attr]
    word = text[at:end]
    if word in ("AND", "OR", "NOT"):
        return Token(Kind(word), at, word), end
    if near := _near.fullmatch(word) or _near.match(word):
        if near[2] is None or near.end() < len(word) or not 1 <= int(near[2]) <= FURTHEST:
            raise QueryError(at, f"{near[1]}NEAR/n with n from 1 to {FURTHEST}", shown(word))
        return Token(Kind.NEAR, at, word, int(near[2]), ordered=near[1] == "O"), end
    return Token(Kind.BARE, at, word), end


def _phrase(text: str, at: int) -> tuple[Token, int]:
    quoted = _quoted.match(text, at)
    if quoted is None:
        raise QueryError(len(text), f"the quote that ends the phrase at position {at}", THE_END)
    slop = _slop.match(text, quoted.end())
    if slop is None:
        return Token(Kind.QUOTED, at, quoted[1]), quoted.end()
    if not 1 <= int(slop[1] or 0) <= FURTHEST:
        raise QueryError(slop.start(), f"~ and a number from 1 to {FURTHEST}", shown(slop[0]))
    return Token(Kind.QUOTED, at, quoted[1], int(slop[1])), slop.end()


def _bounds(text: str, at: int) -> tuple[Token, int]:
    bounds = _range.match(text, at)
    if bounds is None:
        raise QueryError(at, "[low TO high]" if text[at] == "[" else "a word", shown(text[at:]))
    both = ((bounds.start(1), bounds[1]), (bounds.start(2), bounds[2]))
    return Token(Kind.RANGE, at, bounds[0], bounds=both), bounds.end()
