"""Exports of documents: each once, in order, wherever the job is killed, and exactly as much as it says."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from tag_tasks.documents.collected import COLLECTOR, DOCUMENTS, Key, owner_key
from tag_tasks.documents.collectors import CollectorTable, Delivery, NoCredits, TargetGone
from tag_tasks.documents.export import DocumentsExport
from tag_tasks.documents.source import SCHEMA
from tag_tasks.spark.session import Spark
from tag_tasks.spark.sources import Source, Sources
from tagapi.jobs.errors import Contended, JobCancelled, TaskFailed
from tagapi.jobs.model import Json
from tests.unit.outside import Context, Killed

START, DAYS = datetime(2026, 3, 1, tzinfo=UTC), 30
STEP = 25
COUNT = 400
NAME = "collector_1"
ANN = owner_key("ann")


def documents(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Some share their moment, and some their id; half have `uno` in their titles."""
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        published = START + timedelta(hours=chance.randrange(DAYS * 24))
        name = f"d{chance.randrange(count):04}" if number % 10 == 0 else f"d{number:04}"
        title = f"{chance.choice(['uno', 'dos'])} {number}"
        rows.append({"id": name, "published": published, "title": title, "content": f"c {number}"})
    nameless, timeless = {"id": None, "published": START}, {"id": "never", "published": None}
    return [*rows, {**nameless, "title": "uno"}, {**timeless, "title": "uno"}]


def write(folder: Path, rows: list[dict[str, Any]], files: int, *, clustered: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if clustered:
        rows = sorted(rows, key=lambda row: row["published"] or START)
    size = -(-len(rows) // files)
    for number in range(files):
        part = rows[number * size : (number + 1) * size]
        pq.write_table(pa.Table.from_pylist(part, SCHEMA), folder / f"part-{number:03}.parquet")


@dataclass
class There:
    spark: Spark
    folder: Path
    table: CollectorTable
    monthly: int = 0

    def task(self, table: CollectorTable | None = None) -> DocumentsExport:
        sources = Sources({"documents": Source(str(self.folder))})
        return DocumentsExport(
            self.spark, sources, table or self.table, lambda text: F.col("title").contains(text), self.monthly, STEP
        )

    def collector(self) -> str:
        """Its generation."""
        key = Key(ANN, COLLECTOR, NAME)
        return str(self.table.define(key, lambda before: before or {"generation": uuid4().hex})["generation"])

    def context(self, **more: Any) -> Context:
        asked = {
            "owner": ANN,
            "target": NAME,
            "generation": self.collector(),
            "start": int(START.timestamp() * 1000),
            "stop": int((START + timedelta(days=DAYS)).timestamp() * 1000),
            "every": [],
            "any": [],
            "limit": 1_000_000,
            **more,
        }
        return Context(asked)

    def export(self, **more: Any) -> Json:
        return self.task().run(self.context(**more))

    def delivered(self) -> list[dict[str, Any]]:
        """What is in the collector, in the order of its offsets; which have no gap."""
        collected = self.table.collected(Key(ANN, COLLECTOR, NAME))
        assert collected is not None
        rows = [row for piece in collected.pieces for row in self.table.read(piece, ["offset", "line"]).to_pylist()]
        assert [row["offset"] for row in rows] == list(range(collected.next))
        assert all(piece.file.rows <= STEP for piece in collected.pieces)
        return [json.loads(row["line"])["chunk_result"]["data"] for row in rows]

    def ids(self) -> list[str]:
        return [one["data"]["id"] for one in self.delivered()]

    def wanted(self, condition: str = "true", start: str = "2026-03-01", stop: str = "2026-04-01") -> list[str]:
        """By DuckDB: each id once, at its earliest moment."""
        asked = f"""
            SELECT id FROM (
                SELECT id, min(published) AS published FROM read_parquet($files)
                WHERE id IS NOT NULL AND ({condition})
                  AND published >= TIMESTAMPTZ '{start} 00:00:00+00' AND published < TIMESTAMPTZ '{stop} 00:00:00+00'
                GROUP BY id) ORDER BY published, id"""
        with duckdb.connect() as db:
            return [row[0] for row in db.execute(asked, {"files": f"{self.folder}/*.parquet"}).fetchall()]


@pytest.fixture(params=["clustered", "anywhere"])
def there(request: pytest.FixtureRequest, spark: Spark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> There:
    monkeypatch.setattr("tag_tasks.documents.ranges.ROWS", 60)
    write(tmp_path / "documents", documents(COUNT), 12, clustered=request.param == "clustered")
    return There(spark, tmp_path / "documents", CollectorTable(str(tmp_path / "collectors")))


def test_everything_comes_once_and_in_order(there: There) -> None:
    context = there.context()
    result = there.task().run(context)
    assert there.ids() == there.wanted()
    assert result == {"success": True, "processed": len(there.ids()), "limit_reached": False}
    assert there.table.used(ANN) == len(there.ids())
    assert context.kept is not None and context.kept["processed"] == len(there.ids())


def test_days_queries_and_rules(there: There) -> None:
    day = int(datetime(2026, 3, 10, tzinfo=UTC).timestamp() * 1000)
    there.export(
        start=day,
        stop=day + 5 * 86_400_000,
        every=["uno"],
        any=[{"id": "r1", "query": "1", "also": []}, {"id": "r2", "query": "2", "also": []}],
    )
    condition = "contains(title, 'uno') AND (contains(title, '1') OR contains(title, '2'))"
    assert there.ids() == there.wanted(condition, "2026-03-10", "2026-03-15") != []
    for one in there.delivered():
        title = one["data"]["title"]
        matched = [rule for rule, sign in (("r1", "1"), ("r2", "2")) if sign in title]
        assert one["highlighted_data"][0]["matched"] == {"collector_query_ids": matched}


def test_moments_without_an_offset_are_in_utc(there: There) -> None:
    for file in there.folder.iterdir():
        rows = pq.read_table(file)
        plain = [pa.field(one.name, pa.timestamp("us")) if one.name == "published" else one for one in rows.schema]
        pq.write_table(rows.cast(pa.schema(plain)), file)
    there.export()
    with duckdb.connect() as db:
        asked = """SELECT id, epoch_ms(min(published)) FROM read_parquet($files)
                   WHERE id IS NOT NULL AND published IS NOT NULL GROUP BY id"""
        wanted = dict(db.execute(asked, {"files": f"{there.folder}/*.parquet"}).fetchall())
    assert {one["data"]["id"]: one["data"]["published"] for one in there.delivered()} == wanted


@pytest.mark.parametrize("sign", [-1, 1])
def test_moments_that_no_calendar_has_do_not_matter(there: There, sign: int) -> None:
    far = pa.array([sign * 10**18], SCHEMA.field("published").type)
    row = pa.Table.from_pylist([{"id": "far", "title": "uno"}], SCHEMA)
    row = row.set_column(SCHEMA.get_field_index("published"), SCHEMA.field("published"), far)
    wanted = there.wanted()
    pq.write_table(row, there.folder / "part-far.parquet")
    there.export()
    assert there.ids() == wanted


@pytest.mark.parametrize("limit", [1, STEP, STEP + 1, 100])
def test_a_limit_is_exact_and_said(there: There, limit: int) -> None:
    assert there.export(limit=limit) == {"success": True, "processed": limit, "limit_reached": True}
    assert there.ids() == there.wanted()[:limit]


def test_a_limit_of_as_many_as_there_are_was_not_reached(there: There) -> None:
    whole = len(there.wanted())
    assert there.export(limit=whole)["limit_reached"] is False
    assert len(there.ids()) == whole


def test_credits_end_in_the_middle(there: There) -> None:
    there.monthly = 60
    context = there.context()
    with pytest.raises(NoCredits):
        there.task().run(context)
    assert there.ids() == there.wanted()[:60]
    context.epoch += 1
    kept = there.task().stop_growing(context)
    assert kept["processed"] == 60 == there.table.used(ANN)
    assert 0.1 < kept["progress"] < 0.2


def test_a_target_that_is_deleted_meanwhile_fails(there: There) -> None:
    context = there.context()

    class Deleting(Context):
        def grow(self, kept: Json) -> None:
            if kept["processed"]:
                there.table.remove(Key(ANN, COLLECTOR, NAME))

    with pytest.raises(TargetGone):
        there.task().run(Deleting(context.arguments))


class Mortal(CollectorTable):
    """The table of a process that dies before, or after, its so-manieth delivery."""

    def __init__(self, path: str, dies_at: int) -> None:
        super().__init__(path)
        self.left = dies_at

    def deliver(self, delivery: Delivery, rows: pa.Table) -> Delivery:
        self._step()
        done = super().deliver(delivery, rows)
        self._step()
        return done

    def _step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed


def killed_at() -> Iterator[int]:
    """Before and after each of the first deliveries, and some later."""
    return itertools.chain(range(6), (11, 16))


def test_wherever_it_is_killed_each_document_is_there_once(there: There) -> None:
    for step in killed_at():
        there.table.remove(Key(ANN, COLLECTOR, NAME))
        before = there.table.used(ANN)
        context = there.context()
        with pytest.raises(Killed):
            there.task(Mortal(there.table.path, step)).run(context)
        context.epoch += 1
        result = there.task().run(context)
        assert there.ids() == there.wanted()
        assert result["processed"] == len(there.ids()) == there.table.used(ANN) - before


def test_what_was_forgotten_meanwhile_is_not_exported_again(there: There) -> None:
    """The job had to wait for longer than documents are kept."""
    alike = documents(COUNT)[::10]  # whose ids others may have
    write(there.folder, [row for row in documents(COUNT) if row not in alike], 12, clustered=True)
    context = there.context()
    with pytest.raises(Killed):
        there.task(Mortal(there.table.path, 8)).run(context)
    forgotten = there.table.delivered(context.job_id)
    there.table.now = lambda: datetime.now(UTC) + timedelta(days=8)
    assert there.table.forget(7) == 4
    context.epoch += 1
    assert there.task().run(context)["processed"] == len(there.wanted())
    collected = there.table.collected(Key(ANN, COLLECTOR, NAME))
    assert collected is not None
    left = [name for piece in collected.pieces for name in there.table.read(piece, ["id"])["id"].to_pylist()]
    assert left == there.wanted()[forgotten:] != there.wanted()


def test_how_far_it_is_never_falls_and_is_known_between_files(there: There) -> None:
    shares: list[float] = []

    class Watched(Context):
        def grow(self, kept: Json) -> None:
            shares.append(kept["progress"])
            super().grow(kept)

    context = Watched(there.context().arguments)
    for step in (5, 9):
        with pytest.raises(Killed):
            there.task(Mortal(there.table.path, step)).run(context)
        context.epoch += 1
        assert there.task().stop_growing(context)["progress"] == shares[-1]
        context.epoch += 1
    there.task().run(context)
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert len(set(shares)) > len(there.wanted()) // STEP


def test_how_far_it_is_does_not_fall_where_little_is_found(there: There) -> None:
    """What was read in vain counts for the next attempt, too."""
    told: list[float] = []

    class Watched(Context):
        def grow(self, kept: Json) -> None:
            told.append(kept["progress"])
            super().grow(kept)

    first = there.wanted()[0]
    asked = there.context(every=[f" {int(first[1:])}"]).arguments
    context = Watched(asked, dies_at=5)
    with pytest.raises(Killed):
        there.task().run(context)
    context.epoch, context.dies_at = context.epoch + 1, None
    there.task().run(context)
    assert told == sorted(told)


def test_a_cancel_says_exactly_what_is_there_and_a_retry_goes_on(there: There) -> None:
    for step in killed_at():
        there.table.remove(Key(ANN, COLLECTOR, NAME))
        first = there.context()
        with pytest.raises(Killed):
            there.task(Mortal(there.table.path, step)).run(first)
        first.epoch += 1
        kept = there.task().stop_growing(first)
        assert kept["processed"] == len(there.ids())
        second = replace(first, job_id=f"{step:08}-0000-4000-8000-000000000000", epoch=1, kept_before=kept, kept=None)
        result = there.task().run(second)
        assert there.ids() == there.wanted()
        assert result["processed"] + kept["processed"] == len(there.ids())


def test_a_retry_of_a_retry_goes_on_behind_both_and_keeps_their_limit(there: There) -> None:
    first = there.context(limit=120)
    with pytest.raises(Killed):
        there.task(Mortal(there.table.path, 5)).run(first)
    first.epoch += 1
    kept = there.task().stop_growing(first)
    second = replace(first, job_id="00000002-0000-4000-8000-000000000000", epoch=1, kept_before=kept)
    with pytest.raises(Killed):
        there.task(Mortal(there.table.path, 3)).run(second)
    second.epoch += 1
    both = there.task().stop_growing(second)
    assert both["before"] + both["processed"] == len(there.ids()) > kept["processed"] > 0
    third = replace(first, job_id="00000003-0000-4000-8000-000000000000", epoch=1, kept_before=both)
    assert there.task().run(third)["limit_reached"] is True
    assert there.ids() == there.wanted()[:120]


def test_an_attempt_that_was_replaced_delivers_nothing_more(there: There) -> None:
    context = there.context()

    class Frozen(CollectorTable):
        def deliver(self, delivery: Delivery, rows: pa.Table) -> Delivery:
            if delivery.steps == 2:
                later = replace(context, epoch=context.epoch + 1)
                assert there.task().run(later)["limit_reached"] is False
            return super().deliver(delivery, rows)

    with pytest.raises(Contended):
        there.task(Frozen(there.table.path)).run(context)
    assert there.ids() == there.wanted()
    assert there.table.used(ANN) == len(there.ids())


def test_a_cancel_is_heard_between_two_steps(there: There) -> None:
    context = there.context()

    class Cancelled(Context):
        def grow(self, kept: Json) -> None:
            self.cancelled = kept["processed"] >= 2 * STEP

    with pytest.raises(JobCancelled):
        there.task().run(Cancelled(context.arguments))
    assert len(there.ids()) == 2 * STEP


def test_documents_of_the_collector_are_in_partitions_of_its_owner(there: There) -> None:
    there.export(limit=5)
    assert there.table.collected(Key(owner_key("bob"), COLLECTOR, NAME)) is None
    assert len(there.table.of_job(Key(ANN, DOCUMENTS, NAME), [""])) == 0


def test_progress_is_told_by_the_time_of_the_documents_and_never_falls(there: There) -> None:
    told: list[float] = []

    class Told(Context):
        def grow(self, kept: Json) -> None:
            told.append(kept["progress"])
            super().grow(kept)

    first = Told({**there.context().arguments, "start": 0})
    with pytest.raises(Killed):
        there.task(Mortal(there.table.path, 11)).run(first)
    assert 0 < told[-1] < 1
    first.epoch += 1
    assert there.task().stop_growing(first)["progress"] == told[-1]
    there.task().run(first)
    assert told == sorted(told)
    assert len(set(told)) > 5
    assert told[-1] > 0.95


def test_it_does_not_guess_where_it_was(there: There) -> None:
    """What it told lags behind what it delivered by a step, and that is forgotten."""
    context = there.context()
    with pytest.raises(Killed):
        there.task(Mortal(there.table.path, 5)).run(context)
    assert context.kept is not None and context.kept["processed"] < len(there.ids())
    assert there.table.forget(0) > 0
    context.epoch += 1
    with pytest.raises(TaskFailed, match="forgotten"):
        there.task().run(context)
