"""`celery_task.github_task_task` and `celery_task.github_task_monitor`: where in public code a keyword stands.

A place is told with the lines around it, and the secrets in them masked: nothing of them is stored anywhere as it was.
A monitor tells the places that this keyword has not led its owner to before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tag_tasks.assets import found
from tag_tasks.assets.found import Found, Kind
from tag_tasks.assets.results import FoundFiles
from tag_tasks.assets.rows import rows_table
from tag_tasks.assets.secrets import masked, without_known
from tag_tasks.assets.store import AssetStore, Into, Stored
from tag_tasks.assets.table import NO_SCOPE, AssetTable
from tag_tasks.assets.told import Phases, statistic
from tag_tasks.platforms.github import GitHubAccount, GitHubClient, Hit
from tagapi.jobs.errors import TaskFailed
from tagapi.jobs.model import Job, Json
from tagapi.jobs.task import Task, TaskContext

DONE, MONITORED = "GitHub 泄露检测完成", "GitHub 泄露监控完成"
NOT_CONFIGURED = "GitHub 未配置：缺少 TAGAPI_GITHUB__TOKEN"
BETWEEN = "\n…\n"  # two places of one file

LOCKS = re.compile(r"(?:^|/)(?:package-lock\.json|npm-shrinkwrap\.json|pnpm-lock\.yaml|go\.sum|[^/]*\.lock)$")
BUILT = re.compile(r"\.(?:min|bundle|chunk)\.(?:js|mjs|css)$|\.(?:map|svg)$")
OTHERS = re.compile(r"(?:^|/)(?:node_modules|bower_components|vendor|third_party|site-packages|dist-packages)/")
NOISE: Mapping[str, re.Pattern[str]] = {"lock": LOCKS, "built": BUILT, "vendored": OTHERS}
"""Paths of what nobody wrote there: by versions, by a build, and from elsewhere."""


@dataclass(slots=True)
class Search:
    """One search, and what of it was noise, by why."""

    keyword: str
    noise: dict[str, int] = field(default_factory=dict)
    _contents: set[str] = field(default_factory=set)

    def leaks(self, client: GitHubClient, context: TaskContext) -> Iterator[Found]:
        """The places that are none, in GitHub's order. Raises what the client does."""
        for hit in client.search(self.keyword, context.pause):
            context.check()
            if (why := self._noise(hit)) is None:
                self._contents.add(hit.sha)
                yield leak(hit, self.keyword)
            else:
                self.noise[why] = self.noise.get(why, 0) + 1

    def _noise(self, hit: Hit) -> str | None:
        if hit.fork:
            return "fork"
        if hit.sha in self._contents:
            return "duplicate"
        return next((why for why, pattern in NOISE.items() if pattern.search(hit.path)), None)


def leak(hit: Hit, keyword: str) -> Found:
    """A hit as a row, in which no secret is left."""
    return found.leak(
        without_known(hit.repository),
        without_known(hit.path),
        without_known(hit.url),
        found.cut(BETWEEN.join(map(masked, hit.fragments))),
        masked(keyword),
    )


class _GitHubTask(Task):
    """What both have alike. Arguments: `keyword`."""

    lane = "scans"

    def __init__(self, account: GitHubAccount | None, files: FoundFiles) -> None:
        """Without an account every job fails, and says why."""
        self._client = None if account is None else GitHubClient(account)
        self._files = files

    def _searched(self, context: TaskContext, phases: Phases) -> tuple[Search, Iterator[Found]]:
        if self._client is None:
            raise TaskFailed(reason=NOT_CONFIGURED)
        phases.begin("search")
        search = Search(context.arguments["keyword"])
        return search, search.leaks(self._client, context)


class GitHubSearch(_GitHubTask):
    """Its result files hold every place."""

    name = "celery_task.github_task_task"
    phases = ("search",)

    def run(self, context: TaskContext) -> Json:
        phases = Phases(context)
        search, leaks = self._searched(context, phases)
        with self._files.writing(context) as writer:
            for row in leaks:
                writer.take(row)
            writer.publish()
        return _result(DONE, writer.counts(), search, phases)


class GitHubMonitor(_GitHubTask):
    """Its result files hold the places that are new to who asked; they become assets of nobody else's."""

    name = "celery_task.github_task_monitor"
    phases = ("search", "compare", "store")

    def __init__(self, account: GitHubAccount | None, files: FoundFiles, table: AssetTable, store: AssetStore) -> None:
        super().__init__(account, files)
        self._table = table
        self._store = store

    def find_commit(self, job: Job) -> Json | None:
        return self._store.find_commit(job)

    def run(self, context: TaskContext) -> Json:
        phases = Phases(context)
        search, leaks = self._searched(context, phases)
        rows = list({row.key: row for row in leaks}.values())  # a thousand at most; a place may come on two pages
        phases.begin("compare")

        def result(stored: Stored) -> Json:
            phases.begin("store")
            return {**_result(MONITORED, stored.new, search, phases), "new": dict(stored.new)}

        with self._table.scratch(context.attempt_name) as staged:
            path = self._table.write_all(staged, [rows_table(rows)] if rows else [])
            into = [] if path is None else [_leaks_of(context.owner, path)]
            with self._files.writing(context) as report:
                return self._store.store(context, into, result, report)


def _leaks_of(owner: str, path: str) -> Into:
    return Into(kind=Kind.LEAKS, scope_id=NO_SCOPE, rows=path, owner=owner)


def _result(message: str, counts: Mapping[str, int], search: Search, phases: Phases) -> dict[str, Any]:
    return {
        "message": message,
        "statistic": {**statistic(counts), "noise_cnt": sum(search.noise.values())},
        "noise": dict(search.noise),
        "service": phases.service(),
    }
