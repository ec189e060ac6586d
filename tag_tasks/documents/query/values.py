"""What a field's values mean: words into leaves of the tree, numbers and times into ranges."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from tag_tasks.documents.query.fields import FIELDS, Field, Kind, field
from tag_tasks.documents.query.fold import SIGILS, fold, is_wordly, words
from tag_tasks.documents.query.patterns import SEPARATOR
from tag_tasks.documents.query.tokens import Kind as Tokens
from tag_tasks.documents.query.tokens import QueryError, Token, shown
from tag_tasks.documents.query.tree import Has, Leaf, Phrase, Range, Term, Word

WILDCARDS = "*?"
MOST_UNKNOWN = 8
"""Of `?` in a word or a phrase: each is a choice among 140,000 letters, and costs as much as 50 known ones."""

# What the engine compiles of a pattern is bounded (see `patterns`); no query of people comes near these.
LONGEST_WORD = 100
LONGEST_PHRASE = 2000  # letters
MOST_WORDS = 50  # of a phrase
MOST_LOOSE = 16  # words of a phrase with ~

MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST, LAST = EPOCH - timedelta(days=365 * 100), EPOCH + timedelta(days=365 * 1000)
"""Times that are taken; what lies outside is a slip of the unit."""

FEWEST = 10**8
"""Milliseconds below it are no moment of 1970, but a year, or a day without its dashes."""

ELSEWHERE = {"!": "NOT, or -,", "&&": "AND", "||": "OR", ":": "a field before ':', or quotes,"}
"""Signs of other query languages, and what is said here."""

_starred = re.compile(r"\w\*")
_number = re.compile(r"-?[0-9]{1,18}")
_day = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_moment = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_scheme = re.compile("https?://")
_forms = {
    Kind.NAME: re.compile(r"[a-z0-9_?]+\*?"),
    Kind.LANGUAGE: re.compile("[a-z]{2}"),
    Kind.COUNTRY: re.compile("[a-z]{2}"),
    Kind.GENDER: re.compile("male|female|unknown"),
}


def leaf(name: str, token: Token) -> Leaf:
    """What a word, a phrase or a range says of the field. Raises QueryError, which says what is allowed there."""
    of = field(name)
    if token.kind in (Tokens.RANGE, Tokens.COMPARED):
        return _range(name, of, token)
    if token.number and of.kind is not Kind.TEXT:
        raise token.error(f"{of.allowed}, without ~")
    if of.kind in (Kind.NUMBER, Kind.TIME):
        return Range(name, *_span(of, token.position, token.text))
    if of.kind is Kind.HAS:
        if fold(token.text) != of.allowed:
            raise token.error(of.allowed)
        return Has(of.allowed)
    return _text(name, of, token) if of.kind in (Kind.TEXT, Kind.SIGIL) else _term(name, of, token)


# -- words ------------------------------------------------------------------------------------


def _text(name: str, of: Field, token: Token) -> Leaf:
    is_quoted = token.kind is Tokens.QUOTED
    if not is_quoted and any(char in token.text for char in "~^{}"):
        raise token.error("a word without ~ ^ { or } (or quotes)")
    if is_quoted and _starred.search(token.text):
        raise token.error("a phrase without * (which stands at the end of a word alone)")
    if not is_quoted:
        _check_other_languages(token)
    found = words(token.text, "" if is_quoted else WILDCARDS)
    if not found:
        raise token.error("a word, with a letter or a digit")
    for word in found:
        _check_wildcards(token, word)
    _check_size(token, found)
    if of.kind is Kind.SIGIL:
        if len(found) > 1 or found[0][0] in SIGILS.replace(of.sigil, ""):
            raise token.error(f"one word, with or without {of.sigil}")
        return Word(name, of.sigil + found[0].removeprefix(of.sigil))
    if len(found) > 1:
        return Phrase(name, tuple(found), token.number)
    if token.number:
        raise token.error("a phrase of several words before ~")
    return Word(name, found[0])


def _check_other_languages(token: Token) -> None:
    """What other query languages mean by a sign that means nothing here would be dropped, and something else found."""
    for sign, instead in ELSEWHERE.items():
        if token.text.startswith(sign):
            raise token.error(f"{instead} instead of {sign}")


def _check_wildcards(token: Token, word: str) -> None:
    if not any(map(is_wordly, word)):
        raise token.error("a letter or a digit beside * and ?")
    if "*" in word[:-1]:
        raise token.error("* at the end of a word alone")


def _check_size(token: Token, found: Sequence[str]) -> None:
    if any(len(word) > LONGEST_WORD for word in found):
        raise token.error(f"words of at most {LONGEST_WORD} letters")
    if len(found) > (most := MOST_LOOSE if token.number else MOST_WORDS) or sum(map(len, found)) > LONGEST_PHRASE:
        raise token.error(f"a phrase of at most {most} words and {LONGEST_PHRASE} letters")
    if sum(word.count("?") for word in found) > MOST_UNKNOWN:
        raise token.error(f"at most {MOST_UNKNOWN} times ? in a word or phrase")


# -- whole values -----------------------------------------------------------------------------


def _term(name: str, of: Field, token: Token) -> Term:
    is_quoted = token.kind is Tokens.QUOTED
    value = token.text.strip() if of.kind is Kind.ID else fold(token.text).strip()
    if of.kind is Kind.URL:
        value = _scheme.sub("", value, count=1).removesuffix("/")
    if not value.strip("" if is_quoted else WILDCARDS):
        raise token.error(of.allowed)
    if SEPARATOR in value:
        raise token.error(f"{of.allowed}, without control characters")
    if (form := _forms.get(of.kind)) and not form.fullmatch(value):
        raise token.error(of.allowed)
    if is_quoted and of.kind is not Kind.NAME:
        return Term(name, value, literal=any(char in value for char in WILDCARDS))
    if "*" in value[:-1]:
        raise token.error("* at the end alone (or quotes)")
    if value.count("?") > MOST_UNKNOWN:
        raise token.error(f"at most {MOST_UNKNOWN} times ? (or quotes)")
    return Term(name, value)


# -- numbers and times ------------------------------------------------------------------------


def _range(name: str, of: Field, token: Token) -> Range:
    if of.kind not in (Kind.NUMBER, Kind.TIME):
        which = ", ".join(one for one, it in FIELDS.items() if it.kind in (Kind.NUMBER, Kind.TIME))
        raise token.error(f"{of.allowed} (ranges are for {which})")
    if token.kind is Tokens.COMPARED:
        first, last = _span(of, *token.bounds[0])
        sides = {">": (last + 1, None), ">=": (first, None), "<": (None, first - 1), "<=": (None, last)}
        return Range(name, *sides[token.text])
    low, high = (None if text == "*" else _span(of, at, text) for at, text in token.bounds)
    if low and high and low[0] > high[1]:
        raise QueryError(token.bounds[1][0], f"at least {token.bounds[0][1]}", shown(token.bounds[1][1]))
    return Range(name, low and low[0], high and high[1])


def _span(of: Field, at: int, text: str) -> tuple[int, int]:
    """The first and the last number, or microsecond, that a value stands for."""
    span = _number_span(of, text) if of.kind is Kind.NUMBER else _time_span(text.strip())
    if span is None:
        raise QueryError(at, of.allowed, shown(text) if text else "nothing")
    return span


def _number_span(of: Field, text: str) -> tuple[int, int] | None:
    text = text.strip()
    if not _number.fullmatch(text) or not of.low <= int(text) <= of.high:
        return None
    return int(text), int(text)


def _time_span(text: str) -> tuple[int, int] | None:
    """A day is all of it, a millisecond likewise; without an offset it is UTC."""
    try:
        if _number.fullmatch(text):
            if abs(int(text)) < FEWEST:
                return None
            first, length = EPOCH + timedelta(milliseconds=int(text)), timedelta(milliseconds=1)
        elif _day.fullmatch(text):
            first, length = datetime.fromisoformat(text).replace(tzinfo=UTC), timedelta(days=1)
        elif _moment.fullmatch(text):
            told = datetime.fromisoformat(text.replace("Z", "+00:00"))
            first = told if told.tzinfo else told.replace(tzinfo=UTC)
            length = MICROSECOND if "." in text else timedelta(seconds=1)
        else:
            return None
    except (ValueError, OverflowError):
        return None
    if not FIRST <= first < LAST:
        return None
    microseconds = (first - EPOCH) // MICROSECOND
    return microseconds, microseconds + length // MICROSECOND - 1
