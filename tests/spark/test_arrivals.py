"""Live collectors: what arrives is added once, wherever the work is killed, and by however many it is done."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from tag_tasks.documents.arrivals import Arrivals, DocumentsArrivals
from tag_tasks.documents.collected import COLLECTOR, Key, owner_key
from tag_tasks.documents.collectors import CollectorTable
from tag_tasks.documents.definitions import Definitions
from tag_tasks.documents.source import SCHEMA
from tag_tasks.spark.session import Spark
from tag_tasks.spark.sources import Source, Sources
from tagapi.jobs.errors import Contended, TaskFailed, Unusable
from tagapi.jobs.model import Json
from tests.unit.outside import Context, Killed

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
STEP = 10
NAME = "live_1"
ANN = owner_key("ann")


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@dataclass
class There:
    spark: Spark
    folder: Path
    table: CollectorTable
    clock: Clock
    written: int = 0

    @property
    def sources(self) -> Sources:
        return Sources({"documents": Source(str(self.folder))})

    @property
    def definitions(self) -> Definitions:
        return Definitions(self.table, Arrivals(self.sources, self.table).begin)

    def make(self, name: str = NAME, word: str = "uno") -> Json:
        query = {"queries": [{"id": "q1", "query": word}], "project_topics": None, "filters": []}
        return self.definitions.put_collector("ann", name, query)

    def arrive(self, ids: Iterable[str], word: str = "uno") -> None:
        """One more file, in whose titles there is the word."""
        rows = [
            {"id": one, "published": NOON - timedelta(minutes=at), "title": f"{word} {one}", "content": "c"}
            for at, one in enumerate(ids)
        ]
        self.folder.mkdir(parents=True, exist_ok=True)
        self.written += 1
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), self.folder / f"part-{self.written:03}.parquet")

    def task(self, table: CollectorTable | None = None) -> DocumentsArrivals:
        found_by = lambda text: F.col("title").contains(text)  # noqa: E731
        return DocumentsArrivals(self.spark, self.sources, table or self.table, found_by, STEP)

    def run(self, table: CollectorTable | None = None, context: Context | None = None) -> Json:
        return self.task(table).run(context or Context({}))

    def pending(self) -> bool:
        return Arrivals(self.sources, self.table).pending()

    def rows(self, name: str = NAME) -> list[dict[str, Any]]:
        """What is in the collector; its offsets have no gap."""
        collected = self.table.collected(Key(ANN, COLLECTOR, name))
        assert collected is not None
        rows = [row for piece in collected.pieces for row in self.table.read(piece, ["offset", "line"]).to_pylist()]
        assert [row["offset"] for row in rows] == list(range(collected.earliest, collected.next))
        assert all(piece.file.rows <= STEP for piece in collected.pieces)
        return [json.loads(row["line"])["chunk_result"]["data"] for row in rows]

    def ids(self, name: str = NAME) -> list[str]:
        return [one["data"]["id"] for one in self.rows(name)]

    def pieces(self, name: str = NAME) -> int:
        collected = self.table.collected(Key(ANN, COLLECTOR, name))
        return 0 if collected is None else len(collected.pieces)


@pytest.fixture
def there(spark: Spark, tmp_path: Path) -> There:
    clock = Clock()
    made = There(spark, tmp_path / "documents", CollectorTable(str(tmp_path / "collectors"), clock), clock)
    made.arrive(f"old{number}" for number in range(5))
    return made


def names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{number:05}" for number in range(count)]


def test_what_arrives_from_then_on_is_added_in_order(there: There) -> None:
    there.make()
    assert not there.pending()
    there.arrive(names("a", 3))
    there.arrive(names("b", 2), "dos")
    assert there.pending()
    assert there.run() == {"success": True, "collectors": 1, "documents": 3}
    assert there.ids() == names("a", 3)[::-1]
    assert [one["highlighted_data"][0]["matched"] for one in there.rows()] == [{"collector_query_ids": ["q1"]}] * 3
    assert not there.pending()
    assert there.run()["documents"] == 0
    assert there.table.used(ANN) == 0, "only exports cost credits"


def test_what_arrives_while_it_is_paused_is_skipped(there: There) -> None:
    there.make()
    there.definitions.pause("ann", NAME)
    there.arrive(names("a", 3))
    assert not there.pending()
    there.run()
    there.definitions.resume("ann", NAME)
    assert not there.pending()
    there.arrive(names("b", 2))
    there.run()
    assert sorted(there.ids()) == names("b", 2)


def test_another_query_finds_what_arrives_from_then_on(there: There) -> None:
    there.make()
    there.arrive(names("a", 2))
    there.run()
    there.arrive(names("b", 2), "dos")
    there.make(word="dos")
    there.arrive(names("c", 2), "dos")
    there.arrive(names("d", 2))
    there.run()
    assert sorted(there.ids()) == [*names("a", 2), *names("c", 2)]


def test_an_id_counts_once(there: There) -> None:
    there.make()
    there.arrive([*names("a", 3), *names("a", 3)])
    there.run()
    there.arrive([*names("a", 2), "b"])
    there.run()
    assert sorted(there.ids()) == [*names("a", 3), "b"]


def test_many_at_once_are_in_files_of_a_step(there: There) -> None:
    there.make()
    there.arrive(names("a", 4))
    there.run()
    there.arrive(names("b", 57))
    there.run()
    assert sorted(there.ids()) == [*names("a", 4), *names("b", 57)]


def test_few_at_a_time_share_a_file_and_keep_their_offsets(there: There) -> None:
    there.make()
    for number in range(4):
        there.arrive([f"a{number}", f"b{number}"])
        there.run()
        there.clock.now += timedelta(minutes=1)
    assert there.pieces() == 1
    assert there.ids() == [f"{letter}{number}" for number in range(4) for letter in "ba"]
    there.clock.now += timedelta(hours=1)
    there.arrive(["late"])
    there.run()
    assert there.pieces() == 2
    assert there.ids()[-1] == "late"


def test_a_file_is_kept_for_no_longer_than_the_oldest_in_it(there: There) -> None:
    there.make()
    there.arrive(["a"])
    there.run()
    there.clock.now += timedelta(minutes=50)
    there.arrive(["b"])
    there.run()
    there.clock.now = NOON + timedelta(days=7, minutes=1)
    assert there.table.forget(7) == 1
    assert there.ids() == []
    there.arrive(["c"])
    there.run()
    assert there.ids() == ["c"]


def test_each_collector_has_its_own(there: There) -> None:
    there.make("first")
    there.arrive(names("a", 2))
    there.make("second")
    there.arrive(names("b", 2), "dos")
    there.make("third", "dos")
    there.arrive(names("c", 2))
    assert there.run()["collectors"] == 3
    assert sorted(there.ids("first")) == [*names("a", 2), *names("c", 2)]
    assert sorted(there.ids("second")) == names("c", 2)
    assert there.ids("third") == []
    assert not there.pending()


class Mortal(CollectorTable):
    """Dies before its so-manieth commit, or right behind it."""

    def __init__(self, path: str, dies_at: int) -> None:
        super().__init__(path, lambda: NOON)
        self.left = dies_at

    def commit(self, version: int, name: str, actions: Sequence[Any], **more: Any) -> None:
        self._step()
        super().commit(version, name, actions, **more)
        self._step()

    def _step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed


def test_wherever_it_is_killed_each_document_is_there_once(there: There) -> None:
    for number in range(3):
        there.make(f"live{number}")
    there.make("nothing", "nobody says so")
    wanted: list[str] = []
    for step in range(9):
        arriving = names(f"{step}-", 25)
        there.arrive(arriving)
        wanted += arriving
        context = Context({})
        try:
            there.run(Mortal(there.table.path, step), context)
        except Killed:
            context.epoch += 1
            there.run(context=context)
        for number in range(3):
            assert sorted(there.ids(f"live{number}")) == sorted(wanted)
        assert not there.pending()


def test_two_at_once_add_nothing_twice(there: There) -> None:
    there.make()
    there.arrive(names("a", 15))

    class Slow(CollectorTable):
        def commit(self, version: int, name: str, actions: Sequence[Any], **more: Any) -> None:
            if not other:
                other.append(there.run())
            super().commit(version, name, actions, **more)

    other: list[Json] = []
    with pytest.raises(Contended):
        there.run(Slow(there.table.path, there.clock))
    assert sorted(there.ids()) == names("a", 15)
    assert there.run()["documents"] == 0


@pytest.mark.parametrize("what", ["pause", "remove", "remove and make"])
def test_a_collector_that_is_taken_away_in_the_middle(there: There, what: str) -> None:
    there.make()
    there.arrive(names("a", 15))

    class Disturbed(CollectorTable):
        disturbed = False

        def commit(self, version: int, name: str, actions: Sequence[Any], **more: Any) -> None:
            if not self.disturbed:
                self.disturbed = True
                if what == "pause":
                    there.definitions.pause("ann", NAME)
                else:
                    there.definitions.remove("ann", COLLECTOR, NAME)
                if what == "remove and make":
                    there.make()
            super().commit(version, name, actions, **more)

    assert there.run(Disturbed(there.table.path, there.clock))["documents"] == 0
    if what != "remove":
        assert there.ids() == []
    assert not there.pending()


def test_an_attempt_that_was_replaced_adds_nothing_more(there: There) -> None:
    there.make()
    there.arrive(names("a", 15))
    context = Context({})

    class Frozen(CollectorTable):
        stopped = False

        def commit(self, version: int, name: str, actions: Sequence[Any], **more: Any) -> None:
            if not self.stopped:
                self.stopped = True
                assert there.task().stop_growing(replace(context, epoch=2)) == {"documents": 0}
            super().commit(version, name, actions, **more)

    with pytest.raises(Contended):
        there.run(Frozen(there.table.path, there.clock), context)
    assert there.ids() == []
    there.run()
    assert sorted(there.ids()) == names("a", 15)


def test_one_that_cannot_be_served_keeps_no_other_waiting(there: There) -> None:
    there.make("bad")
    there.make("good")
    key = Key(ANN, COLLECTOR, "bad")
    told = dict(there.table.definition(key) or {})
    there.table.define(key, lambda before: {**told, "live": {**told["live"], "since": 12345}})
    there.arrive(names("a", 2))
    with pytest.raises(TaskFailed, match="bad: it is not known any more"):
        there.run()
    assert sorted(there.ids("good")) == names("a", 2)


def test_without_files_to_tell_apart_nothing_is_made_live(there: There, tmp_path: Path) -> None:
    sources = Sources({"documents": Source(str(tmp_path / "documents"), "csv")})
    definitions = Definitions(there.table, Arrivals(sources, there.table).begin)
    with pytest.raises(Unusable, match="Parquet"):
        definitions.put_collector("ann", NAME, {"queries": [{"id": "q", "query": "a"}]})
    assert there.table.definition(Key(ANN, COLLECTOR, NAME)) is None


def test_lists_that_nobody_refers_to_are_cleared_away(there: There) -> None:
    there.make()
    for number in range(3):
        there.arrive([f"a{number}"])
        there.run()
    lists = Path(there.table.path) / "_files_seen"
    assert len([*lists.iterdir()]) == 4
    there.table.vacuum(0)
    assert len([*lists.iterdir()]) == 2, "the first one, since which it is live, and the newest"
    there.arrive(["b"])
    there.run()
    assert sorted(there.ids()) == ["a0", "a1", "a2", "b"]
