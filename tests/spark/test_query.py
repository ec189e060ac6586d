"""Queries find what a plain evaluator finds, and what DuckDB finds: random trees over random documents."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tag_tasks.documents.query.columns import matches
from tag_tasks.documents.query.parse import MOST_OPERANDS, parse
from tag_tasks.documents.query.tokens import LONGEST
from tag_tasks.documents.query.tree import Node
from tag_tasks.documents.source import SCHEMA
from tag_tasks.spark.session import Spark
from tests.spark.plain_query import PLAIN, WORDS_TABLE, Plain, sql
from tests.spark.random_queries import Queries, Writer, documents

pytestmark = pytest.mark.timeout(600)
"""Thousands of queries, beside whatever else the machine does."""

DOCUMENTS = 20_000
TREES = 2_000
SIMPLE = 500  # of them: those that DuckDB can say
AT_ONCE = 100  # queries in one of Spark's
BATCH = 7_000
FILTERED = 60  # of the queries are asked as exports ask, by a filter
SEED = 20220316


@dataclass
class Found:
    spark: Spark
    folder: Path
    rows: list[dict[str, Any]]

    def by_spark(self, nodes: list[Node]) -> list[frozenset[int]]:
        """Of each query the numbers of the rows that it finds. None of its answers is null."""
        with self.spark.session() as session:
            asked = [matches(node).alias(f"q{number}") for number, node in enumerate(nodes)]
            answer = session.read.parquet(str(self.folder)).select("id", *asked).toArrow()
        assert all(column.null_count == 0 for column in answer.columns)
        numbers = [int(name.removeprefix("doc")) for name in answer["id"].to_pylist()]
        return [
            frozenset(number for number, found in zip(numbers, answer[f"q{at}"].to_pylist(), strict=True) if found)
            for at in range(len(nodes))
        ]


def written(spark: Spark, folder: Path, rows: list[dict[str, Any]]) -> Found:
    """In files that are one batch each: a pattern is compiled for every batch, and two cores have work."""
    for number, first in enumerate(range(0, len(rows), BATCH)):
        pq.write_table(pa.Table.from_pylist(rows[first : first + BATCH], SCHEMA), folder / f"part-{number}.parquet")
    return Found(spark, folder, rows)


@pytest.fixture(scope="module")
def found(spark: Spark, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """Random documents, the same for everyone."""
    return written(spark, tmp_path_factory.mktemp("documents"), documents(random.Random(SEED), DOCUMENTS))


@pytest.fixture(scope="module")
def plain(found: Found) -> Plain:
    return Plain(found.rows)


@pytest.fixture(scope="module")
def trees() -> list[Node]:
    """The simple ones first."""
    chance = random.Random(SEED)
    simple, others = Queries(chance, simple=True), Queries(chance)
    return [(simple if number < SIMPLE else others).tree(chance.choice([1, 2, 2, 3])) for number in range(TREES)]


def test_what_is_written_is_what_is_read(trees: list[Node]) -> None:
    writer = Writer(random.Random(SEED))
    for tree in trees:
        text = writer.write(tree)
        assert parse(text) == tree, text


def test_spark_finds_what_the_plain_evaluator_finds(found: Found, plain: Plain, trees: list[Node]) -> None:
    somebody = 0
    for first in range(0, TREES, AT_ONCE):
        batch = trees[first : first + AT_ONCE]
        for tree, there in zip(batch, found.by_spark(batch), strict=True):
            expected = plain.find(tree)
            assert there == expected, _difference(found, tree, there, expected)
            somebody += 0 < len(there) < DOCUMENTS
    assert somebody > TREES * 0.75, "too many queries find all or none"


def test_a_filter_finds_the_same(found: Found, plain: Plain, trees: list[Node]) -> None:
    """Spark reads fewer columns and skips files for it, and Sail once lost a column on the way."""
    with found.spark.session() as session:
        for tree in trees[:: TREES // FILTERED]:
            answer = session.read.parquet(str(found.folder)).filter(matches(tree))
            assert answer.count() == len(plain.find(tree)), tree
            numbers = {int(row["id"].removeprefix("doc")) for row in answer.select("id").collect()}
            assert numbers == plain.find(tree), tree


def test_duckdb_agrees_with_the_plain_evaluator(found: Found, plain: Plain, trees: list[Node]) -> None:
    """And so with Spark, on what DuckDB can say."""
    with duckdb.connect() as connection:
        connection.execute(PLAIN)
        connection.execute(WORDS_TABLE, {"path": str(found.folder / "*.parquet")})
        for tree in trees[:SIMPLE]:
            answer = connection.execute(f"SELECT id FROM documents WHERE {sql(tree)}").fetchall()
            there = frozenset(int(name.removeprefix("doc")) for (name,) in answer)
            assert there == plain.find(tree), _difference(found, tree, there, plain.find(tree))


# -- literal documents ------------------------------------------------------------------------

TEXTS = {
    0: "The quick brown fox: jumps over the lazy dog.",
    1: "quick!brown",
    2: "#quick brown",
    3: "@quick #brown @fox",
    4: "quicksand brown",
    5: "Qu\u00edck\u0301 \u0301 \u0301 BRO\u00adWN",
    6: "brown # @ ❤\ufe0f quick",
    7: "",
    8: None,
    9: "a#quick",
    10: "quick_brown",
    11: "quick\n\tbrown\n",
    12: "brown, brown; quick",
    13: "#quick\x00brown",
}
SAYS: dict[str, set[int]] = {
    "quick": {0, 1, 5, 6, 11, 12},
    "-quick": {2, 3, 4, 7, 8, 9, 10, 13},
    "#quick": {2, 9, 13},
    "hashtag:quick": {2, 9, 13},
    "mention:quick": {3},
    "quick*": {0, 1, 4, 5, 6, 10, 11, 12},
    "#qu*": {2, 9, 13},
    "quic?": {0, 1, 5, 6, 11, 12},
    "quick?brown": {10},
    "brown": {0, 1, 2, 4, 5, 6, 11, 12, 13},
    '"quick brown"': {0, 1, 5, 11},
    '"brown quick"': {6, 12},
    '"#quick brown"': {2, 13},
    '"quick fox"~1': {0},
    '"fox quick"~9': set(),
    "quick NEAR/1 brown": {0, 1, 5, 6, 11, 12},
    "quick ONEAR/1 brown": {0, 1, 5, 11},
    "quick ONEAR/1 fox": set(),
    "quick ONEAR/2 fox": {0},
    "fox NEAR/2 quick": {0},
    "fox ONEAR/2 quick": set(),
    "brown NEAR/5 brown": {12},
    '"quick brown" ONEAR/3 over': {0},
    '"quick brown" NEAR/5 "brown fox"': set(),
    "a NEAR/1 #quick": {9},
    "@quick ONEAR/2 @fox": {3},
    "fox": {0},
    "@fox": {3},
    '"the dog"~100': {0},
    "author:quick": set(),
    "-author:quick": set(TEXTS),
}


@pytest.fixture(scope="module")
def few(spark: Spark, tmp_path_factory: pytest.TempPathFactory) -> Found:
    moment = datetime(2022, 1, 1, tzinfo=UTC)
    rows = [{"id": f"doc{number}", "published": moment, "content": text} for number, text in TEXTS.items()]
    return written(spark, tmp_path_factory.mktemp("few"), rows)


def test_words_of_literal_texts(few: Found) -> None:
    answers = few.by_spark([parse(query) for query in SAYS])
    assert dict(zip(SAYS, map(set, answers), strict=True)) == SAYS


HEAVY = {
    " OR ".join(["o" * 77] * MOST_OPERANDS): "o" * 77,
    " ".join(["o" * 78] * MOST_OPERANDS): "o" * 78,
    " OR ".join(["e????????"] * MOST_OPERANDS): "e" * 9,
    '"' + "o " * 50 + '"': "o " * 50,
    '"' + ("e" * 39 + " ") * 50 + '"': ("e" * 39 + " ") * 50,
    '"' + "o " * 16 + '"~100': "o " * 16,
    " OR ".join(["o NEAR/100 e"] * (MOST_OPERANDS // 2)): "e o",
    " ".join(['"o e a o e a o e a o e a o e a o"~100'] * MOST_OPERANDS): "o e a " * 6,
    f'"{"o " * 50}" NEAR/100 "{"e " * 50}"': "o " * 50 + "e " * 50,
    f'"{("o" * 39 + " ") * 49}" NEAR/100 "{("e" * 39 + " ") * 49}"': ("e" * 39 + " ") * 49 + ("o" * 39 + " ") * 49,
    "-" * 20 + "o": "o",
}
"""Each with a text that has it: what cannot be there is not always looked for."""


def test_the_heaviest_queries_are_built_quickly_and_run(spark: Spark, tmp_path: Path) -> None:
    """Rust's engine refuses what compiles to more than 10 MB; no query that is accepted may come so far."""
    moment = datetime(2022, 1, 1, tzinfo=UTC)
    rows = [{"id": f"doc{at}", "published": moment, "content": text} for at, text in enumerate(HEAVY.values())]
    tags = {"tag:" + "o" * (LONGEST - 4): ["o" * (LONGEST - 4)], f'tag:"{"." * (LONGEST - 6)}"': ["." * (LONGEST - 6)]}
    rows += [{"id": f"doc{len(HEAVY) + at}", "published": moment, "tags": tag} for at, tag in enumerate(tags.values())]
    heavy = written(spark, tmp_path, rows)
    for number, query in enumerate([*HEAVY, *tags]):
        with spark.session():
            started = time.perf_counter()
            node = parse(query)
            matches(node)
            assert time.perf_counter() - started < 0.1, query
        assert number in heavy.by_spark([node])[0], query


def _difference(found: Found, tree: Node, there: frozenset[int], expected: frozenset[int]) -> str:
    surplus, missing = sorted(there - expected), sorted(expected - there)
    example = found.rows[(surplus or missing)[0]]
    return f"{tree}: {len(surplus)} too many, {len(missing)} missing, among them {example}"
