"""What was asked for, and what was told: publications, each under a key of its own, and cancels."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import requests

from tests.chaos.books import THINGS, campaign_of, judge_books
from tests.chaos.verdict import Verdict
from tests.e2e.server import Client, until

TASKS = "/api/tasks"
NOT_NOW = (429, 503)
SEEN_WITHIN = 2.0  # seconds: a cancel is stored by then, or the service is gone
HEARD_WITHIN = 35.0  # seconds: a client waits that long
Books = Mapping[str, Mapping[str, Any]]
"""By platform."""


class Publications:
    """Sent again, under the same key, until they are acknowledged. For the thread that sends, but for `cancel`."""

    def __init__(self) -> None:
        self.jobs: dict[str, str | None] = {}
        """By key: the job that it was answered with."""
        self.cancels: list[tuple[str, int]] = []
        """Jobs, and how a cancel was answered."""
        self.refused: list[str] = []
        """Answers that nobody foresaw."""
        self._platforms: dict[str, str] = {}
        self._asking: list[threading.Thread] = []

    def send(self, client: Client, platform: str) -> None:
        key = f"fuego-{len(self.jobs) + 1}"
        self.jobs[key], self._platforms[key] = None, platform
        self._send(client, key)

    def send_again(self, client: Client) -> bool:
        """What nobody has acknowledged; whether all is now."""
        for key in [key for key, job in self.jobs.items() if job is None]:
            self._send(client, key)
        return None not in self.jobs.values()

    def _send(self, client: Client, key: str) -> None:
        platform = self._platforms[key]
        with suppress(requests.RequestException):
            answer = client.post(f"{TASKS}/publish/{platform}", campaign_of(platform, key), {"Idempotency-Key": key})
            if answer.status_code == 202:
                self.jobs[key] = answer.json()["task_id"]
            elif answer.status_code not in NOT_NOW:
                self.refused.append(f"{key} was answered {answer.status_code}: {answer.text}")

    def cancel(self, url: str, job: str) -> None:
        """Ask for it; back as soon as it is stored, since the answer waits for the attempt to leave."""
        asking = threading.Thread(target=self._cancel, args=[url, job], daemon=True)
        asking.start()
        self._asking.append(asking)
        with suppress(requests.RequestException, AssertionError), Client(url) as client:
            until(lambda: _asked_to_stop(client.read(f"{TASKS}/events/{job}")), "the cancel is stored", SEEN_WITHIN)

    def _cancel(self, url: str, job: str) -> None:
        with suppress(requests.RequestException), Client(url) as client:
            answer = client.request("POST", f"{TASKS}/cancel/{job}")
            self.cancels.append((job, answer.status_code))

    def hear(self) -> None:
        """Wait until every cancel is answered, or lost with its service."""
        while self._asking:
            self._asking.pop().join(HEARD_WITHIN)

    # -- in the end ------------------------------------------------------------------------

    def judge(self, client: Client, books: Books) -> Verdict:
        verdict, told = Verdict(), _all_jobs(client)
        verdict.failed += self.refused
        known = {job for job in self.jobs.values() if job is not None}
        verdict.lost += [f"{job} was acknowledged and is not listed" for job in known - told.keys()]
        verdict.duplicated += [f"{job} was never asked for" for job in told.keys() - known]
        if len(known) < len(self.jobs):
            verdict.lost.append(f"{len(self.jobs)} publications gave {len(known)} jobs")
        for platform, things_on in THINGS.items():
            jobs = {job: one for job, one in told.items() if one["task"] == f"tasks.{platform}_publish"}
            things = things_on(books[platform])
            judge_books(verdict, platform, jobs, things, lambda job: _story(client, told[job], books))
        for job, code in self.cancels:
            verdict.facts[f"cancel {code}"] += 1
            if code == 200 and told.get(job, {}).get("status") != "REVOKED":
                verdict.lied.append(f"{job} was told to be cancelled: {_story(client, told[job], books)}")
        verdict.facts["acknowledged"] = len(known)
        verdict.facts["more than one attempt"] = sum(one["attempt"] > 1 for one in told.values())
        return verdict


def _asked_to_stop(told: Mapping[str, Any]) -> bool:
    return any(event["event"] in ("cancel requested", "finished") for event in told["events"])


def _all_jobs(client: Client) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    cursor: dict[str, Any] = {}
    while True:
        page = client.read(TASKS, page_size=100, **cursor)
        found |= {one["task_id"]: one for one in page["tasks"]}
        if page["next"] is None:
            return found
        cursor = {"cursor": page["next"]}


def _story(client: Client, told: Mapping[str, Any], books: Books) -> str:
    """A job, its events, and whatever is in the books under its id, as they are."""
    job: str = told["task_id"]
    lines = [f"{told['status']}, {told['error']}, result {told['result']}"]
    for event in client.read(f"{TASKS}/events/{job}")["events"]:
        lines.append(f"  {event['at']} attempt {event['attempt']}: {event['event']} {event['detail'] or ''}")
    for platform, kept in books.items():
        lines += [f"  {platform} {name}: {facts}" for name, facts in kept["things"].items() if job in str(facts)]
    return "\n".join(lines)
