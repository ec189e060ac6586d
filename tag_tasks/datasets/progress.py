"""How far a job over tables is: in rows, told in whole steps of what was asked for."""

from __future__ import annotations

from tagapi.jobs.task import TaskContext


class Steps:
    """Progress in whole steps of the job's `batch_size`."""

    def __init__(self, context: TaskContext, total: int) -> None:
        self._context = context
        self._total = total
        self._step = int(context.arguments["batch_size"])
        context.progress(0, total)

    def reach(self, rows: int) -> None:
        """So many rows are done. Raises JobCancelled where the attempt should stop."""
        self._context.progress(min(rows, self._total) // self._step * self._step, self._total)

    def end(self, rows: int) -> None:
        """So many there were: other than counted, where the source changed meanwhile."""
        self._context.progress(rows, rows)
