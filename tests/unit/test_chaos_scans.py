"""That chaos of scans sees what there is to see: a job, its scope and its commit, with one thing made false."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.chaos.scan_books import Ended, judge_commits, judge_jobs, judge_scope, judge_sum, left_behind, truth_of
from tests.chaos.scan_jobs import DOMAIN_MONITOR, DOMAINS, Scan
from tests.chaos.table_log import Commit
from tests.chaos.verdict import Verdict

KEYS = frozenset({("domains", "a"), ("domains", "b"), ("sites", "http://a/")})
TRUTH = {DOMAIN_MONITOR: KEYS, DOMAINS: KEYS | {("pages", "http://a/x")}}
ROWS = [{"kind": kind, "key": key} for kind, key in sorted(KEYS)]
SKIPPED = {"kind": "findings", "key": "1", "check": "skipped"}
PAGES = [{"kind": "pages", "key": "http://a/x"}]


class Story:
    """A monitor that committed to a scope, a scan that did not, and a cancelled one: everything true."""

    def __init__(self, folder: Path) -> None:
        self.data, self.temporary = folder / "data", folder / "tmp"
        self.table = self.data / "assets"
        self.table.mkdir(parents=True)
        pq.write_table(pa.table({"key": ["a", "b", "http://a/"]}), self.table / "file")
        (self.data / "results" / ".staging").mkdir(parents=True)
        new = {"new": {"domains": 2, "sites": 1}}
        self.monitor = self.ended("m", DOMAIN_MONITOR, [*ROWS, SKIPPED], scope_id="s1", counts=new)
        self.scan = self.ended("d", DOMAINS, [*ROWS, *PAGES, SKIPPED])
        self.cancelled = replace(self.ended("c", DOMAIN_MONITOR, [], scope_id="s1"), state="REVOKED")
        self.cancelled.scan.asked = self.cancelled.scan.revoked = True
        self.assets: list[dict[str, Any]] = [{**row, "job_id": "m"} for row in ROWS]
        self.commits = [self.commit(0, (), ()), self.commit(1, ("m",), ("file",))]

    def ended(
        self, job: str, kind: str, rows: list[Any], counts: Mapping[str, Any] | None = None, **data: Any
    ) -> Ended:
        scan = Scan(job, kind, data, job=job)
        return Ended(scan=scan, state="SUCCESS", rows=rows, small=list(rows), counts=counts or {})

    def commit(self, version: int, jobs: tuple[str, ...], added: tuple[str, ...]) -> Commit:
        return Commit(version, jobs, {}, added, ())

    def change(self, name: str, **facts: Any) -> None:
        setattr(self, name, replace(getattr(self, name), **facts))

    def verdict(self) -> Verdict:
        verdict, ended = Verdict(), [self.monitor, self.scan, self.cancelled]
        judge_jobs(verdict, ended, TRUTH)
        judge_commits(verdict, ended, self.commits)
        judge_sum(verdict, ended, self.table, self.commits)
        in_scope = [self.monitor, self.cancelled]
        judge_scope(verdict, "s1", in_scope, self.assets, truth_of(in_scope, TRUTH))
        verdict.wrong += left_behind(self.data, self.temporary)
        return verdict


def test_a_true_story_is_clean(tmp_path: Path) -> None:
    story = Story(tmp_path)
    assert story.verdict().clean, list(story.verdict().evidence())


FALSE: Mapping[str, tuple[str, Callable[[Story], object]]] = {
    "a job goes on": ("stuck", lambda story: story.change("scan", state="STARTED")),
    "a job failed": ("failed", lambda story: story.change("scan", state="FAILURE")),
    "a job is revoked that nobody revoked": ("failed", lambda story: story.change("scan", state="REVOKED")),
    "who was revoked has succeeded": ("lied", lambda story: story.change("cancelled", state="SUCCESS")),
    "a scan lacks a row": ("wrong", lambda story: story.change("scan", rows=ROWS[1:], small=ROWS[1:])),
    "a scan has a row too many": ("wrong", lambda story: story.scan.rows.append({"kind": "sites", "key": "b"})),  # type: ignore[attr-defined]
    "a row is there twice": ("duplicated", lambda story: story.scan.rows.append(ROWS[0])),  # type: ignore[attr-defined]
    "small pages lack a row": ("wrong", lambda story: story.scan.small.pop()),  # type: ignore[attr-defined]
    "small pages have another order": ("wrong", lambda story: story.scan.small.reverse()),  # type: ignore[attr-defined]
    "a monitor found what nobody planted": (
        "wrong",
        lambda story: story.monitor.rows.append({"kind": "sites", "key": "b"}),  # type: ignore[attr-defined]
    ),
    "a job committed twice": ("duplicated", lambda story: story.commits.append(story.commit(2, ("m",), ()))),
    "a monitor did not commit": ("lied", lambda story: story.commits.pop()),
    "a cancelled job committed": ("lied", lambda story: story.commits.append(story.commit(2, ("c",), ()))),
    "nobody's commit": ("wrong", lambda story: story.commits.append(story.commit(2, ("x",), ()))),
    "an asset is there twice": ("duplicated", lambda story: story.assets.append(story.assets[0])),
    "an asset is missing": ("wrong", lambda story: story.assets.pop()),
    "an asset is a cancelled job's": ("lied", lambda story: story.assets[0].update(job_id="c")),
    "an asset is nobody's": ("wrong", lambda story: story.assets[0].update(job_id="x")),
    "more was new than is there": ("wrong", lambda story: story.change("monitor", counts={"new": {"domains": 4}})),
    "a staged folder is left": ("wrong", lambda story: (story.data / "results/.staging/m-1").mkdir()),
    "what was only compared is left": ("wrong", lambda story: (story.table / "scratch/m-1").mkdir(parents=True)),
    "a temporary folder is left": ("wrong", lambda story: (story.temporary / "tagapi-x").mkdir(parents=True)),
}


@pytest.mark.parametrize("what", FALSE)
def test_a_false_story_is_seen_through(tmp_path: Path, what: str) -> None:
    kind, falsify = FALSE[what]
    story = Story(tmp_path)

    falsify(story)

    assert story.verdict().counts[kind] > 0, list(story.verdict().evidence())
