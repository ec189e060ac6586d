"""Collectors: what is delivered is there once, in order, paid for once, whoever else is at work."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from tag_tasks.documents.collected import COLLECTOR, DOCUMENTS, PROJECT, STREAM, Collected, Key, owner_key
from tag_tasks.documents.collectors import CollectorTable, Delivery, NoCredits, TargetGone
from tagapi.jobs.errors import Contended

ANN, BOB = owner_key("ann"), owner_key("bob")
NAME = "collector_1"
NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def table(tmp_path: Path, clock: Clock) -> CollectorTable:
    return CollectorTable(str(tmp_path / "collectors"), clock)


def key(kind: str = COLLECTOR, name: str = NAME, owner: str = ANN) -> Key:
    return Key(owner, kind, name)


def made(table: CollectorTable, name: str = NAME, owner: str = ANN) -> Collected:
    """A collector, new unless it is there."""
    table.define(key(name=name, owner=owner), lambda before: before or {"generation": uuid4().hex[:12]})
    found = table.collected(key(name=name, owner=owner))
    assert found is not None
    return found


def delivery(target: Collected, name: str = NAME, **more: Any) -> Delivery:
    facts = {"job_id": str(uuid4()), "epoch": 1, **more}
    return Delivery(key=key(DOCUMENTS, name), generation=target.generation, **facts)


def rows(first: int, count: int) -> pa.Table:
    numbers = range(first, first + count)
    return pa.table(
        {
            "id": [f"d{number}" for number in numbers],
            "published": pa.array([NOON + timedelta(seconds=number) for number in numbers], pa.timestamp("us", "UTC")),
            "line": [f'{{"id":"d{number}"}}\n' for number in numbers],
        }
    )


def lines(table: CollectorTable, offset: int = 0, name: str = NAME) -> list[tuple[int, str]]:
    """What a reader from this offset on gets."""
    found = table.collected(key(name=name))
    assert found is not None
    read = [table.read(piece, ["offset", "id"]).to_pylist() for piece in found.behind(offset)]
    return [(row["offset"], row["id"]) for part in read for row in part if row["offset"] >= offset]


def test_documents_follow_each_other_and_are_read_from_any_offset(table: CollectorTable) -> None:
    step = delivery(made(table))
    for first, count in ((0, 3), (3, 1), (4, 5)):
        step = table.deliver(step, rows(first, count))
    assert (step.documents, step.steps, table.delivered(step.job_id)) == (9, 3, 9)
    whole = [(number, f"d{number}") for number in range(9)]
    for offset in range(10):
        assert lines(table, offset) == whole[offset:]
    found = table.collected(key())
    assert found is not None
    assert (found.earliest, found.next, len(found.behind(3)), len(found.behind(9))) == (0, 9, 2, 0)


def test_any_reader_of_delta_sees_the_same(table: CollectorTable) -> None:
    table.deliver(delivery(made(table)), rows(0, 4))
    with duckdb.connect() as db:
        there = DeltaTable(table.path).to_pyarrow_table()
        asked = """SELECT count(*), min("offset"), max("offset") FROM there WHERE kind = 'documents'"""
        assert db.execute(asked).fetchone() == (4, 0, 3)
        assert there.num_rows == 5


def test_another_process_goes_on_at_the_same_offset(table: CollectorTable, clock: Clock) -> None:
    target = made(table)
    table.deliver(delivery(target), rows(0, 2))
    other = CollectorTable(table.path, clock)
    other.deliver(delivery(target), rows(2, 2))
    table.deliver(delivery(target), rows(4, 1))
    assert lines(table) == lines(other) == [(number, f"d{number}") for number in range(5)]


def test_many_at_once_share_no_offset_and_lose_nothing(table: CollectorTable, clock: Clock) -> None:
    target = made(table)

    def deliver(number: int) -> None:
        mine, step = CollectorTable(table.path, clock), delivery(target)
        for part in range(5):
            step = mine.deliver(step, rows(1000 * number + 10 * part, 10))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(deliver, range(4)))
    found = lines(table)
    assert [offset for offset, _ in found] == list(range(200))
    assert len({name for _, name in found}) == 200
    for number in range(4):
        theirs = [int(name[1:]) for _, name in found if int(name[1:]) // 1000 == number]
        assert theirs == sorted(theirs)


def test_an_attempt_that_was_replaced_delivers_nothing_more(table: CollectorTable) -> None:
    first = table.deliver(delivery(made(table)), rows(0, 2))
    second = table.deliver(replace(first, epoch=2, steps=0), rows(2, 2))
    with pytest.raises(Contended):
        table.deliver(first, rows(2, 2))
    assert second.documents == table.delivered(first.job_id) == 4
    assert [name for _, name in lines(table)] == ["d0", "d1", "d2", "d3"]


def test_a_step_that_came_late_is_not_delivered_again(table: CollectorTable, clock: Clock) -> None:
    """An attempt that was replaced wakes up in its commit, once the one after it has looked how far the job is."""
    first = delivery(made(table), payer=ANN)
    second = replace(first, epoch=2, documents=table.delivered(first.job_id))
    CollectorTable(table.path, clock).deliver(first, rows(0, 2))
    with pytest.raises(Contended):
        table.deliver(second, rows(0, 2))
    third = replace(first, epoch=3, documents=table.delivered(first.job_id))
    table.deliver(third, rows(2, 2))
    assert [name for _, name in lines(table)] == ["d0", "d1", "d2", "d3"]
    assert table.used(ANN) == 4


def test_a_step_comes_through_however_often_others_commit_meanwhile(
    table: CollectorTable, clock: Clock, tmp_path: Path
) -> None:
    """Its file is written once: for that it takes longer than they do."""
    other, times = CollectorTable(table.path, clock), iter(range(1000))

    class Slow(CollectorTable):
        def write_file(self, folder: str, rows: pa.Table, **how: Any) -> Any:
            file = super().write_file(folder, rows, **how)
            other.define(key(STREAM, "s", BOB), lambda before: {"time": next(times)})
            return file

    Slow(table.path, clock).deliver(delivery(made(table)), rows(0, 2))
    assert next(times) == 1
    assert len(list((tmp_path / "collectors").glob("*/kind=documents/*/*/*.parquet"))) == 1


def test_what_was_staged_for_nothing_is_removed(table: CollectorTable, clock: Clock, tmp_path: Path) -> None:
    """Somebody else delivered meanwhile: it has to be written anew, for other offsets."""
    target, other = made(table), CollectorTable(table.path, clock)
    meanwhile = [rows(10, 3)]

    class Slow(CollectorTable):
        def write_file(self, folder: str, rows: pa.Table, **how: Any) -> Any:
            file = super().write_file(folder, rows, **how)
            if meanwhile:
                other.deliver(delivery(target), meanwhile.pop())
            return file

    Slow(table.path, clock).deliver(delivery(target), rows(0, 2))
    assert [name for _, name in lines(table)] == ["d10", "d11", "d12", "d0", "d1"]
    assert len(list((tmp_path / "collectors").glob("*/kind=documents/*/*/*.parquet"))) == 2


def test_once_stopped_nothing_comes_late(table: CollectorTable) -> None:
    step = table.deliver(delivery(made(table)), rows(0, 2))
    assert table.stop(step.job_id, 2) == 2
    with pytest.raises(Contended):
        table.deliver(step, rows(2, 2))
    assert len(lines(table)) == 2
    assert table.stop(str(uuid4()), 1) == 0


def test_a_collector_that_was_deleted_takes_nothing_and_another_of_its_name_is_another(table: CollectorTable) -> None:
    step = table.deliver(delivery(made(table)), rows(0, 2))
    assert table.remove(key()) is not None
    with pytest.raises(TargetGone, match=NAME):
        table.deliver(step, rows(2, 2))
    assert table.collected(key()) is None
    again = made(table)
    assert (again.next, again.pieces) == (0, [])
    with pytest.raises(TargetGone):
        table.deliver(step, rows(2, 2))
    table.deliver(delivery(again), rows(7, 1))
    assert lines(table) == [(0, "d7")]
    assert table.remove(key(name="never_was")) is None


# -- credits -------------------------------------------------------------------------------


def test_a_document_costs_one_credit_and_not_one_more_than_there_are(table: CollectorTable) -> None:
    step = delivery(made(table), payer=ANN, monthly=5)
    step = table.deliver(step, rows(0, 3))
    assert table.used(ANN) == 3
    step = table.deliver(step, rows(3, 4))
    assert (step.documents, table.used(ANN), len(lines(table))) == (5, 5, 5)
    with pytest.raises(NoCredits, match="5"):
        table.deliver(step, rows(5, 1))
    assert (table.used(ANN), table.used(BOB), len(lines(table))) == (5, 0, 5)


def test_credits_are_of_a_month_in_utc(table: CollectorTable, clock: Clock) -> None:
    step = table.deliver(delivery(made(table), payer=ANN, monthly=2), rows(0, 2))
    clock.now = datetime(2026, 7, 1, tzinfo=UTC)
    assert table.used(ANN) == 0
    assert table.deliver(step, rows(2, 2)).documents == 4


def test_two_exports_at_once_use_no_credit_twice(table: CollectorTable, clock: Clock) -> None:
    made(table, "one")
    made(table, "two")

    def deliver(name: str) -> int:
        mine = CollectorTable(table.path, clock)
        target = mine.collected(key(name=name))
        assert target is not None
        step = delivery(target, name, payer=ANN, monthly=50)
        try:
            for part in range(20):
                step = mine.deliver(step, rows(3 * part, 3))
        except NoCredits:
            return step.documents
        raise AssertionError("there were credits for all")

    with ThreadPoolExecutor(2) as pool:
        delivered = list(pool.map(deliver, ("one", "two")))
    assert sum(delivered) == table.used(ANN) == 50


# -- what is forgotten ---------------------------------------------------------------------


def test_documents_are_forgotten_after_their_days_and_offsets_go_on(table: CollectorTable, clock: Clock) -> None:
    step = table.deliver(delivery(made(table)), rows(0, 3))
    clock.now += timedelta(days=4)
    step = table.deliver(step, rows(3, 3))
    assert table.forget(7) == 0
    clock.now += timedelta(days=4)
    assert (table.forget(7), table.forget(7)) == (1, 0)
    found = table.collected(key())
    assert found is not None and (found.earliest, found.next) == (3, 6)
    assert [offset for offset, _ in lines(table)] == [3, 4, 5]
    clock.now += timedelta(days=4)
    assert table.forget(7) == 1
    found = table.collected(key())
    assert found is not None and (found.earliest, found.next, found.pieces) == (6, 6, [])
    table.deliver(step, rows(6, 1))
    assert lines(table) == [(6, "d6")]


# -- definitions ---------------------------------------------------------------------------


def test_what_is_defined_is_its_owners(table: CollectorTable) -> None:
    for kind in (STREAM, PROJECT):
        assert table.define(key(kind, "a"), lambda before: {"rules": ["«ñ»"]}) == {"rules": ["«ñ»"]}
        assert table.definition(key(kind, "a")) == {"rules": ["«ñ»"]}
        assert table.definition(key(kind, "a", BOB)) is None
        assert table.definitions(ANN, kind) == {"a": {"rules": ["«ñ»"]}}
        assert table.definitions(BOB, kind) == {}
    table.define(key(STREAM, "a"), lambda before: {**(before or {}), "more": 1})
    assert table.definition(key(STREAM, "a")) == {"rules": ["«ñ»"], "more": 1}
    version = table.use(lambda there: there.version())
    table.define(key(STREAM, "a"), lambda before: before or {})
    assert table.use(lambda there: there.version()) == version, "the same again is nothing new"
    assert table.remove(key(STREAM, "a")) == {"rules": ["«ñ»"], "more": 1}
    assert table.definition(key(STREAM, "a")) is None
    assert table.definition(key(PROJECT, "a")) is not None


def test_definitions_at_once_are_all_kept(table: CollectorTable, clock: Clock) -> None:
    def define(number: int) -> None:
        mine = CollectorTable(table.path, clock)
        mine.define(key(STREAM, "a"), lambda before: {**(before or {}), str(number): number})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(define, range(8)))
    assert table.definition(key(STREAM, "a")) == {str(number): number for number in range(8)}
