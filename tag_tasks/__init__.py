"""The work: every task that this service knows. PySpark is imported nowhere else."""

from __future__ import annotations

from tag_tasks.tags.compute import ComputeTags

TASKS = (ComputeTags,)
"""The whole catalogue. A task is made with the Spark, the sources and the membership table of the process."""
