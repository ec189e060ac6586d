"""The exports: the rows of one table that were asked for, ordered, in one file.

Spark filters and sorts; the rows come as a stream of Arrow pieces and go straight into the
file, so that this process holds a few pieces and never a table.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import ClassVar

import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from tag_tasks.datasets.files import FORMATS, ExportFile, Format
from tag_tasks.datasets.order import break_ties
from tag_tasks.datasets.progress import Steps
from tag_tasks.datasets.results import ResultFolder
from tag_tasks.datasets.select import Selection, rows_of, selected
from tag_tasks.datasets.staged import StagedFile
from tag_tasks.datasets.tables import BOOKINGS, PAYMENTS, SERVICES, USERS, Table
from tag_tasks.spark.session import Spark
from tag_tasks.spark.sources import Sources
from tag_tasks.spark.stream import arrow_pieces, arrow_schema
from tagapi.jobs.model import Job, Json
from tagapi.jobs.task import Task, TaskContext

AHEAD = 2  # pieces that wait to be written: memory is bounded by them


class Export(Task):
    """An export of one table."""

    table: ClassVar[Table]

    def __init__(self, spark: Spark, sources: Sources, results: ResultFolder) -> None:
        self._spark = spark
        self._sources = sources
        self._results = results

    def ready(self) -> bool:
        return self._spark.ready()

    def find_commit(self, job: Job) -> Json | None:
        return job.result if self._results.find(job.id, job.epoch) else None

    def run(self, context: TaskContext) -> Json:
        form = FORMATS[context.arguments.get("format") or "csv"]
        name = f"{self.table.name}_export.{form.suffix}"
        with self._results.stage(context.attempt_name) as staged:
            with staged.file(name, form.content_type) as target:
                count = self._write(target, form, context)
            result = {"file": target.described(), "total_records": count, "processed_records": count}
            context.check()
            target.sync()
            context.begin_commit(result)
            staged.publish()
        return result

    def _write(self, target: StagedFile, form: Format, context: TaskContext) -> int:
        """Write the file; answers with its number of rows."""
        with self._spark.session(context) as session:
            try:
                rows = selected(
                    rows_of(session, self._sources, self.table), self.table, Selection.of(context.arguments)
                )
                steps = Steps(context, rows.count())
                shown = rows.select(*(F.col(column).alias(header) for header, column in self.table.export.items()))
                shown = shown.sort(next(iter(self.table.export)))  # by id, which comes first
                columns = {header: self.table.kind(header) for header in self.table.export}
                file = form.open(target, columns, arrow_schema(shown))
                pieces = break_ties(arrow_pieces(session, shown, form.piece, context.check))
                with closing(file):
                    count = self._pump(pieces, file, steps)
            except PySparkException:
                self._sources.check(session, self.table.name, self.table.columns)  # says what is wrong with the source
                raise
        steps.end(count)
        return count

    @staticmethod
    def _pump(pieces: Iterator[pa.Table], file: ExportFile, steps: Steps) -> int:
        """Write in one thread what this one reads: reading and rendering cost about the same."""
        count = 0
        written: deque[Future[None]] = deque()
        with ThreadPoolExecutor(1, thread_name_prefix="export") as pool:
            for piece in pieces:
                if len(written) == AHEAD:
                    written.popleft().result()
                written.append(pool.submit(file.write, piece))
                count += piece.num_rows
                steps.reach(count)
            while written:
                written.popleft().result()
        return count


class BookingsExport(Export):
    name: ClassVar[str] = "workers.bookings_export"
    table: ClassVar[Table] = BOOKINGS


class PaymentsExport(Export):
    name: ClassVar[str] = "workers.payments_export"
    table: ClassVar[Table] = PAYMENTS


class UsersExport(Export):
    name: ClassVar[str] = "workers.users_export"
    table: ClassVar[Table] = USERS


class ServicesExport(Export):
    name: ClassVar[str] = "workers.services_export"
    table: ClassVar[Table] = SERVICES
