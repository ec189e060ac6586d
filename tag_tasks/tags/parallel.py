"""A few tags at a time: what keeps the processors busy while one tag's plan comes to its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from pyspark.sql import SparkSession

from tag_tasks.tags.model import TagChange
from tagapi.jobs.task import TaskContext

TAGS_AT_ONCE = 3
"""Measured on two processors: 10 % faster than two, and no slower than four."""


def change_tags(
    session: SparkSession, context: TaskContext, work: Sequence[Callable[[], TagChange]], at_once: int = TAGS_AT_ONCE
) -> list[TagChange]:
    """Do it all, a few at a time, in order of the answers' tags; the first error stops the rest."""
    done = 0

    def step(one: Callable[[], TagChange]) -> TagChange:
        nonlocal done
        context.check()
        # Spark's tags belong to a thread: without this an interrupt would not find the operation.
        session.addTag(context.job_id)
        change = one()
        done += 1
        context.progress(done, len(work))
        return change

    with ThreadPoolExecutor(at_once, thread_name_prefix="tag") as pool:
        started = [pool.submit(copy_context().run, step, one) for one in work]
        try:
            return sorted((one.result() for one in started), key=lambda change: change.tag_id)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
