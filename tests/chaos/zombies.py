"""The part `zombies`: a server that was frozen past its leases wakes up, and must find itself replaced.

Server A is frozen, its whole process group, right before or right after its attempt's point of
no return. Server B, which shares the registry and the data, takes the job over and completes
it. Then A is thawed: it may write nothing, commit nothing, and has to go on serving.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.chaos.failpoints import FREEZE, Order
from tests.chaos.ground import Arena, Ground
from tests.chaos.process import ChaosServer, Store, open_store
from tests.chaos.report import Result
from tests.chaos.table_log import commits_of, read_log
from tests.e2e.server import Late, until

FROZEN_AT = ("staged", "committing")
LEASE = {"TAGAPI_JOBS__LEASE_SECONDS": "1"}
TAKEN_OVER_SECONDS = 20.0
FENCED_SECONDS = 15.0
TRIES = 5  # until A, and not B, claims the job


def run(arena: Arena, store_name: str, zombies: int) -> Result:
    began = time.monotonic()
    done: Counter[str] = Counter()
    wrong: list[str] = []
    with open_store(store_name, arena.folder) as store, _two_servers(arena, store) as (ground, frozen, other):
        for number in range(zombies):
            at = FROZEN_AT[number % len(FROZEN_AT)]
            try:
                done.update(_wake(ground, frozen, other, at, wrong))
            except Late as late:
                wrong.append(f"zombie {number}, {at}: {late}")
                frozen.thaw()
        for server in (frozen, other):
            ground.finish(server)
        verdict = ground.verdict(other)
        codes = [frozen.stop(), other.stop()]
    verdict.failed += wrong
    verdict.failed += [f"the exit codes are {codes}"] if any(codes) else []
    notes = {"zombies": done["woken"], "what their logs say": dict(done - Counter(woken=done["woken"]))}
    return Result("zombies", store_name, verdict, time.monotonic() - began, notes)


@contextmanager
def _two_servers(arena: Arena, store: Store) -> Iterator[tuple[Ground, ChaosServer, ChaosServer]]:
    ground = Ground(arena)
    servers = [ChaosServer(ground.folder, store, name, **LEASE) for name in ("a", "b")]
    try:
        for server in servers:
            server.wait_alive()
            server.wait_ready()
        yield ground, servers[0], servers[1]
    finally:
        for server in servers:
            server.kill()


def _wake(ground: Ground, frozen: ChaosServer, other: ChaosServer, at: str, wrong: list[str]) -> Counter[str]:
    """One zombie, from its death to its second one."""
    job = _freeze(ground, frozen, at)
    try:
        until(lambda: other.status(job)["status"] == "completed", "the other server completes it", TAKEN_OVER_SECONDS)
        before, commits = other.status(job), _commits(ground.folder, job)
    finally:
        frozen.thaw()
    said = until(lambda: _said(frozen.log_file, job), "the zombie notices", FENCED_SECONDS)
    for server in (frozen, other):
        if (after := server.status(job)) != before:
            wrong.append(f"{job}, {at}: {before} became {after}")
    if (commits, _commits(ground.folder, job)) != (1, 1):
        wrong.append(f"{job}, {at}: {commits} commits before it woke, {_commits(ground.folder, job)} after")
    if before["attempt"] < 2:
        wrong.append(f"{job}, {at}: nobody took it over")
    served = ground.submit(frozen, dry_run=True)
    if frozen.wait(served, 20)["status"] != "completed":
        wrong.append(f"{served}: the woken server does not serve")
    return Counter(woken=1, **{said: 1})


def _freeze(ground: Ground, server: ChaosServer, at: str) -> str:
    """A job in whose attempt the server was frozen. The other server may be faster: then with another job."""
    server.orders.place(Order(at, do=FREEZE))
    for _ in range(TRIES):
        job = ground.submit(server)
        try:
            server.obeyed(5)
        except Late:
            continue
        until(server.frozen, "the whole group is frozen", 5, every=0.005)
        return job
    raise Late(f"the server meets no {at}")


def _commits(folder: Path, job: str) -> int:
    return commits_of(read_log(folder / "data" / "user_tags"))[job]


def _said(log_file: Path, job: str) -> str | None:
    """What the log of the woken server says of its attempt, once it has ended."""
    for line in reversed(log_file.read_text(encoding="utf-8").splitlines()):
        record: dict[str, Any] = json.loads(line)
        if record.get("job_id") != job:
            continue
        if record["event"] == "attempt_fenced":
            return "attempt_fenced"
        if record["event"] == "attempt_ended" and record.get("outcome") == "fenced":
            return "attempt_ended fenced"
    return None
