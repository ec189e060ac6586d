"""What the family of documents can do, and what can be read of it."""

from __future__ import annotations

from collections.abc import Sequence

from tag_tasks.documents.arrivals import Arrivals, DocumentsArrivals
from tag_tasks.documents.conditions import found_by
from tag_tasks.documents.definitions import Definitions
from tag_tasks.documents.export import DocumentsExport
from tag_tasks.documents.reader import DocumentsReader
from tag_tasks.means import Means
from tagapi.jobs.task import Task


def tasks(means: Means) -> Sequence[Task]:
    given = (means.spark, means.sources, means.collectors, found_by)
    return [DocumentsExport(*given, means.credits_monthly), DocumentsArrivals(*given)]


def arrivals(means: Means) -> Arrivals:
    return Arrivals(means.sources, means.collectors)


def reader(means: Means, at_once: int) -> DocumentsReader:
    """`at_once` is how many reads may be under way."""
    return DocumentsReader(means, Definitions(means.collectors, arrivals(means).begin), at_once)
