"""Was every word kept? The ledger and the table's own log against what the service says in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from tests.chaos.history import History
from tests.chaos.table_log import Commit, commits_of, members, read_log
from tests.chaos.verdict import Census, Verdict
from tests.chaos.worker_jobs import judge_worker_jobs
from tests.e2e import oracle
from tests.e2e.server import FINISHED

LOST_TOO_OFTEN = "the process that ran it was lost"
DAILY = (4, 8)
"""Tags whose rule reads the day of the job: past midnight only the last job knows which one counts."""


def check(ledger: Path, data: Path, census: Census, began: date) -> Verdict:
    """`data` holds the sources and the table; `began` is the day, in UTC, on which the run did."""
    verdict = Verdict()
    table = data / "user_tags"
    commits = read_log(table) if table.is_dir() else []
    history = History(verdict)
    history.read(ledger)
    history.compare(census)
    judge_jobs(verdict, census, commits)
    judge_lists(verdict, census)
    judge_worker_jobs(verdict, census.worker_jobs, data)
    tags = [tag_id for tag_id in oracle.RULES if tag_id not in DAILY or datetime.now(UTC).date() == began]
    judge_members(verdict, census, members(table, commits), data / "sources", tags, began)
    return verdict


def commits_due(status: Mapping[str, Any]) -> int:
    """How many commits a job has to have that ended like this: one, where it completed with anything to commit."""
    if status["status"] != "completed" or status.get("dry_run"):
        return 0
    return int(status["result"]["total_users"] > 0)


def judge_jobs(verdict: Verdict, census: Census, commits: Sequence[Commit]) -> None:
    """What each job says of itself against its commits."""
    made = commits_of(commits)
    version_of = {job: commit.version for commit in commits for job in commit.jobs}
    for job, status in census.statuses.items():
        state, count, due = status["status"], made[job], commits_due(status)
        if state not in FINISHED:
            verdict.stuck.append(f"{job} is {state}, attempt {status['attempt']}")
        if count > 1:
            verdict.duplicated.append(f"{job} is in {count} commits")
        elif state in FINISHED and count != due:
            verdict.lied.append(f"{job} is {state} (dry run: {status.get('dry_run', False)}) with {count} commits")
        elif due and status["result"]["table_version"] != version_of[job]:
            verdict.lied.append(f"{job} names version {status['result']['table_version']}, not {version_of[job]}")
        if state == "failed" and not str(status["error"]).startswith(LOST_TOO_OFTEN):
            verdict.failed.append(f"{job}: {status['error']}")
        verdict.facts[state] += 1
        verdict.facts["more than one attempt"] += status["attempt"] > 1
        verdict.facts["completed with a commit"] += due
    verdict.duplicated += [f"{job} committed and is no job" for job in made if job not in census.statuses]
    signed = {one.info["job_id"] for one in commits if "job_id" in one.info and "purpose" not in one.info}
    verdict.lied += [f"the commit of {job} has its name or its transaction, not both" for job in signed ^ made.keys()]
    verdict.facts["commits of jobs"] = sum(made.values())


def judge_lists(verdict: Verdict, census: Census) -> None:
    """Totals, filters and the list itself tell the same."""
    for state, total in census.totals.items():
        there = len(census.listed)
        if state is not None:
            there = sum(one["status"] == state for one in census.statuses.values())
        if there != total:
            verdict.wrong.append(f"{there} jobs are {state or 'listed'}, the list's total says {total}")


def judge_members(
    verdict: Verdict,
    census: Census,
    found: Mapping[int, Mapping[str, int]],
    sources: Path,
    tags: Sequence[int],
    today: date,
) -> None:
    """In the table are, of the users that committed jobs were about, those that match, and nobody else."""
    existing = set(oracle.users(sources))
    scopes: dict[int, set[str]] = {tag_id: set() for tag_id in tags}
    for status in filter(commits_due, census.statuses.values()):
        scope = existing if status["user_ids"] is None else existing.intersection(status["user_ids"])
        for tag_id in scopes.keys() & set(status["tag_ids"]):
            scopes[tag_id] |= scope
    for tag_id, scope in scopes.items():
        wanted = scope.intersection(oracle.members(sources, tag_id, today))
        there = found.get(tag_id, {})
        verdict.wrong += [f"tag {tag_id}: {user} is missing" for user in sorted(wanted - there.keys())]
        verdict.wrong += [f"tag {tag_id}: {user} does not belong" for user in sorted(there.keys() - wanted)]
        verdict.wrong += [f"tag {tag_id}: {user} is there {times} times" for user, times in there.items() if times > 1]
        verdict.facts["memberships"] += len(there)
