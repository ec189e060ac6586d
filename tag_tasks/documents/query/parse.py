"""From a text to a tree: tokens, and a descent through the grammar that stops where it is not understood.

    or     = and { "OR" and }
    and    = not { ["AND"] not }
    not    = ("NOT" | "-") not | term
    term   = "(" or ")" | field ":" (value | "(" or ")" | range | comparison) | words [("NEAR/n" | "ONEAR/n") words]

Written here rather than taken from a library: those that there are tell no position of a mistake, know no NEAR/n,
keep a parser that threads must not share, and nest without a bound.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tag_tasks.documents.query.fold import folded, is_letter, words_of
from tag_tasks.documents.query.tree import (
    HAS,
    MOMENT,
    NUMBER_FIELDS,
    SIGNED_FIELDS,
    TEXT_FIELDS,
    VALUE_FIELDS,
    And,
    Has,
    Near,
    Node,
    Not,
    Or,
    Range,
    Value,
    Words,
)

LONGEST = 4096  # characters
MOST_OPERANDS = 50
DEEPEST = 20
FARTHEST = 100  # words between two
MOST_APART = 10  # words of a phrase between which others may stand
LARGEST = 2**63
FIELDS = (*TEXT_FIELDS, *VALUE_FIELDS, *SIGNED_FIELDS, *NUMBER_FIELDS, MOMENT, "has")
KEYWORDS = ("AND", "OR", "NOT")
GENDERS = ("male", "female", "unknown")
DAY = timedelta(days=1)

TOKEN = re.compile(
    r"""\s*(?:
      (?P<open>\() | (?P<close>\)) |
      (?P<phrase>"[^"]*")(?:~(?P<slop>[0-9]{1,9}))? |
      (?P<near>O?NEAR/[0-9]{1,9})(?=[\s("]|$) |
      (?P<word>[^\s()"\[\]:]+) |
      (?P<other>\S)
    )""",
    re.VERBOSE | re.DOTALL,
)
FIELD = re.compile(r"\s*([A-Za-z_]+):")
RANGE = re.compile(r"\[\s*(\S+)\s+TO\s+([^\s\]]+)\s*\]")
COMPARED = re.compile(r"(>=|<=|>|<)\s*([^\s()\[\]\"<>=]+)")
RAW = re.compile(r'"([^"]*)"|([^\s()"\[\]]+)')


Bounds = Callable[[str], tuple[int, int] | None]
"""What a value spans, from and up to; None where it is none."""


class QueryError(Exception):
    """Where a query cannot be understood: `position` in characters from 0, what was `expected` and what was `found`."""

    def __init__(self, position: int, expected: str, found: str) -> None:
        super().__init__(f"expected {expected} at position {position}, found {found}")
        self.position, self.expected, self.found = position, expected, found


def parse(text: str) -> Node:
    """The tree of a query. Raises QueryError."""
    if len(text) > LONGEST:
        raise QueryError(LONGEST, f"at most {LONGEST} characters", f"{len(text)}")
    return _Parser(text).whole()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int
    end: int
    slop: str | None = None


class _Parser:
    """One query; used once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._operands = 0
        self._depth = 0
        self._field: str | None = None
        """Of the group that is read, where its terms have one."""

    def whole(self) -> Node:
        node = self._or()
        if (token := self._peek()).kind != "end":
            raise self._unexpected(token, "AND, OR, a term or the end")
        return node

    # -- tokens ------------------------------------------------------------------------------

    def _peek(self) -> _Token:
        found = TOKEN.match(self._text, self._at)
        if found is None or found.lastgroup is None:
            return _Token("end", "the end", len(self._text), len(self._text))
        kind = "phrase" if found.lastgroup == "slop" else found.lastgroup
        return _Token(kind, found[kind], found.start(kind), found.end(), found["slop"])

    def _take(self, token: _Token) -> None:
        self._at = token.end

    def _unexpected(self, token: _Token, expected: str) -> QueryError:
        return QueryError(token.at, expected, token.text if token.kind == "end" else repr(token.text[:40]))

    def _keyword(self, *words: str) -> str | None:
        """One of these words, if it is what comes now."""
        token = self._peek()
        if token.kind == "word" and token.text in words:
            self._take(token)
            return token.text
        return None

    # -- the grammar -------------------------------------------------------------------------

    def _or(self) -> Node:
        parts = [self._and()]
        while self._keyword("OR"):
            parts.append(self._and())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _and(self) -> Node:
        parts = [self._not()]
        while self._keyword("AND") or self._begins_term():
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _begins_term(self) -> bool:
        token = self._peek()
        return token.kind in ("open", "phrase") or (token.kind == "word" and token.text != "OR")

    def _not(self) -> Node:
        token = self._peek()
        if self._keyword("NOT"):
            return self._deeper(token, lambda: Not(self._not()))
        if token.kind == "word" and token.text.startswith("-"):
            self._at = token.at + 1
            if self._text[self._at : self._at + 1].isspace():
                raise self._unexpected(self._peek(), "a term right behind '-'")
            return self._deeper(token, lambda: Not(self._not()))
        return self._term()

    def _deeper(self, token: _Token, read: Callable[[], Node]) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            raise QueryError(token.at, f"at most {DEEPEST} levels", "one more")
        node = read()
        self._depth -= 1
        return node

    def _group(self, token: _Token) -> Node:
        self._take(token)
        node = self._deeper(token, self._or)
        if (closing := self._peek()).kind != "close":
            raise self._unexpected(closing, "')'")
        self._take(closing)
        return node

    def _term(self) -> Node:
        token = self._peek()
        if token.kind == "open":
            return self._group(token)
        if token.kind == "word" and (named := FIELD.match(self._text, self._at)):
            return self._of_field(named)
        if token.kind not in ("word", "phrase") or token.text in ("AND", "OR"):
            raise self._unexpected(token, "a term")
        self._operand(token)
        return self._in_field(token, self._field)

    def _operand(self, token: _Token) -> None:
        self._operands += 1
        if self._operands > MOST_OPERANDS:
            raise QueryError(token.at, f"at most {MOST_OPERANDS} operands", "one more")

    def _of_field(self, named: re.Match[str]) -> Node:
        field = named[1].lower()
        if field not in FIELDS:
            raise QueryError(named.start(1), f"one of the fields {', '.join(FIELDS)}", repr(named[1]))
        if self._field is not None:
            raise QueryError(named.start(1), f"values of {self._field} alone", repr(named[1]))
        self._at = named.end()
        token = self._peek()
        if token.kind == "open":
            self._field = field
            node = self._group(token)
            self._field = None
            return node
        self._operand(token)
        return self._in_field(token, field)

    def _in_field(self, token: _Token, field: str | None) -> Node:
        if field is None or field in TEXT_FIELDS:
            return self._words(token, field)
        if field in NUMBER_FIELDS or field == MOMENT:
            return self._range(token, field)
        raw = RAW.match(self._text, token.at)
        if raw is None:
            raise self._unexpected(token, f"a value of {field}")
        self._at = raw.end()
        return self._valued(token, field, raw[1] if raw[1] is not None else raw[2])

    # -- words -------------------------------------------------------------------------------

    def _words(self, token: _Token, field: str | None) -> Node:
        words = self._run(token)
        near = self._peek()
        if near.kind != "near":
            return Words(words, field, self._slop(token, words))
        self._take(near)
        name, _, within = near.text.partition("/")
        distance = self._distance(near, within)
        other = self._peek()
        if other.text.startswith("-"):
            raise self._unexpected(other, "a word or a phrase")
        self._operand(other)
        return Near(words, self._run(other), distance, name == "ONEAR", field)

    def _run(self, token: _Token) -> tuple[str, ...]:
        """The words of a token: one, as a rule; `reddit.com` is two that follow each other."""
        if token.kind not in ("word", "phrase") or token.text in KEYWORDS:
            raise self._unexpected(token, "a word or a phrase")
        self._take(token)
        words = tuple(words_of(token.text) if token.kind == "phrase" else _patterns(token.text))
        if not words:
            raise self._unexpected(token, "a word with letters or digits")
        return words

    def _slop(self, token: _Token, words: tuple[str, ...]) -> int:
        if token.slop is None:
            return 0
        if len(words) > MOST_APART:
            raise QueryError(token.at, f"at most {MOST_APART} words in a phrase with ~", f"{len(words)}")
        return self._distance(token, token.slop)

    def _distance(self, token: _Token, number: str) -> int:
        if not 1 <= int(number) <= FARTHEST:
            raise QueryError(token.at, f"a distance of 1 to {FARTHEST}", number)
        return int(number)

    # -- values ------------------------------------------------------------------------------

    def _valued(self, token: _Token, field: str, raw: str) -> Node:
        if field == "has":
            if raw.lower() not in HAS:
                raise self._unexpected(token, f"one of {', '.join(HAS)}")
            return Has(raw.lower())
        if field in SIGNED_FIELDS:
            words = _patterns(raw.lstrip(SIGNED_FIELDS[field]))
            if len(words) != 1:
                raise self._unexpected(token, f"one word of {field}")
            return Words((SIGNED_FIELDS[field] + words[0],))
        value = folded(raw)
        if not any(map(is_letter, value)):
            raise self._unexpected(token, f"a value of {field}")
        if field == "gender" and value not in GENDERS:
            raise self._unexpected(token, f"one of {', '.join(GENDERS)}")
        if field in ("lang", "sourcecountry") and not re.fullmatch(r"[a-z]{2}", value):
            raise self._unexpected(token, "a code of two letters")
        if "*" in value[:-1]:
            raise self._unexpected(token, "'*' at the end alone")
        return Value(field, value)

    def _range(self, token: _Token, field: str) -> Node:
        bounds = _moment if field == MOMENT else _number
        if found := RANGE.match(self._text, token.at):
            self._at = found.end()
            low, high = (self._end(found.start(side), field, found[side], bounds) for side in (1, 2))
            return Range(field, None if low is None else low[0], None if high is None else high[1])
        if found := COMPARED.match(self._text, token.at):
            return self._compared(found, field, bounds)
        raw = RAW.match(self._text, token.at)
        value = None if raw is None else bounds(raw[1] if raw[1] is not None else raw[2])
        if raw is None or value is None:
            raise self._unexpected(token, f"a value of {field}, [a TO b], >= or <=")
        self._at = raw.end()
        return Range(field, *value)

    @staticmethod
    def _end(at: int, field: str, said: str, bounds: Bounds) -> tuple[int, int] | None:
        """One end of a range; None where it is open."""
        if said != "*" and (bound := bounds(said)) is not None:
            return bound
        if said != "*":
            raise QueryError(at, f"a value of {field} or *", repr(said[:40]))
        return None

    def _compared(self, found: re.Match[str], field: str, bounds: Bounds) -> Node:
        value = bounds(found[2])
        if value is None:
            raise QueryError(found.start(2), f"a value of {field}", repr(found[2][:40]))
        self._at = found.end()
        first, last = value
        # `first` and `last` are what the value spans: of a day, its beginning and the next one's.
        behind, before = (last, first) if field == MOMENT else (last + 1, first - 1)
        return {
            ">=": Range(field, first, None),
            "<=": Range(field, None, last),
            ">": Range(field, behind, None),
            "<": Range(field, None, before),
        }[found[1]]


def _patterns(text: str) -> list[str]:
    """The words of a token, with their wildcards: `*` at the end of the last, `?` anywhere; each with a letter."""
    body, star = (text[:-1], "*") if text.endswith("*") else (text, "")
    words = list(_wild_words(folded(body)))
    if not words or not all(any(map(is_letter, word)) for word in words):
        return []
    return [*words[:-1], words[-1] + star]


def _wild_words(text: str) -> Iterator[str]:
    word = ""
    for one in text:
        if is_letter(one) or one == "?":
            word += one
        elif one in "#@":
            if word.strip("#@"):
                yield word
            word = one
        else:
            if word.strip("#@"):
                yield word
            word = ""
    if word.strip("#@"):
        yield word


def _number(text: str) -> tuple[int, int] | None:
    if not re.fullmatch(r"-?[0-9]{1,19}", text) or not -LARGEST < int(text) < LARGEST:
        return None
    return int(text), int(text)


def _moment(text: str) -> tuple[int, int] | None:
    """Milliseconds, from and up to: a day is as long as it is, a moment one millisecond."""
    if re.fullmatch(r"[0-9]{1,14}", text):
        return int(text), int(text) + 1
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        try:
            day = datetime.fromisoformat(text).replace(tzinfo=UTC)
            return _milliseconds(day), _milliseconds(day + DAY)
        except (ValueError, OverflowError):
            return None
    return None


def _milliseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
