"""One's own assets: scans inside the authorised scope, what they found, what is known, and schedules of every front."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tagapi.client.front import Front, Json, Timing, given
from tagapi.client.job import Job
from tagapi.client.transport import segment
from tagapi.client.values import Schedule

PREFIX = "/api/celery_task"


class Scans(Front):
    """Tasks that look at one's own assets. To begin them takes `may: [scan]`."""

    def run(
        self,
        task_type: str,
        *,
        target: str | None = None,
        options: Mapping[str, Any] | None = None,
        key: str | None = None,
        **data: Any,
    ) -> Job:
        """`data` is as the API has it: `name`, `scope_id`, `task_id`, `query`, `keyword`, …"""
        body = _body(task_type, target, options, data)
        return self._begin(f"{PREFIX}/", body, key, id_of=lambda told: str(told["data"]["celery_id"]))

    def schedule(
        self,
        task_type: str,
        timing: Timing,
        *,
        target: str | None = None,
        options: Mapping[str, Any] | None = None,
        key: str | None = None,
        **data: Any,
    ) -> Schedule:
        """A monitor: its first run begins at once, the others by the clock."""
        return self._schedule(f"{PREFIX}/", _body(task_type, target, options, {**data, "schedule": dict(timing)}), key)

    def types(self) -> Mapping[str, str]:
        found: Mapping[str, str] = self._read("GET", f"{PREFIX}/types/")["data"]["task_types"]
        return found

    def scopes(self) -> Sequence[Json]:
        """What you may look at."""
        found: Sequence[Json] = self._read("GET", f"{PREFIX}/scopes/")["data"]["scopes"]
        return found

    def found(self, job: Job | str, kind: str | None = None) -> Iterator[Json]:
        """What a finished scan has found; of `domains`, `addresses`, `sites`, `certificates`, `findings`, …"""
        job_id = job.id if isinstance(job, Job) else job
        return self._numbered(f"{PREFIX}/{segment(job_id)}/result/", kind=kind)

    def assets(self, kind: str, scope_id: str | None = None) -> Iterator[Json]:
        """What is known of a scope."""
        return self._numbered(f"{PREFIX}/assets/{segment(kind)}/", scope_id=scope_id)


def _body(task_type: str, target: str | None, options: Mapping[str, Any] | None, data: Mapping[str, Any]) -> Json:
    chosen = None if options is None else dict(options)
    return {"task_type": task_type, "data": given(target=target, options=chosen, **data)}


class Schedules(Front):
    """What is begun by the clock, of every front."""

    def list(self) -> Iterator[Schedule]:
        """Yours, the newest first. All are read before one is told: who deletes them on the way misses none."""
        found = {one.id: one for one in map(Schedule.of, self._numbered(f"{PREFIX}/schedules/"))}
        yield from found.values()

    def get(self, schedule_id: str) -> Schedule:
        return self._one("GET", schedule_id)

    def delete(self, schedule_id: str) -> None:
        """Forget it; a run that has begun goes on."""
        self._forget(f"{PREFIX}/schedules/{segment(schedule_id)}/")

    def pause(self, schedule_id: str) -> Schedule:
        return self._one("POST", schedule_id, "pause/")

    def resume(self, schedule_id: str) -> Schedule:
        return self._one("POST", schedule_id, "resume/")

    def _one(self, method: str, schedule_id: str, what: str = "") -> Schedule:
        path = f"{PREFIX}/schedules/{segment(schedule_id)}/{what}"
        return Schedule.of(self._read(method, path, harmless=True)["data"])
