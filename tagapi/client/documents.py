"""Documents: exported into collectors, counted; and what finds them, as streams of rules and projects of topics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from tagapi.client.errors import Unaskable
from tagapi.client.front import Front, Json, day, given
from tagapi.client.job import Job
from tagapi.client.transport import segment

STREAM, TASKS = "/api/v3/stream", "/api/v3/tasks/export"
Day = date | str | int


class Documents(Front):
    """Posts, articles and comments."""

    def export(
        self,
        target: str,
        *,
        start: Day,
        stop: Day | None = None,
        query: str | None = None,
        limit: int | None = None,
        stream: str | None = None,
        project: str | None = None,
        topics: Sequence[str] | None = None,
        key: str | None = None,
    ) -> Job:
        """Copy what a query finds, a stream or a project into a collector. One that is cancelled keeps what came."""
        if stream is not None and project is not None:
            raise Unaskable("an export is of a stream or of a project, not of both")
        of = f"/s/{segment(stream)}" if stream else f"/p/{segment(project)}" if project else ""
        chosen = None if topics is None else list(topics)
        body = given(start=day(start), stop=day(stop), target=target, query=query, limit=limit, topics=chosen)
        return self._begin(f"{STREAM}{of}/export", body, key, id_of=lambda told: str(_task(told)["id"]))

    def export_status(self, job: Job | str) -> Json:
        """In the export API's words: `processed` says how many documents are there."""
        job_id = job.id if isinstance(job, Job) else job
        return _task(self._read("GET", f"{TASKS}/{segment(job_id)}"))

    def exports(self, target: str | None = None) -> Iterator[Json]:
        """Yours, the newest first."""
        cursor = None
        while True:
            params = {"target": target, "page_size": 1000, "cursor": cursor}
            page = self._read("GET", TASKS, params=params)["result_tasks"]
            yield from page["tasks"]
            if (cursor := page.get("next")) is None:
                return

    def validate(self, query: str) -> None:
        """Raises Invalid where a query is wrong, with the position and what was expected there."""
        self._read("POST", f"{STREAM}/query/validate", body={"query": query}, harmless=True)

    def count(self, query: str, *, start: Day | None = None, stop: Day | None = None) -> Json:
        """How many documents it finds, `total` and by `days`. Costs nothing."""
        body = given(query=query, start=day(start), stop=day(stop))
        found: Json = self._read("POST", f"{STREAM}/count", body=body, harmless=True)["result_count"]
        return found

    def credits(self) -> Json:
        """Of this month."""
        found: Json = self._read("GET", "/api/v1/status/credits")["result_creditinfo"]
        return found


def _task(told: Json) -> Json:
    task: Json = told["result_tasks"]["tasks"][0]
    return task


class Streams(Front):
    """Rules, of which one has to find a document."""

    def put(self, name: str, rules: Sequence[Mapping[str, Any]]) -> Json:
        """`[{"rule_id": "coffee", "query": "espresso"}]`."""
        return self._one("PUT", name, {"rules": [dict(rule) for rule in rules]})

    def get(self, name: str) -> Json:
        return self._one("GET", name)

    def delete(self, name: str) -> None:
        self._forget(f"{STREAM}/s/{segment(name)}")

    def _one(self, method: str, name: str, body: Any = None) -> Json:
        stream: Json = self._read(method, f"{STREAM}/s/{segment(name)}", body=body)["result_stream"]["data"][0]
        return stream


class Projects(Front):
    """A query, and topics of which one has to find a document."""

    def put(
        self, name: str, topics: Sequence[Mapping[str, Any]], *, title: str | None = None, query: str | None = None
    ) -> Json:
        """`[{"id": "tea", "query": "tea OR té"}]`."""
        return self._one("PUT", name, given(title=title, query=query, topics=[dict(topic) for topic in topics]))

    def get(self, name: str) -> Json:
        return self._one("GET", name)

    def delete(self, name: str) -> None:
        self._forget(f"{STREAM}/p/{segment(name)}")

    def _one(self, method: str, name: str, body: Any = None) -> Json:
        told = self._read(method, f"{STREAM}/p/{segment(name)}", body=body)
        project: Json = told["result_project"]["projects"][0]
        return project
