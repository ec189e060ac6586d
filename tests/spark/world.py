"""A world around the tags: literal sources, a clock that a test sets, jobs that run in the test's own thread.

What a job should have done is read and computed without the product: memberships from the
Delta table's files, expectations from the sources, both with DuckDB.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from tag_tasks.spark.session import Spark
from tag_tasks.spark.sources import Source, Sources
from tag_tasks.tags.compute import ComputeTags
from tag_tasks.tags.table import MembershipTable
from tagapi.jobs.model import Job, JobState, Json
from tagapi.jobs.registry import Bounds
from tagapi.jobs.runner import JobRunner, RunnerLimits
from tagapi.jobs.service import JobService
from tagapi.jobs.task import Task
from tagapi.registries.memory import MemoryRegistry

NOON = datetime(2024, 3, 15, 12, tzinfo=UTC)
TODAY = NOON.date()
YESTERDAY = NOON - timedelta(days=1)
"""When literal rows were updated, unless a test says otherwise: before any job was submitted."""

LATEST = NOON - timedelta(seconds=1)
"""When a row was updated that keeps the watermark there: others may be older than it by more than the margin."""

LATE = timedelta(hours=1)
"""The margin for late rows, as the settings have it."""

PATIENCE = 30.0  # seconds that a test waits for what should come soon
ALL = (1, 2, 3, 4, 5, 6, 7, 8)

BASIC, ASSETS, ACTIVITY = "user_basic_info", "user_asset_summary", "user_activity_summary"
STAMP = ("updated_time", pa.timestamp("us", tz="UTC"))
SCHEMAS: Mapping[str, pa.Schema] = {
    BASIC: pa.schema(
        [
            ("user_id", pa.string()),
            ("age", pa.int32()),
            ("registration_date", pa.date32()),
            ("user_level", pa.string()),
            ("kyc_status", pa.string()),
            ("risk_score", pa.int32()),
            ("email", pa.string()),
            ("phone", pa.string()),
            STAMP,
        ]
    ),
    ASSETS: pa.schema(
        [
            ("user_id", pa.string()),
            ("total_asset_value", pa.float64()),
            ("cash_balance", pa.float64()),
            ("stock_value", pa.float64()),
            ("bond_value", pa.float64()),
            ("fund_value", pa.float64()),
            STAMP,
        ]
    ),
    ACTIVITY: pa.schema(
        [
            ("user_id", pa.string()),
            ("trade_count_30d", pa.int32()),
            ("trade_amount_30d", pa.float64()),
            ("login_count_30d", pa.int32()),
            ("last_login_date", pa.date32()),
            STAMP,
        ]
    ),
}
TABLE_OF = {
    name: table for table, schema in SCHEMAS.items() for name in schema.names if name not in ("user_id", STAMP[0])
}

RULES: Mapping[int, tuple[str, str]] = {
    1: (ASSETS, "total_asset_value >= 100000"),
    2: (ACTIVITY, "trade_count_30d > 10"),
    3: (BASIC, "risk_score BETWEEN 0 AND 30"),
    4: (BASIC, "registration_date BETWEEN $today::DATE - 30 AND $today::DATE"),
    5: (BASIC, "user_level IN ('VIP2', 'VIP3') AND kyc_status = 'verified'"),
    6: (ASSETS, "cash_balance >= 50000"),
    7: (BASIC, "age BETWEEN 18 AND 30"),
    8: (ACTIVITY, "last_login_date BETWEEN $today::DATE - 7 AND $today::DATE"),
}
EVERY_TAG = {
    "total_asset_value": 100_000.0,
    "cash_balance": 50_000.0,
    "trade_count_30d": 11,
    "last_login_date": TODAY,
    "risk_score": 0,
    "registration_date": TODAY,
    "user_level": "VIP3",
    "kyc_status": "verified",
    "age": 18,
}
"""A user who carries all eight tags, on the edge of each."""

NO_TAG = {
    "total_asset_value": 99_999.99,
    "cash_balance": 49_999.99,
    "trade_count_30d": 10,
    "last_login_date": TODAY - timedelta(days=60),
    "risk_score": 31,
    "registration_date": TODAY - timedelta(days=60),
    "user_level": "VIP1",
    "kyc_status": "verified",
    "age": 31,
}
"""A user just outside every tag."""

Row = dict[str, Any]
FIRST_FILE = "part-00000.parquet"


def eventually(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait until the condition holds, at most so long."""
    until, moment = time.monotonic() + seconds, threading.Event()
    while not condition():
        assert time.monotonic() < until, f"waited {seconds} s in vain"
        moment.wait(0.01)


class Data:
    """The three sources, as rows by user id. A change counts once it is saved."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: dict[str, dict[str, Row]] = {table: {} for table in SCHEMAS}
        self._saved: dict[str, dict[str, dict[str, Row]]] = {table: {} for table in SCHEMAS}
        """By table and file: the rows in it."""
        self._delivered = 0

    def load(self) -> None:
        """Take over what lies in the folder."""
        for table, rows in self.rows.items():
            rows.clear()
            rows.update({row["user_id"]: row for row in pq.read_table(self.folder / table).to_pylist()})
            self._saved[table] = {FIRST_FILE: {user: dict(row) for user, row in rows.items()}}

    def put(self, user_id: str, updated_time: datetime | None = YESTERDAY, **columns: Any) -> None:
        """A new user gets a row in each source; of one who is there, the tables of these columns are updated."""
        for table in SCHEMAS:
            if user_id not in self.rows[table] or any(TABLE_OF[name] == table for name in columns):
                row = self.rows[table].setdefault(user_id, {"user_id": user_id})
                row |= {name: value for name, value in columns.items() if TABLE_OF[name] == table}
                row["updated_time"] = updated_time

    def delete(self, user_id: str) -> None:
        for rows in self.rows.values():
            rows.pop(user_id, None)

    def users(self) -> list[str]:
        return list(self.rows[BASIC])

    def save(self) -> None:
        """Each source as one file, which is another one than before."""
        for table, rows in self.rows.items():
            self.write(table, pa.Table.from_pylist(list(rows.values()), SCHEMAS[table]))
            self._saved[table] = {FIRST_FILE: {user: dict(row) for user, row in rows.items()}}

    def deliver(self, name: str | None = None) -> dict[str, set[str]]:
        """What has changed comes in a new file, and files whose rows went there, or went, become others.

        Answers with the users of whom a row lies in such a file, by table.
        """
        self._delivered += 1
        touched: dict[str, set[str]] = {}
        for table, rows in self.rows.items():
            there = {user: row for file in self._saved[table].values() for user, row in file.items()}
            changed = {user: dict(row) for user, row in rows.items() if there.get(user) != row}
            touched[table] = set(changed)
            for file, old in list(self._saved[table].items()):
                kept = {user: row for user, row in old.items() if user in rows and user not in changed}
                if kept != old:
                    self._write_file(table, file, kept)
                    touched[table] |= set(kept)
            if changed:
                self._write_file(table, f"{name or 'part'}-{self._delivered:05}.parquet", changed)
        return touched

    def _write_file(self, table: str, name: str, rows: dict[str, Row]) -> None:
        path = self.folder / table / name
        if rows:
            self._saved[table][name] = rows
            self._write(path, pa.Table.from_pylist(list(rows.values()), SCHEMAS[table]))
        else:
            del self._saved[table][name]
            path.unlink()

    @staticmethod
    def _write(path: Path, rows: pa.Table) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}")
        pq.write_table(rows, fresh)
        fresh.replace(path)

    def write(self, table: str, rows: pa.Table) -> None:
        """Make these rows the whole source."""
        target = self.folder / table / FIRST_FILE
        self._write(target, rows)
        for other in target.parent.glob("*.parquet"):
            if other != target:
                other.unlink()


class Clock(MemoryRegistry):
    """The memory registry on a clock that stands still until a test moves it, or lets it run."""

    def __init__(self, moment: datetime) -> None:
        super().__init__()
        self.moment = moment
        self._runs_since: float | None = None

    def now(self) -> datetime:
        if self._runs_since is None:
            return self.moment
        return self.moment + timedelta(seconds=time.monotonic() - self._runs_since)

    def run(self) -> None:
        self._runs_since = time.monotonic()


class ManualExecutor:
    """Runs nothing by itself: the world does."""

    def __init__(self, runner: JobRunner) -> None:
        self.cancel, self.wait = runner.cancel, runner.wait

    def wake(self, job: Job) -> None:
        """Nobody sleeps."""


class JobsHere:
    """A registry, a runner and a service of the test's own, on a clock that it sets."""

    def __init__(self, tasks: Mapping[str, Task], clock: Clock | None = None) -> None:
        self.clock = clock or Clock(NOON)
        self.runner = JobRunner(self.clock, tasks, worker="here", limits=RunnerLimits())
        self.service = JobService(self.clock, ManualExecutor(self.runner), Bounds(queued=1000, queued_per_owner=1000))

    def finish(self, job_id: str) -> Job:
        """Run attempts in this thread until the job is finished; the clock skips what it waits for between them."""

        def step() -> bool:
            while self.runner.run_next():
                pass
            due = self.clock.next_due_at()
            self.clock.moment = max(self.clock.moment, due or self.clock.moment)
            return self.clock.get(job_id).finished

        eventually(step)
        return self.clock.get(job_id)


class World(JobsHere):
    """Requests go in by `compute`, which answers with the finished job; `members` is what the table then says."""

    def __init__(
        self,
        spark: Spark,
        folder: Path,
        table: MembershipTable | None = None,
        data: Data | None = None,
        clock: Clock | None = None,
        late: timedelta = LATE,
        kind: str = "parquet",
    ) -> None:
        """`kind` is the format of the sources."""
        self.spark = spark
        self.folder = folder
        self.data = data or Data(folder / "sources")
        self.path = folder / "user_tags"
        self.table = table or MembershipTable(str(self.path))
        self.sources = Sources({name: Source(str(self.data.folder / name), kind) for name in SCHEMAS})
        self.task = ComputeTags(spark, self.sources, self.table, late)
        super().__init__({self.task.name: self.task}, clock)

    def another_process(self, spark: Spark | None = None) -> World:
        """A world of its own on the same sources and the same table."""
        return World(spark or self.spark, self.folder, data=self.data)

    # -- jobs --------------------------------------------------------------------------------

    def submit(
        self,
        tag_ids: Sequence[int] = ALL,
        *,
        user_ids: Sequence[str] | None = None,
        mode: str = "full",
        dry_run: bool = False,
        diff: bool = False,
    ) -> str:
        """As the namespace submits: validated, without duplicates, defaults filled in."""
        arguments = {
            "tag_ids": list(dict.fromkeys(tag_ids)),
            "user_ids": None if user_ids is None else list(dict.fromkeys(user_ids)),
            "mode": mode,
            "dry_run": dry_run,
            "diff": diff,
        }
        return self.service.submit(self.task.name, arguments, owner="ann").job.id

    def compute(self, tag_ids: Sequence[int] = ALL, **asked: Any) -> Job:
        return self.finish(self.submit(tag_ids, **asked))

    def result(self, tag_ids: Sequence[int] = ALL, **asked: Any) -> Json:
        """The result of a job that has to succeed."""
        job = self.compute(tag_ids, **asked)
        assert job.state is JobState.SUCCEEDED, job.error
        assert job.result is not None
        return job.result

    def pass_time(self, **span: float) -> datetime:
        self.clock.moment += timedelta(**span)
        return self.clock.moment

    # -- the table, and the second opinion ---------------------------------------------------

    def version(self) -> int:
        return DeltaTable(self.path).version()

    def files(self, tag_id: int) -> list[str]:
        table = DeltaTable(self.path)
        return [unquote(uri) for uri in table.file_uris(file_pruning_predicate=[("tag_id", "=", str(tag_id))])]

    def members(self, tag_id: int) -> frozenset[str]:
        """Who carries the tag, as any reader of the Delta table sees it; nobody does twice."""
        files = self.files(tag_id)
        found = ask("SELECT user_id FROM read_parquet($files)", files=files) if files else []
        assert len(found) == len(set(found)), f"tag {tag_id} names somebody twice"
        return frozenset(found)

    def memberships(self, tag_ids: Iterable[int] = ALL) -> dict[int, frozenset[str]]:
        return {tag_id: self.members(tag_id) for tag_id in tag_ids}

    def expected(self, tag_id: int, day: date | None = None) -> frozenset[str]:
        """Who should carry the tag on that day (the clock's), had everyone been computed just now."""
        source, rule = RULES[tag_id]
        facts: dict[str, Any] = {"files": self.files_of(source)}
        if "$today" in rule:
            facts["today"] = day or self.clock.now().date()
        return frozenset(ask(f"SELECT user_id FROM read_parquet($files) WHERE {rule}", **facts))

    def expectations(self, tag_ids: Iterable[int] = ALL) -> dict[int, frozenset[str]]:
        return {tag_id: self.expected(tag_id) for tag_id in tag_ids}

    def watermarks(self) -> dict[str, datetime]:
        """By source: the greatest time of a row that is not later than now."""
        query = "SELECT max(updated_time) FROM read_parquet($files) WHERE updated_time <= $now::TIMESTAMPTZ"
        return {table: ask(query, files=self.files_of(table), now=self.clock.now())[0] for table in SCHEMAS}

    def recent(self, watermarks: Mapping[str, datetime], tag_ids: Iterable[int] = ALL) -> set[str]:
        """Whom an incremental run of these tags looks at, had all files come since the watermarks were taken."""
        query = "SELECT user_id FROM read_parquet($files) WHERE updated_time IS NULL OR updated_time >= $since"
        found: set[str] = set()
        for table in {RULES[tag_id][0] for tag_id in tag_ids}:
            found.update(ask(query, files=self.files_of(table), since=watermarks[table] - LATE))
        return found - {None}

    def files_of(self, table: str) -> str:
        return str(self.data.folder / table / "**" / "*.parquet")

    def agrees(self, tag_ids: Iterable[int] = ALL) -> None:
        """Every membership is what DuckDB says, and somebody has each of the tags."""
        for tag_id in tag_ids:
            members, expected = self.members(tag_id), self.expected(tag_id)
            assert members == expected, f"tag {tag_id}: {_difference(members, expected)}"
            assert expected, f"tag {tag_id} is tested on nobody"

    def parquet_files(self) -> set[Path]:
        """All member files that lie in the table's folder, committed or not."""
        return {path for path in self.path.rglob("*.parquet") if "_delta_log" not in path.parts}

    def committed_files(self) -> set[Path]:
        return {Path(unquote(uri)) for uri in DeltaTable(self.path).file_uris()}


def ask(query: str, **facts: Any) -> list[Any]:
    """The first column of an answer from DuckDB, which does not share a line with the product."""
    with duckdb.cursor() as cursor:  # on the process's own connection: a new one costs more than the query
        return [row[0] for row in cursor.execute(query, facts).fetchall()]


def _difference(members: frozenset[str], expected: frozenset[str]) -> str:
    surplus, missing = sorted(members - expected), sorted(expected - members)
    return f"{len(surplus)} too many {surplus[:5]}, {len(missing)} missing {missing[:5]}"


def counts(result: Json) -> dict[int, tuple[int, int | None, int | None]]:
    """Of each tag: matched, added, removed."""
    return {one["tag_id"]: (one["matched_users"], one["added"], one["removed"]) for one in result["tags"]}


def no_results(version: int, tag_ids: Iterable[int] = ALL, unknown: Sequence[str] = ()) -> Json:
    """The result of a run without anybody in scope: it has every key that others have."""
    return {
        "total_users": 0,
        "message": "No results",
        "tags": [{"tag_id": tag_id, "matched_users": 0, "added": 0, "removed": 0} for tag_id in sorted(tag_ids)],
        "unknown_user_ids": list(unknown),
        "table_version": version,
    }


class RacedTable(MembershipTable):
    """The table of a process in which things happen at bad moments. Each hook is called once."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.before_snapshot: dict[int, Callable[[], object]] = {}
        """Before the n-th reading of the table, counted from 1."""
        self.before_staging: Callable[[], object] | None = None
        self.before_check: Callable[[], object] | None = None
        self.before_commit: Callable[[], object] | None = None
        self._snapshots = 0

    def snapshot(self) -> Any:
        self._snapshots += 1
        self._call(self.before_snapshot.pop(self._snapshots, None))
        return super().snapshot()

    def stage(self, *what: Any) -> Any:
        hook, self.before_staging = self.before_staging, None
        self._call(hook)
        return super().stage(*what)

    def touched_since(self, *what: Any, **more: Any) -> Any:
        hook, self.before_check = self.before_check, None
        self._call(hook)
        return super().touched_since(*what, **more)

    def commit(self, *what: Any, **more: Any) -> Any:
        hook, self.before_commit = self.before_commit, None
        self._call(hook)
        return super().commit(*what, **more)

    @staticmethod
    def _call(hook: Callable[[], object] | None) -> None:
        if hook is not None:
            hook()


@contextmanager
def in_thread(step: Callable[[], object]) -> Iterator[threading.Thread]:
    """Run a step in another thread during the block, and have it finished at its end."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            step()
        except BaseException as error:  # handed to the test's own thread below
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield thread
    thread.join(PATIENCE)
    assert not thread.is_alive(), "the other thread did not finish"
    if errors:
        raise errors[0]
