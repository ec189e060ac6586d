"""What a removal has removed: noted before it is done, so that neither a crash nor a cancel leaves it untold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tag_tasks.audiences.accounts import NAMES
from tagapi.jobs.task import TaskContext

STEP = "remove"


def note(context: TaskContext, key: str, audience_id: str) -> None:
    """This audience is about to be removed, or to lose a person."""
    if key not in noted(context):
        context.journal(STEP, {"key": key, "audience_id": audience_id})


def noted(context: TaskContext) -> Mapping[str, str]:
    """The platforms' ids of what this job has removed, or was about to, by key."""
    return {entry.fact["key"]: entry.fact["audience_id"] for entry in context.journaled() if entry.step == STEP}


def result(context: TaskContext, message: str, audiences: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a removal answers with that came to its end; the audiences are those that it was about."""
    ids = noted(context)
    removed = [
        {**{fact: one[fact] for fact in ("platform", "name", "simulated")}, "audience_id": ids[one["key"]]}
        for one in audiences
        if one["key"] in ids
    ]
    return {"success": True, "message": message, "removed": removed}


def told(context: TaskContext) -> str | None:
    """What is to be said where it did not: nothing of it comes back."""
    ids = [f"{NAMES[key.partition('-')[0]]} {audience_id}" for key, audience_id in noted(context).items()]
    return f"ya se eliminó, o se empezó a eliminar, en {', '.join(ids)}" if ids else None
