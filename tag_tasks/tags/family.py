"""What the family of tags can do, and what can be read of it."""

from __future__ import annotations

from collections.abc import Sequence

from tag_tasks.means import Means
from tag_tasks.tags.compute import ComputeTags
from tag_tasks.tags.reader import TagReader
from tagapi.jobs.task import Task


def tasks(means: Means) -> Sequence[Task]:
    return [ComputeTags(means.spark, means.sources, means.members, means.late)]


def reader(means: Means, at_once: int) -> TagReader:
    """`at_once` is how many readings may ask Spark at the same time."""
    return TagReader(means.spark, means.sources, means.members, at_once=at_once)
