"""What the stand-in's tasks do beside making a file: a job's `batch_size` names a script."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from tagapi.jobs.errors import NotUndone, TaskFailed, Transient
from tagapi.jobs.task import TaskContext

RETRIES, PHASES, LEAVES, UNDOES, MANY, TICKS = 6, 7, 8, 9, 10, 11
HICCUP = "the storage hiccupped"
HICCUP_SECONDS = 1.5
BROKEN = "the platform said no"
LEFT = "a campaign is left"
UNDO_SECONDS = 6.0
MANY_PHASES = 120  # more than a job keeps events
TICK = 0.25  # seconds


def _retries(context: TaskContext) -> None:
    if context.attempt_name.endswith("-1"):
        raise Transient(reason=HICCUP, retry_after=HICCUP_SECONDS)


def _phases(context: TaskContext) -> None:
    context.phase("leer", 10)
    context.progress(10, 10)
    context.phase("escribir", 4)
    context.progress(1, 4)
    context.pause(60)


def _leaves(context: TaskContext) -> None:
    context.journal("create", {"id": "7"})
    raise TaskFailed(reason=BROKEN)


def _undoes(context: TaskContext) -> None:
    context.journal("create", {"id": "7"})
    context.pause(60)


def _many(context: TaskContext) -> None:
    for number in range(MANY_PHASES):
        context.phase(f"fase {number}")
    context.pause(60)


def _ticks(context: TaskContext) -> None:
    for number in range(1000):
        context.phase(f"fase {number}")
        context.pause(TICK)


SCRIPTS: Mapping[int, Callable[[TaskContext], None]] = {
    RETRIES: _retries,
    PHASES: _phases,
    LEAVES: _leaves,
    UNDOES: _undoes,
    MANY: _many,
    TICKS: _ticks,
}


def undo(context: TaskContext) -> None:
    """What such a job did outside is taken back slowly, or cannot be."""
    if context.arguments["batch_size"] == LEAVES:
        raise NotUndone(left=LEFT)
    threading.Event().wait(UNDO_SECONDS)
