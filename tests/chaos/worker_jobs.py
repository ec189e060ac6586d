"""Exports and cleanups: what the workers API says of them in the end, and what lies there."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.chaos.table_log import commits_of, read_log
from tests.chaos.verdict import Verdict, WorkerJob
from tests.e2e.server import FINISHED, Client

WORKERS = "/api/v1/workers/"
EXPORT: Mapping[str, Any] = {"task_type": "bookings_export"}
CLEANUP: Mapping[str, Any] = {"task_type": "data_cleanup", "filters": {"dry_run": False}}
TABLES = ("bookings", "payments", "users", "services")
CLEANED = (*TABLES, *(f"{table}_removed" for table in TABLES))
STAGING = ".staging"


def worker_status(client: Client, job: str) -> dict[str, Any]:
    return client.read(f"{WORKERS}{job}/status/")


def take_worker_jobs(client: Client) -> dict[str, WorkerJob]:
    """Follow the list to its end, and download every result."""
    found: dict[str, WorkerJob] = {}
    path: str | None = f"{WORKERS}?page_size=100"
    while path is not None:
        page = client.read(path)
        for item in page["results"]:
            told = _told(client, item["result_file"]) if item["result_file"] else None
            facts = (item[key] for key in ("id", "task_type", "status"))
            found[item["task_id"]] = WorkerJob(*facts, told=told, error=item["error_message"])
        path = page["next"] and page["next"].removeprefix(client.url)
    return found


def _told(client: Client, link: str) -> tuple[int, str] | None:
    """Size and SHA-256, where what is sent is what is said of it."""
    answer = client.get(link.removeprefix(client.url))
    if answer.status_code != 200:
        return None
    size, sha256 = int(answer.headers["Content-Length"]), answer.headers["ETag"].strip('"')
    return (size, sha256) if (size, sha256) == _facts(answer.content) else None


def _facts(content: bytes) -> tuple[int, str]:
    return len(content), hashlib.sha256(content).hexdigest()


# -- effects -------------------------------------------------------------------------------


def files_of(results: Path, job: str) -> dict[str, tuple[int, str]]:
    """By name: size and SHA-256 of whatever attempts of the job have left."""
    return {path.name: _facts(path.read_bytes()) for path in (results / job).glob("*/*")}


def unpublished(results: Path, job: str) -> list[str]:
    """Attempts that left what they had not published, and those that published behind another one."""
    said = sorted(path.stem for path in (results / job).glob("*.verdict") if path.stat().st_size)
    written = {path.parent.name for path in (results / job).glob("*/*")}
    wrong = sorted(written - {*said[:1]}) + said[1:]
    return [f"attempt {epoch} of {job} left what is not its result" for epoch in wrong]


def cleaned_commits(data: Path) -> dict[str, Counter[str]]:
    """By cleaned table: in how many of its commits each job is."""
    tables = {name: data / "cleaned" / name for name in CLEANED}
    return {name: commits_of(read_log(path)) if path.is_dir() else Counter() for name, path in tables.items()}


# -- judgement -----------------------------------------------------------------------------


def judge_worker_jobs(verdict: Verdict, jobs: Mapping[str, WorkerJob], data: Path) -> None:
    """What each job says of itself against what it left."""
    results, commits = data / "results", cleaned_commits(data)
    for job, seen in jobs.items():
        if seen.state not in FINISHED:
            verdict.stuck.append(f"{job} is {seen.state}")
        if seen.state == "failed":
            verdict.failed.append(f"{job}: {seen.error}")
        _judge_file(verdict, job, seen, files_of(results, job))
        verdict.wrong += unpublished(results, job)
        for table, made in commits.items():
            _judge_commits(verdict, job, jobs, table, made)
        verdict.facts[seen.task_type] += 1
    there = {path.name for path in results.iterdir() if not path.name.startswith(".")} if results.is_dir() else set()
    verdict.wrong += [f"{job} has a result and is no job" for job in there - jobs.keys()]
    staged = list((results / STAGING).iterdir()) if (results / STAGING).is_dir() else []
    verdict.wrong += [f"{path.name} was left behind" for path in staged]
    exports = {seen.told for seen in jobs.values() if seen.task_type == EXPORT["task_type"] and seen.told}
    if len(exports) > 1:
        verdict.wrong.append(f"the same export gave {len(exports)} different files")


def _judge_file(verdict: Verdict, job: str, seen: WorkerJob, files: Mapping[str, tuple[int, str]]) -> None:
    """Who completed has the file that was told, and who did not has none."""
    if seen.state == "completed" and (seen.told is None or seen.told not in files.values()):
        verdict.lied.append(f"{job} completed, told {seen.told}, and left {files}")
    if seen.state != "completed" and files:
        verdict.lied.append(f"{job} is {seen.state} and left {files}")


def _judge_commits(verdict: Verdict, job: str, jobs: Mapping[str, WorkerJob], table: str, made: Counter[str]) -> None:
    """A completed cleanup is one commit in each table, or none where a later one's was there before it."""
    seen, count = jobs[job], made[job]
    due = seen.state == "completed" and seen.task_type == CLEANUP["task_type"]
    later = any(made[name] and other.number > seen.number for name, other in jobs.items())
    if count > 1:
        verdict.duplicated.append(f"{job} is in {count} commits of {table}")
    elif count != due and not (due and later):
        verdict.lied.append(f"{job} ({seen.task_type}) is {seen.state} with {count} commits in {table}")
    verdict.facts["commits of cleanups"] += count
