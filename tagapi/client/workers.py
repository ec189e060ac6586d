"""Work on business data: exports, cleanup, analysis, reports. What a job left is fetched by `Job.download`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tagapi.client.front import Front, Json, Timing, given, instant
from tagapi.client.job import Job
from tagapi.client.values import Schedule

PATH = "/api/v1/workers/"
When = datetime | str | None
Filters = Mapping[str, Any] | None


class Workers(Front):
    """Tasks that leave a file."""

    def run(self, task_type: str, *, key: str | None = None, **asked: Any) -> Job:
        """Any of them, by its name; `asked` is as the API has it: `filters`, `date_from`, `format`, …"""
        return self._begin(PATH, _body(task_type, asked), key)

    def schedule(self, task_type: str, timing: Timing, *, key: str | None = None, **asked: Any) -> Schedule:
        """The same by the clock, again and again, and not now."""
        return self._schedule(PATH, {**_body(task_type, asked), "schedule": dict(timing)}, key)

    def export(
        self,
        table: str,
        *,
        format: str | None = None,  # noqa: A002 (the API's word)
        filters: Filters = None,
        date_from: When = None,
        date_to: When = None,
        key: str | None = None,
    ) -> Job:
        """`bookings`, `payments`, `users` or `services`, as `csv`, `parquet` or `xlsx`."""
        asked = {"format": format, "filters": filters, "date_from": date_from, "date_to": date_to}
        return self.run(f"{table}_export", key=key, **asked)

    def cleanup(
        self, *, dry_run: bool = True, date_from: When = None, date_to: When = None, key: str | None = None
    ) -> Job:
        """Find what is broken; with `dry_run=False`, for admins alone, put clean rows into tables of their own."""
        return self.run("data_cleanup", key=key, filters={"dry_run": dry_run}, date_from=date_from, date_to=date_to)

    def analysis(
        self, *, filters: Filters = None, date_from: When = None, date_to: When = None, key: str | None = None
    ) -> Job:
        """Profiles of the tables, as JSON."""
        return self.run("data_analysis", key=key, filters=filters, date_from=date_from, date_to=date_to)

    def report(
        self,
        *,
        language: str | None = None,
        filters: Filters = None,
        date_from: When = None,
        date_to: When = None,
        key: str | None = None,
    ) -> Job:
        """One page of HTML, in `ru` or `en`."""
        asked = {"language": language, "filters": filters, "date_from": date_from, "date_to": date_to}
        return self.run("report_generation", key=key, **asked)


def _body(task_type: str, asked: Mapping[str, Any]) -> Json:
    dates = {name: instant(asked.get(name)) for name in ("date_from", "date_to")}
    return given(task_type=task_type, **{**asked, **dates})
