"""The work: every task that this service knows. PySpark is imported nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from tag_tasks.datasets.analysis import DataAnalysis, ReportGeneration
from tag_tasks.datasets.cleaned import CleanedTables
from tag_tasks.datasets.cleanup import DataCleanup
from tag_tasks.datasets.export import BookingsExport, PaymentsExport, ServicesExport, UsersExport
from tag_tasks.datasets.results import ResultFolder
from tag_tasks.spark.session import Spark
from tag_tasks.spark.sources import Sources
from tag_tasks.tags.compute import LATE, ComputeTags
from tag_tasks.tags.table import MembershipTable
from tagapi.jobs.task import Task


def every_task(
    spark: Spark,
    sources: Sources,
    members: MembershipTable,
    results: ResultFolder,
    cleaned: CleanedTables,
    late: timedelta = LATE,
) -> Mapping[str, Task]:
    """The whole catalogue by name, each task with what it needs of the process.

    `late` is by how much rows of users may come later than their time says.
    """
    tasks: tuple[Task, ...] = (
        ComputeTags(spark, sources, members, late),
        BookingsExport(spark, sources, results),
        PaymentsExport(spark, sources, results),
        UsersExport(spark, sources, results),
        ServicesExport(spark, sources, results),
        DataCleanup(spark, sources, results, cleaned),
        DataAnalysis(spark, sources, results),
        ReportGeneration(spark, sources, results),
    )
    return {task.name: task for task in tasks}
