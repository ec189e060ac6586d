"""The work: every task that this service knows, family by family. PySpark is imported nowhere else."""

from __future__ import annotations

from collections.abc import Mapping

from tag_tasks.campaigns import family as campaigns
from tag_tasks.datasets import family as datasets
from tag_tasks.means import Means
from tag_tasks.tags import family as tags
from tagapi.jobs.task import Task

FAMILIES = (tags, datasets, campaigns)
"""Each says in `tasks` what it can do, given the means."""


def every_task(means: Means) -> Mapping[str, Task]:
    """The whole catalogue by name."""
    return {task.name: task for family in FAMILIES for task in family.tasks(means)}
