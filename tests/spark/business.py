"""A world around the business data: four sources, jobs that run in the test's own thread, files that they leave.

What a job should have done is computed with DuckDB from the same files.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from tag_tasks import every_task
from tag_tasks.assets.table import AssetTable
from tag_tasks.audiences.sent import SentTable
from tag_tasks.datasets.cleaned import CleanedTables
from tag_tasks.datasets.results import VERDICT, ResultFolder
from tag_tasks.datasets.tables import TABLES, Kind
from tag_tasks.documents.collectors import CollectorTable
from tag_tasks.folders import folder_at
from tag_tasks.means import Means
from tag_tasks.segments.assigned import SegmentTable
from tag_tasks.segments.models import ModelTable
from tag_tasks.spark.session import Spark
from tag_tasks.spark.sources import Source, Sources
from tag_tasks.tags.table import MembershipTable
from tagapi.jobs.model import Job, JobState, Json
from tests.spark.world import JobsHere

TYPES: Mapping[Kind, pa.DataType] = {
    Kind.INT: pa.int32(),
    Kind.MONEY: pa.decimal128(10, 2),
    Kind.TEXT: pa.string(),
    Kind.BOOL: pa.bool_(),
    Kind.DATE: pa.date32(),
    Kind.TIME: pa.timestamp("us", tz="UTC"),
}
SCHEMAS = {
    name: pa.schema([(column, TYPES[kind]) for column, kind in table.columns.items()]) for name, table in TABLES.items()
}
BOOKED = datetime(2024, 3, 1, 9, 30, tzinfo=UTC)

Row = dict[str, Any]


class Business(JobsHere):
    """Sources in a folder; `run` answers with a finished job."""

    def __init__(self, spark: Spark, folder: Path, sources: Path | None = None) -> None:
        self.spark = spark
        self.folder = folder
        self.sources = sources or folder / "sources"
        self.results = ResultFolder(folder_at(str(folder / "results")))
        self.cleaned = CleanedTables(str(folder / "cleaned"))
        self.means = Means(
            spark=spark,
            sources=Sources({name: Source(str(self.sources / name)) for name in TABLES}),
            members=MembershipTable(str(folder / "user_tags")),
            sent=SentTable(str(folder / "audiences")),
            models=ModelTable(str(folder / "models")),
            segments=SegmentTable(str(folder / "user_segments")),
            collectors=CollectorTable(str(folder / "collectors")),
            assets=AssetTable(str(folder / "assets")),
            results=self.results,
            cleaned=self.cleaned,
        )
        self.tasks = dict(every_task(self.means))
        super().__init__(self.tasks)

    def write(self, table: str, *rows: Row) -> None:
        """Make these rows the whole source; what a row does not say is as it should be."""
        complete = [GOOD[table] | row for row in rows]
        target = self.sources / table / "part-00000.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(complete, SCHEMAS[table]), target)

    # -- jobs --------------------------------------------------------------------------------

    def submit(self, work: str, **asked: Any) -> str:
        """As the namespace submits: validated, defaults filled in."""
        arguments = {"batch_size": 100, "filters": {}, "date_from": None, "date_to": None, **asked}
        return self.service.submit(f"workers.{work}", arguments, owner="ann").job.id

    def run(self, work: str, **asked: Any) -> Job:
        return self.finish(self.submit(work, **asked))

    def done(self, work: str, **asked: Any) -> tuple[Json, Path]:
        """The result and the file of a job that has to succeed."""
        job = self.run(work, **asked)
        assert job.state is JobState.SUCCEEDED, job.error
        assert job.result is not None
        return job.result, self.file(job, job.result["file"]["name"])

    def file(self, job: Job, name: str) -> Path:
        """Where a file of a job's result lies."""
        [path] = (self.folder / "results" / job.id).glob(f"*/{name}")
        return path

    def left(self) -> list[str]:
        """Every file of results, staged ones too, that is no verdict."""
        folder = self.folder / "results"
        files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != VERDICT)
        return sorted(str(path.relative_to(folder)) for path in files)

    # -- the second opinion ------------------------------------------------------------------

    def ask(self, query: str, **facts: Any) -> list[tuple[Any, ...]]:
        """An answer from DuckDB, which knows the sources by name."""
        return ask(self.sources, query, **facts)

    def rows(self, table: str, condition: str = "true", **facts: Any) -> list[tuple[Any, ...]]:
        """What an export should hold."""
        shown = ", ".join(TABLES[table].export.values())
        return self.ask(f"SELECT {shown} FROM {table} WHERE {condition} ORDER BY ALL NULLS FIRST", **facts)

    def cleaned_rows(self, table: str) -> list[Row]:
        """What any reader of the Delta table sees."""
        found: list[Row] = DeltaTable(str(self.folder / "cleaned" / table)).to_pyarrow_table().to_pylist()
        return sorted(found, key=lambda row: (row["id"] is not None, row["id"] or 0, str(row)))


def ask(sources: Path, query: str, **facts: Any) -> list[tuple[Any, ...]]:
    views = ", ".join(f"{name} AS (SELECT * FROM read_parquet('{sources / name}/*.parquet'))" for name in TABLES)
    with duckdb.cursor() as cursor:  # on the process's own connection: a new one costs more than the query
        return cursor.execute("SET TimeZone = 'UTC'").execute(f"WITH {views} {query}", facts).fetchall()


class Hooked:
    """Calls something once, right before a method of an object is."""

    def __init__(self, owner: Any, method: str, hook: Callable[[], object]) -> None:
        self._before = getattr(owner, method)
        self._hook: Callable[[], object] | None = hook
        setattr(owner, method, self._call)

    def _call(self, *what: Any, **more: Any) -> Any:
        hook, self._hook = self._hook, None
        if hook is not None:
            hook()
        return self._before(*what, **more)


class Gate:
    """Lets a thread arrive and holds it until it is opened."""

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self.open = threading.Event()

    def __call__(self) -> None:
        self.arrived.set()
        assert self.open.wait(30)


GOOD: Mapping[str, Row] = {
    "bookings": {
        "id": 1,
        "customer_id": 1,
        "customer_email": "ann@example.com",
        "service_id": 1,
        "service_title": "Massage",
        "provider_id": 2,
        "provider_email": "bob@example.com",
        "status": "completed",
        "location": "Main street",
        "preferred_date": BOOKED.date(),
        "preferred_time": "10:00",
        "frequency": "once",
        "scheduled_datetime": BOOKED,
        "total_price": Decimal("100.00"),
        "created_at": BOOKED,
    },
    "payments": {
        "id": 1,
        "user_id": 1,
        "user_email": "ann@example.com",
        "amount": Decimal("100.00"),
        "currency": "RUB",
        "status": "completed",
        "payment_method": "card",
        "transaction_id": None,
        "description": "",
        "created_at": BOOKED,
    },
    "users": {
        "id": 1,
        "email": "ann@example.com",
        "first_name": "Ann",
        "last_name": "O'Brien",
        "role": "customer",
        "is_active": True,
        "date_joined": BOOKED,
        "last_login": BOOKED,
    },
    "services": {
        "id": 1,
        "provider_id": 2,
        "provider_email": "bob@example.com",
        "title": "Massage",
        "description": "An hour",
        "price": Decimal("100.00"),
        "created_at": BOOKED,
    },
}
"""A row of each table with nothing to find fault with; together they refer to what there is."""
