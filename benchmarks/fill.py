"""A registry with many jobs, made in a minute: written as the registry writes them, but thousands in one go."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from uuid import UUID

import apsw

from tagapi.jobs import changes
from tagapi.jobs.lists import moves
from tagapi.jobs.model import Job, Request
from tagapi.registries import open_registry
from tagapi.registries.codec import dump_moving, dump_request, micros
from tagapi.registries.redis.names import list_name
from tagapi.registries.redis.registry import RedisRegistry
from tagapi.registries.sqlite.registry import ADMIT, SqliteRegistry, admission

BATCH = 5000
LEASE = timedelta(seconds=30)


def fill(url: str, first: int, last: int, finished: bool) -> None:
    """Put the jobs with these numbers into the store, finished just now or queued."""
    registry = open_registry(url)
    jobs = _jobs(first, last, finished)
    while batch := list(islice(jobs, BATCH)):
        match registry:
            case SqliteRegistry():
                registry._write(partial(_into_sqlite, jobs=batch))
            case RedisRegistry():
                _into_redis(registry, batch)
    registry.close()


def _jobs(first: int, last: int, finished: bool) -> Iterator[Job]:
    now = datetime.now(UTC)
    arguments = {"tag_ids": [1], "user_ids": ["user_000001"], "mode": "full", "dry_run": False, "diff": False}
    for number in range(first, last + 1):
        request = Request(
            job_id=str(UUID(int=number, version=4)),
            task="tags.compute",
            owner="local",
            arguments=arguments,
            labels=("tag:1",),
        )
        job = changes.accept(request, now, number)
        if finished:
            job = changes.claim(job, now, worker="bench", lease=LEASE)
            job = changes.begin_commit(job, now, epoch=job.epoch, result={"total_users": 1})
            job = changes.succeed(job, now, epoch=job.epoch)
        yield job


def _into_sqlite(db: apsw.Connection, jobs: list[Job]) -> None:
    db.executemany(ADMIT, [admission(job, dump_request(job.request), None) for job in jobs])


def _into_redis(registry: RedisRegistry, jobs: list[Job]) -> None:
    pipeline = registry._redis.pipeline(transaction=False)
    for job in jobs:
        fields = {"number": job.number, "version": job.version, "moving": dump_moving(job), "key": ""}
        pipeline.hset(f"tagapi:job:{job.id}", mapping={**fields, "request": dump_request(job.request)})
        pipeline.hset("tagapi:ids", str(job.number), job.id)
        for key in moves(None, job)[1]:
            pipeline.zadd(f"tagapi:list:{list_name(key)}", {str(job.number): job.number})
        name, moment = ("finished", job.finished_at) if job.finished_at else ("due", job.submitted_at)
        pipeline.zadd(f"tagapi:{name}", {f"{job.number:016d}": micros(moment)})
    pipeline.set("tagapi:numbers", jobs[-1].number)
    pipeline.execute()
