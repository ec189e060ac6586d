"""What came of a job, shown as what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tagapi.client.commands.screen import Screen
from tagapi.client.values import JobStatus

BAR = 30  # letters


def facts_of(status: JobStatus) -> dict[str, Any]:
    progress = status.progress
    done = None if progress.total is None else f"{progress.percentage:g}% ({progress.done}/{progress.total})"
    return {
        "id": status.id,
        "status": status.status,
        "task": status.task,
        "owner": status.owner,
        "progress": done,
        "attempt": f"{status.attempt} of {status.max_attempts}" if status.max_attempts else status.attempt,
        "created": status.created_at,
        "started": status.started_at,
        "completed": status.completed_at,
        "retry of": status.retry_of,
        "error": status.error,
        **(_told(status) if status.result is not None else {}),
        "parked": "nobody could find out whether it was done: an admin has to say" if status.parked else None,
    }


def show_result(screen: Screen, status: JobStatus) -> None:
    """Of a job that succeeded. Programs get the whole status."""
    if screen.json:
        screen.document(status.told)
        return
    screen.facts({"id": status.id, "status": status.status, **_told(status)})
    show_tags(screen, status)


def _told(status: JobStatus) -> dict[str, Any]:
    """What the result says in a line for each; a file by its name and how to have it."""
    result = status.result if isinstance(status.result, Mapping) else {"result": status.result}
    told = {name: value for name, value in result.items() if name not in ("success", "tags") and value not in ([], {})}
    if isinstance(file := told.get("file"), Mapping):
        told["file"] = f"{file['name']}, {file['size']} bytes: tagapi jobs download {status.id}"
    return told


def show_tags(screen: Screen, status: JobStatus) -> None:
    """A line for each tag that was computed, where some were."""
    tags: Sequence[Mapping[str, Any]] = status.result.get("tags", ()) if isinstance(status.result, Mapping) else ()
    if not tags:
        return
    columns = ["tag_id", "matched_users", "added", "removed"]
    rows = [[tag.get(column) for column in columns] for tag in tags]
    if screen.terminal:
        most = max(tag["matched_users"] for tag in tags) or 1
        rows = [[*row, "█" * round(BAR * tag["matched_users"] / most)] for row, tag in zip(rows, tags, strict=True)]
        columns.append("")
    screen.rows(columns, rows)
