"""Live collectors when something is wrong: with one of them, with the source, the storage, or the order of things."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import Column
from pyspark.sql import functions as F

from tag_tasks.documents.arrivals import Arrivals, DocumentsArrivals
from tag_tasks.documents.collected import COLLECTOR, STREAM, Key
from tag_tasks.documents.collectors import CollectorTable
from tag_tasks.documents.reading import Batch, CollectorReader
from tag_tasks.documents.source import SCHEMA
from tag_tasks.spark.session import Spark
from tag_tasks.spark.sources import Source, SourceFile, Sources
from tagapi.jobs.errors import Contended, JobCancelled, TaskFailed, Transient, Unusable
from tests.spark.test_arrivals import ANN, NAME, NOON, Clock, There, names
from tests.unit.outside import Context


@pytest.fixture
def there(spark: Spark, tmp_path: Path) -> There:
    clock = Clock()
    made = There(spark, tmp_path / "documents", CollectorTable(str(tmp_path / "collectors"), clock), clock)
    made.arrive(names("old", 5))
    return made


def contains(text: str) -> Column:
    """Of which Spark understands every one but `no such column`."""
    return F.col("nowhere") == text if text == "no such column" else F.col("title").contains(text)


def task(there: There, table: CollectorTable | None = None, sources: Sources | None = None) -> DocumentsArrivals:
    return DocumentsArrivals(there.spark, sources or there.sources, table or there.table, contains, 10)


# -- one of them ---------------------------------------------------------------------------


@pytest.mark.parametrize("order", [("bad", "good"), ("good", "bad")])
def test_a_query_that_spark_refuses_keeps_no_other_waiting(there: There, order: Sequence[str]) -> None:
    for name in order:
        there.make(name, "no such column" if name == "bad" else "uno")
    there.arrive(names("a", 2))
    with pytest.raises(TaskFailed, match="1 of 2 live collectors got nothing: bad: "):
        task(there).run(Context({}))
    assert sorted(there.ids("good")) == names("a", 2)
    assert there.ids("bad") == []


def test_a_cancel_is_no_fault_of_a_collector(there: There) -> None:
    there.make(word="no such column")
    there.arrive(names("a", 2))

    class Cancelled(Context):
        def check(self) -> None:
            super().check()
            self.cancelled = True

    with pytest.raises(JobCancelled):
        task(there).run(Cancelled({}))


def test_what_was_added_before_a_collector_failed_is_counted(there: There, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the next commit had the number of one that is there already, and passed for it when another was faster."""
    monkeypatch.setattr("tag_tasks.documents.arrivals.NAMED", 1)
    for name in ("good", "bad"):
        there.make(name)
    there.arrive(names("a", 2))
    there.arrive(names("b", 2))

    class Broken(DocumentsArrivals):
        def _found(self, session: Any, context: Any, live: Any, part: Sequence[SourceFile]) -> Any:
            if live.key.name == "bad" and part[0].path == "part-003.parquet":
                raise TaskFailed(reason="broken")
            return super()._found(session, context, live, part)

    class Overtaken(CollectorTable):
        commits = 0

        def commit(self, version: int, name: str, actions: Sequence[Any], **more: Any) -> None:
            self.commits += 1
            if self.commits == 2:
                there.table.define(Key(ANN, STREAM, "s"), lambda before: {"rules": []})
            super().commit(version, name, actions, **more)

    context = Context({})
    table = Overtaken(there.table.path, there.clock)
    with pytest.raises(TaskFailed, match="bad: broken"):
        Broken(there.spark, there.sources, table, contains, 10).run(context)
    assert sorted(there.ids("good")) == [*names("a", 2), *names("b", 2)]
    assert sorted(there.ids("bad")) == names("a", 2)
    assert there.table.delivered(context.job_id) == 6


# -- the order of things -------------------------------------------------------------------


class Meanwhile(Sources):
    """Something happens right after the files were listed."""

    def __init__(self, folder: Path, happens: Callable[[], object]) -> None:
        super().__init__({"documents": Source(str(folder))})
        self._happens: list[Callable[[], object]] = [happens]

    def files(self, table: str) -> frozenset[SourceFile] | None:
        found = super().files(table)
        if self._happens:
            self._happens.pop()()
        return found


def test_what_was_there_before_never_comes_though_it_came_while_the_work_began(there: There) -> None:
    def happens() -> None:
        there.arrive(names("before", 2))
        there.make("late")

    there.make()
    there.arrive(names("a", 2))
    task(there, sources=Meanwhile(there.folder, happens)).run(Context({}))
    there.run()
    there.run()
    assert there.ids("late") == [], "it was made after they came"
    assert sorted(there.ids()) == [*names("a", 2), *names("before", 2)]


def test_who_listed_the_files_earlier_takes_back_nothing(there: There) -> None:
    def happens() -> None:
        there.arrive(names("b", 2))
        there.run()
        there.clock.now += timedelta(days=8)
        there.table.forget(7)

    there.make()
    there.arrive(names("a", 2))
    try:
        task(there, sources=Meanwhile(there.folder, happens)).run(Context({}))
    except Contended:
        there.run()
    there.run()
    assert there.ids() == [], "all of them were forgotten, and none comes again"
    collected = there.table.collected(Key(ANN, COLLECTOR, NAME))
    assert collected is not None and collected.next == 4


def test_a_later_attempt_counts_what_an_earlier_one_added_at_the_last_moment(there: There) -> None:
    there.make()
    there.arrive(names("a", 2))
    context = Context({})

    def happens() -> None:
        """The earlier attempt wakes."""
        with pytest.raises(Contended):
            task(there).run(replace(context))

    later = replace(context, epoch=2)
    assert task(there, sources=Meanwhile(there.folder, happens)).run(later)["documents"] == 2
    assert there.table.delivered(context.job_id) == 2 == len(there.ids())


# -- two at once ---------------------------------------------------------------------------


def run_until_done(there: There, table: CollectorTable) -> int:
    """As the runner does: an attempt that met somebody faster is made again. Answers with how many it added."""
    context = Context({})
    while True:
        try:
            return int(task(there, table).run(context)["documents"])
        except Contended:
            context.epoch += 1


def test_two_processes_at_once_add_each_document_once(there: There) -> None:
    for number in range(4):
        there.make(f"live{number}")
    tables = [CollectorTable(there.table.path, there.clock) for _ in range(2)]
    wanted: list[str] = []
    for turn in range(4):
        there.arrive(arriving := names(f"{turn}-", 12))
        wanted += arriving
        start = Barrier(2)

        def run(table: CollectorTable, start: Barrier = start) -> int:
            start.wait()
            return run_until_done(there, table)

        with ThreadPoolExecutor(2) as pool:
            assert sum(pool.map(run, tables)) == 4 * 12
    for number in range(4):
        assert sorted(there.ids(f"live{number}")) == sorted(wanted)


# -- the source, and the storage -----------------------------------------------------------


@pytest.mark.parametrize("path", ["day=1/part.parquet", "part-[1].parquet"])
def test_files_that_cannot_be_read_alone_make_nothing_live(there: There, path: str) -> None:
    file = there.folder / path
    file.parent.mkdir(exist_ok=True)
    (there.folder / "part-001.parquet").rename(file)
    with pytest.raises(Unusable, match="cannot be read by itself"):
        there.make()
    assert there.table.definition(Key(ANN, COLLECTOR, NAME)) is None


def test_a_file_that_cannot_be_read_alone_is_named_and_nothing_is_skipped(there: There) -> None:
    there.make()
    there.arrive(names("a", 2))
    (there.folder / "part-002.parquet").rename(there.folder / "part-[2].parquet")
    with pytest.raises(TaskFailed, match=r"part-\[2\].parquet cannot be read by itself"):
        there.run()
    (there.folder / "part-[2].parquet").rename(there.folder / "part-2.parquet")
    there.run()
    assert sorted(there.ids()) == names("a", 2)


def test_a_file_that_is_not_whole_yet_is_read_when_it_is(there: There) -> None:
    there.make()
    there.arrive(names("a", 2))
    file = there.folder / "part-002.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    with pytest.raises(TaskFailed):
        there.run()
    assert there.pending()
    file.write_bytes(whole)
    there.run()
    assert sorted(there.ids()) == names("a", 2)


def test_files_that_are_gone_are_nothing_new(there: There) -> None:
    there.make()
    (there.folder / "part-001.parquet").unlink()
    there.arrive(names("a", 2))
    assert there.run()["documents"] == 2
    (there.folder / "part-002.parquet").unlink()
    there.arrive([])
    assert there.pending()
    assert there.run()["documents"] == 0
    assert not there.pending()


def test_moments_without_an_offset_are_utc(there: There) -> None:
    """As other tools write them."""
    there.make()
    naive = [pa.field(one.name, pa.timestamp("us")) if pa.types.is_timestamp(one.type) else one for one in SCHEMA]
    row = {"id": "a", "published": NOON.replace(tzinfo=None), "title": "uno"}
    pq.write_table(pa.Table.from_pylist([row], pa.schema(naive)), there.folder / "naive.parquet")
    there.run()
    assert [one["data"]["published"] for one in there.rows()] == [int(NOON.timestamp() * 1000)]


class Hesitating:
    """A file system that cannot read a list of files seen just now."""

    def __init__(self, files: Any) -> None:
        self._files = files

    def __getattr__(self, name: str) -> Any:
        return getattr(self._files, name)

    def open_input_stream(self, path: str, **how: Any) -> Any:
        raise OSError(errno.EIO, "Input/output error")


def test_a_list_that_cannot_be_read_just_now_is_not_lost(there: There, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was told that it is would pause and resume, and miss what has arrived."""
    there.make()
    there.arrive(names("a", 2))
    with monkeypatch.context() as patched:
        patched.setattr(there.table.seen, "_files", Hesitating(there.table.seen._files))
        with pytest.raises(Transient, match="list of files seen"):
            there.run()
    there.run()
    assert sorted(there.ids()) == names("a", 2)


@pytest.mark.parametrize("damage", [b"", b"nothing of the kind"])
def test_a_list_that_is_damaged_is_said_to_be(there: There, damage: bytes) -> None:
    there.make()
    there.arrive(names("a", 2))
    for file in (Path(there.table.path) / "_files_seen").iterdir():
        file.write_bytes(damage)
    with pytest.raises(TaskFailed, match="not known any more"):
        there.run()
    there.definitions.pause("ann", NAME)
    there.definitions.resume("ann", NAME)
    there.arrive(names("b", 2))
    there.run()
    assert sorted(there.ids()) == names("b", 2)


def test_without_a_source_nothing_is_pending_for_nobody(there: There, tmp_path: Path) -> None:
    arrivals = Arrivals(Sources({"documents": Source(str(tmp_path / "none"))}), there.table)
    assert not arrivals.pending(), "nobody waits for it"
    there.make()
    with pytest.raises(TaskFailed, match="no Parquet files"):
        arrivals.pending()


# -- many, and for long --------------------------------------------------------------------


def test_many_arrive_at_once(there: There) -> None:
    there.make()
    there.arrive(names("a", 25_000))
    live = DocumentsArrivals(there.spark, there.sources, there.table, contains)
    assert live.run(Context({})) == {"success": True, "collectors": 1, "documents": 25_000}
    collected = there.table.collected(Key(ANN, COLLECTOR, NAME))
    assert collected is not None
    assert [piece.file.rows for piece in collected.pieces] == [10_000, 10_000, 5_000]
    read = [one for piece in collected.pieces for one in there.table.read(piece, ["id"])["id"].to_pylist()]
    assert read == names("a", 25_000)[::-1]


def test_an_offset_that_was_given_holds_though_its_file_is_written_anew(there: There) -> None:
    there.make()
    reader = CollectorReader(there.table)
    follower = reader.open(NAME, "ann", None)
    read: list[str] = []
    given = []
    for number in range(6):
        there.arrive([f"a{number}", f"b{number}"])
        there.run()
        batch = follower.next(1)
        read += ids_in(batch)
        given.append(batch.next)
    while (batch := follower.next(10)).documents:
        read += ids_in(batch)
    assert read == there.ids(), "whoever follows reads each once, whichever file it is in by then"
    for place, token in enumerate(given, 1):
        assert ids_in(reader.open(NAME, "ann", token).next(100)) == there.ids()[place:]


def ids_in(batch: Batch) -> list[str]:
    told = [json.loads(line) for line in b"".join(batch.lines).splitlines()]
    return [one["chunk_result"]["data"]["data"]["id"] for one in told]
