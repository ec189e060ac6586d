"""The query language: what a text means, and where one that means nothing goes wrong."""

from __future__ import annotations

import random
import re
import time
from datetime import UTC, datetime
from threading import Thread

import pytest

from tag_tasks.documents.query.fields import FIELDS
from tag_tasks.documents.query.fold import fold, words
from tag_tasks.documents.query.parse import DEEPEST, MOST_OPERANDS, QueryError, parse
from tag_tasks.documents.query.tokens import LONGEST
from tag_tasks.documents.query.tree import ANY_TEXT, And, Has, Near, Node, Not, Or, Phrase, Range, Term, Word
from tests.unit.malformed_queries import MALFORMED

A, B, C, D = (Word(ANY_TEXT, letter) for letter in "abcd")
DAY = 86_400 * 1_000_000


def both(*parts: Node) -> And:
    return And(parts)


def either(*parts: Node) -> Or:
    return Or(parts)


def micros(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 1_000_000


def text(*found: str, slop: int = 0) -> Word | Phrase:
    return Phrase(ANY_TEXT, found, slop) if len(found) > 1 else Word(ANY_TEXT, found[0])


OPERATORS = {
    "a": A,
    "a AND b": both(A, B),
    "a b": both(A, B),
    "a b AND c": both(A, B, C),
    "a OR b": either(A, B),
    "a OR b AND c": either(A, both(B, C)),
    "a b OR c d": either(both(A, B), both(C, D)),
    "a AND (b OR c)": both(A, either(B, C)),
    "(a OR b)(c OR d)": both(either(A, B), either(C, D)),
    "((a))": A,
    "(a AND b) AND c": both(both(A, B), C),
    "NOT a": Not(A),
    "-a": Not(A),
    "--a": Not(Not(A)),
    "NOT NOT a": Not(Not(A)),
    "a AND NOT b": both(A, Not(B)),
    "a NOT b": both(A, Not(B)),
    "a -b": both(A, Not(B)),
    "a OR -b": either(A, Not(B)),
    "NOT a b": both(Not(A), B),
    "-(a OR b)": Not(either(A, B)),
    '-"a b"': Not(text("a", "b")),
    "a NEAR/3 b": Near(A, B, 3, ordered=False),
    "a ONEAR/100 b": Near(A, B, 100, ordered=True),
    "NOT a NEAR/1 b": Not(Near(A, B, 1, ordered=False)),
    '"a b" NEAR/3 c AND d': both(Near(text("a", "b"), C, 3, ordered=False), D),
    "title:(a NEAR/2 b)": Near(Word("title", "a"), Word("title", "b"), 2, ordered=False),
    "title:a NEAR/2 title:b": Near(Word("title", "a"), Word("title", "b"), 2, ordered=False),
    "and or not near": both(text("and"), text("or"), text("not"), text("near")),
    '"AND"': text("and"),
    "ANDY NEARBY": both(text("andy"), text("nearby")),
    " \n a\tb ": both(A, B),
}

WORDS = {
    "CAFÉ": text("cafe"),
    "cafe\u0301": text("cafe"),
    "Ёлка": text("елка"),
    "İSTANBUL": text("istanbul"),
    "ΟΔΟΣ": text("οδοσ"),
    "οδος": text("οδοσ"),
    "Straße": text("straße"),
    "łódź": text("lodz"),
    "co\u00adoperate": text("cooperate"),
    "हिन्दी": text("हिन्दी"),
    "北京": text("北京"),
    "foo_bar2": text("foo_bar2"),
    "#Foo": text("#foo"),
    "@Foo": text("@foo"),
    "##foo": text("#foo"),
    "foo@bar.com": text("foo", "@bar", "com"),
    "it's": text("it", "s"),
    "a-b": text("a", "b"),
    "a,": A,
    '"a, b!"': text("a", "b"),
    "“a b”": text("a", "b"),
    '"a"': A,
    '"a"b': both(A, B),
    '"a b"~5': text("a", "b", slop=5),
    '"a * b?"': text("a", "b"),
    "a! b": both(A, B),
    "foo*": text("foo*"),
    "f?o": text("f?o"),
    "?oo*": text("?oo*"),
    "#foo*": text("#foo*"),
    "foo-ba*": text("foo", "ba*"),
    "12:30": text("12", "30"),
}

NAMED = {
    "title:foo": Word("title", "foo"),
    "title: foo": Word("title", "foo"),
    "Title:foo": Word("title", "foo"),
    "LANG:(es)": Term("lang", "es"),
    "content:(a OR -b)": either(Word("content", "a"), Not(Word("content", "b"))),
    'author:"Íñigo García"': Phrase("author", ("inigo", "garcia")),
    "author_id:Ab_1": Term("author_id", "Ab_1"),
    'source_id:"a*"': Term("source_id", "a*", literal=True),
    "lang:EN": Term("lang", "en"),
    "lang:(es OR en)": either(Term("lang", "es"), Term("lang", "en")),
    "sourcetype:SOCIALMEDIA_*": Term("sourcetype", "socialmedia_*"),
    "posttype:image": Term("posttype", "image"),
    "domainurl:reddit.com": Term("domainurl", "reddit.com"),
    "host_url:https://WWW.Reddit.com/": Term("host_url", "www.reddit.com"),
    "root_url:reddit.*": Term("root_url", "reddit.*"),
    "sourcecountry:us": Term("sourcecountry", "us"),
    'tag:"Très urgent"': Term("tag", "tres urgent"),
    "tag:a-b": Term("tag", "a-b"),
    "gender:female": Term("gender", "female"),
    "hashtag:Foo": Word("hashtag", "#foo"),
    "hashtag:#foo*": Word("hashtag", "#foo*"),
    "mention:foo": Word("mention", "@foo"),
    "has:image": Has("image"),
    "-has:IMAGE": Not(Has("image")),
    "sentiment:-3": Range("sentiment", -3, -3),
    "-sentiment:-3": Not(Range("sentiment", -3, -3)),
    "sentiment:(-3 OR -4)": either(Range("sentiment", -3, -3), Range("sentiment", -4, -4)),
    "sentiment:[-5 TO -1]": Range("sentiment", -5, -1),
    "sentiment:<0": Range("sentiment", None, -1),
    "engagement:[10 TO *]": Range("engagement", 10, None),
    "engagement:[* TO 10]": Range("engagement", None, 10),
    "engagement:[* TO *]": Range("engagement", None, None),
    "engagement:[ 1  TO  1 ]": Range("engagement", 1, 1),
    "engagement:>=10": Range("engagement", 10, None),
    "engagement:>= 10": Range("engagement", 10, None),
    "engagement:>10": Range("engagement", 11, None),
    "word_count:<=10": Range("word_count", None, 10),
    "word_count:(>1 <9)": both(Range("word_count", 2, None), Range("word_count", None, 8)),
    "published:2022-01-01": Range("published", micros(2022, 1, 1), micros(2022, 1, 2) - 1),
    "published:[2022-01-01 TO 2022-02-01]": Range("published", micros(2022, 1, 1), micros(2022, 2, 2) - 1),
    "published:>2022-01-01": Range("published", micros(2022, 1, 2), None),
    "published:<2022-01-01": Range("published", None, micros(2022, 1, 1) - 1),
    "published:1640995200000": Range("published", micros(2022, 1, 1), micros(2022, 1, 1) + 999),
    "published:>=2022-01-01T01:00:00+01:00": Range("published", micros(2022, 1, 1), None),
    "published:<=2022-01-01T00:00:00.5Z": Range("published", None, micros(2022, 1, 1) + 500_000),
}


@pytest.mark.parametrize(("query", "tree"), [*OPERATORS.items(), *WORDS.items(), *NAMED.items()])
def test_a_query_means(query: str, tree: Node) -> None:
    assert parse(query) == tree


def test_every_field_has_an_example() -> None:
    assert {name for name in FIELDS if not any(re.search(rf"\b{name}:", query) for query in NAMED)} == set()


# -- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("query", "position", "expected"), MALFORMED)
def test_what_is_wrong_is_said_with_its_place(query: str, position: int, expected: str) -> None:
    with pytest.raises(QueryError) as refused:
        parse(query)
    error = refused.value
    assert (error.position, expected in error.expected) == (position, True), error
    assert str(error) == f"expected {error.expected} at position {position}, found {error.found}"


def test_the_corpus_is_large_enough_and_names_every_field() -> None:
    assert len(MALFORMED) >= 100
    assert {name for name in FIELDS if not any(f"{name}:" in query for query, _, _ in MALFORMED)} == set()


def test_operands_are_counted() -> None:
    parse(" ".join(["a"] * MOST_OPERANDS))
    with pytest.raises(QueryError, match=f"at most {MOST_OPERANDS} operands at position {2 * MOST_OPERANDS}"):
        parse(" ".join(["a"] * (MOST_OPERANDS + 1)))


@pytest.mark.parametrize("opening", ["(", "-", "NOT ", "-(", "title:(("])
def test_nesting_is_bounded(opening: str) -> None:
    with pytest.raises(QueryError, match=f"at most {DEEPEST} levels" if ":" not in opening else "a value of title"):
        parse(opening * (LONGEST // len(opening)))
    depth = DEEPEST - 1
    assert parse("(" * depth + "a" + ")" * depth) == A


def test_a_query_is_as_long_as_it_may_be() -> None:
    word = "a" * 80
    longest = (f"{word} OR " * MOST_OPERANDS)[: LONGEST - 4].rstrip(" OR") + "    "
    parse(longest)
    with pytest.raises(QueryError, match=f"at most {LONGEST} characters"):
        parse(" " * (LONGEST + 1))


def test_an_error_shows_no_more_than_a_glimpse() -> None:
    with pytest.raises(QueryError) as refused:
        parse("lang:" + "x" * 4000)
    assert len(str(refused.value)) < 120


PIECES = [
    *(
        "AND",
        "OR",
        "NOT",
        "NEAR/3",
        "ONEAR/2",
        "NEAR/",
        "NEAR",
        "NOT(",
        "TO",
        "a",
        "foo",
        "é",
        "е\u0301",
        "北京",
        "\u0301",
    ),
    *(
        "(",
        ")",
        '"',
        "“",
        "[",
        "]",
        "-",
        "*",
        "?",
        "~",
        "~3",
        ":",
        ">=",
        "<",
        "#",
        "@",
        "^",
        "\\",
        "'",
        "{",
        "}",
        "/",
        ".",
    ),
    *(" ", "  ", "\n", "\x00", "\u200b", "😀", "\ud800", "İ", "ß", "٣", "12", "-3", "2022-01-01", "9" * 30, "[1 TO 2]"),
    *(f"{name}:" for name in FIELDS),
    *("http:", "lang:en", "sentiment:[", "has:image", "title:(", "published:[*"),
]


def test_whatever_is_written_ends_in_a_tree_or_in_a_refusal() -> None:
    chance = random.Random(20220316)
    understood = 0
    for _ in range(10_000):
        query = "".join(chance.choice(PIECES) + chance.choice(["", " "]) for _ in range(chance.randint(0, 30)))
        if chance.random() < 0.05:
            query *= 200
        try:
            parse(query)
            understood += 1
        except QueryError as error:
            assert 0 <= error.position <= len(query), (query, error)
    assert understood > 200


def test_threads_do_not_disturb_each_other() -> None:
    """Yacc-made parsers, such as luqum's, keep their state in a module."""
    queries = [*OPERATORS, *NAMED]
    found: list[bool] = []

    def read(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(300):
            query = chance.choice(queries)
            found.append(parse(query) == {**OPERATORS, **NAMED}[query])

    threads = [Thread(target=read, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 * 300
    assert all(found)


def test_the_longest_query_is_read_quickly() -> None:
    query = " ".join(f"{'aeo' * 26}{number}" for number in range(MOST_OPERANDS))[:LONGEST]
    parse(query)
    started = time.perf_counter()
    parse(query)
    assert time.perf_counter() - started < 0.1


# -- words ------------------------------------------------------------------------------------


def test_folding_twice_changes_nothing() -> None:
    letters = "".join(chr(code) for code in range(0x20000) if not 0xD800 <= code < 0xE000)
    once = fold(letters)
    assert fold(once) == once


def test_words_of_a_text() -> None:
    assert words("¡Niño! #Foo ##bar a@b.c_d e\u0301t\u00ade # x ❤️ y") == [
        *("nino", "#foo", "#bar", "a", "@b", "c_d", "ete", "x", "y"),
    ]
