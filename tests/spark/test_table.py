"""The membership table by itself: commits that happen whole, once, and only on the ground they were computed on."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable

from tag_tasks.spark.session import Spark
from tag_tasks.tags.model import Edit, Marks, Snapshot, Touched
from tag_tasks.tags.table import MembershipTable
from tagapi.jobs.errors import JobCancelled, TaskFailed, Transient
from tests.spark.test_against_duckdb import HOSTILE
from tests.spark.world import ALL, EVERY_TAG, NO_TAG, PATIENCE, RacedTable, World, ask, in_thread

NEVER = datetime(1969, 7, 20, 20, 17, 40, 123456, tzinfo=UTC)
MARKS = Marks(datetime(2024, 3, 15, 12, 0, 0, 999_999, tzinfo=UTC), 2**63 - 1, datetime(2024, 3, 16, tzinfo=UTC))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "user_tags"


@pytest.fixture
def table(path: Path) -> MembershipTable:
    return MembershipTable(str(path))


def test_processes_that_use_it_first_at_the_same_moment_make_one(tmp_path: Path) -> None:
    for number in range(10):
        path = str(tmp_path / str(number))
        tables = [MembershipTable(path) for _ in range(4)]
        with ThreadPoolExecutor(len(tables)) as pool:
            assert all(not snapshot.of(1) for snapshot in pool.map(MembershipTable.snapshot, tables))


def rewrite(table: MembershipTable, base: Snapshot, tag_id: int, users: Iterable[str], job: str) -> Edit:
    """Put these users in the place of all members, not yet committed."""
    file = table.write(tag_id, table.stage(tag_id, f"{job}-1"), pa.array(sorted(users), pa.string()))
    return Edit(base.of(tag_id), (file,))


def commit(
    table: MembershipTable,
    tag_id: int = 1,
    users: Iterable[str] = ("ann", "bob"),
    *,
    base: Snapshot | None = None,
    touches: frozenset[str] | None = None,
    marks: dict[int, Marks] | None = None,
    job: str | None = None,
) -> int:
    base, job = base or table.snapshot(), job or str(uuid.uuid4())
    edit = rewrite(table, base, tag_id, users, job)
    return table.commit(job, base, [edit], Touched(frozenset({tag_id}), touches), marks or {})


def stored(path: Path, tag_id: int = 1) -> list[str]:
    """The members as DuckDB reads them from what delta-rs says the table is."""
    files = DeltaTable(path).file_uris(file_pruning_predicate=[("tag_id", "=", str(tag_id))])
    return sorted(ask("SELECT user_id FROM read_parquet($files)", files=files)) if files else []


def upkeep(path: Path) -> None:
    """What another process's vacuum leaves in the log."""
    DeltaTable(path).vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)


# -- commits ---------------------------------------------------------------------------------


def test_a_table_is_made_where_there_is_none(table: MembershipTable, path: Path) -> None:
    first = table.snapshot()
    assert (first.version, first.files, first.of(1), first.members(1)) == (0, {}, (), 0)
    assert table.marks(1) is None
    assert MembershipTable(str(path)).snapshot().version == 0
    fields = [(field.name, field.type.type) for field in DeltaTable(path).schema().fields]
    assert fields == [("user_id", "string"), ("tag_id", "integer")]
    assert DeltaTable(path).metadata().partition_columns == ["tag_id"]


def test_a_commit_changes_all_its_tags_at_once(table: MembershipTable, path: Path) -> None:
    base, job = table.snapshot(), str(uuid.uuid4())
    edits = [rewrite(table, base, tag_id, [f"user{tag_id}"], job) for tag_id in ALL]
    assert stored(path) == []
    assert table.snapshot() == base, "staged files are nobody's members"
    assert table.commit(job, base, edits, Touched(frozenset(ALL), None), {}) == 1 == table.snapshot().version
    assert [stored(path, tag_id) for tag_id in ALL] == [[f"user{tag_id}"] for tag_id in ALL]
    assert DeltaTable(path).version() == 1


def test_any_reader_of_delta_sees_the_table(table: MembershipTable, path: Path) -> None:
    commit(table, 3, HOSTILE)
    rows = pa.table(DeltaTable(path).to_pyarrow_table()).to_pylist()
    assert {(row["user_id"], row["tag_id"]) for row in rows} == {(user, 3) for user in HOSTILE}


@pytest.mark.parametrize("user", ["𠮷野家", "\U0001f600", "\U0010ffff", "\uffff", "x" * 255, "\0", "'"], ids=ascii)
def test_bounds_hold_in_every_alphabet(table: MembershipTable, path: Path, user: str) -> None:
    """Han beyond the basic plane among them, which is written as two escapes and read back by others."""
    commit(table, 3, [user], touches=frozenset({user}))
    for any_process in (table, MembershipTable(str(path))):
        (file,) = any_process.snapshot().of(3)
        assert file.may_hold(user)
        assert any_process.touched_since(0, Touched(frozenset({3}), frozenset({user})))


def test_a_file_knows_its_rows_and_bounds(table: MembershipTable) -> None:
    commit(table, 3, HOSTILE)
    (file,) = table.snapshot().of(3)
    assert file.rows == len(HOSTILE) == table.snapshot().members(3)
    assert all(file.may_hold(user) for user in HOSTILE)
    commit(table, 4, ["b", "d"])
    (file,) = table.snapshot().of(4)
    assert [file.may_hold(user) for user in ("a", "b", "c", "d", "e", "B")] == [False, True, True, True, False, False]
    assert table.read(file).to_pylist() == ["b", "d"]


def test_a_commit_on_an_old_snapshot_is_refused(table: MembershipTable, path: Path) -> None:
    other = MembershipTable(str(path))
    old = other.snapshot()
    commit(table, users=["ann"])
    with pytest.raises(Transient):
        commit(other, users=["bob"], base=old)
    assert stored(path) == ["ann"]
    commit(other, users=["bob"])
    assert stored(path) == ["bob"]
    assert DeltaTable(path).version() == 2


def test_a_commit_on_an_old_snapshot_is_refused_by_a_table_that_knows_better(table: MembershipTable) -> None:
    old = table.snapshot()
    commit(table, users=["ann"])
    with pytest.raises(Transient):
        commit(table, users=["bob"], base=old)


def test_an_old_snapshot_can_still_be_read(table: MembershipTable) -> None:
    commit(table, users=["ann"])
    old = table.snapshot()
    commit(table, users=["bob"])
    assert [table.read(file).to_pylist() for file in old.of(1)] == [["ann"]]


def test_a_commit_says_who_made_it(table: MembershipTable, path: Path) -> None:
    job = str(uuid.uuid4())
    commit(table, 5, job=job, touches=frozenset({"bob", "o'brien", "😀"}))
    (said,) = DeltaTable(path).history(1)
    assert (said["job_id"], said["tags"], said["users"]) == (job, [5], sorted(["bob", "o'brien", "😀"]))


# -- exactly once ----------------------------------------------------------------------------


def test_a_commit_is_found_by_its_job(table: MembershipTable, path: Path) -> None:
    job = str(uuid.uuid4())
    assert not table.find_commit(job)
    commit(table, job=job)
    for any_process in (table, MembershipTable(str(path))):
        assert any_process.find_commit(job)
        assert not any_process.find_commit(str(uuid.uuid4()))


def test_looking_for_a_commit_fences_it_off(table: MembershipTable, path: Path) -> None:
    """A frozen attempt that wakes up after it was given up comes too late."""
    frozen, job = MembershipTable(str(path)), str(uuid.uuid4())
    base = frozen.snapshot()
    assert not table.find_commit(job)
    with pytest.raises(Transient):
        commit(frozen, base=base, job=job)
    assert stored(path) == []
    assert not table.find_commit(job)


def test_looking_for_a_commit_that_is_there_changes_nothing(table: MembershipTable, path: Path) -> None:
    job = str(uuid.uuid4())
    commit(table, job=job)
    version = DeltaTable(path).version()
    assert table.find_commit(job)
    assert DeltaTable(path).version() == version


def test_a_job_whose_process_died_after_its_commit_is_done_once(spark: Spark, tmp_path: Path) -> None:
    """The outcome was lost, the commit was not: the next attempt finds it and writes nothing."""

    class Dying(RacedTable):
        def commit(self, *what: object, **more: object) -> int:
            super().commit(*what, **more)
            raise SystemExit

    world = World(spark, tmp_path, table=Dying(tmp_path / "user_tags"))
    world.data.put("ann", **EVERY_TAG)
    world.data.save()
    result = world.result()
    assert result["table_version"] == world.version() == 1
    assert world.another_process().table.find_commit(world.submit()) is False


def test_a_commit_is_found_after_a_checkpoint(table: MembershipTable, path: Path) -> None:
    job = str(uuid.uuid4())
    commit(table, job=job, marks={1: MARKS})
    for number in range(60):
        commit(table, 2, [f"user{number}"])
    assert json.loads((path / "_delta_log" / "_last_checkpoint").read_text())["version"] > 40
    reopened = MembershipTable(str(path))
    assert reopened.find_commit(job)
    assert reopened.marks(1) == MARKS
    assert (stored(path, 1), stored(path, 2)) == (["ann", "bob"], ["user59"])
    (file,) = reopened.snapshot().of(1)
    assert (file.rows, file.low, file.high) == (2, "ann", "bob")


# -- marks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("marks", [MARKS, Marks(NEVER, 0, MARKS.run)], ids=["late", "early"])
def test_marks_come_back_to_the_microsecond(table: MembershipTable, path: Path, marks: Marks) -> None:
    commit(table, marks={1: marks, 2: MARKS})
    for any_process in (table, MembershipTable(str(path))):
        assert any_process.marks(1) == marks
        assert any_process.marks(2) == MARKS
        assert any_process.marks(3) is None


def test_marks_move_only_by_a_commit_that_has_them(table: MembershipTable) -> None:
    commit(table, marks={1: MARKS})
    commit(table, touches=frozenset({"ann"}))
    assert table.marks(1) == MARKS
    earlier = Marks(NEVER, 7, NEVER)
    commit(table, marks={1: earlier})
    assert table.marks(1) == earlier


def test_the_marks_of_a_refused_commit_are_refused(table: MembershipTable, path: Path) -> None:
    other = MembershipTable(str(path))
    old = other.snapshot()
    commit(table)
    with pytest.raises(Transient):
        commit(other, base=old, marks={1: MARKS})
    assert table.marks(1) is None


# -- who touched what ------------------------------------------------------------------------

ANN, BOB = frozenset({"ann"}), frozenset({"bob"})
MANY = frozenset(f"user{number}" for number in range(101))


@pytest.mark.parametrize(
    ("tag_id", "users", "touched"),
    [
        (1, None, True),
        (1, ANN, True),
        (1, ANN | BOB, True),
        (1, BOB, False),
        (2, None, False),
        (2, ANN, False),
        (1, MANY, True),
        (1, frozenset(sorted(MANY)[:100]), False),
    ],
    ids=["all users", "the user", "among them", "another user", "another tag", "other tag", "too many", "many"],
)
def test_a_commit_touches_its_tags_and_users(
    table: MembershipTable, path: Path, tag_id: int, users: frozenset[str] | None, touched: bool
) -> None:
    mine = MembershipTable(str(path))
    version = mine.snapshot().version
    commit(table, tag_id, touches=users)
    assert mine.touched_since(version, Touched(frozenset({1, 5}), ANN)) is touched
    assert mine.touched_since(version, Touched(frozenset({1, 5}), None)) is (tag_id == 1)
    assert mine.touched_since(version + 1, Touched(frozenset({1, 5}), None)) is False


def test_upkeep_touches_nobody(table: MembershipTable, path: Path) -> None:
    commit(table)
    version = table.snapshot().version
    upkeep(path)
    table.find_commit(str(uuid.uuid4()))
    table.vacuum(1)
    assert table.snapshot().version > version
    assert not table.touched_since(version, Touched(frozenset(ALL), None))


def test_the_fence_of_an_earlier_release_touches_nobody(table: MembershipTable, path: Path) -> None:
    version = table.snapshot().version
    earlier = DeltaTable(path)
    properties = CommitProperties(custom_metadata={"purpose": "SHUT THE DOOR", "job_id": str(uuid.uuid4())})
    earlier.create_write_transaction([], "append", earlier.schema(), ["tag_id"], commit_properties=properties)
    assert table.snapshot().version == version + 1
    assert not table.touched_since(version, Touched(frozenset(ALL), None))


def test_one_commit_among_others_is_enough(table: MembershipTable, path: Path) -> None:
    version = table.snapshot().version
    for users in (BOB, ANN, BOB):
        commit(table, touches=users)
        upkeep(path)
    assert table.touched_since(version, Touched(frozenset({1}), ANN))
    assert not table.touched_since(version, Touched(frozenset({1}), frozenset({"eve"})))


def test_a_commit_by_a_stranger_touches_everybody(table: MembershipTable, path: Path) -> None:
    """Whoever else writes to the table does not say what it was about."""
    version = table.snapshot().version
    stranger = DeltaTable(path)
    properties = CommitProperties(custom_metadata={"by": "hand"})
    stranger.create_write_transaction([], "append", stranger.schema(), ["tag_id"], commit_properties=properties)
    assert table.touched_since(version, Touched(frozenset({8}), frozenset({"eve"})))


def test_beyond_many_commits_everybody_may_be_touched(table: MembershipTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tag_tasks.tags.table.MANY_COMMITS", 3)
    version = table.snapshot().version
    for _ in range(3):
        commit(table, 2)
    assert not table.touched_since(version, Touched(frozenset({1}), None))
    commit(table, 2)
    assert table.touched_since(version, Touched(frozenset({1}), None))


# -- one writer at a time --------------------------------------------------------------------


def test_there_is_one_writer_at_a_time(table: MembershipTable) -> None:
    order: list[str] = []

    def second() -> None:
        with table.writing(lambda: None):
            order.append("second")

    with table.writing(lambda: None):
        with_second = in_thread(second)
        with_second.__enter__()
        order.append("first")
    with_second.__exit__(None, None, None)
    assert order == ["first", "second"]


def test_who_waits_to_write_can_be_cancelled(table: MembershipTable) -> None:
    left: list[str] = []

    def cancelled() -> None:
        raise JobCancelled

    def second() -> None:
        with pytest.raises(JobCancelled), table.writing(cancelled):
            left.append("wrote")
        left.append("left")

    with table.writing(lambda: None), in_thread(second) as thread:
        thread.join(PATIENCE)
        assert left == ["left"]


def test_a_writer_that_fails_lets_the_next_one_in(table: MembershipTable) -> None:
    with pytest.raises(Transient), table.writing(lambda: None):
        raise Transient(reason="lost")
    with in_thread(lambda: commit_alone(table)):
        pass
    assert table.snapshot().version == 1


def commit_alone(table: MembershipTable) -> None:
    with table.writing(lambda: None):
        commit(table)


# -- files -----------------------------------------------------------------------------------


def test_what_was_staged_is_discarded(table: MembershipTable, path: Path) -> None:
    for name in ("mine-1", "mine-11", "other-1"):
        for tag_id in (1, 2):
            table.write(tag_id, f"{table.stage(tag_id, name)}/kept", pa.array(["ann"]))
    table.discard([1, 2, 3], "mine-1")
    left = {str(file.relative_to(path).parent) for file in path.rglob("*.parquet")}
    assert left == {f"tag_id={tag_id}/{name}/kept" for tag_id in (1, 2) for name in ("mine-11", "other-1")}


def test_staged_files_without_rows_are_left_out(table: MembershipTable) -> None:
    folder = table.stage(1, "mine-1")
    table.write(1, folder, pa.array([], pa.string()))
    file = table.write(1, folder, pa.array(["ann"]))
    assert table.staged(1, folder) == (file,)
    assert table.staged(1, table.stage(1, "nobody-1")) == ()


def test_a_vacuum_removes_what_no_version_needs(table: MembershipTable, path: Path) -> None:
    for number in range(5):
        commit(table, users=[f"user{number}"])
    table.write(2, table.stage(2, "lost-1"), pa.array(["ann"]))
    table.vacuum(1)
    assert len(list(path.rglob("tag_id=*/**/*.parquet"))) == 6, "they are young"
    table.vacuum(0)
    assert len(list(path.rglob("tag_id=*/**/*.parquet"))) == 1
    assert stored(path) == ["user4"]
    assert [table.read(file).to_pylist() for file in table.snapshot().of(1)] == [["user4"]]
    commit(table, users=["after"])
    assert stored(path) == ["after"]


def test_the_log_does_not_grow_for_ever(table: MembershipTable, path: Path) -> None:
    for _ in range(110):
        commit(table, users=["early"])
    eight_days_ago = time.time() - 8 * 86_400
    for entry in (path / "_delta_log").iterdir():
        os.utime(entry, (eight_days_ago, eight_days_ago))
    for _ in range(50):
        commit(table, users=["late"])
    entries = sorted(entry.name for entry in (path / "_delta_log").glob("*.json"))
    assert entries[0] >= f"{99:020d}.json", "what the last checkpoint of that time says is not kept twice"
    assert stored(path) == ["late"]


def test_a_table_that_is_not_there_for_writing_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(TaskFailed):
        MembershipTable(str(tmp_path / "file" / "user_tags")).snapshot()


@pytest.mark.parametrize(("rows", "jobs"), [(20_000, 200), (10, 70)], ids=["small files", "large files"])
def test_many_small_jobs_leave_few_files(world: World, monkeypatch: pytest.MonkeyPatch, rows: int, jobs: int) -> None:
    """Everybody goes in and out several times."""
    monkeypatch.setattr("tag_tasks.tags.edit.SMALL", rows)
    users = [f"user{number:02}" for number in range(31)]
    for number, user in enumerate(users):
        world.data.put(user, **(NO_TAG, EVERY_TAG)[number % 2])
    world.data.save()
    world.result([3])
    most = 0
    for number in range(jobs):
        user = users[number * 17 % 31]
        world.data.put(user, **(EVERY_TAG, NO_TAG)[number // 31 % 2])
        world.data.save()
        world.result([3], user_ids=[user])
        if number % 10 == 0:
            most = max(most, len(world.files(3)))
    world.agrees([3])
    assert most <= 2 + 2 * len(users) // rows
    assert world.table.snapshot().members(3) == len(world.expected(3))


def test_a_run_that_finds_everything_as_it_is_still_commits_once(world: World) -> None:
    """So that its job is found in the table."""
    world.data.put("ann", **EVERY_TAG)
    world.data.save()
    world.result()
    files = world.committed_files()
    job_id = world.submit(user_ids=["ann"])
    world.finish(job_id)
    assert world.table.find_commit(job_id)
    assert world.committed_files() == files


def test_transactions_expire_and_marks_do_not(table: MembershipTable, path: Path) -> None:
    """Since only a transaction with a time is ever dropped from the log."""
    jobs = [str(uuid.uuid4()) for _ in range(4)]
    for job in jobs:
        commit(table, job=job, marks={1: MARKS})
    lines = [line for entry in (path / "_delta_log").glob("*.json") for line in entry.read_text().splitlines()]
    transactions = [json.loads(line)["txn"] for line in lines if "txn" in json.loads(line)]
    timeless = {one["appId"] for one in transactions if one.get("lastUpdated") is None}
    assert timeless == {"watermark/1", "rule/1", "run/1"}
    assert {one["appId"] for one in transactions} - timeless == set(jobs)
