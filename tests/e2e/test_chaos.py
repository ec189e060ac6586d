"""Chaos in small; `make chaos` does the same at length. And first, that the checker sees what there is to see."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import (
    away,
    bucket,
    cancels,
    carried,
    disk_full,
    drains,
    exporting,
    hiccups,
    insisting,
    kills,
    lost_claims,
    publishing,
    scans,
    schedules,
    stalled,
    webhooks,
    workers,
    zombies,
)
from tests.chaos.checker import judge_jobs, judge_lists
from tests.chaos.failpoints import NAMES
from tests.chaos.ground import Arena
from tests.chaos.history import History
from tests.chaos.ledger import Ledger
from tests.chaos.report import Result
from tests.chaos.table_log import Commit
from tests.chaos.verdict import KINDS, Census, Verdict, WorkerJob
from tests.chaos.worker_jobs import CLEANED, files_of, judge_worker_jobs

SEED = 20
STORES = ("sqlite", "redis")
KILLS = {"sqlite": 0, "redis": 6}
"""Six kills on each store; the failpoint with which each begins, so that together they meet every one."""


@pytest.fixture
def arena(tmp_path: Path, sample: Path) -> Arena:
    shutil.copytree(sample, tmp_path / "chaos" / "data" / "sources")
    return Arena(tmp_path / "chaos", SEED)


def clean(result: Result) -> Result:
    """The result, all of whose counts are zero."""
    assert result.verdict.clean, "\n".join(result.verdict.evidence())
    assert result.verdict.facts["acknowledged"] > 0
    return result


# -- the real thing ------------------------------------------------------------------------


@pytest.mark.timeout(240)
@pytest.mark.parametrize("store", STORES)
def test_a_server_that_is_killed_at_any_moment_keeps_every_word(arena: Arena, store: str) -> None:
    result = clean(kills.run(arena, store, kills=6, jobs=90, first=KILLS[store]))

    met = str(result.notes["kills"])
    wanted = NAMES[KILLS[store] : KILLS[store] + 6]
    assert all(name in met for name in wanted), met
    assert result.verdict.facts["commits of jobs"] == result.verdict.facts["completed with a commit"] > 0


@pytest.mark.timeout(180)
def test_a_redis_that_is_killed_takes_nothing_acknowledged_with_it(arena: Arena) -> None:
    clean(away.restart(arena, rounds=1))


@pytest.mark.timeout(180)
def test_while_redis_is_frozen_every_request_is_told_so_and_none_is_forgotten(arena: Arena) -> None:
    clean(away.frozen(arena, rounds=1, seconds=3.0))


@pytest.mark.timeout(180)
def test_on_a_full_disk_nothing_is_half_written(arena: Arena) -> None:
    clean(disk_full.run(arena, refusals=20))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("store", STORES)
def test_a_server_that_wakes_up_after_its_lease_changes_nothing(arena: Arena, store: str) -> None:
    result = clean(zombies.run(arena, store, zombies=3, first=3 * STORES.index(store)))

    assert result.notes["zombies"] == 3
    assert result.verdict.facts["bookings_export"] > 0
    assert result.verdict.facts["commits of cleanups"] > 0


@pytest.mark.timeout(180)
@pytest.mark.parametrize("store", STORES)
def test_a_cancel_is_true_in_every_state(arena: Arena, store: str) -> None:
    result = clean(cancels.run(arena, store, each=5))

    assert {"queued", "running", "waiting", "committing", "racing"} <= result.notes.keys()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("store", STORES)
def test_a_drain_under_load_answers_every_request_that_was_taken_in(arena: Arena, store: str) -> None:
    clean(drains.run(arena, store, drains=1))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("store", STORES)
def test_two_workers_are_one_service(arena: Arena, store: str) -> None:
    clean(workers.run(arena, store, jobs=3, cancels=1, kills=1))


@pytest.mark.timeout(240)
def test_workers_of_celery_under_fire_lose_and_double_nothing(arena: Arena) -> None:
    result = clean(carried.run(arena, "sqlite", "redis", troubles=5, jobs=80))
    assert result.notes["workers killed"] == result.notes["workers stopped"] == result.notes["brokers restarted"] == 1
    assert result.notes["messages doubled"]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("store", STORES)
def test_an_attempt_that_insists_on_its_outcome_costs_its_neighbour_nothing(arena: Arena, store: str) -> None:
    clean(insisting.run(arena, store, rounds=1))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("store", STORES)
def test_a_claim_whose_reply_is_lost_costs_its_job_nothing(arena: Arena, store: str) -> None:
    clean(lost_claims.run(arena, store, rounds=4))


@pytest.mark.timeout(180)
def test_connections_that_stall_keep_nobody_waiting(arena: Arena) -> None:
    clean(stalled.run(arena, "sqlite", count=60, seconds=3.0))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("store", STORES)
def test_a_storage_that_hesitates_fails_no_job(arena: Arena, store: str) -> None:
    clean(hiccups.run(arena, store, rounds=1))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("store", STORES)
def test_whoever_publishes_under_fire_makes_one_campaign_or_none(arena: Arena, store: str) -> None:
    result = clean(publishing.run(arena, store, each=12, some=slice(STORES.index(store), None, 19)))

    assert result.notes["kills in all"] != 0
    assert all(result.verdict.facts[f"{platform} SUCCESS"] > 0 for platform in ("meta", "google"))


@pytest.mark.timeout(240)
@pytest.mark.parametrize("store", STORES)
def test_whoever_exports_under_fire_delivers_each_document_once(arena: Arena, store: str) -> None:
    moments = exporting.MOMENTS[STORES.index(store) :: len(STORES)]
    result = clean(exporting.run(arena, store, each=6, moments=moments))
    assert result.verdict.facts["documents"] > 0
    assert result.verdict.facts["cuts of readers"] > 0


@pytest.mark.timeout(240)
@pytest.mark.parametrize("store", STORES)
def test_whoever_begins_runs_under_fire_begins_each_once(tmp_path: Path, store: str) -> None:
    spring, autumn = schedules.CHANGES[1], schedules.CHANGES[4]
    arena = Arena(tmp_path, SEED + STORES.index(store))
    result = clean(schedules.run(arena, store, schedules=40, changes=(spring, autumn), steps=5))
    assert 40 < result.verdict.facts["begun"] < result.verdict.facts["runs due"]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("store", STORES)
def test_whoever_scans_under_fire_finds_all_of_it_once(arena: Arena, store: str) -> None:
    result = clean(scans.run(arena, store, kills=4, moments=scans.MOMENTS[3 + STORES.index(store) :: 8]))
    assert result.verdict.facts["commits of jobs"] > 0 and result.verdict.facts["SUCCESS"] > 0


@pytest.mark.timeout(240)
@pytest.mark.parametrize("store", STORES)
def test_whoever_is_told_of_jobs_under_fire_is_told_of_each_change(tmp_path: Path, store: str) -> None:
    moments = ("delivery_sent", webhooks.RANDOM) if store == "sqlite" else ("delivery_claimed", "leaving")
    result = clean(webhooks.run(Arena(tmp_path, SEED), store, changes=30, moments=moments))
    assert result.verdict.facts["job changes"] >= 30
    assert result.verdict.facts["requests"] > result.verdict.facts["changes to tell"]


@pytest.mark.timeout(240)
def test_a_server_whose_files_lie_in_a_bucket_keeps_every_word(arena: Arena) -> None:
    result = clean(bucket.run(arena, "sqlite", kills=2))
    assert result.verdict.facts["bookings_export"] > 0 and result.verdict.facts["commits of cleanups"] > 0


# -- the checker ---------------------------------------------------------------------------

JOB, OTHER = "job-1", "job-2"


class Story:
    """One job that was asked for, acknowledged, seen completed and committed: everything true."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(folder / "ledger.jsonl")
        self.statuses: dict[str, dict[str, Any]] = {JOB: status("completed")}
        self.totals: dict[str | None, int] = {}
        self.commits = [commit(0), commit(1, JOB)]
        self.submit("marker-1", JOB)
        self.see(JOB, "completed")

    def submit(self, marker: str, job: str | None, key: str | None = None) -> None:
        line = self.ledger.write(send="submit", marker=marker, key=key, body={"user_ids": [marker]})
        self.ledger.write(of=line, code=202 if job else None, job=job, state=None)

    def see(self, job: str, state: str | None, send: str = "read") -> None:
        line = self.ledger.write(send=send, job=job)
        self.ledger.write(of=line, code=200 if state else 404, job=job, state=state)

    def verdict(self) -> Verdict:
        found = Verdict()
        listed = frozenset(self.statuses)
        census = Census(listed, self.totals or {None: len(listed)}, self.statuses)
        history = History(found)
        history.read(self.ledger.path)
        history.compare(census)
        judge_jobs(found, census, self.commits)
        judge_lists(found, census)
        return found


def status(state: str, marker: str = "marker-1", **more: Any) -> dict[str, Any]:
    result = {"result": {"total_users": 1, "table_version": 1}} if state == "completed" else {}
    return {"status": state, "attempt": 1, "user_ids": ["user_000001", marker], "tag_ids": [1], **result, **more}


def commit(version: int, *jobs: str) -> Commit:
    return Commit(version, jobs, {"job_id": jobs[0]} if jobs else {}, (), ())


def test_a_true_story_is_clean(tmp_path: Path) -> None:
    assert not any(Story(tmp_path).verdict().counts.values())


def changed(story: Story, state: str, **more: Any) -> None:
    """The job ended otherwise; nobody had been told how."""
    story.ledger = Ledger(story.ledger.path.with_name("another.jsonl"))
    story.submit("marker-1", JOB)
    story.statuses[JOB] = status(state, **more)


def two_jobs(story: Story, marker: str) -> None:
    story.statuses[OTHER] = status("completed", marker, result={"total_users": 0})


FALSE: Mapping[str, tuple[str, Callable[[Story], object]]] = {
    "an acknowledged job is gone": ("lost", lambda story: story.statuses.clear() or story.commits.pop()),
    "an acknowledged job was unknown for a moment": ("lost", lambda story: story.see(JOB, None)),
    "a job committed twice": ("duplicated", lambda story: story.commits.append(commit(2, JOB))),
    "a request gave two jobs": ("duplicated", lambda story: two_jobs(story, "marker-1")),
    "a job came from nowhere": ("duplicated", lambda story: two_jobs(story, "marker-9")),
    "a commit belongs to no job": ("duplicated", lambda story: story.commits.append(commit(2, "job-9"))),
    "a job does not end": ("stuck", lambda story: changed(story, "running")),
    "a job is cancelled, and committed": ("lied", lambda story: changed(story, "cancelled")),
    "a job failed, and committed": ("lied", lambda story: changed(story, "failed", error="x")),
    "a job completed without a commit": ("lied", lambda story: story.commits.pop()),
    "a dry run committed": ("lied", lambda story: changed(story, "completed", dry_run=True)),
    "a completed job ran again": ("lied", lambda story: story.see(JOB, "running")),
    "a cancel was reported, and the job completed": ("lied", lambda story: story.see(JOB, "cancelled", "cancel")),
    "a total is not that of the list": ("wrong", lambda story: story.totals.update({None: 2})),
    "a job failed for no good reason": ("failed", lambda story: changed(story, "failed", error="internal error")),
}


@pytest.mark.parametrize("what", FALSE)
def test_a_false_story_is_seen_through(tmp_path: Path, what: str) -> None:
    kind, falsify = FALSE[what]
    story = Story(tmp_path)

    falsify(story)

    assert kind in KINDS
    assert story.verdict().counts[kind] > 0, list(story.verdict().evidence())


# -- the checker, of exports and cleanups ----------------------------------------------------


class Effects:
    """What one export and one cleanup left, and what was told of them: everything true."""

    def __init__(self, folder: Path) -> None:
        self.data = folder
        self.file = folder / "results" / "export" / "2" / "bookings_export.csv"
        self.leave(self.file, "a,b")
        self.leave(folder / "results" / "export" / "1.verdict", "")
        self.leave(folder / "results" / "export" / "2.verdict", "published")
        self.leave(folder / "results" / "cleanup" / "1" / "data_cleanup.json", "{}")
        self.leave(folder / "results" / "cleanup" / "1.verdict", "published")
        for table in CLEANED:
            self.commit(table, 0, "cleanup")
        told = {name: next(iter(files_of(folder / "results", name).values())) for name in ("export", "cleanup")}
        self.jobs = {
            "export": WorkerJob(1, "bookings_export", "completed", told["export"]),
            "cleanup": WorkerJob(2, "data_cleanup", "completed", told["cleanup"]),
        }

    def leave(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def commit(self, table: str, version: int, job: str) -> None:
        lines = [{"txn": {"appId": job, "version": 1}}, {"txn": {"appId": "cleaned", "version": 1}}]
        log = self.data / "cleaned" / table / "_delta_log" / f"{version:020}.json"
        self.leave(log, "\n".join(map(json.dumps, lines)))

    def change(self, job: str, **facts: Any) -> None:
        self.jobs[job] = replace(self.jobs[job], **facts)

    def verdict(self) -> Verdict:
        found = Verdict()
        judge_worker_jobs(found, self.jobs, self.data)
        return found


def test_true_files_and_commits_are_clean(tmp_path: Path) -> None:
    effects = Effects(tmp_path)
    assert effects.verdict().clean
    effects.jobs["earlier"] = replace(effects.jobs["cleanup"], number=0)
    effects.leave(tmp_path / "results" / "earlier" / "1" / "data_cleanup.json", "{}")
    effects.leave(tmp_path / "results" / "earlier" / "1.verdict", "published")
    assert effects.verdict().clean, "a later cleanup was there before it"


FALSE_FILES: Mapping[str, tuple[str, Callable[[Effects], object]]] = {
    "the file is gone": ("lied", lambda effects: effects.file.unlink()),
    "the file is not what was told": ("lied", lambda effects: effects.file.write_text("a;b")),
    "what was sent is not what was told": ("lied", lambda effects: effects.change("export", told=None)),
    "a cancelled export left a file": ("lied", lambda effects: effects.change("export", state="cancelled")),
    "a failed cleanup committed": ("lied", lambda effects: effects.change("cleanup", state="failed")),
    "a cleanup committed to seven tables": (
        "lied",
        lambda effects: shutil.rmtree(effects.data / "cleaned" / "users_removed"),
    ),
    "a cleanup committed twice": ("duplicated", lambda effects: effects.commit("users", 1, "cleanup")),
    "a job does not end": ("stuck", lambda effects: effects.change("export", state="processing")),
    "a job failed": ("failed", lambda effects: effects.change("export", state="failed", error="internal error")),
    "a file belongs to no job": ("wrong", lambda effects: effects.leave(effects.data / "results" / "x" / "y", "")),
    "staged files are left": ("wrong", lambda effects: effects.leave(effects.data / "results/.staging/export-1/y", "")),
    "an attempt left what it did not publish": (
        "wrong",
        lambda effects: effects.leave(effects.data / "results/export/1/y", ""),
    ),
    "two attempts have published": (
        "wrong",
        lambda effects: effects.leave(effects.data / "results/export/3.verdict", "published"),
    ),
    "the same export gave another file": (
        "wrong",
        lambda effects: effects.jobs.update(other=replace(effects.jobs["export"], told=(3, "another"))),
    ),
}


@pytest.mark.parametrize("what", FALSE_FILES)
def test_false_files_and_commits_are_seen_through(tmp_path: Path, what: str) -> None:
    kind, falsify = FALSE_FILES[what]
    effects = Effects(tmp_path)

    falsify(effects)

    assert effects.verdict().counts[kind] > 0, list(effects.verdict().evidence())


def test_a_worker_job_is_looked_for_by_its_acknowledgement(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    line = ledger.write(send="create", body={})
    ledger.write(of=line, code=201, job=JOB, error=None)
    found = Verdict()
    history = History(found)
    history.read(ledger.path)
    history.compare(Census(frozenset(), {}, {}, {OTHER: WorkerJob(1, "bookings_export", "completed")}))
    assert found.lost == [f"{JOB} is not listed"]
    assert found.duplicated == [f"{OTHER} was never asked for"]


def test_only_being_lost_too_often_is_a_good_reason_to_fail(tmp_path: Path) -> None:
    story = Story(tmp_path)
    changed(story, "failed", error="the process that ran it was lost 4 times")
    story.commits = [commit(0)]

    assert story.verdict().clean
