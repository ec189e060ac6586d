"""Scans in the end: what each says of itself against what the lab holds, its scope's assets, and the table's log."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.chaos.scan_jobs import AGAIN, OVER, TENDING, Scan, Scans, status
from tests.chaos.table_log import Commit, active_files, commits_of, read_log
from tests.chaos.verdict import Verdict
from tests.chaos.worker_jobs import STAGING, unpublished
from tests.e2e.assets_client import pages
from tests.e2e.server import Client

Key = tuple[str, str]
"""A kind, and the key of a row."""
NOT_DONE = ("refused", "skipped")
"""Findings that say what a job did not do, and are no assets."""
KINDS = ("domains", "addresses", "sites", "certificates", "findings", "wih")
SMALL, LARGE = 11, 100  # rows of a page
SCRATCH = "scratch"


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """What a job says of itself, and its rows, once in large pages and once in small ones."""

    scan: Scan
    state: str
    error: str | None = None
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """`new`, `changed` and `gone`, by kind."""
    rows: Sequence[Mapping[str, Any]] = ()
    small: Sequence[Mapping[str, Any]] = ()

    @property
    def commits_due(self) -> int:
        return int(self.state == "SUCCESS" and self.scan.task_type in TENDING and any(self.counts.values()))


def judge(client: Client, scans: Scans, truth: Mapping[str, frozenset[Key]], table: Path) -> Verdict:
    """All of them, once each has ended; `truth` is what each type of scan finds in peace."""
    verdict = Verdict(failed=[*scans.refused])
    listed = Counter(one["celery_id"] for one in pages(client, "", LARGE))
    jobs = {str(one.job) for one in scans.every}
    verdict.lost += [f"{job} was acknowledged and is not listed" for job in jobs - listed.keys()]
    verdict.duplicated += [f"{job} is listed, and was never asked for" for job in listed.keys() - jobs]
    verdict.facts["acknowledged"] = len(jobs)
    ended = [_ended(client, one) for one in scans.every]
    commits = read_log(table)
    judge_jobs(verdict, ended, truth)
    judge_commits(verdict, ended, commits)
    judge_sum(verdict, ended, table, commits)
    of_scope: dict[str, list[Ended]] = defaultdict(list)
    for one in ended:
        if one.scan.scope is not None:
            of_scope[one.scan.scope].append(one)
    for scope, some in of_scope.items():
        assets = [row for kind in KINDS for row in pages(client, f"assets/{kind}/", SMALL, scope_id=scope)]
        judge_scope(verdict, scope, some, assets, truth_of(some, truth))
    return verdict


def _ended(client: Client, one: Scan) -> Ended:
    told = status(client, str(one.job))
    sizes = (LARGE, SMALL) if told["status"] == "SUCCESS" else ()
    rows = [pages(client, f"{one.job}/result/", size) for size in sizes] or [[], []]
    counts = {name: told[name] for name in ("new", "changed", "gone") if told.get(name)}
    return Ended(scan=one, state=told["status"], error=told.get("error"), counts=counts, rows=rows[0], small=rows[1])


def keys_of(rows: Iterable[Mapping[str, Any]], assets: bool) -> list[Key]:
    """Of what a scope would keep, or of all that a job has found but what was left out, which time may decide."""
    left_out = NOT_DONE if assets else NOT_DONE[1:]
    found = [(row["kind"], row["key"]) for row in rows if row.get("check") not in left_out]
    return [one for one in found if one[0] != "pages"] if assets else found


def judge_jobs(verdict: Verdict, ended: Sequence[Ended], truth: Mapping[str, frozenset[Key]]) -> None:
    """`truth` is what a type of scan finds in peace."""
    for one in ended:
        about = f"{one.scan.key} ({one.scan.task_type}, {one.scan.job})"
        verdict.facts[one.state] += 1
        verdict.facts["begun by a schedule"] += one.scan.schedule is not None
        if one.state not in OVER:
            verdict.stuck.append(f"{about} is {one.state}")
        if one.state == "FAILURE" or (one.state == "REVOKED" and not one.scan.asked):
            verdict.failed.append(f"{about} is {one.state}: {one.error}")
        if one.scan.revoked and one.state != "REVOKED":
            verdict.lied.append(f"{about} was told to be revoked, and is {one.state}")
        if one.state == "SUCCESS":
            _judge_rows(verdict, about, one, truth)


def _judge_rows(verdict: Verdict, about: str, one: Ended, truth: Mapping[str, frozenset[Key]]) -> None:
    keys, wanted = keys_of(one.rows, assets=False), truth[one.scan.task_type]
    if [(row["kind"], row["key"]) for row in one.rows] != [(row["kind"], row["key"]) for row in one.small]:
        verdict.wrong.append(f"{about}: its small pages are not its large ones")
    if len(set(keys)) < len(keys):
        verdict.duplicated.append(f"{about} has found a thing twice")
    found = set(keys)
    if one.scan.task_type in TENDING:
        if strange := set(keys_of(one.rows, assets=True)) - wanted:
            verdict.wrong.append(f"{about} has found {sorted(strange)[:3]}")
    elif found != wanted:
        verdict.wrong.append(f"{about} lacks {sorted(wanted - found)[:3]}, and has {sorted(found - wanted)[:3]}")
    verdict.facts["rows found"] += len(one.rows)


def judge_commits(verdict: Verdict, ended: Sequence[Ended], commits: Sequence[Commit]) -> None:
    """One commit of each job that says that it changed something, and none of any other."""
    made = commits_of(commits)
    due = {str(one.scan.job): one for one in ended}
    for job, one in due.items():
        if made[job] > 1:
            verdict.duplicated.append(f"{one.scan.key} is in {made[job]} commits")
        elif made[job] != one.commits_due:
            verdict.lied.append(f"{one.scan.key} is {one.state} with {made[job]} commits: {one.counts}")
    verdict.wrong += [f"{job} committed and is no job" for job in made.keys() - due.keys()]
    verdict.facts["commits of jobs"] = made.total()


def judge_scope(
    verdict: Verdict, scope: str, jobs: Sequence[Ended], assets: Sequence[Mapping[str, Any]], truth: frozenset[Key]
) -> None:
    """`jobs` are all of the scope, `assets` its rows; `truth` is what the jobs that succeeded have to have found."""
    rows = [(row["kind"], row["key"]) for row in assets]
    verdict.duplicated += [f"{scope} has {row} {times} times" for row, times in Counter(rows).items() if times > 1]
    if set(rows) != truth:
        lacks, has = sorted(truth - set(rows))[:3], sorted(set(rows) - truth)[:3]
        verdict.wrong.append(f"{scope} lacks {lacks}, and has {has}")
    of_job: dict[str, set[Key]] = defaultdict(set)
    for row in assets:
        of_job[row["job_id"]].add((row["kind"], row["key"]))
    for one in jobs:
        held = of_job.pop(str(one.scan.job), set())
        if Counter(kind for kind, _ in held) != Counter(one.counts.get("new", {})):
            verdict.lied.append(
                f"{one.scan.key} is {one.state} with new {one.counts}, and {scope} has {len(held)} of it"
            )
        if one.state == "SUCCESS" and set(keys_of(one.rows, assets=True)) != held:
            verdict.wrong.append(f"{one.scan.key}: its result is not what {scope} has of it")
    verdict.wrong += [f"{scope} has rows of {job}, which is no job of it" for job in of_job]
    verdict.facts["assets"] += len(rows)


def truth_of(jobs: Iterable[Ended], truth: Mapping[str, frozenset[Key]]) -> frozenset[Key]:
    """What a scope has to hold after these."""
    done = [one.scan.task_type for one in jobs if one.state == "SUCCESS" and one.scan.task_type != AGAIN]
    return frozenset[Key]().union(*(truth[kind] for kind in done))


def judge_sum(verdict: Verdict, ended: Sequence[Ended], table: Path, commits: Sequence[Commit]) -> None:
    """What all jobs say to be new is what the table holds."""
    new = sum(sum(one.counts.get("new", {}).values()) for one in ended)
    held = sum(pq.read_metadata(table / path).num_rows for path in active_files(commits))
    if new != held:
        verdict.wrong.append(f"{new} rows are new by all jobs, and the table holds {held}")


def left_behind(data: Path, temporary: Path) -> Iterator[str]:
    """What attempts that were killed have left on disk, but beside the table, where the vacuum looks for it."""
    results = data / "results"
    for folder in (results / STAGING, data / "assets" / SCRATCH, temporary):
        if folder.is_dir():
            yield from (f"{path} was left behind" for path in folder.iterdir() if folder != temporary or _ours(path))
    for job in results.iterdir() if results.is_dir() else ():
        yield from unpublished(results, job.name)


def _ours(path: Path) -> bool:
    return path.name.startswith("tagapi")


def unvacuumed(table: Path, commits: Sequence[Commit]) -> list[str]:
    """Files beside the table, once it is vacuumed, that no commit names."""
    there = {str(path.relative_to(table)) for path in table.rglob("*.parquet")}
    log = {path for path in there if path.startswith("_delta_log")}
    return sorted(there - log - set(active_files(commits)))
