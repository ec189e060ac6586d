"""The part `zombies`: a server that was frozen past its leases wakes up, and must find itself replaced.

Server A is frozen, its whole process group: right before or right after its attempt's point of no
return, or before the attempt has done anything. Server B, which shares the registry and the data,
takes the job over and completes it. Then A is thawed: it may write nothing, commit nothing, and
has to go on serving. An attempt that had done nothing wakes while B is in the middle of the work,
so that it could harm what B has staged. The jobs are of all kinds: tags, exports and cleanups.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.failpoints import FREEZE, HOLD, Order
from tests.chaos.ground import Arena, Ground
from tests.chaos.process import ChaosServer, Store, open_store
from tests.chaos.report import Result
from tests.chaos.table_log import commits_of, read_log
from tests.chaos.worker_jobs import CLEANUP, EXPORT, cleaned_commits, files_of, worker_status
from tests.e2e.server import Client, Late, until

FROZEN_AT = ("staged", "after_claim", "committing")
HELD_SECONDS = 4.0  # that B is in the middle of the work, while A wakes up and finds out
LEASE = {"TAGAPI_JOBS__LEASE_SECONDS": "1"}
TAKEN_OVER_SECONDS = 20.0
FENCED_SECONDS = 15.0
TRIES = 5  # until A, and not B, claims the job


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of job."""

    name: str
    submit: Callable[[Ground, Client], str]
    status: Callable[[Client, str], dict[str, Any]]
    effects: Callable[[Path, str], Sequence[int]]
    """How often the job is in each place that it changes: once everywhere, in the end."""


def _tag_commits(data: Path, job: str) -> Sequence[int]:
    return [commits_of(read_log(data / "user_tags"))[job]]


def _result_files(data: Path, job: str) -> Sequence[int]:
    return [len(files_of(data / "results", job))]


def _cleaned_commits(data: Path, job: str) -> Sequence[int]:
    return [made[job] for made in cleaned_commits(data).values()]


KINDS = (
    Kind("tags", Ground.submit, Client.status, _tag_commits),
    Kind("export", lambda ground, client: ground.create(client, EXPORT), worker_status, _result_files),
    Kind("cleanup", lambda ground, client: ground.create(client, CLEANUP), worker_status, _cleaned_commits),
)


def _which(number: int) -> tuple[Kind, str]:
    """In nine turns each kind is frozen at each moment; in three of them, each kind and each moment comes once."""
    turns = len(KINDS)
    return KINDS[number % turns], FROZEN_AT[(number + number // turns) % len(FROZEN_AT)]


def run(arena: Arena, store_name: str, zombies: int, first: int = 0) -> Result:
    """The turns begin with the `first`."""
    began = time.monotonic()
    done: Counter[str] = Counter()
    wrong: list[str] = []
    with open_store(store_name, arena.folder) as store, _two_servers(arena, store) as (ground, frozen, other):
        for number in range(first, first + zombies):
            kind, at = _which(number)
            try:
                done.update(_wake(ground, frozen, other, kind, at, wrong))
            except Late as late:
                wrong.append(f"zombie {number}, {kind.name} {at}: {late}")
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


def _wake(
    ground: Ground, frozen: ChaosServer, other: ChaosServer, kind: Kind, at: str, wrong: list[str]
) -> Counter[str]:
    """One zombie, from its death to its second one."""
    job, data = _freeze(ground, frozen, kind, at), ground.folder / "data"

    def completed() -> bool:
        return bool(kind.status(other, job)["status"] == "completed")

    def finished() -> dict[str, Any]:
        until(completed, "the other server completes it", TAKEN_OVER_SECONDS)
        return kind.status(other, job)

    before: dict[str, Any] | None = None
    try:
        if at == "after_claim":
            other.orders.place(Order("mid_run", do=HOLD, seconds=HELD_SECONDS))
            other.obeyed(TAKEN_OVER_SECONDS)
        else:
            before = finished()
    finally:
        frozen.thaw()
    said = until(lambda: _said(frozen.log_file, job), "the zombie notices", FENCED_SECONDS)
    before = before or finished()
    for server in (frozen, other):
        if (after := kind.status(server, job)) != before:
            wrong.append(f"{job}, {kind.name} {at}: {before} became {after}")
    if any(count != 1 for count in kind.effects(data, job)):
        wrong.append(f"{job}, {kind.name} {at}: its effects are there {kind.effects(data, job)} times")
    if before["attempt"] < 2:
        wrong.append(f"{job}, {kind.name} {at}: nobody took it over")
    served = ground.submit(frozen, dry_run=True)
    if frozen.wait(served, 20)["status"] != "completed":
        wrong.append(f"{served}: the woken server does not serve")
    return Counter(woken=1, **{said: 1})


def _freeze(ground: Ground, server: ChaosServer, kind: Kind, at: str) -> str:
    """A job in whose attempt the server was frozen. The other server may be faster: then with another job."""
    server.orders.place(Order(at, do=FREEZE))
    for _ in range(TRIES):
        job = kind.submit(ground, server)
        try:
            server.obeyed(5)
        except Late:
            continue
        until(server.frozen, "the whole group is frozen", 5, every=0.005)
        return job
    raise Late(f"the server meets no {at}")


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
