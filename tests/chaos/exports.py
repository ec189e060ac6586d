"""What was asked for, and what came of it: exports, each into a collector of its own, read while they are written."""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.chaos.verdict import Verdict
from tests.e2e.collector_reader import CollectorReader
from tests.e2e.export_client import CREDITS, OVER, STREAM, TASKS, found, task, told
from tests.e2e.server import Client

NOT_NOW = (429, 503)
LANGUAGES = ("en", "es", "ru", "zh", "de", "fr")
SINCE = ("2020-01-01", "2026-01-01", "2026-06-01")
NO_LIMIT = 1_000_000
LIMITED = 0.3  # the chance that an export has a limit
CANCELLED = 0.2  # the chance that it is stopped on the way
MOST_LINES = 400  # after which a reader hangs up


@dataclass(slots=True)
class Export:
    """One that was asked for."""

    name: str
    language: str
    start: str
    limit: int
    stopped: bool
    """It is to be cancelled on the way."""
    grown: bool = False
    """It is to be cancelled only once there is something of it."""
    collector: bool = False
    """Its collector is there."""
    job: str | None = None
    reader: CollectorReader = field(init=False)

    def __post_init__(self) -> None:
        self.reader = CollectorReader(self.name)

    @property
    def body(self) -> dict[str, Any]:
        return {"start": self.start, "target": self.name, "query": f"lang:{self.language}", "limit": self.limit}


class Exports:
    """Sent again, under the same key, until they are acknowledged. For one thread."""

    def __init__(self, sources: Path, chance: random.Random) -> None:
        self.every: list[Export] = []
        self.refused: list[str] = []
        """Answers that nobody foresaw."""
        self.cancels: dict[str, str] = {}
        """What the answer to a cancel said, by job."""
        self._sources = sources
        self._chance = chance

    def add(self) -> Export:
        chance = self._chance
        limit = chance.randrange(1, 300) if chance.random() < LIMITED else NO_LIMIT
        name, stopped = f"c{len(self.every) + 1}", chance.random() < CANCELLED
        self.every.append(Export(name, chance.choice(LANGUAGES), chance.choice(SINCE), limit, stopped))
        return self.every[-1]

    def push(self, client: Client) -> None:
        """Send what is not acknowledged, stop what is to be stopped, read on: whatever the service lets one do."""
        for one in self.every:
            with suppress(requests.RequestException):
                self._send(client, one)
                if one.job is not None and one.stopped and one.job not in self.cancels:
                    self._stop(client, one)
        self.read(client)

    def read(self, client: Client) -> None:
        """Have some readers go on, each for a while."""
        there = [one for one in self.every if one.collector]
        for one in self._chance.sample(there, min(3, len(there))):
            one.reader.try_to_read(client, self._chance.randrange(1, MOST_LINES))

    def _send(self, client: Client, one: Export) -> None:
        if not one.collector:
            answer = client.request("PUT", f"{STREAM}/c/{one.name}", json={})
            one.collector = self._went_well(answer, one)
        if one.collector and one.job is None:
            answer = client.post(f"{STREAM}/export", one.body, {"Idempotency-Key": one.name})
            if self._went_well(answer, one):
                one.job = answer.json()["result_tasks"]["tasks"][0]["id"]

    def _went_well(self, answer: requests.Response, one: Export) -> bool:
        if answer.status_code not in (200, *NOT_NOW):
            self.refused.append(f"{one.name} was answered {answer.status_code}: {answer.text}")
        return answer.status_code == 200

    def _stop(self, client: Client, one: Export) -> None:
        if one.grown and not task(client, str(one.job))["ready"]:
            return
        answer = client.delete(f"{TASKS}/{one.job}")
        if answer.status_code == 200:
            self.cancels[str(one.job)] = answer.json()["result_tasks"]["tasks"][0]["status"]

    def over(self, client: Client) -> bool:
        """Whether each is acknowledged and has ended."""
        with suppress(requests.RequestException, AssertionError):
            return all(one.job is not None and task(client, one.job)["status"] in OVER for one in self.every)
        return False

    # -- in the end ------------------------------------------------------------------------

    def judge(self, client: Client) -> Verdict:
        verdict = Verdict(failed=[*self.refused])
        ended = {str(one.job): task(client, str(one.job)) for one in self.every}
        listed = {one["id"] for one in told(client.get(TASKS))["result_tasks"]["tasks"]}
        verdict.lost += [f"{job} was acknowledged and is not listed" for job in ended.keys() - listed]
        verdict.duplicated += [f"{job} was never asked for" for job in listed - ended.keys()]
        for one in self.every:
            self._judge(verdict, client, one, ended[str(one.job)])
        used = told(client.get(CREDITS))["result_creditinfo"]["used_credits_monthly"]
        if used != (paid := sum(shown["processed"] for shown in ended.values())):
            verdict.lied.append(f"{used} credits were taken for {paid} documents")
        verdict.facts["acknowledged"] = len(ended)
        verdict.facts["documents"] = paid
        verdict.facts["cuts of readers"] = sum(one.reader.cuts for one in self.every)
        return verdict

    def _judge(self, verdict: Verdict, client: Client, one: Export, shown: Mapping[str, Any]) -> None:
        verdict.facts[shown["status"]] += 1
        wanted = found(self._sources, f"lang = '{one.language}' AND published >= '{one.start}'")
        whole = CollectorReader(one.name)
        assert whole.read(client)
        one.reader.read(client)
        about = f"{one.name} ({shown})"
        if len(set(whole.ids)) < len(whole.ids):
            verdict.duplicated.append(f"{about} holds a document twice")
        if whole.ids != wanted[: len(whole.ids)]:
            verdict.wrong.append(f"{about} holds others, or in another order")
        if one.reader.ids != whole.ids:
            verdict.wrong.append(f"{about}: who was cut off {one.reader.cuts} times has read {len(one.reader.ids)}")
        if shown["processed"] != len(whole.ids):
            verdict.lied.append(f"{about} holds {len(whole.ids)}")
        self._judge_end(verdict, one, shown, len(wanted))

    def _judge_end(self, verdict: Verdict, one: Export, shown: Mapping[str, Any], wanted: int) -> None:
        status, processed = shown["status"], shown["processed"]
        if status == "finished" and processed != wanted:
            verdict.lied.append(f"{one.name} is finished with {processed} of {wanted}")
        if status == "result_limit_reached" and not (processed == one.limit < wanted):
            verdict.lied.append(f"{one.name} has reached its limit with {processed} of {wanted}: {one.limit}")
        if status == "failed" or (status == "aborted" and not one.stopped):
            verdict.failed.append(f"{one.name} is {status}: {shown['error']}")
        if self.cancels.get(str(one.job)) == "deleted" and status != "aborted":
            verdict.lied.append(f"{one.name} was told to be stopped, and is {status}")
