"""Schedules as bytes, in one piece: they are few, and small."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import orjson

from tagapi.jobs.schedules import Cron, Every, Schedule, Timing
from tagapi.registries.codec import micros
from tagapi.registries.versions import Stored, up_to_date

VERSION = 1
STEPS: Mapping[int, Callable[[Any], Stored]] = {}
"""By the version that a step leads to."""
KEPT = (
    "id",
    "task",
    "owner",
    "arguments",
    "timing",
    "created_at",
    "next_at",
    "labels",
    "lane",
    "asked",
    "token",
    "paused",
    "runs",
    "missed",
    "last_job_id",
    "last_due_at",
    "last_begun_at",
)
MOMENTS = ("created_at", "next_at", "last_due_at", "last_begun_at")


def dump_schedule(schedule: Schedule) -> bytes:
    """Without number and version, which the store keeps beside it."""
    return orjson.dumps({"v": VERSION, **{name: getattr(schedule, name) for name in KEPT}})


def load_schedule(number: int, version: int, stored: bytes) -> Schedule:
    facts = up_to_date(orjson.loads(stored), STEPS, VERSION)
    for name in MOMENTS:
        facts[name] = None if facts[name] is None else datetime.fromisoformat(facts[name])
    facts |= {"labels": tuple(facts["labels"]), "timing": _timing(facts["timing"])}
    return Schedule(number=number, version=version, **facts)


def due_place(schedule: Schedule) -> int | None:
    """When it is due, in microseconds since 1970."""
    return None if schedule.due_at is None else micros(schedule.due_at)


def _timing(stored: dict[str, Any]) -> Timing:
    return Every(**stored) if "seconds" in stored else Cron(**stored)
