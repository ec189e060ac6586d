"""What the family of documents can do, and what can be read of it."""

from __future__ import annotations

from collections.abc import Sequence

from tag_tasks.documents.conditions import found_by
from tag_tasks.documents.definitions import Definitions
from tag_tasks.documents.export import DocumentsExport
from tag_tasks.documents.reader import DocumentsReader
from tag_tasks.means import Means
from tagapi.jobs.task import Task


def tasks(means: Means) -> Sequence[Task]:
    return [DocumentsExport(means.spark, means.sources, means.collectors, found_by, means.credits_monthly)]


def reader(means: Means, at_once: int) -> DocumentsReader:
    """`at_once` is how many reads may be under way."""
    return DocumentsReader(means, Definitions(means.collectors, lambda: 0), at_once)
