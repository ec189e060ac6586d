"""A table as its log tells it, read without a line of the product: who committed what, and what is in."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow.parquet as pq

MARKS = ("watermark/", "rule/", "run/", "files/", "cleaned")
"""What transactions of the table itself begin with; every other one is a job's id."""


@dataclass(frozen=True, slots=True)
class Commit:
    version: int
    jobs: tuple[str, ...]
    """The jobs whose transactions it holds."""
    info: dict[str, Any]
    added: tuple[str, ...]
    removed: tuple[str, ...]


def read_log(table: Path) -> list[Commit]:
    """Every commit, oldest first. A log with a gap is no log."""
    files = sorted((table / "_delta_log").glob("*.json"))
    commits = [_commit(file) for file in files if file.stem.isdigit()]
    assert [one.version for one in commits] == list(range(len(commits))), "a version of the table is missing"
    return commits


def _commit(file: Path) -> Commit:
    actions = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line]
    of_kind = {kind: [one[kind] for one in actions if kind in one] for kind in ("txn", "commitInfo", "add", "remove")}
    jobs = tuple(one["appId"] for one in of_kind["txn"] if not one["appId"].startswith(MARKS))
    info = of_kind["commitInfo"][0] if of_kind["commitInfo"] else {}
    added, removed = (tuple(unquote(one["path"]) for one in of_kind[kind]) for kind in ("add", "remove"))
    return Commit(int(file.stem), jobs, info, added, removed)


def commits_of(commits: Iterable[Commit]) -> Counter[str]:
    """By job: in how many commits it is."""
    return Counter(job for commit in commits for job in commit.jobs)


def active_files(commits: Iterable[Commit]) -> list[str]:
    """The files of which the table consists."""
    active: dict[str, None] = {}
    for commit in commits:
        for path in commit.removed:
            active.pop(path, None)
        active.update(dict.fromkeys(commit.added))
    return [*active]


def members(table: Path, commits: Sequence[Commit]) -> dict[int, Counter[str]]:
    """By tag: its members, each with how often it is listed."""
    found: dict[int, Counter[str]] = {}
    for path in active_files(commits):
        tag_id = int(path.split("/")[0].removeprefix("tag_id="))
        users = pq.read_table(table / path, columns=["user_id"], partitioning=None)["user_id"].to_pylist()
        found.setdefault(tag_id, Counter()).update(users)
    return found
