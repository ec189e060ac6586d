"""The cleanup, against dirt that the test planted; and its effect, which happens once or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from tag_tasks.datasets import cleaned
from tag_tasks.datasets.cleaned import CleanedTables
from tag_tasks.datasets.tables import TABLES
from tagapi.jobs import changes
from tagapi.jobs.errors import TaskFailed, Transient
from tagapi.jobs.model import JobState, Json
from tests.spark.business import BOOKED, Business, Gate, Hooked
from tests.spark.world import NOON, in_thread

LATER = BOOKED + timedelta(hours=1)
ANCIENT, DISTANT = datetime(1970, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)

DIRT: Mapping[str, Mapping[str, list[dict[str, Any]]]] = {
    "bookings": {
        "": [{}, {"id": 2, "preferred_date": None, "scheduled_datetime": None, "total_price": None}],
        "duplicate_id": [{}, {"id": 2, "created_at": LATER}],
        "orphan_service": [{"id": 10, "service_id": 99}, {"id": 11, "service_id": None}],
        "negative_price": [{"id": 12, "total_price": Decimal("-0.01")}],
        "impossible_date": [
            {"id": 13, "created_at": ANCIENT},
            {"id": 14, "created_at": NOON + timedelta(days=2)},
            {"id": 15, "preferred_date": date(1999, 12, 31)},
            {"id": 16, "scheduled_datetime": DISTANT},
        ],
        "bad_address": [{"id": 17, "customer_email": "nobody"}, {"id": 18, "provider_email": "a@b@example.com"}],
        "negative_price,bad_address": [{"id": 19, "total_price": Decimal("-5.00"), "customer_email": "@example.com"}],
        "missing_id": [{"id": None}, {"id": None}],
    },
    "payments": {
        "": [{"transaction_id": "t1"}, {"id": 2}, {"id": 3}, {"id": 4, "amount": Decimal("0.00")}],
        "duplicate_id": [{"transaction_id": "t1"}],
        "duplicate_transaction": [{"id": 5, "transaction_id": "t1"}, {"id": 6, "transaction_id": "t1"}],
        "orphan_user": [{"id": 10, "user_id": 99}],
        "negative_price": [{"id": 11, "amount": Decimal("-1.00")}],
        "bad_address": [{"id": 12, "user_email": ""}],
    },
    "users": {
        "": [{}, {"id": 2, "last_login": None}, {"id": 3, "email": "ünï+tag@sub.example.co"}],
        "impossible_date": [{"id": 10, "last_login": BOOKED - timedelta(seconds=1)}],
        "bad_address": [{"id": 11, "email": f"{bad}"} for bad in ("a b@example.com",)]
        + [{"id": 12, "email": "a@example"}, {"id": 13, "email": "a@.com"}, {"id": 14, "email": "a@b..com"}],
    },
    "services": {
        "": [{}, {"id": 2, "price": Decimal("0.00")}],
        "negative_price": [{"id": 10, "price": Decimal("-100.00")}],
        "duplicate_id": [{"id": 2, "price": Decimal("0.00")}],
    },
}
"""Of each table: reason → rows that have it, and "" → rows that stay."""


@pytest.fixture
def dirty(business: Business) -> Business:
    for table, reasons in DIRT.items():
        business.write(table, *(row for rows in reasons.values() for row in rows))
    return business


def report(path: Path) -> Any:
    return json.loads(path.read_text())["tables"]


def counted(table: str) -> dict[str, int]:
    """How many rows of the planted dirt have each reason."""
    found: dict[str, int] = {}
    for reasons, rows in DIRT[table].items():
        for reason in filter(None, reasons.split(",")):
            found[reason] = found.get(reason, 0) + len(rows)
    return found


def plain(row: Iterable[Any]) -> str:
    """A row as text, whatever the zone is called that its moments are in."""
    return str([one.astimezone(UTC).isoformat() if isinstance(one, datetime) else one for one in row])


def clean(business: Business, **asked: Any) -> tuple[Json, Path]:
    return business.done("data_cleanup", filters={"dry_run": False}, **asked)


def prints(business: Business) -> dict[str, str]:
    """The sources, byte for byte."""
    files = sorted(path for path in business.sources.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("dry", [True, False])
def test_planted_dirt_is_found_by_its_reasons(dirty: Business, dry: bool) -> None:
    result, path = dirty.done("data_cleanup", filters={"dry_run": dry})
    found = report(path)
    for table, reasons in DIRT.items():
        assert {name: one["count"] for name, one in found[table]["reasons"].items()} == counted(table)
        assert found[table]["kept"] == len(reasons[""])
        assert found[table]["rows"] == sum(len(rows) for rows in reasons.values())
        for one in found[table]["reasons"].values():
            assert len(one["samples"]) == min(5, one["count"])
            assert set(one["samples"][0]) == set(TABLES[table].columns)
    assert result["dry_run"] is dry
    assert result["total_records"] == sum(one["rows"] for one in found.values())
    assert result["removed_records"] == sum(one["removed"] for one in found.values())


def test_a_dry_run_is_the_default_and_writes_nothing_but_its_report(dirty: Business) -> None:
    before = prints(dirty)
    _, path = dirty.done("data_cleanup")
    assert not (dirty.folder / "cleaned").exists()
    assert dirty.left() == [f"{path.parent.parent.name}/1/data_cleanup.json"]
    assert prints(dirty) == before


def test_the_cleaned_tables_hold_the_good_rows_and_the_others_their_reason(dirty: Business) -> None:
    before = prints(dirty)
    clean(dirty)
    for table, reasons in DIRT.items():
        kept, removed = dirty.cleaned_rows(table), dirty.cleaned_rows(f"{table}_removed")
        assert sorted(row["id"] for row in kept) == sorted(row.get("id", 1) for row in reasons[""])
        expected = sorted((str(row.get("id", 1)), reason) for reason, rows in reasons.items() if reason for row in rows)
        assert sorted((str(row["id"]), row.pop("reason")) for row in removed) == expected
        everything = dirty.ask(f"SELECT * FROM {table}")
        names = list(TABLES[table].columns)
        assert sorted(map(plain, everything)) == sorted(plain(row[name] for name in names) for row in kept + removed)
    assert prints(dirty) == before


def test_of_rows_that_share_an_id_a_good_one_is_kept(business: Business) -> None:
    good, bad = {"total_price": Decimal("50.00")}, {"total_price": Decimal("-50.00")}
    business.write("bookings", bad, good, good)
    clean(business)
    assert [row["total_price"] for row in business.cleaned_rows("bookings")] == [Decimal("50.00")]
    reasons = sorted(row["reason"] for row in business.cleaned_rows("bookings_removed"))
    assert reasons == ["duplicate_id", "negative_price,duplicate_id"]


def test_a_range_limits_what_is_looked_at_and_not_what_it_is_compared_with(business: Business) -> None:
    old, new = {"id": 1, "created_at": BOOKED - timedelta(days=30), "total_price": Decimal("-1.00")}, {"id": 2}
    business.write("bookings", old, new)
    business.write("services", {"created_at": BOOKED - timedelta(days=60)})
    _, path = business.done("data_cleanup", date_from=(BOOKED - timedelta(days=1)).isoformat())
    assert report(path)["bookings"] == {"rows": 1, "kept": 1, "removed": 0, "reasons": {}}


def test_a_later_cleanup_replaces_an_earlier_one(dirty: Business) -> None:
    clean(dirty)
    for table in TABLES:
        dirty.write(table, {"id": 1})
    clean(dirty)
    for table in TABLES:
        assert [row["id"] for row in dirty.cleaned_rows(table)] == [1]
        assert dirty.cleaned_rows(f"{table}_removed") == []


def test_the_sample_has_dirt_of_every_kind_but_missing_ids(busy: Business) -> None:
    _, path = busy.done("data_cleanup")
    found = {reason for table in report(path).values() for reason in table["reasons"]}
    assert found >= {"duplicate_id", "orphan_service", "negative_price", "impossible_date", "bad_address"}


# -- once, or not at all -------------------------------------------------------------------


def versions(business: Business) -> dict[str, int]:
    """Commits of each cleaned table, its creation not counted."""
    tables = [name for table in TABLES for name in (table, f"{table}_removed")]
    return {name: DeltaTable(str(business.folder / "cleaned" / name)).version() for name in tables}


def staged(business: Business) -> set[str]:
    """Parquet files that no cleaned table knows of."""
    there = {str(path) for path in (business.folder / "cleaned").rglob("*.parquet") if "_delta_log" not in path.parts}
    return there - {
        uri for name in versions(business) for uri in DeltaTable(str(business.folder / "cleaned" / name)).file_uris()
    }


def test_each_table_is_changed_by_one_commit(dirty: Business) -> None:
    clean(dirty)
    assert set(versions(dirty).values()) == {1}
    clean(dirty)
    assert set(versions(dirty).values()) == {2}


def test_a_cancelled_cleanup_leaves_nothing(dirty: Business) -> None:
    def cancel() -> None:
        dirty.clock.update(job_id, changes.request_cancel)

    task: Any = dirty.tasks["workers.data_cleanup"]
    Hooked(task, "_report", cancel)
    job_id = dirty.submit("data_cleanup", filters={"dry_run": False})
    assert dirty.finish(job_id).state is JobState.CANCELLED
    assert dirty.left() == []
    assert not any((dirty.folder / "cleaned").rglob("*.parquet"))


@pytest.mark.parametrize("done", [0, 1, 5, 8])
def test_an_attempt_that_is_lost_between_two_commits_is_finished_by_the_next(dirty: Business, done: int) -> None:
    commit, left = dirty.cleaned.commit, [done]

    def die(*what: Any) -> None:
        if not left[0]:
            raise RuntimeError("the process is gone")
        left[0] -= 1
        commit(*what)

    dirty.cleaned.commit = die  # type: ignore[method-assign]
    job_id = dirty.submit("data_cleanup", filters={"dry_run": False})
    dirty.runner.run_next()
    dirty.cleaned.commit = commit  # type: ignore[method-assign]
    dirty.write("bookings", {"id": 77})  # what the sources say later is no longer asked
    job = dirty.finish(job_id)
    assert job.state is JobState.SUCCEEDED, job.error
    assert set(versions(dirty).values()) == {1}
    assert sorted(row["id"] for row in dirty.cleaned_rows("bookings")) == [1, 2]
    assert staged(dirty) == set()


def test_a_frozen_attempt_that_wakes_up_adds_nothing(dirty: Business) -> None:
    """It stops before its first commit; its successor finishes its plan; then it goes on."""
    gate = Gate()
    Hooked(dirty.cleaned, "commit", gate)
    job_id = dirty.submit("data_cleanup", filters={"dry_run": False})
    with in_thread(dirty.runner.run_next):
        assert gate.arrived.wait(30)
        dirty.clock.moment += timedelta(hours=1)
        dirty.clock.update(job_id, lambda job, now: changes.recover(job, now, max_recoveries=3))
        successor = Business(dirty.spark, dirty.folder)
        successor.clock = dirty.clock
        successor.runner = type(dirty.runner)(dirty.clock, successor.tasks, "there", dirty.runner._limits)
        assert successor.finish(job_id).state is JobState.SUCCEEDED
        gate.open.set()
    assert set(versions(dirty).values()) == {1}


def test_an_attempt_that_froze_before_it_published_changes_nothing(dirty: Business) -> None:
    gate = Gate()
    Hooked(dirty.results, "publish", gate)
    job_id = dirty.submit("data_cleanup", filters={"dry_run": False})
    with in_thread(dirty.runner.run_next):
        assert gate.arrived.wait(30)
        dirty.clock.moment += timedelta(hours=1)
        dirty.clock.update(job_id, lambda job, now: changes.recover(job, now, max_recoveries=3))
        dirty.write("bookings", {"id": 77})
        successor = Business(dirty.spark, dirty.folder)
        successor.clock = dirty.clock
        successor.runner = type(dirty.runner)(dirty.clock, successor.tasks, "there", dirty.runner._limits)
        assert successor.finish(job_id).state is JobState.SUCCEEDED
        gate.open.set()
    assert [row["id"] for row in dirty.cleaned_rows("bookings")] == [77]
    assert set(versions(dirty).values()) == {1}
    assert staged(dirty) == set()


def test_a_plan_whose_publication_is_in_doubt_keeps_its_files(dirty: Business) -> None:
    """A shared disk does what it reports as failed: the next question finds the plan, and what it needs is there."""
    publish = dirty.results.publish

    def doubtful(*what: Any) -> None:
        publish(*what)
        raise Transient(reason="the disk hiccups")

    dirty.results.publish = doubtful  # type: ignore[method-assign]
    clean(dirty)
    assert set(versions(dirty).values()) == {1}
    assert len(dirty.cleaned_rows("bookings")) == len(DIRT["bookings"][""])


def test_a_commit_that_comes_after_a_later_jobs_is_left_out(dirty: Business) -> None:
    """A job is interrupted before it commits; a later one commits; the first one's rows are old news."""
    commit = dirty.cleaned.commit

    def die(*_: Any) -> None:
        raise RuntimeError("the process is gone")

    dirty.cleaned.commit = die  # type: ignore[method-assign]
    first = dirty.submit("data_cleanup", filters={"dry_run": False})
    dirty.runner.run_next()
    dirty.cleaned.commit = commit  # type: ignore[method-assign]
    dirty.clock.moment += timedelta(milliseconds=1)
    dirty.write("bookings", {"id": 77})
    second = dirty.submit("data_cleanup", filters={"dry_run": False})
    dirty.clock.update(first, lambda job, now: job)
    while dirty.clock.get(second).state is not JobState.SUCCEEDED:
        dirty.runner.run_next()
    assert dirty.finish(first).state is JobState.SUCCEEDED
    assert [row["id"] for row in dirty.cleaned_rows("bookings")] == [77]


def test_a_source_that_changes_meanwhile_does_not_divide_what_is_kept_from_what_is_removed(dirty: Business) -> None:
    Hooked(dirty.cleaned, "stage", lambda: dirty.write("bookings", {"id": 77}, {"id": 78}))
    _, path = clean(dirty)
    assert len(dirty.cleaned_rows("bookings")) == report(path)["bookings"]["kept"] == len(DIRT["bookings"][""])
    assert len(dirty.cleaned_rows("bookings_removed")) == report(path)["bookings"]["removed"]
    assert staged(dirty) == set()


def test_a_range_without_rows_empties_the_cleaned_tables(dirty: Business) -> None:
    clean(dirty)
    result, _ = clean(dirty, date_from="2030-01-01T00:00:00+00:00")
    assert result["total_records"] == 0
    assert all(dirty.cleaned_rows(name) == [] for name in versions(dirty))


def widen(business: Business, table: str, column: str) -> None:
    """The source as it is, with this whole number twice as wide."""
    file = business.sources / table / "part-00000.parquet"
    rows = pq.read_table(file)
    pq.write_table(rows.set_column(rows.schema.get_field_index(column), column, rows[column].cast(pa.int64())), file)


def test_the_cleaned_tables_follow_a_source_whose_columns_change(dirty: Business) -> None:
    clean(dirty)
    widen(dirty, "payments", "user_id")
    clean(dirty)
    assert set(versions(dirty).values()) == {2}
    for table in ("payments", "payments_removed"):
        rows = DeltaTable(str(dirty.folder / "cleaned" / table)).to_pyarrow_table()
        assert rows.schema.field("user_id").type == pa.int64()
        assert rows.num_rows == len(dirty.cleaned_rows(table)) > 0


NOT_OURS: Mapping[str, Mapping[str, Any]] = {
    "is partitioned": {"partition_by": ["status"]},
    "is append-only": {"configuration": {"delta.appendOnly": "true"}},
    "has features": {"configuration": {"delta.enableChangeDataFeed": "true"}},
}


@pytest.mark.parametrize("why", NOT_OURS)
def test_where_one_table_cannot_be_replaced_none_is(dirty: Business, why: str) -> None:
    """It is found out before the point of no return: the job fails, once, and leaves nothing."""
    clean(dirty)
    before = versions(dirty)
    last = dirty.folder / "cleaned" / "services_removed"
    rows = DeltaTable(str(last)).to_pyarrow_table().append_column("status", pa.array(["x"] * 2))
    shutil.rmtree(last)
    write_deltalake(last, rows, **NOT_OURS[why])
    left = dirty.left()

    job = dirty.run("data_cleanup", filters={"dry_run": False})

    assert (job.state, job.attempt) == (JobState.FAILED, 1)
    assert f"cleaned table services_removed {why}" in str(job.error)
    assert versions(dirty) == before | {"services_removed": 0}
    assert staged(dirty) == set()
    assert dirty.left() == left


def test_a_table_that_others_replace_again_and_again_is_tried_later(
    dirty: Business, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleaned, "PAUSE", 0)
    dirty.cleaned._committed = lambda *_: False  # type: ignore[method-assign]
    with pytest.raises(Transient, match="bookings was replaced by others again and again"):
        dirty.cleaned.commit(_staged(dirty), "job", NOON)


def _staged(business: Business) -> Any:
    with business.spark.session() as session:
        rows = session.read.parquet(str(business.sources / "bookings"))
        return business.cleaned.stage("bookings", rows, "job-1")


def test_a_plan_whose_files_are_gone_leaves_its_table_as_it_was(dirty: Business) -> None:
    clean(dirty)
    gone, rows = _staged(dirty), dirty.cleaned_rows("bookings")
    dirty.cleaned.vacuum(0)
    with pytest.raises(TaskFailed, match="staged for the cleaned table bookings is gone"):
        dirty.cleaned.commit(gone, "late", datetime.now(UTC) + timedelta(days=1))
    assert dirty.cleaned_rows("bookings") == rows


def test_a_commit_that_hangs_is_left_behind(dirty: Business) -> None:
    impatient, held = CleanedTables(str(dirty.folder / "cleaned"), seconds=0.5), threading.Event()
    impatient._committed = lambda *_: held.wait(5.0)  # type: ignore[method-assign]
    with pytest.raises(Transient, match="bookings cannot be used: no answer within"):
        impatient.commit(_staged(dirty), "job", NOON)
    held.set()


def test_a_vacuum_takes_what_no_version_needs(dirty: Business) -> None:
    clean(dirty)
    _staged(dirty)
    assert staged(dirty) != set()
    dirty.cleaned.vacuum(0)
    assert staged(dirty) == set()
    assert len(dirty.cleaned_rows("bookings")) == 2
