"""Writes down what a release stores: `python record.py <folder>`, run in a checkout of that release.

    git worktree add /tmp/release <commit>
    cd /tmp/release && PYTHONPATH=. python <here>/record.py <here>/v<its version>

Leaves `jobs.db`, `redis.json` (what is below each key), and `told.json`: every job as that release tells
it. It uses nothing of a registry but what every release has, so that the next one can be recorded too.
`v1` was written so by the code of d15951d, `v2` by that of a47e3e0.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import apsw
import orjson
import redis

from tagapi.jobs import changes
from tagapi.jobs.lists import Query
from tagapi.jobs.model import Job, Progress, Request
from tagapi.jobs.registry import Bounds, IdempotencyKey, JobRegistry
from tagapi.registries import open_registry
from tests.clock import ManualClock
from tests.valkey import Valkey

LEASE = timedelta(seconds=30)
ROOM = Bounds(queued=1000, queued_per_owner=1000)
RESULT = {"total_users": 3, "tags": [{"tag_id": 1, "matched_users": 2}]}
LATER = timedelta(seconds=600)

Step = Callable[..., Job]
advance = partial(changes.advance, progress=Progress(done=1, total=4))
begin_commit = partial(changes.begin_commit, result=RESULT)
retry = partial(changes.retry, delay=timedelta(), reason="the Spark server was lost")
retry_later = partial(changes.retry, delay=LATER, reason="the Spark server was lost")
succeed = partial(changes.succeed, result=RESULT)
fail = partial(changes.fail, reason="there is no table users")

WAYS: list[list[Step | str]] = [
    ["claim", succeed, "forget"],  # so that a number is missing
    ["claim", advance, begin_commit, changes.succeed],
    ["claim", succeed],
    ["claim", fail],
    ["cancel"],
    ["claim", "cancel", changes.cancelled],
    ["claim", retry, "claim", retry, "claim", advance, fail],
    ["claim", advance, retry_later],
    ["claim", begin_commit, retry_later],
    ["claim", begin_commit, retry, "claim"],
    ["claim", begin_commit, retry, "claim", "cancel"],
    ["claim", begin_commit, "lapse"],
    ["claim", "lapse", "claim", advance],
    ["claim", changes.release],
    ["claim", begin_commit],
    ["claim", "cancel"],
    ["claim", advance],
    [],
    [],
]
"""What happens to each job, one after the other; what is left over from an earlier one is claimed by a later one."""


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    wal = folder / "wal.db"
    told = record(open_registry(f"sqlite:///{wal}"))
    (folder / "jobs.db").unlink(missing_ok=True)
    with closing(apsw.Connection(str(wal))) as db:
        db.execute("VACUUM INTO ?", (str(folder / "jobs.db"),))
    for left in folder.glob("wal.db*"):
        left.unlink()
    with Valkey() as server:
        assert told == record(open_registry(server.url)), "both stores hold the same"
        with server.client() as client:
            stored = {key.decode(): _below(client, key) for key in sorted(client.keys())}
    (folder / "redis.json").write_bytes(orjson.dumps(stored, option=orjson.OPT_INDENT_2))
    (folder / "told.json").write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2))


def record(registry: JobRegistry) -> dict[str, Any]:
    clock = ManualClock()
    registry.now = clock.now  # type: ignore[method-assign]
    keys = []
    for number, way in enumerate(WAYS, 1):
        request = Request(
            job_id=str(UUID(int=number, version=4)),
            task=("tags.compute", "workers.export")[number % 2],
            owner=("ann", "bob")[number % 3 == 0],
            arguments={"user_ids": [f"user_{n:06}" for n in range(number)], "имя": None, "dry_run": False},
            labels=("tag:1", "tag:2")[: number % 3],
        )
        key = IdempotencyKey(owner=request.owner, route="/api/v1/tags/trigger", value=f"key-{number}")
        registry.add(request, ROOM, key if number % 2 else None)
        if number % 2 and "forget" not in way:
            keys.append([key.owner, key.route, key.value, request.job_id])
        for step in way:
            clock.advance(0.25)
            _take(registry, clock, request.job_id, step)
        for job in registry.active():
            registry.update(job.id, partial(changes.renew, epoch=job.epoch, lease=LEASE))
    jobs = [_told(job) for job in registry.find(Query(limit=1000)).jobs]
    registry.close()
    return {"seconds": clock.seconds, "jobs": jobs, "keys": keys}


def _take(registry: JobRegistry, clock: ManualClock, job_id: str, step: Step | str) -> None:
    match step:
        case "claim":  # this job, whatever else is due
            registry.update(job_id, partial(changes.claim, worker="w1", lease=LEASE))
        case "cancel":
            registry.update(job_id, changes.request_cancel)
        case "forget":
            registry.forget([job_id])
        case "lapse":
            clock.advance(LEASE.total_seconds())
            registry.update(job_id, partial(changes.recover, max_recoveries=3))
        case _:
            registry.update(job_id, partial(step, epoch=registry.get(job_id).epoch))  # type: ignore[arg-type]


def _told(job: Job) -> dict[str, Any]:
    """Without tokens: they are random, and nobody is told them."""
    facts: dict[str, Any] = orjson.loads(orjson.dumps(job))
    return {name: "" if name.endswith("token") else fact for name, fact in facts.items()}


def _below(client: redis.Redis, key: bytes) -> Any:
    match client.type(key):
        case b"hash":
            return {"hash": {name.decode(): value.decode() for name, value in client.hgetall(key).items()}}
        case b"zset":
            scores = client.zrange(key, 0, -1, withscores=True)
            return {"zset": [[member.decode(), int(score)] for member, score in scores]}
        case b"set":
            return {"set": sorted(member.decode() for member in client.smembers(key))}
    return {"string": client.get(key).decode()}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
