"""What a query finds, said a second time: over plain values, without Spark and without the product's own folding."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tag_tasks.documents.query.tree import And, Has, Near, Node, Not, Or, Range, Value, Words

Found = NDArray[np.bool_]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SOURCE = {"sourcetype": "source_type", "posttype": "post_type", "domainurl": "domain_url", "tag": "tags"}
SOURCE |= {"sourcecountry": "country_code", "gender": "author_gender", "author": "author_name"}


@cache
def fold(text: str) -> str:
    """Lower case, and of Latin, Greek and Cyrillic letters none with an accent; no marks of any script."""
    found = []
    for one in text.lower().replace("ς", "σ"):
        script = unicodedata.name(one, "").split(" ")[0]
        parts = unicodedata.normalize("NFD", one) if script in ("LATIN", "GREEK", "CYRILLIC") else one
        found.append("".join(part for part in parts if unicodedata.category(part)[0] != "M"))
    return "".join(found)


def tokens(text: str | None) -> list[str]:
    found: list[str] = []
    word = ""
    for one in fold(text or "") + " ":
        if one == "_" or unicodedata.category(one)[0] in "LN":
            word += one
            continue
        if word.strip("#@"):
            found.append(word)
        word = one if one in "#@" else ""
    return found


def like(pattern: str) -> Callable[[str], bool]:
    """Whether a word is like this."""
    if not set("*?") & set(pattern):
        return pattern.__eq__
    wild = "".join(".*" if one == "*" else "." if one == "?" else re.escape(one) for one in pattern)
    return lambda word: re.fullmatch(wild, word, re.DOTALL) is not None


class Library:
    """Documents, and where each word stands."""

    def __init__(self, documents: Sequence[Mapping[str, Any]]) -> None:
        self.documents = documents
        self._found: dict[Node, Found] = {}
        self.words = {
            field: [tokens(document[SOURCE.get(field, field)]) for document in documents]
            for field in ("title", "content", "author")
        }
        self.holding: dict[str, dict[str, set[int]]] = {field: defaultdict(set) for field in self.words}
        for field, texts in self.words.items():
            for place, words in enumerate(texts):
                for word in words:
                    self.holding[field][word].add(place)

    def find(self, node: Node) -> Found:
        """Of each document, whether it is found."""
        if node not in self._found:
            self._found[node] = self._find(node)
        return self._found[node]

    def _find(self, node: Node) -> Found:
        match node:
            case And():
                return np.logical_and.reduce([self.find(part) for part in node.parts])
            case Or():
                return np.logical_or.reduce([self.find(part) for part in node.parts])
            case Not():
                return ~self.find(node.part)
            case Words():
                return self._texts(node.field, node.words, lambda words: bool(_ends(words, node.words, node.slop)))
            case Near():
                return self._texts(node.field, node.first + node.second, lambda words: _near(words, node))
            case Value():
                return self._each(lambda document: _is(document, node))
            case Range():
                return self._each(lambda document: _within(document, node))
            case Has():
                return self._each(lambda document: bool(document["image_urls"]))

    def _each(self, test: Callable[[Mapping[str, Any]], bool]) -> Found:
        return np.array([test(document) for document in self.documents])

    def _texts(self, field: str | None, needed: Sequence[str], test: Callable[[list[str]], bool]) -> Found:
        found = np.zeros(len(self.documents), bool)
        for name in ("title", "content") if field is None else (field,):
            places: set[int] | None = None
            for pattern in needed:
                wanted = like(pattern)
                held: set[int] = set().union(*(at for word, at in self.holding[name].items() if wanted(word)))
                places = held if places is None else places & held
            for place in places or ():
                found[place] = found[place] or test(self.words[name][place])
        return found


def _ends(words: Sequence[str], patterns: Sequence[str], slop: int = 0) -> set[tuple[int, int]]:
    """Where a run begins and ends, in all the ways that it can."""
    runs = {(place, place) for place, word in enumerate(words) if like(patterns[0])(word)}
    for pattern in patterns[1:]:
        wanted = like(pattern)
        runs = {
            (first, place)
            for first, last in runs
            for place in range(last + 1, min(len(words), last + 2 + slop))
            if wanted(words[place])
        }
    return runs


def _near(words: Sequence[str], node: Near) -> bool:
    firsts, seconds = _ends(words, node.first), _ends(words, node.second)

    def follow(left: set[tuple[int, int]], right: set[tuple[int, int]]) -> bool:
        return any(0 <= begin - end - 1 <= node.within for _, end in left for begin, _ in right)

    return follow(firsts, seconds) or (not node.ordered and follow(seconds, firsts))


def _is(document: Mapping[str, Any], node: Value) -> bool:
    value = document[SOURCE.get(node.field, node.field)]
    values = value if isinstance(value, list) else [value]
    return any(like(node.value)(fold(one)) for one in values if one is not None)


def _within(document: Mapping[str, Any], node: Range) -> bool:
    value = document[node.field]
    if value is None:
        return False
    if node.field != "published":
        return (node.low is None or node.low <= value) and (node.high is None or value <= node.high)
    at = (value - EPOCH) / timedelta(milliseconds=1)
    return (node.low is None or node.low <= at) and (node.high is None or at < node.high)
