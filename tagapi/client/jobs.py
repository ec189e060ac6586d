"""The jobs of all fronts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from tagapi.client.front import LARGEST_PAGE, Front, instant
from tagapi.client.job import Job
from tagapi.client.transport import segment
from tagapi.client.values import JobStatus


class Jobs(Front):
    """Yours; an admin's are everybody's."""

    def get(self, job_id: str) -> Job:
        """The job of this id, for following, cancelling, trying again. Nothing is asked yet."""
        return Job(self._transport, job_id)

    def list(
        self,
        *,
        status: str | None = None,
        task: str | None = None,
        active: bool | None = None,
        owner: str | None = None,
        since: datetime | str | None = None,
    ) -> Iterator[JobStatus]:
        """The newest first, a page after the other."""
        asked = {"status": status, "task": task, "active": active, "owner": owner, "since": instant(since)}
        cursor = None
        while True:
            params = {**asked, "page_size": LARGEST_PAGE, "cursor": cursor}
            page = self._read("GET", "/api/tasks", params=params)
            yield from map(JobStatus.of, page["tasks"])
            if (cursor := page["next"]) is None:
                return

    def settle(self, job_id: str, outcome: str) -> JobStatus:
        """For admins: what became of a parked job, `completed`, `failed`, or `retry` to have it looked for again."""
        return JobStatus.of(self._read("POST", f"/api/tasks/settle/{segment(job_id)}", body={"outcome": outcome}))
