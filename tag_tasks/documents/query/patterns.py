r"""Regular expressions that find folded words in texts as they are, or in tidy ones.

They keep to what Rust, Java and Python's `regex` share: no look-around, and every class written out. A tidy text is
` word #word word `: one space, or a lone sigil and a space, between words; only there can words be counted, since a
hundred times the class of all letters is more than Rust's engine compiles (10 MB).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from tag_tasks.documents.query.fold import IGNORED, SIGILS, same
from tag_tasks.documents.query.tree import Near, Phrase, Term, Word

# A plain word is never found right behind a sigil, so its start looks at the character before it. What is ignored
# may stand anywhere.
LETTERS = r"\p{L}\p{N}\p{M}_\x{ad}"  # with those that are ignored
SKIP = f"[{IGNORED}]*"
LETTER = rf"[\p{{L}}\p{{N}}\p{{M}}_&&[^{IGNORED}]]"
REST = f"[{LETTERS}]*"
OTHER = f"[^{LETTERS}]"
BEFORE = f"[^{LETTERS}{SIGILS}]"
START = f"(?:^|{BEFORE}){SKIP}"
END = f"(?:$|{OTHER})"
BETWEEN = f"(?:{OTHER}|[{IGNORED}])*"

SEPARATOR = "\x1f"
"""Between the values of a list that is searched as one text. A value that is asked for has none."""

ANY = f"[^{SEPARATOR}]"

# In a tidy text.
TIDY_LETTER = f"[^ {SIGILS}]"
TIDY_WORD = f"[{SIGILS}]?{TIDY_LETTER}+"
TIDY_BETWEEN = f" (?:[{SIGILS}]? )*"

HEAVIEST = 400
"""Letters of one pattern: 1,000 are about 1 MB of the engine's automaton, of which it allows itself 10."""

UNKNOWN = 50
"""Letters that a `?` weighs as much as."""


def any_of(found: Iterable[Word | Phrase]) -> Iterator[str]:
    """As few patterns as may be that find a text where any of these is: one pass over a text costs as much for ten
    words as for one. Phrases without slop alone."""
    parts: list[str] = []
    weight = 0
    for one in found:
        heavy = _weight(one)
        if parts and weight + heavy > HEAVIEST:
            yield "|".join(parts)
            parts, weight = [], 0
        parts.append(in_text(one))
        weight += heavy
    if parts:
        yield "|".join(parts)


def in_text(found: Word | Phrase) -> str:
    """Finds a word, or words next to each other, in a text as it is."""
    words = words_of(found)
    first = _word(words[0]) if words[0][0] in SIGILS else START + _word(words[0])
    return first + "".join(_next(word) for word in words[1:]) + ("" if words[-1].endswith("*") else END)


def near(sought: Near) -> str:
    """Finds them near each other in a tidy text."""
    one, other = _tidy(sought.left), _tidy(sought.right)
    between = _at_most(sought.distance - 1)
    there = f" {one}{between}{other} "
    return there if sought.ordered else f"{there}| {other}{between}{one} "


def loose(sought: Phrase) -> str:
    """Finds the words in their order, with others between them, in a tidy text."""
    return f" {_at_most(sought.slop).join(map(_tidy_word, sought.words))} "


def value(sought: Term, is_folded: bool, before: str = "", behind: str = "") -> str:
    """Finds a value that is all of a text, or of one between separators, but for what may stand around it."""
    chars, rest = sought.value, behind
    if not sought.literal and chars.endswith("*"):
        chars, rest = chars[:-1], ANY + "*"
    skip = SKIP if is_folded else ""
    found = [ANY if char == "?" and not sought.literal else _exactly(char, is_folded) for char in chars]
    text = "".join(char + skip for char in found)
    return f"(?:^|{SEPARATOR}){before}{skip}{text}{rest}(?:$|{SEPARATOR})"


def words_of(found: Word | Phrase) -> tuple[str, ...]:
    return (found.text,) if isinstance(found, Word) else found.words


def _weight(found: Word | Phrase) -> int:
    return sum(len(word) + UNKNOWN * (1 + word.count("?")) for word in words_of(found))


@lru_cache(maxsize=1000)
def _word(word: str) -> str:
    return "".join(LETTER + SKIP if char == "?" else REST if char == "*" else same(char) + SKIP for char in word)


def _next(word: str) -> str:
    """A word behind another, which ends before it: at a character of no word, which is no sigil of this one."""
    return BETWEEN + ("" if word[0] in SIGILS else BEFORE + SKIP) + _word(word)


def _tidy(found: Word | Phrase) -> str:
    return TIDY_BETWEEN.join(map(_tidy_word, words_of(found)))


def _tidy_word(word: str) -> str:
    return "".join(TIDY_LETTER if char == "?" else TIDY_LETTER + "*" if char == "*" else same(char) for char in word)


def _at_most(others: int) -> str:
    """What lies between two words with at most so many others between them."""
    return f"(?:{TIDY_BETWEEN}{TIDY_WORD}){{0,{others}}}{TIDY_BETWEEN}" if others else TIDY_BETWEEN


def _exactly(char: str, is_folded: bool) -> str:
    return same(char) if is_folded else f"\\x{{{ord(char):x}}}"
