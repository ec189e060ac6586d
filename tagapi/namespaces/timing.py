"""When something is to be begun again and again, as a request says it: the same in every front."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from marshmallow import ValidationError, validate, validates_schema

from tagapi.jobs.errors import Unusable
from tagapi.jobs.model import Json
from tagapi.jobs.schedules import Cron, Every, Timing
from tagapi.jobs.scheduling import Scheduled, Scheduling
from tagapi.jobs.service import JobService
from tagapi.namespaces.fields import Input, StrictInteger, StrictText

NULLABLE = {"x-nullable": True}
MOST_CRON = 100  # characters


class TimingRequest(Input):
    """An interval or a cron."""

    every_seconds = StrictInteger(
        load_default=None,
        allow_none=True,
        validate=validate.Range(1, error="must be 1 or more"),
        metadata={"description": "an interval, counted from the first run", **NULLABLE},
    )
    cron = StrictText(
        load_default=None,
        allow_none=True,
        validate=validate.Length(1, MOST_CRON, error=f"must be 1 to {MOST_CRON} characters long"),
        metadata={"description": "minute, hour, day of the month, month, day of the week", **NULLABLE},
    )
    timezone = StrictText(
        load_default=None,
        allow_none=True,
        metadata={"description": "of the IANA's database, with cron; UTC where none is given", **NULLABLE},
    )

    example = {"cron": "0 3 * * *", "timezone": "Asia/Shanghai"}

    @validates_schema
    def _one_of_them(self, values: dict[str, Any], **_: Any) -> None:
        if (values["every_seconds"] is None) == (values["cron"] is None):
            raise ValidationError("must have either every_seconds or cron", "cron")
        if values["timezone"] is not None and values["cron"] is None:
            raise ValidationError("goes with cron", "timezone")


def timing_of(given: Mapping[str, Any]) -> Timing:
    """Of a valid TimingRequest."""
    if given["cron"] is not None:
        return Cron(expression=given["cron"], timezone=given["timezone"] or "UTC")
    return Every(seconds=given["every_seconds"])


def begin_by_clock(
    service: JobService,
    scheduling: Scheduling,
    task: str,
    make_arguments: Callable[[], Json],
    given: Mapping[str, Any],
    *,
    field: str,
    asked: Json,
    owner: str,
    route: str,
    key: str | None,
    **how: Any,
) -> Scheduled:
    """Have a task begun again and again, as a valid TimingRequest in this field of the body says it.

    `asked` is what the client asks for, the timing included; `how` goes to `Scheduling.schedule`. Raises what that,
    and `make_arguments`, raise.
    """
    timing = timing_of(given)
    if key is not None:
        service.known(task, asked, owner=owner, route=route, key=key)  # raises where it was used for a job
        if known := scheduling.known(task, timing, asked, owner=owner, route=route, key=key):
            return known
    arguments = make_arguments()
    try:
        return scheduling.schedule(task, arguments, timing, owner=owner, route=route, key=key, asked=asked, **how)
    except Unusable as error:
        raise Unusable(field=f"{field}.{error.facts['field']}", reason=error.facts["reason"]) from None
