"""Queries on Spark find what two others find: plain Python for all of the language, DuckDB for what it can say."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tag_tasks.documents.query.columns import matches
from tag_tasks.documents.query.parse import LONGEST, parse
from tag_tasks.documents.query.tree import And, Node, Not, Or, Range, Value, Words
from tag_tasks.documents.source import SCHEMA
from tag_tasks.spark.session import Spark
from tests.spark.plain_query import SOURCE, Library

COUNT, TREES, AT_ONCE = 20_000, 2_000, 100
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
VOCABULARY = [
    *("uno", "dos", "tres", "Ñandú", "niño", "NIÑO", "café", "cafe\u0301", "Straße", "STRASSE", "İstanbul", "σίσυφος"),
    *("ΣΊΣΥΦΟΣ", "Ёжик", "ежик", "дом", "Дом", "北京", "東京", "が", "नमस्ते", "a_b", "x1", "1", "2026", "ﬁn"),
    *("#uno", "@dos", "##tres", "#", "@", "uno#dos", "e-mail", "don't", "reddit.com", "c++", "a", "b", "c", "🦜"),
    *("house", "home", "homes", "Home", "test", "text", "tent", "%", "_", "\\", "'quote'", '"', "\n", "\u2028"),
]
BETWEEN = [" ", " ", " ", ", ", "\n", ". ", " - ", "/"]
PEOPLE = ["Ana García", "ana garcia", "Ёлкин", "O'Neil", "", None]
AUTHORS = ["ana", "García", '"Ana Garcia"', "neil", "ёл*"]
DOMAINS = ["reddit.com", "Reddit.com", "example.org", "ñandú.es", "reddit.co", None]
TEXTS = ("title", "content", "author_name")
TYPES = ["SOCIALMEDIA_TWITTER", "SOCIALMEDIA", "BLOG", "ONLINENEWS", "línea"]


def text(chance: random.Random, most: int) -> str | None:
    if chance.random() < 0.05:
        return None
    return "".join(chance.choice(VOCABULARY) + chance.choice(BETWEEN) for _ in range(chance.randrange(most)))


def documents(count: int) -> list[dict[str, Any]]:
    chance = random.Random(3)

    def some(values: Sequence[Any]) -> list[Any] | None:
        return None if chance.random() < 0.1 else chance.sample(list(values), chance.randrange(3))

    rows: list[dict[str, Any]] = []
    for number in range(count):
        row = dict.fromkeys(SCHEMA.names) | {
            "id": f"d{number}",
            "published": FIRST + timedelta(milliseconds=chance.randrange(40 * 86_400_000)),
            "title": text(chance, 6),
            "content": text(chance, 12),
            "author_name": chance.choice(PEOPLE),
            "author_id": chance.choice(["a1", "A2", None]),
            "author_gender": chance.choice(["male", "FEMALE", None]),
            "domain_url": chance.choice(DOMAINS),
            "lang": chance.choice(["es", "EN", None]),
            "country_code": chance.choice(["CO", "es", None]),
            "source_type": some(TYPES),
            "tags": some([*TYPES, None]),
            "sentiment": chance.choice([-5, 0, 5, None]),
            "engagement": chance.choice([0, 7, 10**12, None]),
            "word_count": chance.choice([0, 3, None]),
            "image_urls": chance.choice([None, [], ["https://a/b.png"]]),
        }
        rows.append(row)
    return rows


# -- random queries ------------------------------------------------------------------------


class Grammar:
    """Writes queries: every operator and field, nested."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def word(self) -> str:
        while not (words := [one for one in self.chance.choice(VOCABULARY).split() if any(map(str.isalnum, one))]):
            pass
        word = words[0].replace('"', "").replace("\\", "").lstrip("-")
        roll = self.chance.random()
        if roll < 0.1 and len(word) > 2 and word[:2].isalnum():
            word = word[:2] + "*"
        elif roll < 0.2 and len(word) > 2 and word[0].isalnum():
            word = word[0] + "?" + word[2:]
        return self.chance.choice([word, word, word.upper(), word.lower()])

    def phrase(self) -> str:
        return (
            '"'
            + " ".join(self.word().replace("*", "").replace("?", "") for _ in range(self.chance.randrange(1, 4)))
            + '"'
        )

    def of_field(self) -> str:
        choose = self.chance.choice
        written: list[Callable[[], str]] = [
            lambda: f"title:{self.word()}",
            lambda: f"content:{self.phrase()}",
            lambda: f"author:{choose(AUTHORS)}",
            lambda: f"title:({self.word()} OR {self.word()} {self.word()})",
            lambda: f"domainurl:{choose(['reddit.com', 'REDDIT.*', 'reddit.co?', 'Ñandu.es', 'example.org'])}",
            lambda: f"sourcetype:{choose(['socialmedia_twitter', 'SOCIALMEDIA', 'social*', 'blo?', 'LINEA'])}",
            lambda: f"tag:{choose(['BLOG', 'o*', 'línea'])}",
            lambda: f"lang:({choose(['es', 'EN'])} OR fr)",
            lambda: f"sourcecountry:{choose(['co', 'ES'])}",
            lambda: f"gender:{choose(['male', 'Female', 'unknown'])}",
            lambda: f"author_id:{choose(['a1', 'a2', 'a?'])}",
            lambda: f"hashtag:{choose(['uno', '#tres', 'd*'])}",
            lambda: f"mention:{choose(['dos', 'uno'])}",
            lambda: "has:image",
            lambda: f"engagement:{choose(['7', '[1 TO *]', '[* TO 7]', '>7', '>=7', '<7', '<=0', '[* TO *]'])}",
            lambda: f"sentiment:{choose(['-5', '[-1 TO 5]', '<0', '>=-5'])}",
            lambda: f"word_count:{choose(['3', '[0 TO 2]'])}",
            lambda: f"published:{choose(['2026-01-05', '[2026-01-10 TO 2026-01-20]', '>2026-02-01', '<=2026-01-02'])}",
        ]
        return choose(written)()

    def term(self) -> str:
        roll = self.chance.random()
        if roll < 0.35:
            return self.word()
        if roll < 0.5:
            return self.phrase() + self.chance.choice(["", "", f"~{self.chance.randrange(1, 4)}"])
        if roll < 0.62:
            return f"{self.word()} {self.chance.choice(['NEAR', 'ONEAR'])}/{self.chance.randrange(1, 5)} {self.word()}"
        return self.of_field()

    def query(self, depth: int = 3) -> str:
        roll = self.chance.random()
        if depth == 0 or roll < 0.3:
            return self.term()
        if roll < 0.45:
            return f"{self.chance.choice(['NOT ', '-'])}({self.query(depth - 1)})"
        parts = [f"({self.query(depth - 1)})" for _ in range(self.chance.randrange(2, 4))]
        return self.chance.choice([" AND ", " OR ", " ", " AND NOT ", " NOT "]).join(parts)


# -- what DuckDB can say ---------------------------------------------------------------------


def in_sql(node: Node) -> str | None:
    """Values and numbers, and what combines them; None for what SQL has no word for."""
    match node:
        case And() | Or():
            parts = [in_sql(part) for part in node.parts]
            told = [part for part in parts if part is not None]
            return f"({(' AND ' if isinstance(node, And) else ' OR ').join(told)})" if len(told) == len(parts) else None
        case Not():
            part = in_sql(node.part)
            return None if part is None else f"(NOT {part})"
        case Words() if len(node.words) == 1 and node.words[0].isascii() and node.words[0].isalnum():
            columns = ("title", "content") if node.field is None else (SOURCE.get(node.field, node.field),)
            word = r"(^|[^\p{L}\p{N}_#@])" + node.words[0] + r"($|[^\p{L}\p{N}_])"
            looked = [f"regexp_matches(plain_{one}, '{word}')" for one in columns]
            return f"({' OR '.join(looked)})"
        case Value() if node.field in ("lang", "sourcecountry", "author_id") and not set("*?") & set(node.value):
            return f"coalesce(lower({SOURCE.get(node.field, node.field)}) = '{node.value}', false)"
        case Range() if node.field != "published":
            low = "true" if node.low is None else f"{node.field} >= {node.low}"
            high = "true" if node.high is None else f"{node.field} <= {node.high}"
            return f"coalesce({node.field} IS NOT NULL AND {low} AND {high}, false)"
    return None


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Library]:
    rows = documents(COUNT)
    path = tmp_path_factory.mktemp("documents") / "part.parquet"
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), path)
    return path, Library(rows)


def found_by_spark(spark: Spark, path: Path, nodes: Sequence[Node]) -> list[np.ndarray]:
    found: list[np.ndarray] = []
    with spark.session() as session:
        rows = session.read.parquet(str(path))
        for first in range(0, len(nodes), AT_ONCE):
            columns = [matches(node).alias(f"q{place}") for place, node in enumerate(nodes[first : first + AT_ONCE])]
            told = rows.select("id", *columns).toArrow()
            order = np.argsort([int(one[1:]) for one in told["id"].to_pylist()])
            for column in told.columns[1:]:
                assert column.null_count == 0
                found.append(column.to_numpy()[order].astype(bool))
    return found


@pytest.mark.timeout(900)
def test_random_queries_find_what_two_others_find(spark: Spark, library: tuple[Path, Library]) -> None:
    path, plain = library
    grammar = Grammar(11)
    queries = [grammar.query() for _ in range(TREES)]
    nodes = [parse(query) for query in queries]
    for query, node, found in zip(queries, nodes, found_by_spark(spark, path, nodes), strict=True):
        wanted = plain.find(node)
        if (found != wanted).any():
            place = int(np.flatnonzero(found != wanted)[0])
            document = {key: value for key, value in plain.documents[place].items() if value is not None}
            pytest.fail(f"{query!r}: Spark says {found[place]} of {document}")
    told = [(query, sql) for query, node in zip(queries, nodes, strict=True) if (sql := in_sql(node))]
    assert len(told) > TREES / 20
    with duckdb.connect() as db:
        plainly = [f"lower(strip_accents(coalesce({one}, ''))) AS plain_{one}" for one in TEXTS]
        db.execute(f"CREATE TABLE documents AS SELECT *, {', '.join(plainly)} FROM read_parquet('{path}')")
        for query, sql in told:
            asked = f"SELECT count(*) FILTER ({sql}) FROM documents"
            assert db.execute(asked).fetchone() == (int(plain.find(parse(query)).sum()),), query


def test_the_longest_query_is_compiled_at_once(spark: Spark) -> None:
    word = "ñandú" * 15
    text = " OR ".join([f'title:"{word} b"', f"{word}*", f"a{word} NEAR/9 b", f"-lang:es domainurl:{word}"] * 8)
    text = f"{text} {'x' * (LONGEST - len(text) - 1)}"
    assert len(text) == LONGEST
    taken = []
    with spark.session():
        for _ in range(5):
            began = time.perf_counter()
            matches(parse(text))
            taken.append(time.perf_counter() - began)
    assert min(taken) < 0.1, taken
