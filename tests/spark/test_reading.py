"""Reading collectors: any offset that was ever given is a place, and each document behind it comes once, in order."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tag_tasks.documents.collected import WINDOW, Collected
from tag_tasks.documents.collectors import ROW_GROUP, CollectorTable
from tag_tasks.documents.reading import FEW, LOOK_EVERY, Batch, CollectorDeleted, CollectorReader, Reading, offset_token
from tagapi.jobs.errors import BadOffset, NotFoundInData, TaskFailed
from tests.clock import ManualClock
from tests.spark.test_collectors import BOB, NAME, Clock, delivery, key, made, rows

MOST = 1000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def table(tmp_path: Path, clock: Clock) -> CollectorTable:
    return CollectorTable(str(tmp_path / "collectors"), clock)


@pytest.fixture
def time() -> ManualClock:
    """What a reading looks at, to know when to look at its collector."""
    return ManualClock()


@pytest.fixture
def reader(table: CollectorTable, time: ManualClock) -> CollectorReader:
    return CollectorReader(table, time.monotonic)


def filled(table: CollectorTable, *counts: int) -> Collected:
    """The collector, with a piece for each count."""
    step, first = delivery(made(table)), 0
    for count in counts:
        step = table.deliver(step, rows(first, count))
        first += count
    return made(table)


def batches(reading: Reading, most: int = MOST) -> Iterator[Batch]:
    while (batch := reading.next(most)).documents:
        yield batch


def ids(batch: Batch) -> list[int]:
    lines = b"".join(batch.lines).decode().splitlines()
    assert len(lines) == batch.documents
    return [int(line.removeprefix('{"id":"d').removesuffix('"}')) for line in lines]


def everything(reading: Reading, most: int = MOST) -> list[int]:
    return [number for batch in batches(reading, most) for number in ids(batch)]


def test_every_offset_ever_given_is_a_place_after_a_restart(table: CollectorTable, reader: CollectorReader) -> None:
    filled(table, 3, 1, 7)
    given = [reader.open(NAME, "ann", None).token]
    given += [batch.next for batch in batches(reader.open(NAME, "ann", None), 1)]
    assert len(set(given)) == 12
    restarted = CollectorReader(CollectorTable(table.path))
    for offset, token in enumerate(given):
        assert everything(restarted.open(NAME, "ann", token)) == list(range(offset, 11))
    assert restarted.open(NAME, "ann", "latest").token == given[-1]
    assert restarted.open(NAME, "ann", "earliest").token == given[0]


def test_a_place_within_a_row_group(table: CollectorTable, reader: CollectorReader) -> None:
    found = filled(table, 2 * ROW_GROUP + 7)
    for offset in (1, ROW_GROUP - 1, ROW_GROUP, ROW_GROUP + 1, 2 * ROW_GROUP + 6):
        reading = reader.open(NAME, "ann", offset_token(found.generation, offset))
        assert (everything(reading, 333), reading.expired) == (list(range(offset, 2 * ROW_GROUP + 7)), False)


def test_small_pieces_are_put_together_and_large_ones_are_not(table: CollectorTable, reader: CollectorReader) -> None:
    filled(table, *[FEW // 2] * 4, 2 * ROW_GROUP)
    told = [batch.documents for batch in batches(reader.open(NAME, "ann", None))]
    assert told == [FEW, FEW, ROW_GROUP, ROW_GROUP]
    assert [batch.documents for batch in batches(reader.open(NAME, "ann", None), 200)][:3] == [200, 200, 200]


def test_large_documents_make_small_batches(table: CollectorTable, reader: CollectorReader) -> None:
    large = rows(0, 5).set_column(2, "line", pa.array([f"{number}" * 3_000_000 for number in range(5)]))
    table.deliver(delivery(made(table)), large)
    told = [bytes(batch.lines[0][:1]) for batch in batches(reader.open(NAME, "ann", None))]
    assert told == [b"0", b"1", b"2", b"3", b"4"]


def test_large_documents_are_not_in_memory_by_the_thousand(table: CollectorTable) -> None:
    large = rows(0, 100).set_column(2, "line", pa.array([f"{number}" * 100_000 for number in range(100)]))
    table.deliver(delivery(made(table)), large)
    footer = table.ask(lambda: pq.read_metadata(table.source(made(table).pieces[0])))
    assert max(footer.row_group(group).num_rows for group in range(footer.num_row_groups)) <= 42


def test_more_pieces_than_are_looked_at_at_once(table: CollectorTable, reader: CollectorReader) -> None:
    found = filled(table, *[1] * (WINDOW + 3))
    for offset in (0, 1, WINDOW, WINDOW + 2, WINDOW + 3):
        reading = reader.open(NAME, "ann", offset_token(found.generation, offset))
        assert everything(reading) == list(range(offset, WINDOW + 3))


def test_a_state_is_the_same_until_there_is_something_new(
    table: CollectorTable, reader: CollectorReader, clock: Clock
) -> None:
    assert reader.states() == {}
    seen = []

    def changed() -> bool:
        seen.append(reader.states().get(key()))
        opened = None if seen[-1] is None else reader.open(NAME, "ann", "latest").next(MOST).state
        assert opened == seen[-1], "a reading that finds nothing is of the same"
        return len(seen) == 1 or seen[-1] != seen[-2]

    step = delivery(made(table))
    assert changed()
    made(table, "another")
    made(table, owner=BOB)
    assert not changed(), "others' are no news"
    step = table.deliver(step, rows(0, 3))
    assert changed()
    table.deliver(delivery(made(table, "another"), "another"), rows(0, 5))
    assert not changed()
    clock.now += timedelta(days=8)
    table.deliver(step, rows(3, 3))
    assert changed()
    table.forget(7)
    assert not changed(), "what is behind it is no news"
    table.remove(key())
    assert changed()
    made(table)
    assert changed()


def test_what_is_no_offset_is_refused(table: CollectorTable, reader: CollectorReader) -> None:
    found = filled(table, 5)
    generation = found.generation
    chance = random.Random(7)
    signs = string.ascii_letters + string.digits + "-_=+/. é\x00"
    garbage = ["".join(chance.choices(signs, k=chance.randrange(40))) for _ in range(500)]
    near = [offset_token(generation, number) for number in (-1, 6, 10**30)]
    near += [offset_token(generation, 2) + end for end in ("=", "A", " ")]
    near += [offset_token("another", 2), offset_token(generation + ".1", 2), "EARLIEST", "2", "9" * 5000]
    token = offset_token(generation, 2)
    bent = [token[:at] + chance.choice(signs) + token[at + 1 :] for at in range(len(token)) for _ in range(5)]
    for asked in {*garbage, *near, *bent} - {offset_token(generation, number) for number in range(6)}:
        with pytest.raises(BadOffset) as caught:
            reader.open(NAME, "ann", asked)
        assert caught.value.facts["field"] == "resume_offset"


def test_other_users_collectors_are_unknown(table: CollectorTable, reader: CollectorReader) -> None:
    filled(table, 1)
    for name, owner in ((NAME, "bob"), ("another", "ann"), ("../collector_1", "ann")):
        with pytest.raises(NotFoundInData, match=f"There is no collector {name}"):
            reader.open(name, owner, None)


def test_the_end_is_where_nothing_new_was_committed(table: CollectorTable, reader: CollectorReader) -> None:
    filled(table, 2)
    reading = reader.open(NAME, "ann", "latest")
    end = reading.next(MOST)
    assert (end.documents, end.lines, end.next, end.state) == (0, [], end.first, reader.states()[key()])
    CollectorTable(table.path).deliver(delivery(made(table)), rows(2, 2))
    assert reader.states()[key()] != end.state
    more = reading.next(MOST)
    assert (ids(more), more.first) == ([2, 3], end.next)


# -- what is not kept any more -------------------------------------------------------------


def aged(table: CollectorTable, clock: Clock) -> Collected:
    """A collector whose documents 0 to 3 are old, and 4 and 5 are new."""
    step = table.deliver(delivery(made(table)), rows(0, 4))
    clock.now += timedelta(days=8)
    table.deliver(step, rows(4, 2))
    return made(table)


def test_an_offset_that_expired_is_the_earliest(table: CollectorTable, reader: CollectorReader, clock: Clock) -> None:
    generation = aged(table, clock).generation
    table.forget(7)
    for offset in range(7):
        reading = reader.open(NAME, "ann", offset_token(generation, offset))
        assert reading.expired == (offset < 4)
        assert reading.token == offset_token(generation, max(4, offset))
        assert everything(reading) == list(range(max(4, offset), 6))
    assert not reader.open(NAME, "ann", "earliest").expired, "nobody asked for more"
    clock.now += timedelta(days=8)
    table.forget(7)
    reading = reader.open(NAME, "ann", offset_token(generation, 1))
    assert (reading.expired, reading.token) == (True, offset_token(generation, 6)), "offsets begin nowhere anew"


@pytest.mark.parametrize("vacuumed", [True, False])
def test_what_is_forgotten_while_it_is_read_is_left_out_and_that_is_said(
    table: CollectorTable, reader: CollectorReader, clock: Clock, time: ManualClock, vacuumed: bool
) -> None:
    generation = aged(table, clock).generation
    reading, late = reader.open(NAME, "ann", None), reader.open(NAME, "ann", None)
    assert ids(reading.next(2)) == [0, 1]
    pieces = made(table).pieces
    table.forget(7)
    if vacuumed:
        table.discard_files([pieces[0].file])
    else:
        time.advance(LOOK_EVERY)
    batch = late.next(MOST)
    assert (batch.expired, ids(batch), batch.first) == (True, [4, 5], offset_token(generation, 4))
    assert ids(reading.next(1)) == [2], "it is in memory"
    assert everything(reading)[-2:] == [4, 5]


def test_a_gap_ends_a_batch(table: CollectorTable, time: ManualClock) -> None:
    """So that the place behind it is told before the place behind the gap."""
    found = filled(table, 2, 2, 2)
    gap = replace(found, pieces=[found.pieces[0], found.pieces[2]])
    one, two = list(batches(Reading(table, lambda: gap, time.monotonic, key(), gap, 0)))
    assert (ids(one), one.next, one.expired) == ([0, 1], offset_token(found.generation, 2), False)
    assert (ids(two), two.first, two.expired) == ([4, 5], offset_token(found.generation, 4), True)


def test_a_file_that_is_lost_is_no_silence(table: CollectorTable, reader: CollectorReader) -> None:
    filled(table, 4)
    table.discard_files([made(table).pieces[0].file])
    with pytest.raises(TaskFailed):
        reader.open(NAME, "ann", None).next(MOST)


@pytest.mark.parametrize("made_anew", [False, True])
def test_a_deleted_collector_ends_a_reading(
    table: CollectorTable, reader: CollectorReader, time: ManualClock, made_anew: bool
) -> None:
    filled(table, 2000, 1)
    reading, waiting = reader.open(NAME, "ann", None), reader.open(NAME, "ann", "latest")
    token = reading.next(MOST).next
    table.remove(key())
    if made_anew:
        filled(table, 3000)
        with pytest.raises(BadOffset):
            reader.open(NAME, "ann", token)
    time.advance(LOOK_EVERY)
    for one in (reading, waiting):
        with pytest.raises(CollectorDeleted, match="The collector collector_1 was deleted"):
            one.next(MOST)


def test_ten_read_while_one_delivers(table: CollectorTable) -> None:
    """Each from another process's table, each document once and in order."""
    made(table)
    total = 600

    def deliver() -> None:
        step, first = delivery(made(table)), 0
        for count in [1, 5, 30, 64] * 6:
            step = table.deliver(step, rows(first, count))
            first += count
        assert first == total

    def read(most: int) -> list[int]:
        reading = CollectorReader(CollectorTable(table.path)).open(NAME, "ann", None)
        got: list[int] = []
        while len(got) < total:
            got += ids(reading.next(most))
        return got

    with ThreadPoolExecutor(11) as threads:
        reading = [threads.submit(read, most) for most in (1, 2, 3, 7, 50, 100, 249, 250, 999, 1000)]
        threads.submit(deliver).result()
        assert all(one.result() == list(range(total)) for one in reading)


def test_many_are_served_by_one_look(table: CollectorTable) -> None:
    filled(table, 3)
    looks = []

    class Counted(CollectorTable):
        def collected(self, name: object) -> Collected | None:
            looks.append(name)
            return super().collected(name)  # type: ignore[arg-type]

    reader = CollectorReader(Counted(table.path))
    for _ in range(5):
        assert everything(reader.open(NAME, "ann", None)) == [0, 1, 2]
    assert len(looks) == 1
