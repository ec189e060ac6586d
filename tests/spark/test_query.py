"""Queries find what a plain evaluator finds, and what DuckDB finds: random trees over random documents."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tag_tasks.documents.query.columns import matches
from tag_tasks.documents.query.parse import parse
from tag_tasks.documents.query.tree import Node
from tag_tasks.documents.source import SCHEMA
from tag_tasks.spark.session import Spark
from tests.spark.plain_query import PLAIN, WORDS_TABLE, Plain, sql
from tests.spark.random_queries import Queries, Writer, documents

DOCUMENTS = 20_000
TREES = 2_000
SIMPLE = 500  # of them: those that DuckDB can say
AT_ONCE = 100  # queries in one of Spark's
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
    """Two files, so that two cores have work."""
    for number in range(2):
        pq.write_table(pa.Table.from_pylist(rows[number::2], SCHEMA), folder / f"part-{number}.parquet")
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
    return [(simple if number < SIMPLE else others).tree() for number in range(TREES)]


def test_what_is_written_is_what_is_read(trees: list[Node]) -> None:
    writer = Writer(random.Random(SEED))
    for tree in trees:
        text = writer.write(tree)
        assert parse(text) == tree, text


@pytest.mark.timeout(600)
def test_spark_finds_what_the_plain_evaluator_finds(found: Found, plain: Plain, trees: list[Node]) -> None:
    somebody = 0
    for first in range(0, TREES, AT_ONCE):
        batch = trees[first : first + AT_ONCE]
        for tree, there in zip(batch, found.by_spark(batch), strict=True):
            expected = plain.find(tree)
            assert there == expected, _difference(found, tree, there, expected)
            somebody += 0 < len(there) < DOCUMENTS
    assert somebody > TREES * 0.75, "too many queries find all or none"


def test_duckdb_agrees_with_the_plain_evaluator(found: Found, plain: Plain, trees: list[Node]) -> None:
    """And so with Spark, on what DuckDB can say."""
    with duckdb.connect() as connection:
        connection.execute(PLAIN)
        connection.execute(WORDS_TABLE, {"path": str(found.folder / "*.parquet")})
        for tree in trees[:SIMPLE]:
            answer = connection.execute(f"SELECT id FROM documents WHERE {sql(tree)}").fetchall()
            there = frozenset(int(name.removeprefix("doc")) for (name,) in answer)
            assert there == plain.find(tree), _difference(found, tree, there, plain.find(tree))


def _difference(found: Found, tree: Node, there: frozenset[int], expected: frozenset[int]) -> str:
    surplus, missing = sorted(there - expected), sorted(expected - there)
    example = found.rows[(surplus or missing)[0]]
    return f"{tree}: {len(surplus)} too many, {len(missing)} missing, among them {example}"
