"""How the tasks API tells what the page shows beside jobs: who asks, what was asked for, the service as it is.

Pure functions, without Flask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tagapi.auth import Principal
from tagapi.jobs.model import Job
from tagapi.jobs.schedules import Schedule
from tagapi.namespaces.fields import iso
from tagapi.tokens import RIGHTS

MOST_ITEMS = 100
"""Of a list among the arguments; a job may be for 100,000 users."""


def render_principal(caller: Principal, tasks: Sequence[str], *, by_token: bool) -> dict[str, Any]:
    return {
        "name": caller.name,
        "role": caller.role.value,
        "rights": [right for right in RIGHTS if caller.may(right)],
        "sees": "all" if caller.admin else "own",
        "by_token": by_token,
        "tasks": sorted(tasks),
    }


def render_arguments(job: Job) -> dict[str, Any]:
    """What was asked for. Long lists are cut, and `shortened` says how long they are."""
    shortened: dict[str, int] = {}
    arguments = _cut(dict(job.request.arguments), "", shortened)
    return {"task_id": job.id, "task": job.request.task, "arguments": arguments, "shortened": shortened}


def _cut(value: Any, path: str, shortened: dict[str, int]) -> Any:
    if isinstance(value, Mapping):
        return {key: _cut(one, f"{path}.{key}" if path else str(key), shortened) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        if len(value) > MOST_ITEMS:
            shortened[path] = len(value)
        return [_cut(one, f"{path}[{place}]", shortened) for place, one in enumerate(value[:MOST_ITEMS])]
    return value


def render_service(seen: Mapping[str, Any], parked: int, accepting: bool, *, admin: bool) -> dict[str, Any]:
    """Which processes there are is for admins; the rest is counts, which everybody may see."""
    return {
        "at": iso(seen["at"]),
        "version": seen["version"],
        "accepting": accepting,
        "spark": seen["spark"],
        "executor": dict(seen["executor"]),
        "store": dict(seen["registry"]),
        "lanes": [_lane(one, seen["at"]) for one in seen["lanes"]],
        "processes": seen["processes"],
        "workers": _workers(seen["workers"]) if admin else None,
        "schedules": _schedules(seen["schedules"]),
        "pushes": dict(seen["pushes"]),
        "parked": parked,
        "credits": _credits(seen["credits"]),
    }


def _lane(lane: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """`oldest_seconds` is how long the one that is due longest has waited; null where none is due."""
    due_since = lane["due_since"]
    waited = None if due_since is None or due_since > now else round((now - due_since).total_seconds(), 1)
    return {key: lane[key] for key in ("lane", "slots", "running", "waiting")} | {"oldest_seconds": waited}


def _workers(running: Mapping[str, int]) -> list[dict[str, Any]]:
    return [{"worker": worker, "running": running[worker]} for worker in sorted(running)]


def _schedules(schedules: Mapping[str, Any]) -> dict[str, Any]:
    first: Schedule | None = schedules["next"]
    following = None if first is None else {"task": first.task, "at": iso(first.due_at)}
    return {"total": schedules["total"], "paused": schedules["paused"], "next": following}


def _credits(told: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if told is None else {**told, "next": iso(told["next"])}
