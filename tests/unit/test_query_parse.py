"""The query language as a grammar: what each sign means, and where a mistake is said to be."""

from __future__ import annotations

import random

import pytest

from tag_tasks.documents.query.parse import LONGEST, MOST_OPERANDS, QueryError, parse
from tag_tasks.documents.query.tree import And, Has, Near, Node, Not, Or, Range, Value, Words

A, B, C = (Words((word,)) for word in "abc")
DAY = 86_400_000
FIRST = 1_640_995_200_000  # 2022-01-01, in milliseconds

MEANINGS: list[tuple[str, Node]] = [
    ("a", A),
    ("  a  ", A),
    ("A", A),
    ("a b", And((A, B))),
    ("a AND b", And((A, B))),
    ("a OR b", Or((A, B))),
    ("a b OR c", Or((And((A, B)), C))),
    ("a OR b c", Or((A, And((B, C))))),
    ("a (b OR c)", And((A, Or((B, C))))),
    ("NOT a", Not(A)),
    ("-a", Not(A)),
    ("a -b", And((A, Not(B)))),
    ("a NOT b", And((A, Not(B)))),
    ("a AND NOT b", And((A, Not(B)))),
    ("a AND -b", And((A, Not(B)))),
    ("-(a OR b)", Not(Or((A, B)))),
    ("NOT NOT a", Not(Not(A))),
    ("a and or not b", And((A, Words(("and",)), Words(("or",)), Words(("not",)), B))),
    ("Ñandú", Words(("nandu",))),
    ("ΣΊΣΥΦΟΣ", Words(("σισυφοσ",))),
    ("Ёж", Words(("еж",))),
    ("北京", Words(("北京",))),
    ("don't", Words(("don", "t"))),
    ("reddit.com", Words(("reddit", "com"))),
    ("#Foo @bar", And((Words(("#foo",)), Words(("@bar",))))),
    ('"a b"', Words(("a", "b"))),
    ('"a, b!"', Words(("a", "b"))),
    ('"a AND b"', Words(("a", "and", "b"))),
    ('"a b"~3', Words(("a", "b"), slop=3)),
    ("te*", Words(("te*",))),
    ("t?st", Words(("t?st",))),
    ("a NEAR/3 b", Near(("a",), ("b",), 3, False)),
    ('a ONEAR/1 "b c"', Near(("a",), ("b", "c"), 1, True)),
    ("a NEAR/3 b c", And((Near(("a",), ("b",), 3, False), C))),
    ("title:a", Words(("a",), "title")),
    ("TITLE:a", Words(("a",), "title")),
    ('content:"a b"', Words(("a", "b"), "content")),
    ("title:(a OR b)", Or((Words(("a",), "title"), Words(("b",), "title")))),
    ("title:(a b) c", And((And((Words(("a",), "title"), Words(("b",), "title"))), C))),
    ("title:a NEAR/2 b", Near(("a",), ("b",), 2, False, "title")),
    ("author:García", Words(("garcia",), "author")),
    ("domainurl:reddit.com", Value("domainurl", "reddit.com")),
    ('domainurl:"reddit.com"', Value("domainurl", "reddit.com")),
    ("sourcetype:SOCIALMEDIA_*", Value("sourcetype", "socialmedia_*")),
    ("-lang:es", Not(Value("lang", "es"))),
    ("lang:(es OR EN)", Or((Value("lang", "es"), Value("lang", "en")))),
    ("hashtag:Foo", Words(("#foo",))),
    ("hashtag:#Foo", Words(("#foo",))),
    ("mention:bar*", Words(("@bar*",))),
    ("has:image", Has("image")),
    ("engagement:5", Range("engagement", 5, 5)),
    ("engagement:[10 TO *]", Range("engagement", 10, None)),
    ("engagement:[* TO -10]", Range("engagement", None, -10)),
    ("sentiment:>=-1", Range("sentiment", -1, None)),
    ("sentiment:>1", Range("sentiment", 2, None)),
    ("sentiment:<1", Range("sentiment", None, 0)),
    ("word_count:<=7", Range("word_count", None, 7)),
    ("published:2022-01-01", Range("published", FIRST, FIRST + DAY)),
    ("published:[2022-01-01 TO 2022-01-02]", Range("published", FIRST, FIRST + 2 * DAY)),
    ("published:>2022-01-01", Range("published", FIRST + DAY, None)),
    ("published:>=2022-01-01", Range("published", FIRST, None)),
    ("published:<2022-01-01", Range("published", None, FIRST)),
    (f"published:[{FIRST} TO *]", Range("published", FIRST, None)),
]

WRONG: list[tuple[str, int]] = [
    *[("", 0), ("   ", 3), ("(", 1), (")", 0), ("()", 1), ("(a", 2), ("a)", 1), ("((a)", 4), ("(a))", 3), ("a ()", 3)],
    *[("AND", 0), ("OR", 0), ("NOT", 3), ("a AND", 5), ("a OR", 4), ("a NOT", 5), ("AND a", 0), ("OR a", 0)],
    *[("a AND OR b", 6), ("a OR OR b", 5), ("a AND AND b", 6), ("NOT AND a", 4), ("(a OR)", 5), ("(OR a)", 1)],
    *[("-", 1), ("- a", 2), ("a -", 3), ("--", 2), ("-AND", 1), ("NOT -", 5), ("-)", 1)],
    *[('"', 0), ('"a', 0), ('a "b', 2), ('""', 0), ('" "', 0), ('"..."', 0), ('"a" "', 4), ('"!"~2', 0)],
    *[('"a b"~0', 0), ('"a b"~101', 0), ('"a b"~999999999', 0), ('"a b c d e f g h i j k"~2', 0)],
    *[("*", 0), ("?", 0), ("**", 0), ("?*", 0), ("-*", 1), ("...", 0), ("!", 0), ("#", 0), ("@*", 0), ("a *", 2)],
    *[("NEAR/3", 0), ("NEAR/3 a", 0), ("a NEAR/3", 8), ("a NEAR/0 b", 2), ("a NEAR/101 b", 2), ("a NEAR/3 AND", 9)],
    *[("a NEAR/3 (b)", 9), ("(a) NEAR/3 b", 4), ("a ONEAR/3", 9), ("a NEAR/3 -b", 9), ("a NEAR/3 NOT b", 9)],
    *[("a NEAR/3 *", 9), ("a NEAR/3 b NEAR/3 c", 11), ("a ONEAR/0 b", 2), ("NOT NEAR/3 b", 4)],
    *[("foo:bar", 0), ("a foo:bar", 2), ("http://a.b", 0), ("published_at:1", 0), ("-foo:bar", 1), ("a:", 0)],
    *[("title:", 6), ("title:AND", 6), ("title:()", 7), ("title:(a", 8), ("title:(lang:es)", 7), ("title:[1 TO 2]", 6)],
    *[("title:*", 6), ("title:title:a", 11), ("lang:", 5), ("lang:ESP", 5), ("lang:e", 5), ("lang:e1", 5)],
    *[("lang:*", 5), ("sourcecountry:COL", 14), ("gender:m", 7), ("gender:[a TO b]", 7), ("has:video", 4), ("has:", 4)],
    *[("has:*", 4), ("domainurl:*", 10), ("domainurl:a*b", 10), ("domainurl:...", 10), ("domainurl:(a", 12)],
    *[("hashtag:#", 8), ("hashtag:a.b", 8), ("mention:", 8), ("mention:*", 8), ('hashtag:"a b"', 8)],
    *[
        ("engagement:", 11),
        ("engagement:a", 11),
        ("engagement:1.5", 11),
        ("engagement:[1 TO 2", 11),
        ("engagement:[1]", 11),
    ],
    *[("engagement:[a TO 2]", 12), ("engagement:[1 TO b]", 17), ("engagement:[1 to 2]", 11), ("engagement:>a", 12)],
    *[("engagement:>", 11), ("engagement:>=", 11), ("engagement:99999999999999999999", 11), ("engagement:[ TO 1]", 11)],
    *[
        ("published:yesterday", 10),
        ("published:2022-13-01", 10),
        ("published:2022-1-1", 10),
        ("published:9999-12-31", 10),
    ],
    *[("published:[2022-01-01 TO x]", 25), ("published:>x", 11), ("sentiment:--1", 10), ("word_count:(1 OR a)", 17)],
    *[("[1 TO 2]", 0), ("a [b]", 2), ("]", 0), (":", 0), ("a : b", 2), ("a :b", 2), ("a b:", 2)],
]


@pytest.mark.parametrize(("text", "node"), MEANINGS, ids=[text for text, _ in MEANINGS])
def test_what_a_query_means(text: str, node: Node) -> None:
    assert parse(text) == node


@pytest.mark.parametrize(("text", "position"), WRONG, ids=[repr(text) for text, _ in WRONG])
def test_a_mistake_is_told_with_its_position(text: str, position: int) -> None:
    with pytest.raises(QueryError) as told:
        parse(text)
    assert told.value.position == position, str(told.value)
    assert told.value.expected and told.value.found and str(position) in str(told.value)


def test_there_are_a_hundred_mistakes() -> None:
    assert len(WRONG) >= 100


def test_bounds() -> None:
    assert parse(" ".join(["a"] * MOST_OPERANDS))
    with pytest.raises(QueryError, match="50 operands"):
        parse(" ".join(["a"] * (MOST_OPERANDS + 1)))
    with pytest.raises(QueryError, match="4096"):
        parse("a" * (LONGEST + 1))
    assert parse("(" * 20 + "a" + ")" * 20) == A
    for deep in (
        "(" * 21 + "a" + ")" * 21,
        "NOT " * 21 + "a",
        "-" * 1000 + "a",
        "(" * 4000,
        "title:(" + "(" * 20 + "a",
    ):
        with pytest.raises(QueryError, match="20 levels"):
            parse(deep)


ALPHABET = [
    *("a", "b", "ñ", "界", "é", "_", "1", " ", "  ", "\t", "\n", "\x00", "\u2028", "🦜", "e\u0301"),
    *("(", ")", '"', "*", "?", "~", "~2", ":", "[", "]", "-", "+", "/", "\\", "#", "@", ".", ",", "<", ">", "=", ">="),
    *("AND", "OR", "NOT", " TO ", "NEAR/3", "ONEAR/1", "title:", "lang:", "published:", "engagement:", "has:", "x:"),
    *("[1 TO 2]", "[* TO *]", "2022-01-01", "-5", "99999999999999999999", "'", ";", "--", "%", "DROP TABLE"),
]


def test_no_text_ends_in_anything_but_a_tree_or_a_mistake() -> None:
    chance = random.Random(7)
    understood = 0
    for _ in range(10_000):
        text = "".join(chance.choices(ALPHABET, k=chance.randrange(1, 40)))
        try:
            parse(text)
            understood += 1
        except QueryError as error:
            assert 0 <= error.position <= len(text)
    assert understood > 100
