"""Making a thing in somebody else's system exactly once, without a key that would see to that there.

Say what is about to be made (journal), make it under a name that holds the job's id, note what came of it.
Where an answer was lost, look for the name, again and again for as long as the system may take to have it,
and only then make it anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tag_tasks.platforms.transport import PlatformBusy
from tagapi.jobs.errors import TaskFailed
from tagapi.jobs.model import Entry
from tagapi.jobs.task import TaskContext

LOOKS = 8  # at least, in the time that a thing may take to appear
LOOK_SECONDS = 5.0  # between two of them, at most


def made(
    context: TaskContext,
    step: str,
    create: Callable[[], str],
    find: Callable[[], Sequence[str]],
    settle_seconds: float,
) -> str:
    """The id of the thing that this step makes; made already by an earlier attempt, or now.

    Raises what `create` raises: after Unanswered the next attempt looks first.
    """
    if (known := known_id(context.journaled(), step)) is not None:
        return known
    found = settled(context, step, find, settle_seconds)
    if found:
        context.journal(step, {"id": found[0]})
        return found[0]
    context.check()
    context.journal(step, {"about": "create"})
    try:
        context.check()  # a process that stood still meanwhile does nothing more
        thing = create()
    except (TaskFailed, PlatformBusy):  # nothing happened
        context.journal(step, {"about": "nothing"})
        raise
    context.journal(step, {"id": thing})
    return thing


def known_id(journal: Sequence[Entry], step: str) -> str | None:
    return next((str(entry.fact["id"]) for entry in journal if entry.step == step and "id" in entry.fact), None)


def in_doubt(journal: Sequence[Entry], step: str) -> bool:
    """Whether this step asked for something last of which nobody knows whether it is there."""
    last = next((entry for entry in reversed(journal) if entry.step == step), None)
    return last is not None and last.fact.get("about") == "create"


def may_be_there(journal: Sequence[Entry], step: str) -> bool:
    """Whether this step was asked for at all, without the answer that nothing happened."""
    told = [entry.fact.get("about", "made") for entry in journal if entry.step == step]
    return "made" in told or told.count("create") > told.count("nothing")


def settled(context: TaskContext, step: str, find: Callable[[], Sequence[str]], settle_seconds: float) -> Sequence[str]:
    """What an unanswered step has made, looked for as long as it may take; nothing where nothing is in doubt.

    The time counts from the first look: when it was asked for is told by another process's clock.
    """
    if not in_doubt(context.journaled(), step):
        return []
    until = time.monotonic() + settle_seconds
    while True:
        found = find()
        if found or (left := until - time.monotonic()) <= 0:
            return found
        context.pause(min(LOOK_SECONDS, settle_seconds / LOOKS, max(0.01, left)))
