r"""When two characters are the same to a query, and what a word is: for Python and for regular expressions at once.

A text is never lowered or stripped of its accents where it is searched: Spark's `lower` and Python's need not agree
(İ, ß, a final sigma), and folding 10 million texts costs more than searching them. Instead each letter of a query
becomes the class of all characters that fold to it, in a pattern that Rust, Java and Python understand alike.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from functools import cache, lru_cache

IGNORED = "\u00ad\u0300-\u036f\u20d0-\u20ff\ufe00-\ufe0f"
"""Accents that are characters of their own, variation selectors and soft hyphens: as if they were not there."""

SIGILS = "#@"
CASED = (
    (0x41, 0x600),  # Latin, Greek, Cyrillic, Armenian
    (0x10A0, 0x1100),  # Georgian
    (0x13A0, 0x1400),  # Cherokee
    (0x1C80, 0x1CC0),
    (0x1D00, 0x2000),  # Latin and Greek with further accents
    (0x2100, 0x2190),  # the signs of kelvin and ångström
    (0x2C00, 0x2E00),
    (0xA640, 0xA800),
    (0xAB30, 0xABC0),
    (0xFF21, 0xFF5B),  # wide letters between Chinese ones
    (0x10400, 0x10500),
    (0x10C80, 0x10D00),
    (0x118A0, 0x118E0),
    (0x1E900, 0x1E944),
)
"""Where letters lie that fold to others. The others fold to themselves."""

STROKES = {"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ŧ": "t", "ı": "i"}
"""Letters whose accent Unicode takes for a part of them. The i without a dot is the small letter of a Turkish I."""

SCRIPTS = ("LATIN ", "GREEK ", "CYRILLIC ", "FULLWIDTH LATIN ")
"""Whose accents are dropped: in Hangul or Devanagari what decomposes is the letter itself."""

_ignored = re.compile(f"[{IGNORED}]")
_word_categories = ("L", "N", "M")


def fold(text: str) -> str:
    """The text in lower case and without accents. What is not ignored stays one character."""
    table = _folded()
    return "".join([table.get(char, char) for char in _ignored.sub("", text)])


def words(text: str, wildcards: str = "") -> list[str]:
    """The words of a text, folded: runs of letters, digits and underscores, with a sigil right before them.

    Wildcards are taken for letters.
    """
    found, word = [], ""
    for char in fold(text) + " ":
        if is_wordly(char) or char in wildcards:
            word += char
            continue
        if word.strip(SIGILS):
            found.append(word)
        word = char if char in SIGILS else ""
    return found


def is_wordly(char: str) -> bool:
    """Whether a character is part of a word. Marks that are not ignored are parts of a letter, as in Devanagari."""
    return char == "_" or unicodedata.category(char)[0] in _word_categories


@lru_cache(maxsize=10_000)
def same(char: str) -> str:
    """A pattern for all characters that fold to this folded one."""
    if len(variants := _unfolded().get(char, char)) > 1:
        return f"[{variants}]"
    return char if is_wordly(char) else f"\\x{{{ord(char):x}}}"


@cache
def _folded() -> dict[str, str]:
    chars = (chr(code) for low, high in CASED for code in range(low, high))
    return {char: plain for char in chars if (plain := _plain(char)) != char}


@cache
def _unfolded() -> dict[str, str]:
    variants: dict[str, str] = defaultdict(str)
    for char, plain in _folded().items():
        variants[plain] += char
    return {plain: plain + chars for plain, chars in variants.items()}


def _plain(char: str) -> str:
    """Of one letter; itself where it would become several, as ß would."""
    if not unicodedata.category(char).startswith("L"):
        return char
    lower = _one(char.casefold()) or _one(char.lower()) or char
    if unicodedata.name(lower, "").startswith(SCRIPTS):
        lower = _one(unicodedata.normalize("NFKD", lower).casefold()) or lower
    return STROKES.get(lower, lower)


def _one(text: str) -> str | None:
    """The only character that is not ignored."""
    text = _ignored.sub("", text)
    return text if len(text) == 1 else None
