"""The work: every task that this service knows, family by family. PySpark is imported nowhere else."""

from __future__ import annotations

from collections.abc import Mapping

from tag_tasks.assets.family import tasks as tasks_of_assets
from tag_tasks.audiences.family import tasks as tasks_of_audiences
from tag_tasks.campaigns.family import tasks as tasks_of_campaigns
from tag_tasks.datasets.family import tasks as tasks_of_datasets
from tag_tasks.documents.family import tasks as tasks_of_documents
from tag_tasks.means import Means
from tag_tasks.segments.family import tasks as tasks_of_segments
from tag_tasks.tags.family import tasks as tasks_of_tags
from tagapi.jobs.task import Task

FAMILIES = (
    tasks_of_tags,
    tasks_of_datasets,
    tasks_of_campaigns,
    tasks_of_audiences,
    tasks_of_segments,
    tasks_of_documents,
    tasks_of_assets,
)
"""Each says what it can do, given the means."""


def every_task(means: Means) -> Mapping[str, Task]:
    """The whole catalogue by name."""
    return {task.name: task for tasks in FAMILIES for task in tasks(means)}
