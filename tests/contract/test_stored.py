"""What an earlier release stored is read, listed, run and forgotten by this one; what a newer one stored is refused.

`stored/v1` was written by the last release whose values had no version, `v2` by the last one without lanes:
`stored/record.py` says how.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import apsw
import orjson
import pytest

from tagapi.jobs import changes
from tagapi.jobs.errors import KeyReused, StoreTooNew
from tagapi.jobs.lists import Query
from tagapi.jobs.model import Job, JobState, Request
from tagapi.jobs.registry import Bounds, IdempotencyKey, JobRegistry, new_token
from tagapi.jobs.schedules import Every, Schedule
from tagapi.jobs.webhooks import Webhook
from tagapi.registries import codec, open_registry, unusable
from tagapi.registries.redis.scripts import SCHEMA_VERSION as REDIS_VERSION
from tagapi.registries.sqlite.tables import SCHEMA_VERSION as SQLITE_VERSION
from tagapi.timetable import next_of
from tests.clock import ManualClock
from tests.contract.backends import valkey
from tests.contract.recount import assert_counters_agree, assert_lists_agree
from tests.contract.test_registry import at_once

STORED = Path(__file__).with_name("stored")
SINCE_1 = {"tries": 0, "doubts": 0, "claim_token": ""}
SINCE_2 = {"phases": [], "journal": [], "kept": None, "ending": None, "undos": 0, "left": None, "cause": None}
RETRY = {"retry_of": None, "kept_before": None, "asked": None}
"""What a job has that it had not in a release with this version."""
LEASE = timedelta(seconds=30)
ROOM = Bounds(queued=1000, queued_per_owner=1000)


@dataclass
class Release:
    """What one release has stored, and how it told the jobs itself."""

    version: int

    @property
    def folder(self) -> Path:
        return STORED / f"v{self.version}"

    @cached_property
    def told(self) -> Any:
        return orjson.loads((self.folder / "told.json").read_bytes())

    def jobs(self) -> list[Any]:
        """As this release tells them: with what has come since."""
        since = {**(SINCE_1 if self.version < 2 else {}), **SINCE_2}
        asked_since = {**({"request_id": None} if self.version < 2 else {}), "lane": None, **RETRY}
        return [
            {**job, **since, "request": {**job["request"], **asked_since}, "events": numbered(job["events"])}
            for job in self.told["jobs"]
        ]


def numbered(events: list[Any]) -> list[Any]:
    return [{**event, "number": number} for number, event in enumerate(events, 1)]


def copy_file(release: Release, folder: Path) -> str:
    shutil.copy(release.folder / "jobs.db", folder / "jobs.db")
    return f"sqlite:///{folder}/jobs.db"


def fill_redis(release: Release, _: Path) -> str:
    with valkey().client() as client:
        client.flushdb()
        for key, stored in orjson.loads((release.folder / "redis.json").read_bytes()).items():
            match stored:
                case {"hash": fields}:
                    client.hset(key, mapping=fields)
                case {"zset": members}:
                    client.zadd(key, dict(members))
                case {"set": members}:
                    client.sadd(key, *members)
                case {"string": text}:
                    client.set(key, text)
    return valkey().url


STORES = {"sqlite": copy_file, "redis": fill_redis}


@pytest.fixture(params=[1, 2], ids=["v1", "v2"])
def release(request: pytest.FixtureRequest) -> Release:
    return Release(request.param)


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, release: Release, tmp_path: Path) -> str:
    return STORES[request.param](release, tmp_path)


@pytest.fixture
def clock(release: Release) -> ManualClock:
    clock = ManualClock()
    clock.advance(release.told["seconds"])
    return clock


def opened(url: str, clock: ManualClock) -> JobRegistry:
    registry = open_registry(url)
    registry.now = clock.now  # type: ignore[method-assign]
    return registry


@pytest.fixture
def registry(url: str, clock: ManualClock) -> Iterator[JobRegistry]:
    with closing(opened(url, clock)) as registry:
        yield registry


def every_job(registry: JobRegistry) -> list[Job]:
    return list(registry.find(Query(limit=1000)).jobs)


def in_json(job: Job) -> Any:
    """Without tokens: they are random."""
    return orjson.loads(orjson.dumps(replace(job, token="", claim_token="")))


def names(kind: type[Job | Request]) -> set[str]:
    return {field.name for field in fields(kind)}


def test_every_fact_is_stored() -> None:
    """A new one needs a step in `versions.py`, and a release before it recorded."""
    assert set(codec.MOVING) == names(Job) - {"request", "number", "version"}
    assert set(codec.ASKED) == names(Request) - {"job_id"}


# -- an older release's ---------------------------------------------------------------------


def test_every_state_that_there_was_is_in_what_is_stored(release: Release) -> None:
    known = {state.value for state in JobState if state is not JobState.PARKED}
    assert {job["state"] for job in release.told["jobs"]} == known
    assert {job["state"] for job in release.told["jobs"] if job["commit_unsettled"]} == {"waiting", "running"}


def test_every_job_is_told_as_it_was(registry: JobRegistry, release: Release) -> None:
    assert [in_json(job) for job in every_job(registry)] == release.jobs()


def test_every_list_total_and_counter_is_right(registry: JobRegistry, clock: ManualClock) -> None:
    clock.advance(1)
    jobs = every_job(registry)
    assert_lists_agree(registry, jobs)
    assert_counters_agree(registry, jobs)


def test_every_key_still_finds_its_job(registry: JobRegistry, release: Release) -> None:
    for owner, route, value, job_id in release.told["keys"]:
        asked = replace(registry.get(job_id).request, job_id=new_token(), request_id="r1")
        key = IdempotencyKey(owner=owner, route=route, value=value)
        again = registry.add(asked, ROOM, key)
        assert (again.job.id, again.replayed) == (job_id, True)
        with pytest.raises(KeyReused):
            registry.add(replace(asked, arguments={}), ROOM, key)


def test_everything_goes_on(registry: JobRegistry, url: str, clock: ManualClock, release: Release) -> None:
    """Queued ones are claimed, leases lapse, doubts are settled, and all of it ends and is forgotten."""
    last = max(job["number"] for job in release.told["jobs"])
    new = registry.add(Request(job_id=new_token(), task="tags.compute", owner="ann", arguments={}), ROOM).job
    assert new.number == last + 1
    clock.advance(1000)
    for job in registry.active():
        registry.update(job.id, partial(changes.recover, max_recoveries=3))
    while (job := registry.claim("w2", LEASE)) is not None:
        end: Callable[..., Job] = changes.cancelled if job.cancel_requested else changes.succeed
        if job.commit_unsettled:
            end = changes.succeed
        registry.update(job.id, partial(end, epoch=job.epoch))
    clock.advance(1)
    jobs = every_job(registry)
    assert all(job.finished for job in jobs)
    with closing(opened(url, clock)) as reopened:
        assert every_job(reopened) == jobs
        assert_lists_agree(reopened, jobs)
        assert_counters_agree(reopened, jobs)
        reopened.forget(reopened.finished_before(clock.now(), 1000))
        assert every_job(reopened) == []
        owner, route, value, _ = release.told["keys"][0]
        again = Request(job_id=new_token(), task="tags.compute", owner=owner, arguments={})
        assert not reopened.add(again, ROOM, IdempotencyKey(owner=owner, route=route, value=value)).replayed


def test_a_store_that_had_no_schedules_takes_them(registry: JobRegistry, clock: ManualClock) -> None:
    now, timing = clock.now(), Every(seconds=60)
    facts = {"id": "s1", "task": "tags.compute", "owner": "ann", "arguments": {}, "created_at": now, "next_at": now}
    schedule = registry.schedules.add(Schedule(**facts, timing=timing), 1)
    begun = registry.schedules.begin(schedule.id, next_of, ROOM)
    assert begun is not None
    assert registry.get(begun.job.id) == begun.job == every_job(registry)[0]


def test_a_store_that_had_no_webhooks_takes_them(registry: JobRegistry, url: str, clock: ManualClock) -> None:
    facts = {"id": "w1", "owner": "ann", "url": "https://example.org/", "secret": b"s", "created_at": clock.now()}
    webhook = registry.outbox.add(Webhook(**facts, types=("job.started",)), 1)
    job = registry.add(Request(job_id=new_token(), task="tags.compute", owner="ann", arguments={}), ROOM).job
    registry.update(job.id, partial(changes.claim, worker="w2", lease=LEASE))
    with closing(opened(url, clock)) as reopened:
        assert list(reopened.outbox.every()) == [webhook]
        (delivery,) = reopened.outbox.find(webhook.id, None, 10).deliveries
    assert (delivery.job.id, delivery.type) == (job.id, "job.started")


def test_many_open_it_at_once_and_it_is_brought_up_to_date_once(url: str, clock: ManualClock, release: Release) -> None:
    registries = [opened(url, clock) for _ in range(8)]
    try:
        seen = at_once(len(registries), lambda n: [in_json(job) for job in every_job(registries[n])])
    finally:
        for registry in registries:
            registry.close()
    assert all(jobs == seen[0] and len(jobs) == len(release.told["jobs"]) for jobs in seen)
    assert version_of(url) == (REDIS_VERSION if url.startswith("redis") else SQLITE_VERSION)


def version_of(url: str) -> int:
    if url.startswith("redis"):
        with valkey().client() as client:
            return int(client.get("tagapi:schema") or 0)
    with closing(apsw.Connection(url.removeprefix("sqlite:///"))) as db:
        return int(db.pragma("user_version"))


# -- a newer release's ----------------------------------------------------------------------


def raise_version(url: str) -> None:
    if url.startswith("redis"):
        with valkey().client() as client:
            client.set("tagapi:schema", 1000)
        return
    with closing(apsw.Connection(url.removeprefix("sqlite:///"))) as db:
        db.pragma("user_version", 1000)


def test_what_a_newer_release_stored_is_refused_and_left_as_it_is(url: str, clock: ManualClock) -> None:
    raise_version(url)
    told = str(unusable(url))
    assert "newer release: its version is 1000" in told
    assert "Start that release again, or restore a copy" in told
    with closing(opened(url, clock)) as registry:
        for step in (registry.queued, partial(every_job, registry), partial(registry.claim, "w1", LEASE)):
            with pytest.raises(StoreTooNew):
                step()
    assert version_of(url) == 1000


def test_a_job_that_a_newer_release_wrote_meanwhile_is_not_guessed_at(
    registry: JobRegistry, url: str, clock: ManualClock, release: Release
) -> None:
    assert len(every_job(registry)) == len(release.told["jobs"])
    newer = '{"v": 1000}'
    if url.startswith("redis"):
        with valkey().client() as client:
            client.hset(f"tagapi:job:{release.told['jobs'][0]['request']['job_id']}", "moving", newer)
    else:
        with closing(apsw.Connection(url.removeprefix("sqlite:///"))) as db:
            db.execute(
                "UPDATE jobs SET moving = ? WHERE number = ?", (newer.encode(), release.told["jobs"][0]["number"])
            )
    with pytest.raises(StoreTooNew):
        every_job(registry)
