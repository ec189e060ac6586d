"""What the family of business data can do."""

from __future__ import annotations

from collections.abc import Sequence

from tag_tasks.datasets.analysis import DataAnalysis, ReportGeneration
from tag_tasks.datasets.cleanup import DataCleanup
from tag_tasks.datasets.export import BookingsExport, PaymentsExport, ServicesExport, UsersExport
from tag_tasks.datasets.reader import ResultReader
from tag_tasks.means import Means
from tag_tasks.reads import Reads
from tagapi.jobs.task import Task


def tasks(means: Means) -> Sequence[Task]:
    given = (means.spark, means.sources, means.results)
    exports = (BookingsExport, PaymentsExport, UsersExport, ServicesExport)
    return [
        *(export(*given) for export in exports),
        DataCleanup(*given, means.cleaned),
        DataAnalysis(*given),
        ReportGeneration(*given),
    ]


def reader(means: Means, at_once: int) -> ResultReader:
    """`at_once` is how many readings may wait for the storage at the same time."""
    return ResultReader(means.results, Reads(at_once, part="The storage of results"))
