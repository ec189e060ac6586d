"""How words are compared: lower case, without accents, whole. One table, for Python and for Spark.

A word is a run of letters, digits and underscores; a `#` or `@` right before it is part of it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F

SCRIPTS = ("LATIN", "GREEK", "CYRILLIC")
MARKS = r"\p{M}+"
LETTER = r"\p{L}\p{N}_"


def _plain_letters() -> Mapping[str, str]:
    """Of each small letter with an accent the letter without; and the one letter that has two shapes."""
    found = {"ς": "σ"}
    for code in range(0x80, 0x2000):
        letter = chr(code)
        if letter != letter.lower() or not unicodedata.name(letter, "").startswith(SCRIPTS):
            continue
        base = "".join(one for one in unicodedata.normalize("NFD", letter) if not unicodedata.combining(one))
        if base != letter and len(base) == 1:
            found[letter] = base
    return found


PLAIN = _plain_letters()
_TABLE = str.maketrans(dict(PLAIN))
_WORD = re.compile(r"[#@]?\w+")


def folded(text: str) -> str:
    """A text as it is compared."""
    lower = text.lower().translate(_TABLE)
    return "".join(one for one in lower if not unicodedata.category(one).startswith("M"))


def words_of(text: str) -> list[str]:
    """The words of a text, folded."""
    return [word for word in _WORD.findall(folded(text)) if any(map(is_letter, word))]


def is_letter(one: str) -> bool:
    return one == "_" or unicodedata.category(one)[0] in "LN"


def folded_column(column: Column) -> Column:
    """The same on Spark; "" for what is absent."""
    lower = F.lower(F.coalesce(column, F.lit("")))
    return F.regexp_replace(F.translate(lower, "".join(PLAIN), "".join(PLAIN.values())), MARKS, "")


def spaced(column: Column) -> Column:
    """The words of a text with one space before and behind each: a word, or a run of them, is a part of that."""
    text = F.regexp_replace(folded_column(column), f"[^{LETTER}#@]+", " ")
    signs = F.regexp_replace(text, f"[#@]*([#@])([{LETTER}])", " $1$2")
    without = F.regexp_replace(F.regexp_replace(signs, r"[#@]+( |$)", " "), " +", " ")
    plain = F.when(text.rlike("[#@]"), without).otherwise(text)
    return F.concat(F.lit(" "), F.trim(plain), F.lit(" "))
