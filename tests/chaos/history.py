"""The ledger read as history: whether what was told once stayed true, and whether each job was asked for once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.chaos.ledger import read_ledger
from tests.chaos.verdict import Census, Verdict
from tests.e2e.server import FINISHED

Line = Mapping[str, Any]

EXPECTED: Mapping[str, tuple[int | None, ...]] = {
    "submit": (None, 202, 429, 503),
    "create": (None, 201, 429, 503),
    "read": (None, 200, 404, 503),
    "cancel": (None, 200, 202, 404, 409, 503),
}
"""What may be answered, or that nothing is; whether it is true is another question."""


class History:
    """Goes through the answers in the order in which they were told."""

    def __init__(self, verdict: Verdict) -> None:
        self._verdict = verdict
        self._known: dict[str, int] = {}
        """By job: the line that acknowledged it."""
        self._final: dict[str, tuple[int, str]] = {}
        """By job: the line that first called it finished, and how."""
        self._jobs_of: dict[str, set[str]] = {}
        """By marker of a request: the jobs that it was answered with."""
        self._created: dict[str, int] = {}
        """By job of the workers API: the line that acknowledged it."""
        self._everyone: set[str] = set()
        """Markers of requests whose jobs do not show them, being over everyone."""
        self._asked: set[str] = set()
        self._refused: set[str] = set()
        self._unanswered: set[str] = set()

    def read(self, ledger: Path) -> None:
        sent: dict[int, Line] = {}
        for line in read_ledger(ledger):
            if "send" in line:
                sent[line["seq"]] = line
                if line["send"] == "submit":
                    self._asked.add(line["marker"])
                    if "user_ids" not in line["body"]:
                        self._everyone.add(line["marker"])
                continue
            asked = sent.pop(line["of"])
            self._verdict.facts[f"{asked['send']} {line['code'] or 'unanswered'}"] += 1
            if line["code"] not in EXPECTED[asked["send"]]:
                told = f"{asked['send']} was answered {line['code']} in line {line['seq']}: {line['error']}"
                self._verdict.failed.append(told)
            {"submit": self._accepted, "create": self._made}.get(asked["send"], self._told)(asked, line)

    def _accepted(self, asked: Line, told: Line) -> None:
        marker = asked["marker"]
        if told["code"] == 202:
            self._known.setdefault(told["job"], told["seq"])
            self._jobs_of.setdefault(marker, set()).add(told["job"])
        else:
            (self._unanswered if told["code"] is None else self._refused).add(marker)

    def _made(self, asked: Line, told: Line) -> None:
        if told["code"] == 201:
            self._created[told["job"]] = told["seq"]

    def _told(self, asked: Line, told: Line) -> None:
        """An answer about a job against what was told before the question was sent."""
        job, when = asked["job"], f"in line {told['seq']}"
        if told["code"] == 404 and self._known.get(job, asked["seq"]) < asked["seq"]:
            self._verdict.lost.append(f"{job} was acknowledged in line {self._known[job]} and unknown {when}")
        if told["code"] not in (200, 202):
            return
        state = told["state"]
        if asked["send"] == "cancel" and told["code"] == 200 and state != "cancelled":
            self._verdict.lied.append(f"{job}: a cancel was answered with {state} {when}")
        line, before = self._final.get(job, (asked["seq"], state))
        if line < asked["seq"] and before != state:
            self._verdict.lied.append(f"{job} was {before} in line {line} and {state} {when}")
        if state in FINISHED:
            self._final.setdefault(job, (told["seq"], state))

    # -- against the end -------------------------------------------------------------------

    def compare(self, census: Census) -> None:
        """Each job that was acknowledged is there, and as it was told last."""
        verdict, known = self._verdict, self._known
        verdict.lost += [f"{job} is unknown" for job in known if job not in census.statuses]
        verdict.lost += [f"{job} is not listed" for job in known if job not in census.listed]
        for job, (line, state) in self._final.items():
            now = census.statuses.get(job, {}).get("status", state)
            if now != state:
                verdict.lied.append(f"{job} was {state} in line {line} and is {now}")
        verdict.lost += [f"{job} is not listed" for job in self._created if job not in census.worker_jobs]
        verdict.duplicated += [f"{job} was never asked for" for job in census.worker_jobs if job not in self._created]
        verdict.facts["acknowledged"] = len(known) + len(self._created)
        verdict.facts["accepted without an answer"] = len(census.listed - known.keys())
        self._compare_requests(census)

    def _compare_requests(self, census: Census) -> None:
        """Each job that is there is one that was asked for, once."""
        verdict = self._verdict
        found = {marker: set(jobs) for marker, jobs in self._jobs_of.items()}
        unmarked = []
        for job in census.listed - self._known.keys():
            user_ids = census.statuses[job]["user_ids"]
            if user_ids is None:
                unmarked.append(job)
            elif user_ids[-1] not in self._asked:
                verdict.duplicated.append(f"{job} was never asked for")
            else:
                found.setdefault(user_ids[-1], set()).add(job)
        verdict.duplicated += [f"{marker} gave {sorted(jobs)}" for marker, jobs in found.items() if len(jobs) > 1]
        nameless = self._everyone - self._jobs_of.keys()
        if len(unmarked) > len(nameless):
            verdict.duplicated.append(f"{len(unmarked)} jobs over everyone came from {len(nameless)} requests")
        refused = self._refused - self._unanswered - self._jobs_of.keys()
        verdict.facts["accepted behind a refusal"] = len(refused & found.keys())
