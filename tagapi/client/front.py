"""What the fronts of the client share: reading, pages as iterators, and beginning things once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from typing import Any

from tagapi.client.errors import NotFound, Unaskable
from tagapi.client.job import Job, job_from
from tagapi.client.transport import Transport, new_key
from tagapi.client.values import Schedule

Json = dict[str, Any]
LARGEST_PAGE = 100

Timing = Mapping[str, Any]
"""`{"cron": "0 4 * * *", "timezone": "Europe/Madrid"}`, or `{"every_seconds": 3600}`."""


class Front:
    """Some of what a service does."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _read(self, method: str, path: str, **more: Any) -> Json:
        return self._transport.read(method, path, **more)

    def _begin(
        self,
        path: str,
        body: Any,
        key: str | None,
        *,
        method: str = "POST",
        params: Json | None = None,
        id_of: Callable[[Json], str] = lambda told: str(told["task_id"]),
    ) -> Job:
        return job_from(self._transport, path, body, key, method=method, params=params, id_of=id_of)

    def _schedule(self, path: str, body: Any, key: str | None) -> Schedule:
        told = self._read("POST", path, body=body, key=new_key() if key is None else key)
        return Schedule.of(told.get("data", told) if "schedule_id" not in told else {**told, **told.get("data", {})})

    def _forget(self, path: str) -> None:
        """Delete what is there. Gone already is as good, where it may have gone by a request whose answer was lost."""
        try:
            self._read("DELETE", path)
        except NotFound as missing:
            if not missing.after_loss:
                raise

    def _numbered(self, path: str, **params: Any) -> Iterator[Json]:
        """What the pages of the celery_task API hold, one after the other."""
        page, seen = 1, 0
        while True:
            data = self._read("GET", path, params={**params, "page": page, "size": LARGEST_PAGE})["data"]
            yield from data["items"]
            page, seen = page + 1, seen + len(data["items"])
            if not data["items"] or seen >= data["total"]:
                return


def given(**values: Any) -> Json:
    """Without what is None: the service has its own defaults."""
    return {name: value for name, value in values.items() if value is not None}


def instant(value: datetime | str | None) -> str | None:
    """As the service reads times. Raises Unaskable for a time that does not say where it holds."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise Unaskable(f"{value} has no offset: give it a tzinfo")
        return value.isoformat()
    return value


def day(value: date | str | int | None) -> str | int | None:
    """A day, or milliseconds."""
    return value.strftime("%Y-%m-%d") if isinstance(value, date) else value
