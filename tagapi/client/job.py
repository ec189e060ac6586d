"""A job of any front: wait for it, follow it, stop it, try it again, fetch what it left."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tagapi.client import downloads
from tagapi.client.errors import Conflict, JobCancelled, JobFailed, JobNotFinished, NotFound
from tagapi.client.following import TimeIsUp, follow
from tagapi.client.transport import REPLAYED, Transport, new_key, segment
from tagapi.client.values import FAILURE, REVOKED, SUCCESS, Event, JobStatus, Progress


class Job:
    """One accepted request. Holds nothing but the id: everything else is asked for."""

    def __init__(self, transport: Transport, job_id: str, *, replayed: bool = False) -> None:
        self._transport = transport
        self.id = job_id
        self.replayed = replayed
        """It had been begun before, under the same Idempotency-Key."""

    def __repr__(self) -> str:
        return f"Job({self.id!r})"

    def status(self) -> JobStatus:
        """As it is now. Raises NotFound where it is unknown, kept no more, or somebody else's."""
        told = self._transport.read("GET", f"/api/tasks/status/{segment(self.id)}")
        if not told["found"]:
            raise NotFound(str(told["result"]), status=200, code="job_not_found", field="task_id")
        return JobStatus.of(told)

    def past(self) -> Sequence[Event]:
        """What has happened to it so far, the oldest first."""
        told = self._transport.read("GET", f"/api/tasks/events/{segment(self.id)}")
        return [Event.of(event) for event in told["events"]]

    def progress(self) -> dict[str, Any]:
        """In detail: each phase with its seconds, and `seconds_left`."""
        return self._transport.read("GET", f"/api/tasks/progress/{segment(self.id)}")

    @property
    def result(self) -> Any:
        """What came of it. Raises JobFailed, JobCancelled, or JobNotFinished: then `wait` for it."""
        status = self.status()
        if status.status == SUCCESS:
            return status.result
        if status.status == FAILURE:
            raise JobFailed(status.error or "the job failed", status)
        if status.status == REVOKED:
            raise JobCancelled("the job was cancelled", status)
        raise JobNotFinished(f"the job is {status.status}", status)

    def wait(self, progress: Callable[[Progress], object] | None = None, timeout: float | None = None) -> Any:
        """What came of it, once it has ended; `progress` is called with each change on the way.

        Goes on across restarts of the service. Raises JobFailed, JobCancelled; JobNotFinished after `timeout` seconds.
        """
        seen = Progress()
        try:
            for event in self._follow(0, timeout):
                seen = seen.after(event)
                if progress is not None:
                    progress(seen)
        except TimeIsUp:
            status = self.status()
            if not status.finished:
                raise JobNotFinished(f"the job is {status.status} after {timeout:g} s", status) from None
        return self.result

    def events(self, after: int = 0) -> Iterator[Event]:
        """What happened to it and what happens, each event once, to the last; from the one behind number `after` on."""
        return self._follow(after, None)

    def _follow(self, after: int, timeout: float | None) -> Iterator[Event]:
        return follow(self._transport, self.id, after, None if timeout is None else time.monotonic() + timeout)

    def cancel(self) -> JobStatus:
        """Stop it. Waits up to 5 s; the status says REVOKED once it has stopped, else that it is stopping still.

        Raises Conflict where it has ended, or cannot be stopped any more.
        """
        try:
            return JobStatus.of(self._transport.read("POST", f"/api/tasks/cancel/{segment(self.id)}", harmless=True))
        except Conflict as refused:
            if refused.after_loss and (status := self.status()).status == REVOKED:
                return status  # by the request whose answer was lost
            raise

    def retry(self, *, force: bool = False, key: str | None = None) -> Job:
        """The job that does the same again, of one that did not succeed; with `force`, of any. It has one such job."""
        path = f"/api/tasks/retry/{segment(self.id)}"
        return job_from(self._transport, path, None, key, params={"force": force or None})

    def download(self, to: str | os.PathLike[str] = ".", progress: Callable[[int, int], object] | None = None) -> Path:
        """The file that a job of the workers left, as `to`, or in that folder under its own name.

        Goes on behind what is there of an earlier try, and is checked against its SHA-256. The file appears whole.
        """
        path = f"/api/v1/workers/{segment(self.id)}/result/?link=false"  # a link leads to a host that has no token
        try:
            return downloads.download(self._transport, path, Path(to), progress)
        except NotFound as refused:
            if (task := self.status().task).startswith("workers."):
                raise
            words = f"{task} leaves no file"  # to the workers API, jobs of others are unknown
            raise NotFound(words, status=refused.status, request_id=refused.request_id) from None


def job_from(
    transport: Transport,
    path: str,
    body: Any,
    key: str | None,
    *,
    method: str = "POST",
    params: dict[str, Any] | None = None,
    id_of: Callable[[dict[str, Any]], str] = lambda told: str(told["task_id"]),
) -> Job:
    """Begin a job, once, whatever answer is lost: under `key`, or under one that is made up here."""
    answer = transport.send(method, path, body=body, params=params, key=new_key() if key is None else key)
    return Job(transport, id_of(transport.told(answer)), replayed=answer.headers.get(REPLAYED) == "true")
