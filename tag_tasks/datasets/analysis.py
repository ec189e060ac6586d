"""`workers.data_analysis` and `workers.report_generation`: the same figures, as JSON and as a page for people."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from tag_tasks.datasets import trends
from tag_tasks.datasets.documents import JSON, to_json
from tag_tasks.datasets.faults import CHECKS, without_duplicates
from tag_tasks.datasets.profile import profile
from tag_tasks.datasets.progress import Steps
from tag_tasks.datasets.report import HTML, LANGUAGES, page
from tag_tasks.datasets.results import ResultFolder
from tag_tasks.datasets.select import Selection, rows_of, selected
from tag_tasks.datasets.tables import TABLES, Table
from tag_tasks.spark.session import Spark
from tag_tasks.spark.sources import Sources
from tagapi.jobs.model import Job, Json
from tagapi.jobs.task import Task, TaskContext

TRENDS = {"bookings": trends.of_bookings, "payments": trends.of_payments, "users": trends.of_users}


class Analysis(Task):
    """Figures over the four tables, in the range and by each table's own filters, as one file."""

    file: ClassVar[str]
    content_type: ClassVar[str]

    def __init__(self, spark: Spark, sources: Sources, results: ResultFolder) -> None:
        self._spark = spark
        self._sources = sources
        self._results = results

    @abstractmethod
    def rendered(self, figures: Mapping[str, Any], asked: Json) -> bytes:
        """The file, as was asked for."""

    def ready(self) -> bool:
        return self._spark.ready()

    def find_commit(self, job: Job) -> Json | None:
        return job.result if self._results.find(job.id, job.epoch) else None

    def run(self, context: TaskContext) -> Json:
        with self._results.stage(context.attempt_name) as staged:
            with self._spark.session(context) as session:
                figures = self._figures(session, context)
            with staged.file(self.file, self.content_type) as file:
                file.write(self.rendered(figures, context.arguments))
            file.sync()
            result = _headline(figures) | {"file": file.described()}
            context.begin_commit(result)
            staged.publish()
        return result

    def _figures(self, session: SparkSession, context: TaskContext) -> Mapping[str, Any]:
        asked = context.arguments
        filters = asked.get("filters") or {}
        rows: dict[str, DataFrame] = {}
        try:
            for name, table in TABLES.items():
                wanted = Selection.of(asked, filters.get(name) or {})
                rows[name] = selected(rows_of(session, self._sources, table), table, wanted)
            steps = Steps(context, sum(one.count() for one in rows.values()))
            profiles: dict[str, Any] = {}
            found: dict[str, Any] = {}
            duplicates: dict[str, int] = {}
            for name, table in TABLES.items():
                profiles[name] = profile(rows[name], table, context.check)
                single = self._single(session, rows[name], name, context.submitted_at)
                duplicates[name] = profiles[name]["rows"] - single.count()
                if name in TRENDS:
                    context.check()
                    found[name] = TRENDS[name](single)
                steps.reach(sum(one["rows"] for one in profiles.values()))
            steps.end(sum(one["rows"] for one in profiles.values()))
        except PySparkException:
            for name, table in TABLES.items():
                self._sources.check(session, name, table.columns)  # says which table is to blame, where it is one
            raise
        return {
            "as_of": context.submitted_at,
            "date_from": asked.get("date_from"),
            "date_to": asked.get("date_to"),
            "filters": filters,
            **found,
            "duplicates": duplicates,
            "tables": profiles,
        }

    def _single(self, session: SparkSession, rows: DataFrame, name: str, now: datetime) -> DataFrame:
        """The rows without the duplicates that the cleanup finds among them: a sale is told once."""

        def read(table: Table) -> DataFrame:
            return rows_of(session, self._sources, table)

        return without_duplicates(session, CHECKS[name], rows, read, now)


class DataAnalysis(Analysis):
    name: ClassVar[str] = "workers.data_analysis"
    file: ClassVar[str] = "data_analysis.json"
    content_type: ClassVar[str] = JSON

    def rendered(self, figures: Mapping[str, Any], asked: Json) -> bytes:
        return to_json(figures)


class ReportGeneration(Analysis):
    name: ClassVar[str] = "workers.report_generation"
    file: ClassVar[str] = "report.html"
    content_type: ClassVar[str] = HTML

    def rendered(self, figures: Mapping[str, Any], asked: Json) -> bytes:
        return page(figures, LANGUAGES[asked.get("language", "ru")])


def _headline(figures: Mapping[str, Any]) -> dict[str, Any]:
    """What a job's result says without its file."""
    count = sum(one["rows"] for one in figures["tables"].values())
    bookings = figures["bookings"]
    return {
        "total_records": count,
        "processed_records": count,
        "bookings": bookings["bookings"],
        "revenue": str(bookings["revenue"]),
        "cancellation_rate": bookings["cancellation_rate"],
    }
