"""Runs of every kind on the product's own sample and on hostile ids, with DuckDB as the second opinion."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from pyspark.sql import Column
from pyspark.sql import functions as F

from tag_tasks.spark.session import Spark
from tag_tasks.spark.sources import Sources
from tag_tasks.tags.scope import Scopes
from tag_tasks.tags.tag import TagTask
from tag_tasks.tags.wealth import HighNetWorthUserTask
from tagapi.executors.thread_pool import ThreadPoolExecutor
from tagapi.jobs.model import DEFAULT_LANE, JobState
from tagapi.jobs.registry import Bounds
from tagapi.jobs.service import JobService
from tests.spark.world import (
    ALL,
    BASIC,
    EVERY_TAG,
    FIRST_FILE,
    LATE,
    LATEST,
    NO_TAG,
    NOON,
    RULES,
    SCHEMAS,
    TABLE_OF,
    TODAY,
    YESTERDAY,
    Data,
    World,
    counts,
    eventually,
    in_thread,
    no_results,
)

HOSTILE = [
    *("o'brien", "''", "'", '"', "`", "\\", "\\'", "'\\", "back\\slash", "trailing\\"),
    *("'; DROP TABLE user_tags; --", "' OR '1'='1", "x') OR TRUE --", "tag_id = 3", "user_id", "NULL", "null"),
    *("nul\0inside", "\0", "\x01", "\x7f", "new\nline", "\r\n", "tab\t", "\u2028", "\ufeffbom"),
    *("😀", "𠮷野家", "\U00020000", "e\u0301", "é", "\u202eright to left", "\uffff", "\U0010ffff", "ß", "İ"),
    *(" leading", "trailing ", " ", "  ", "\u00a0", "user_000001 ", " user_000001", "USER_000001"),
    *("100%", "%", "_", "%s", "{0}", "${x}", "*", "?", "[a-z]", "a,b", ";", ":", "#", "="),
    *("a/b", "/", "../../etc/passwd", ".", "..", "__HIVE_DEFAULT_PARTITION__", "true", "1", "1.0", "01", "NaN", "-0"),
    *("x" * 255, "x" * 254 + "y", "😀" * 255, "\U0010ffff" * 255, "\uffff" * 255),
]


@pytest.fixture
def crowd(sampled: World) -> World:
    """The sample and the hostile, who carry all tags and none by turns."""
    for number, user_id in enumerate(HOSTILE):
        sampled.data.put(user_id, **(EVERY_TAG, NO_TAG)[number % 2])
    sampled.data.put("latest", LATEST, **NO_TAG)
    sampled.data.save()
    return sampled


@pytest.fixture(params=["some", "many"])
def small(world: World, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> World:
    """The hostile and forty others. They are some users; and many, by limits that make them so."""
    if request.param == "many":
        limit_to(monkeypatch, users=4, rows=8, named=2)
    for number, user_id in enumerate([*HOSTILE, *(f"user_{number:06}" for number in range(1, 41))]):
        world.data.put(user_id, **(EVERY_TAG, NO_TAG)[number % 2])
    world.data.put("latest", LATEST, **NO_TAG)
    world.data.put("old", **EVERY_TAG | {"registration_date": ago(30), "last_login_date": ago(7)})
    world.data.put("early", **EVERY_TAG | {"registration_date": ago(-1), "last_login_date": ago(-1)})
    world.data.save()
    return world


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def limit_to(monkeypatch: pytest.MonkeyPatch, users: int = 10**6, rows: int = 20_000, named: int = 1000) -> None:
    """Lower the numbers at which a run takes another road: they tell what is faster, not what is true."""
    monkeypatch.setattr("tag_tasks.tags.compute.SOME", users)
    monkeypatch.setattr("tag_tasks.tags.edit.SMALL", rows)
    monkeypatch.setattr("tag_tasks.tags.edit.NAMED", named)
    monkeypatch.setattr("tag_tasks.tags.evaluate.NAMED", named)


def upset(world: World, updated_time: datetime | None) -> None:
    """Change the sources: every seventh user becomes another, every thirteenth goes, fifty come."""
    users = world.data.users()
    for number, user_id in enumerate(users):
        if number % 7 == 0:
            world.data.put(user_id, updated_time, **(NO_TAG, EVERY_TAG)[number % 2])
        elif number % 13 == 0:
            world.data.delete(user_id)
    for number in range(50):
        world.data.put(f"come_{number}", updated_time, **(NO_TAG, EVERY_TAG)[number % 2])
    world.data.save()


# -- full ------------------------------------------------------------------------------------


def test_a_full_run_equals_duckdb(crowd: World) -> None:
    result = crowd.result()
    crowd.agrees()
    carrying = {user_id for number, user_id in enumerate(HOSTILE) if number % 2 == 0}
    for tag_id in ALL:
        assert crowd.members(tag_id) & set(HOSTILE) == carrying
    assert result["total_users"] == len(crowd.data.users())
    assert result["message"] == f"Successfully processed {len(crowd.data.users())} users"
    assert result["unknown_user_ids"] == []
    assert result["table_version"] == crowd.version()
    assert counts(result) == {tag_id: (len(crowd.expected(tag_id)), None, None) for tag_id in ALL}


def test_a_full_run_puts_in_who_matches_and_out_who_does_not(crowd: World) -> None:
    crowd.result()
    before = crowd.memberships()
    upset(crowd, updated_time=None)
    result = crowd.result(diff=True)
    crowd.agrees()
    after = crowd.memberships()
    assert counts(result) == {
        tag_id: (len(after[tag_id]), len(after[tag_id] - before[tag_id]), len(before[tag_id] - after[tag_id]))
        for tag_id in ALL
    }
    assert all(added and removed for _, added, removed in counts(result).values())


def test_a_tag_that_was_not_asked_for_is_not_touched(small: World) -> None:
    small.result()
    before = small.memberships()
    upset(small, updated_time=None)
    small.result([2, 5])
    small.agrees([2, 5])
    others = [tag_id for tag_id in ALL if tag_id not in (2, 5)]
    assert small.memberships(others) == {tag_id: before[tag_id] for tag_id in others}


def test_a_full_run_on_the_next_day_moves_the_windows(small: World) -> None:
    small.result()
    before = small.memberships()
    small.pass_time(days=1)
    small.result()
    small.agrees()
    assert {tag_id for tag_id in ALL if small.members(tag_id) != before[tag_id]} == {4, 8}


def test_today_is_the_day_of_the_submission(small: World) -> None:
    """However late the attempt."""
    job_id = small.submit([4, 8])
    small.pass_time(days=5)
    assert small.finish(job_id).state is JobState.SUCCEEDED
    for tag_id in (4, 8):
        assert small.members(tag_id) == small.expected(tag_id, TODAY) != small.expected(tag_id)


def test_the_last_microsecond_of_a_day_is_in_it(small: World) -> None:
    small.clock.moment = NOON.replace(hour=23, minute=59, second=59, microsecond=999_999)
    small.result([4, 8])
    small.agrees([4, 8])
    small.pass_time(microseconds=1)
    small.result([4, 8], mode="incremental")
    assert small.clock.now().date() == TODAY + timedelta(days=1)
    small.agrees([4, 8])


# -- incremental -----------------------------------------------------------------------------


def test_a_first_incremental_run_is_full(small: World) -> None:
    result = small.result(mode="incremental")
    small.agrees()
    assert result["total_users"] == len(small.data.users())


def test_an_incremental_run_without_a_change_has_nothing_to_do(small: World) -> None:
    small.result()
    version = small.version()
    small.pass_time(hours=1)
    assert small.result(mode="incremental") == no_results(version)
    assert small.version() == version


def test_an_incremental_run_sees_the_new_and_the_changed(small: World) -> None:
    """And nobody else: not who changed without an updated_time to say so, not who was deleted.

    The source is one file, which is another one now: so its latest row is seen, too.
    """
    small.result()
    carrier, stranger = HOSTILE[0], HOSTILE[1]
    unseen_carrier, unseen_stranger, deleted = HOSTILE[2], HOSTILE[3], HOSTILE[4]
    undated = HOSTILE[5]
    before = small.memberships()
    now = small.pass_time(hours=1)
    small.data.put(carrier, now, **NO_TAG)
    small.data.put(stranger, now, **EVERY_TAG)
    small.data.put("new", now, **EVERY_TAG)
    small.data.put("new stranger", now, **NO_TAG)
    small.data.put(unseen_carrier, YESTERDAY, **NO_TAG)
    small.data.put(unseen_stranger, YESTERDAY, **EVERY_TAG)
    small.data.put(undated, None, **EVERY_TAG)
    small.data.delete(deleted)
    small.data.save()
    result = small.result(mode="incremental")
    for tag_id in ALL:
        assert small.members(tag_id) == (before[tag_id] - {carrier}) | {stranger, "new", undated}
    assert counts(result) == dict.fromkeys(ALL, (3, 3, 1))
    assert result["total_users"] == 5 + len({"latest"})


def test_a_row_without_a_date_is_seen_every_time(small: World) -> None:
    small.data.put("undated", None, **EVERY_TAG)
    small.data.save()
    small.result()
    for change in (NO_TAG, EVERY_TAG):
        small.pass_time(hours=1)
        small.data.put("undated", None, **change)
        small.data.save()
        assert small.result(mode="incremental")["total_users"] == len({"undated", "latest"})
        small.agrees()


@pytest.mark.parametrize("limits", [{}, {"users": 1000}, {"rows": 100, "named": 100}], ids=["read", "all", "large"])
def test_an_incremental_run_over_many_changes(
    crowd: World, monkeypatch: pytest.MonkeyPatch, limits: dict[str, int]
) -> None:
    limit_to(monkeypatch, **limits)
    crowd.result()
    before, watermarks = crowd.memberships(), crowd.watermarks()
    now = crowd.pass_time(hours=1)
    changed = set()
    for number, user_id in enumerate(crowd.data.users()[:-1]):
        if number % 4 == 0:
            crowd.data.put(user_id, now, **(NO_TAG, EVERY_TAG)[number % 8 == 0])
            changed.add(user_id)
        elif number % 4 == 1:
            crowd.data.put(user_id, YESTERDAY, **NO_TAG)
        elif number % 4 == 2:
            crowd.data.delete(user_id)
    crowd.data.save()
    assert len(changed) > 1000
    assert "latest" in (recent := crowd.recent(watermarks)) > changed
    dry = crowd.result(mode="incremental", dry_run=True)
    result = crowd.result(mode="incremental")
    assert counts(dry) == counts(result)
    for tag_id in ALL:
        truth, after = crowd.expected(tag_id), crowd.members(tag_id)
        assert after == (before[tag_id] - changed) | (truth & changed)
        lost, won = before[tag_id] - after, after - before[tag_id]
        assert counts(result)[tag_id][1:] == (len(won), len(lost))
    assert result["total_users"] == len(recent)


@pytest.mark.parametrize("changed", [1000, 1001])
def test_the_two_roads_of_an_incremental_run_meet(crowd: World, monkeypatch: pytest.MonkeyPatch, changed: int) -> None:
    limit_to(monkeypatch, users=1000)
    crowd.result([1, 2, 3])
    now = crowd.pass_time(hours=1)
    older = [user_id for user_id in crowd.data.users() if user_id not in crowd.recent(crowd.watermarks(), [3])]
    for number, user_id in enumerate(older[: changed - 1]):
        crowd.data.put(user_id, now, risk_score=number % 60)
    crowd.data.put("latest", now, risk_score=7)
    crowd.data.deliver()
    result = crowd.result([1, 2, 3], mode="incremental")
    assert result["total_users"] == changed
    crowd.agrees([1, 2, 3])


def test_changes_in_one_source_are_nothing_to_the_tags_of_another(small: World) -> None:
    small.result()
    now = small.pass_time(hours=1)
    small.data.put("user_000001", now, risk_score=0)
    small.data.deliver()
    assert small.result([1, 6, 2, 8], mode="incremental") == no_results(small.version(), [1, 6, 2, 8])
    assert small.result([1, 3], mode="incremental")["total_users"] == len({"user_000001", "latest"})
    assert "user_000001" in small.members(3)


def test_the_next_day_tags_that_read_it_run_full(small: World) -> None:
    small.result()
    before = small.memberships()
    small.data.put("unseen", YESTERDAY, **EVERY_TAG)
    small.data.save()
    small.pass_time(days=1)
    result = small.result(mode="incremental")
    small.agrees([4, 8])
    others = [tag_id for tag_id in ALL if tag_id not in (4, 8)]
    assert small.memberships(others) == {tag_id: before[tag_id] for tag_id in others}
    assert result["total_users"] == len(small.data.users())
    assert small.result(mode="incremental") == no_results(small.version())


def test_a_changed_rule_runs_full(crowd: World) -> None:
    class Richer(HighNetWorthUserTask):
        def rule(self, today: date) -> Column:
            return F.col("total_asset_value") >= 60_000

    crowd.result()
    unchanged = crowd.expected(6)
    tags: dict[int, TagTask] = {**crowd.task._tags, 1: Richer()}
    crowd.task._tags = tags
    crowd.pass_time(hours=1)
    crowd.data.put("unseen", YESTERDAY, **EVERY_TAG)
    crowd.data.save()
    result = crowd.result([1, 6], mode="incremental")
    assert result["total_users"] == len(crowd.data.users())
    richer = {user for user, row in crowd.data.rows[RULES[1][0]].items() if (row["total_asset_value"] or 0) >= 60_000}
    assert crowd.members(1) == richer > crowd.expected(1)
    assert crowd.members(6) == unchanged
    assert crowd.result([1, 6], mode="incremental") == no_results(crowd.version(), [1, 6])


def test_the_watermark_is_never_later_than_the_submission(small: World) -> None:
    """A row dated in the future hides nothing that comes until then."""
    small.data.put("ahead", NOON + timedelta(days=2), **EVERY_TAG)
    small.data.save()
    small.result()
    small.agrees()
    small.pass_time(hours=1)
    small.data.put("later", small.clock.now(), **EVERY_TAG)
    small.data.save()
    assert small.result(mode="incremental")["total_users"] == len({"later", "ahead", "latest"})
    small.agrees()


# -- late rows -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "age", [timedelta(0), timedelta(microseconds=1), LATE, None], ids=["equal", "older", "just", "null"]
)
def test_a_row_that_comes_late_is_seen(small: World, age: timedelta | None) -> None:
    small.result()
    small.data.put("late", None if age is None else LATEST - age, **EVERY_TAG)
    small.data.put("user_000001", None if age is None else LATEST - age, **EVERY_TAG)
    small.data.deliver()
    small.result(mode="incremental")
    small.agrees()


def test_a_row_that_comes_too_late_is_not_seen(small: World) -> None:
    small.result()
    before = small.memberships()
    small.data.put("too late", LATEST - LATE - timedelta(microseconds=1), **EVERY_TAG)
    small.data.deliver()
    assert small.result(mode="incremental") == no_results(small.version())
    assert small.memberships() == before


def test_rows_come_late_again_and_again(small: World) -> None:
    """With the watermark's own time, one file after the other."""
    small.result()
    for number in range(4):
        small.data.put(f"late {number}", LATEST, **(EVERY_TAG, NO_TAG)[number % 2])
        small.data.deliver()
        assert small.result(mode="incremental")["total_users"] == 1
        small.agrees()


def test_the_margin_is_that_of_the_settings(spark: Spark, tmp_path: Path) -> None:
    world = World(spark, tmp_path, late=timedelta(seconds=5))
    world.data.put("latest", LATEST, **EVERY_TAG)
    world.data.save()
    world.result()
    for user_id, age in (("seen", 5), ("not seen", 6)):
        world.data.put(user_id, LATEST - timedelta(seconds=age), **EVERY_TAG)
    world.data.deliver()
    world.result(mode="incremental")
    assert world.memberships() == dict.fromkeys(ALL, frozenset({"latest", "seen"}))


def test_files_that_were_there_are_not_read(small: World) -> None:
    """They could not be: nothing is in them any more, which neither their size nor their time tells."""
    small.result()
    before = small.memberships()
    for file in small.data.folder.rglob("*.parquet"):
        there = file.stat()
        file.write_bytes(b"x" * there.st_size)
        os.utime(file, ns=(there.st_atime_ns, there.st_mtime_ns))
    assert small.result(mode="incremental") == no_results(small.version())
    small.data.put("new", NOON, **EVERY_TAG)
    small.data.deliver()
    assert small.result(mode="incremental")["total_users"] == 1
    assert small.memberships() == {tag_id: members | {"new"} for tag_id, members in before.items()}


def test_a_dry_run_and_a_list_leave_files_unseen(small: World) -> None:
    small.result()
    small.data.put("late", LATEST, **EVERY_TAG)
    small.data.deliver()
    for asked in ({"dry_run": True}, {"user_ids": ["user_000001"]}, {"user_ids": ["late"], "dry_run": True}):
        small.result(mode="incremental", **asked)
    assert small.result(mode="incremental")["total_users"] == 1
    small.agrees()
    assert small.result(mode="incremental") == no_results(small.version())


def test_each_tag_has_seen_what_it_has_read(small: World) -> None:
    small.result()
    for number, tag_ids in enumerate(([3], [5, 7], [3, 4, 5, 7], [1, 3], ALL)):
        small.data.put(f"late {number}", LATEST, **EVERY_TAG)
        small.data.deliver()
        small.result(tag_ids, mode="incremental")
        small.agrees(tag_ids)
    small.agrees()


@pytest.mark.parametrize("loss", ["removed", "cut short", "another's", "empty"])
def test_without_the_list_of_files_seen_everyone_is_evaluated(small: World, loss: str) -> None:
    small.result()
    small.pass_time(minutes=5)
    small.data.put("too late", LATEST - timedelta(days=9), **EVERY_TAG)
    small.data.deliver()
    lists = sorted((small.path / "_files_seen").iterdir())
    assert len(lists) == len(SCHEMAS)
    whole = [file.read_bytes() for file in lists]
    for number, file in enumerate(lists):
        if loss == "removed":
            file.unlink()
        else:
            file.write_bytes({"cut short": whole[number][:-9], "another's": whole[number - 1], "empty": b""}[loss])
    assert small.result(mode="incremental")["total_users"] == len(small.data.users())
    small.agrees()
    assert small.result(mode="incremental") == no_results(small.version())


def test_a_table_of_an_earlier_release_is_run_in_full_once(small: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a watermark, and nothing that says which files were read."""
    with monkeypatch.context() as earlier:
        marks = Scopes.marks
        earlier.setattr(Scopes, "marks", lambda *one: replace(marks(*one), files=None))
        small.result()
    small.data.put("too late", LATEST - timedelta(days=9), **EVERY_TAG)
    small.data.deliver()
    assert small.result(mode="incremental")["total_users"] == len(small.data.users())
    small.agrees()
    assert small.result(mode="incremental") == no_results(small.version())


def test_a_source_that_lies_elsewhere_now_is_another(small: World, tmp_path: Path) -> None:
    small.result()
    small.data.put("too late", LATEST - timedelta(days=9), **EVERY_TAG)
    small.data.deliver()
    small.data.folder.rename(tmp_path / "elsewhere")
    small.data.folder = tmp_path / "elsewhere"
    elsewhere = small.another_process()
    elsewhere.result(mode="incremental")
    elsewhere.agrees()


def test_a_new_file_that_spark_does_not_find_is_not_taken_for_read(
    small: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is there when the source is listed, gone when it is read, and back later: an unsteady mount."""
    small.result()
    small.data.put("late", LATEST, **EVERY_TAG)
    small.data.deliver("first")
    small.data.put("hidden", LATEST, **EVERY_TAG)
    small.data.deliver("second")
    files, read_files, gone = Sources.files, Sources.read_files, list[Path]()

    def back(*what: Any) -> Any:
        while gone:
            path = gone.pop()
            path.with_name(f"_{path.name}").rename(path)
        return files(*what)

    hidden = set(small.data.folder.glob("*/second*"))

    def away(*what: Any) -> Any:
        while hidden:
            gone.append(path := hidden.pop())
            path.rename(path.with_name(f"_{path.name}"))
        return read_files(*what)

    monkeypatch.setattr(Sources, "files", back)
    monkeypatch.setattr(Sources, "read_files", away)
    job = small.compute(mode="incremental")
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2), job.error
    small.agrees()


def test_a_watermark_at_the_beginning_of_time_is_one(small: World) -> None:
    """Some write the first of January of the year 1 where they have no date."""
    small.data.rows = {table: {} for table in small.data.rows}
    small.data.put("old", datetime(1, 1, 1, tzinfo=UTC), **EVERY_TAG)
    small.data.save()
    small.result()
    small.data.put("new", datetime(1, 1, 1, tzinfo=UTC), **EVERY_TAG)
    small.data.deliver()
    assert small.result(mode="incremental")["total_users"] == 1
    small.agrees()


@pytest.mark.parametrize("what", ["a pattern", "many"])
def test_files_that_cannot_be_named_are_told_by_time(small: World, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """More is read than is new, and nothing is missed."""
    monkeypatch.setattr("tag_tasks.spark.sources.NAMED", 1 if what == "many" else 1000)
    small.result()
    small.data.put("late", LATEST, **EVERY_TAG)
    for number in range(3 if what == "many" else 1):
        small.data.put(f"new {number}", NOON, **EVERY_TAG)
        small.data.deliver({"a pattern": "part [a]*?{b}"}.get(what))
    assert small.result(mode="incremental")["total_users"] >= 2
    small.agrees()


def test_a_partitioned_source_is_told_by_time(small: World) -> None:
    """A file of it that is read alone has lost the columns that its folder stands for."""
    for table in SCHEMAS:
        file = small.data.folder / table / FIRST_FILE
        file.parent.joinpath("day=1").mkdir()
        file.rename(file.parent / "day=1" / file.name)
    small.result()
    small.data.put("late", LATEST - LATE, **EVERY_TAG)
    for table, rows in small.data.rows.items():
        folder = small.data.folder / table / "day=2"
        folder.mkdir()
        pq.write_table(pa.Table.from_pylist([rows["late"]], SCHEMAS[table]), folder / FIRST_FILE)
    assert small.result(mode="incremental")["total_users"] == len({"late", "latest"})
    small.agrees()
    assert small.result(mode="incremental") == no_results(small.version())


def save_as_delta(data: Data) -> None:
    for table, rows in data.rows.items():
        path = str(data.folder / table)
        write_deltalake(path, pa.Table.from_pylist(list(rows.values()), SCHEMAS[table]), mode="overwrite")


def test_without_files_to_tell_apart_the_time_decides(spark: Spark, tmp_path: Path) -> None:
    """A Delta table, say: its files are not what a reader sees."""
    world = World(spark, tmp_path, kind="delta")
    world.data.put("latest", LATEST, **EVERY_TAG)
    world.data.put("old", **NO_TAG)
    save_as_delta(world.data)
    world.result()
    world.data.put("old", **EVERY_TAG)
    world.data.put("late", LATEST - LATE, **EVERY_TAG)
    save_as_delta(world.data)
    assert world.result(mode="incremental")["total_users"] == len({"latest", "late"})
    assert world.memberships() == dict.fromkeys(ALL, frozenset({"latest", "late"}))
    assert world.result(mode="incremental")["total_users"] == len({"latest", "late"}), "they lie within the margin"


def test_another_table_without_files_to_tell_apart_is_read_whole(spark: Spark, tmp_path: Path) -> None:
    world = World(spark, tmp_path, kind="delta")
    world.data.put("latest", LATEST, **EVERY_TAG)
    save_as_delta(world.data)
    world.result()
    world.data.put("old", LATEST - timedelta(days=9), **EVERY_TAG)
    world.data.folder = tmp_path / "elsewhere"
    save_as_delta(world.data)
    elsewhere = World(spark, tmp_path, data=world.data, kind="delta")
    assert elsewhere.result(mode="incremental")["total_users"] == len({"latest", "old"})


def test_a_source_that_only_spark_may_list_is_told_by_time(small: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spark may be elsewhere, and have rights that this process has not."""

    def denied(path: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr("tag_tasks.spark.sources._listed", denied)
    small.result()
    small.data.put("late", LATEST - LATE, **EVERY_TAG)
    small.data.deliver()
    assert small.result(mode="incremental")["total_users"] == len({"late", "latest"})
    small.agrees()


def test_a_new_file_without_a_column_is_read_like_the_others(small: World) -> None:
    small.result()
    rows = [{"user_id": "new", "risk_score": 5, "updated_time": NOON}]
    schema = pa.schema([SCHEMAS[BASIC].field(name) for name in ("user_id", "risk_score", "updated_time")])
    pq.write_table(pa.Table.from_pylist(rows, schema), small.data.folder / BASIC / "part-new.parquet")
    assert small.result([3, 7], mode="incremental")["total_users"] == 1
    assert "new" in small.members(3) - small.members(7)


def test_old_lists_of_files_go_with_the_vacuum(small: World) -> None:
    for number in range(4):
        small.data.put(f"late {number}", LATEST, **EVERY_TAG)
        small.data.deliver()
        small.pass_time(minutes=1)
        small.result(mode="incremental")
    lists = small.path / "_files_seen"
    assert len(list(lists.iterdir())) == 4 * len(SCHEMAS)
    small.table.vacuum(1)
    assert len(list(lists.iterdir())) == 4 * len(SCHEMAS), "they are young"
    small.table.vacuum(0)
    assert len(list(lists.iterdir())) == len(SCHEMAS)
    assert small.result(mode="incremental") == no_results(small.version()), "what is referred to is still there"


def test_a_run_submitted_earlier_does_not_hide_what_a_later_one_left(small: World) -> None:
    """Jobs may run in another order than they were submitted, across midnight too."""
    small.result()
    early = small.submit(mode="incremental")
    small.pass_time(days=1)
    small.data.put("new", small.clock.now(), **EVERY_TAG)
    small.data.save()
    another = small.another_process()
    another.clock.moment = small.clock.now()
    another.result(mode="incremental")
    assert small.finish(early).state is JobState.SUCCEEDED
    for tag_id in (4, 8):
        assert small.members(tag_id) - {"new"} == small.expected(tag_id, TODAY) - {"new"}
    small.pass_time(hours=1)
    small.result(mode="incremental")
    small.agrees()


def test_times_without_an_offset_are_utc(small: World) -> None:
    """As they come from systems that know no zone."""

    def save() -> None:
        small.data.save()
        for table, rows in small.data.rows.items():
            naive = pa.Table.from_pylist(list(rows.values()), SCHEMAS[table])
            column = naive.schema.get_field_index("updated_time")
            values = naive["updated_time"].cast(pa.timestamp("us"))
            small.data.write(table, naive.set_column(column, "updated_time", values))

    small.data.put("last", LATEST - timedelta(minutes=1), **NO_TAG)
    save()
    small.result()
    small.agrees()
    small.pass_time(hours=1)
    small.data.put("unseen", LATEST - LATE - timedelta(microseconds=1), **EVERY_TAG)
    small.data.put("seen", LATEST - LATE, **EVERY_TAG)
    save()
    assert small.result(mode="incremental")["total_users"] == len({"seen", "last", "latest"})
    assert all("seen" in members and "unseen" not in members for members in small.memberships().values())


# -- lists of users --------------------------------------------------------------------------


def scope(world: World, count: int) -> list[str]:
    """So many users, the hostile first."""
    return [*HOSTILE, *(user for user in world.data.users() if user not in HOSTILE)][:count]


@pytest.mark.parametrize(
    ("count", "mode", "rows"),
    [
        (1, "full", 20_000),
        (2, "incremental", 100),
        (len(HOSTILE), "full", 100),
        (1000, "full", 20_000),
        (1000, "full", 100),
        (1001, "full", 20_000),
        (1001, "incremental", 100),
        (3000, "incremental", 20_000),
    ],
)
def test_a_list_changes_those_users_and_nobody_else(
    crowd: World, monkeypatch: pytest.MonkeyPatch, count: int, mode: str, rows: int
) -> None:
    limit_to(monkeypatch, rows=rows)
    crowd.result()
    before = crowd.memberships()
    users = scope(crowd, count)
    for number, user_id in enumerate(crowd.data.users()):
        if number % 3:
            crowd.data.put(user_id, YESTERDAY, **(NO_TAG, EVERY_TAG)[number % 2])
    crowd.data.save()
    dry = crowd.result(user_ids=users, mode=mode, dry_run=True)
    assert crowd.memberships() == before
    result = crowd.result(user_ids=users, mode=mode)
    for tag_id in ALL:
        truth, after = crowd.expected(tag_id) & set(users), crowd.members(tag_id)
        assert after == (before[tag_id] - set(users)) | truth
        lost, won = before[tag_id] - after, after - before[tag_id]
        assert counts(result)[tag_id] == (len(truth), len(won), len(lost))
    assert counts(dry) == counts(result)
    assert result["total_users"] == count
    assert result["unknown_user_ids"] == []


def test_each_of_the_hostile_alone(world: World) -> None:
    """Out and in again, first as the last of all the ids in its file."""
    for user_id in HOSTILE:
        world.data.put(user_id, **EVERY_TAG)
    world.data.save()
    world.result([7])
    for user_id in sorted(HOSTILE, reverse=True):
        world.data.put(user_id, **NO_TAG)
        world.data.save()
        assert counts(world.result([7], user_ids=[user_id])) == {7: (0, 0, 1)}, ascii(user_id[:9])
    assert world.members(7) == frozenset()
    for user_id in HOSTILE:
        world.data.put(user_id, **EVERY_TAG)
        world.data.save()
        assert counts(world.result([7], user_ids=[user_id])) == {7: (1, 1, 0)}, ascii(user_id[:9])
    world.agrees([7])


def test_a_list_on_an_empty_table(small: World) -> None:
    """And it is no run over everyone: the first of those is still to come."""
    small.result(user_ids=HOSTILE)
    for tag_id in ALL:
        assert small.members(tag_id) == small.expected(tag_id) & set(HOSTILE)
    small.result(mode="incremental")
    small.agrees()


@pytest.mark.parametrize("others", [0, 1200])
def test_a_deleted_user_leaves_by_a_list(crowd: World, others: int) -> None:
    crowd.result()
    gone, known = HOSTILE[0], [user for user in scope(crowd, others + 2) if user != HOSTILE[0]]
    crowd.data.delete(gone)
    crowd.data.save()
    result = crowd.result(user_ids=[gone, *known])
    crowd.agrees()
    assert result["unknown_user_ids"] == [gone]
    assert result["total_users"] == len(known)
    assert {removed for _, _, removed in counts(result).values()} == {1}


@pytest.mark.parametrize("known", [1, 999, 1500])
def test_unknown_users_are_named(crowd: World, known: int) -> None:
    crowd.result()
    strangers = ["'", "nobody", "user_000001\0", "USER_000002", "😀😀"]
    strangers = [user for user in strangers if user not in HOSTILE]
    users = scope(crowd, known)
    result = crowd.result(user_ids=[*strangers, *users])
    assert sorted(result["unknown_user_ids"]) == sorted(strangers)
    assert result["total_users"] == known
    crowd.agrees()


@pytest.mark.parametrize("unknown", [150, 1500])
def test_at_most_a_hundred_unknown_users_are_named(small: World, unknown: int) -> None:
    small.result()
    strangers = [f"nobody_{number}" for number in range(unknown)]
    result = small.result(user_ids=[*strangers, "user_000001"])
    assert len(set(result["unknown_user_ids"])) == 100
    assert set(result["unknown_user_ids"]) < set(strangers)
    assert result["total_users"] == 1
    small.agrees()


@pytest.mark.parametrize("unknown", [1, 1500])
@pytest.mark.parametrize("mode", ["full", "incremental"])
def test_nobody_in_scope_is_no_result(small: World, unknown: int, mode: str) -> None:
    small.result()
    version, files = small.version(), small.parquet_files()
    strangers = [f"nobody_{number}" for number in range(unknown)]
    for dry_run in (True, False):
        result = small.result(user_ids=strangers, mode=mode, dry_run=dry_run)
        assert result == no_results(version, unknown=strangers[:100])
    assert small.version() == version
    assert small.parquet_files() == files


@pytest.mark.parametrize("others", [0, 1200], ids=["few", "many"])
def test_deleted_users_alone_in_a_list_leave_as_they_do_beside_others(crowd: World, others: int) -> None:
    crowd.result()
    before, version = crowd.memberships(), crowd.version()
    gone = [user for user in crowd.data.users() if user not in HOSTILE][: others + 2]
    for user in (*gone, HOSTILE[0]):
        crowd.data.delete(user)
    crowd.data.save()
    listed = [*gone, "nobody"]
    dry = crowd.result(user_ids=listed, dry_run=True)
    assert crowd.version() == version
    result = crowd.result(user_ids=listed)
    assert (result["total_users"], result["message"]) == (0, "No results")
    assert result["unknown_user_ids"] == listed[:100]
    assert result["table_version"] == crowd.version() == version + 1
    for tag_id in ALL:
        assert crowd.members(tag_id) == before[tag_id] - set(gone)
        assert counts(result)[tag_id] == (0, 0, len(before[tag_id] & set(gone)))
    assert dry | {"table_version": result["table_version"]} == result
    assert any(before[tag_id] & set(gone) for tag_id in ALL)
    assert crowd.result(user_ids=listed) == no_results(version + 1, unknown=listed[:100]), "there is nothing left to do"


def test_who_exists_is_asked_of_the_list_of_users(world: World) -> None:
    """A user with rows in every other source is unknown, and carries their tags by a full run all the same."""
    for user_id in ("known", "ghost"):
        world.data.put(user_id, **EVERY_TAG)
    del world.data.rows[BASIC]["ghost"]
    world.data.save()
    assert world.result()["total_users"] == 1
    world.agrees()
    result = world.result(user_ids=["ghost", "known"])
    assert (result["total_users"], result["unknown_user_ids"]) == (1, ["ghost"])
    world.agrees()


def test_a_user_without_an_id_is_nobody(world: World) -> None:
    world.data.put("known", **EVERY_TAG)
    for rows in world.data.rows.values():
        rows["nameless"] = rows["known"] | {"user_id": None, "updated_time": NOON}
    world.data.save()
    everyone = dict.fromkeys(ALL, frozenset({"known"}))
    world.result()
    assert world.memberships() == everyone
    world.result(user_ids=["known"])
    world.pass_time(hours=1)
    world.result(mode="incremental")
    assert world.memberships() == everyone


def test_a_listed_user_with_two_rows_matches_if_either_does(world: World) -> None:
    """And is one member. (A run over everyone takes a source at its word: its ids are unique.)"""
    world.data.put("other", **NO_TAG)
    world.data.put("twice", **EVERY_TAG)
    for rows in world.data.rows.values():
        rows["again"] = dict(rows["twice"])
        rows["against"] = rows["other"] | {"user_id": "twice", "updated_time": rows["twice"]["updated_time"]}
    world.data.save()
    everyone = dict.fromkeys(ALL, frozenset({"twice"}))
    for listed in (["twice", "other"], ["twice", *map(str, range(1500))]):
        result = world.result(user_ids=listed)
        assert world.memberships() == everyone
        assert {matched for matched, _, _ in counts(result).values()} == {1}


# -- dry runs --------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [{}, {"mode": "incremental"}, {"user_ids": HOSTILE}], ids=["full", "later", "list"])
def test_a_dry_run_says_what_would_happen_and_leaves_no_trace(small: World, asked: dict[str, Any]) -> None:
    small.result()
    small.pass_time(hours=1)
    upset(small, updated_time=small.clock.now())
    version, files = small.version(), small.parquet_files()
    dry = small.result(dry_run=True, **asked)
    assert small.version() == version == dry["table_version"]
    assert small.parquet_files() == files
    real = small.result(diff=True, **asked)
    assert dry | {"table_version": None} == real | {"table_version": None}
    assert all(None not in found for found in counts(dry).values())


def test_a_dry_run_leaves_no_mark(small: World) -> None:
    small.result(dry_run=True)
    assert small.memberships() == dict.fromkeys(ALL, frozenset())
    assert small.result(mode="incremental")["total_users"] == len(small.data.users())


# -- many at once ----------------------------------------------------------------------------


def submit_many(world: World, fives: int = 10) -> list[str]:
    """Jobs of every kind, five by five, among them every tag over everyone."""
    users = [user for user in world.data.users() if user not in HOSTILE]
    jobs = []
    for number in range(fives):
        some = users[number * 40 : number * 40 + 2]
        jobs += [
            world.submit(user_ids=some),
            world.submit([1 + number % 8, 3], user_ids=[*HOSTILE, *some]),
            world.submit([1 + number % 8], user_ids=users[number * 100 : number * 100 + 1500]),
            world.submit(ALL[number % 8 :], mode="incremental", dry_run=number % 3 == 0),
            world.submit([1 + number % 8, 1 + (number + 3) % 8], diff=number % 2 == 0),
        ]
    return jobs


def finish_all(world: World, jobs: list[str], threads: int = 3) -> None:
    """Run the jobs as a service does: by a pool, on a clock that goes."""
    world.clock.run()
    executor = ThreadPoolExecutor(world.runner, world.clock, {DEFAULT_LANE: threads})
    executor.start()
    try:
        eventually(lambda: all(world.clock.get(job_id).finished for job_id in jobs), seconds=60)
    finally:
        executor.stop(drain_seconds=5)
    unsuccessful = [job for job in map(world.clock.get, jobs) if job.state is not JobState.SUCCEEDED]
    assert not unsuccessful, [(job.request.arguments, job.error) for job in unsuccessful]


def test_fifty_jobs_at_once_leave_what_is_true(crowd: World) -> None:
    crowd.result()
    crowd.pass_time(hours=1)
    upset(crowd, updated_time=crowd.clock.now())
    finish_all(crowd, submit_many(crowd))
    crowd.agrees()
    after = crowd.another_process()
    after.clock.moment = crowd.clock.now()
    assert after.result(mode="incremental") == no_results(after.version())


def test_processes_that_share_a_table_leave_what_is_true(crowd: World) -> None:
    crowd.result()
    other = crowd.another_process()
    for world in (crowd, other):
        world.clock.moment = NOON + timedelta(hours=1)
    upset(crowd, updated_time=crowd.clock.now())
    mine, theirs = submit_many(crowd, fives=5), submit_many(other, fives=5)
    with in_thread(lambda: finish_all(other, theirs, threads=2)):
        finish_all(crowd, mine, threads=2)
    crowd.agrees()


def test_a_job_that_is_sent_twice_is_one(small: World) -> None:
    service = JobService(small.clock, small.service._executor, Bounds(queued=10, queued_per_owner=10))
    arguments = {"tag_ids": [1], "user_ids": None, "mode": "full", "dry_run": False, "diff": False}
    sent = [service.submit("tags.compute", arguments, owner="ann", key="k").job.id for _ in range(2)]
    assert len(set(sent)) == 1
    small.finish(sent[0])
    assert small.result([1])["table_version"] == small.version() == 2


# -- literal histories -----------------------------------------------------------------------


def test_the_table_lies_where_its_path_says(spark: Spark, tmp_path: Path) -> None:
    """Also under a name that needs care."""
    world = World(spark, tmp_path / "it's a path, 100 % ä")
    for number in range(1200):
        world.data.put(f"user{number}", **(EVERY_TAG, NO_TAG)[number % 2])
    world.data.save()
    users = world.data.users()
    for asked in ({}, {"user_ids": users[:2]}, {"user_ids": users[:1001]}, {"mode": "incremental"}):
        world.pass_time(hours=1)
        world.data.put(users[0], world.clock.now(), **EVERY_TAG)
        world.data.save()
        world.result(**asked)
        world.agrees()


def test_every_column_of_the_rules_is_in_one_source() -> None:
    assert {TABLE_OF[name] for name in EVERY_TAG} == set(SCHEMAS)
