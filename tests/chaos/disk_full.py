"""The part `disk_full`: SQLite's files may not grow any more. Nothing is half written, and it goes on when they may.

The limit is one of the worker process alone (RLIMIT_FSIZE): Python ignores the signal that comes
with it, so that a write beyond it fails as on a full disk.
"""

from __future__ import annotations

import resource
import sqlite3
import time
from collections import Counter
from pathlib import Path

import psutil

from tests.chaos.ground import Arena, Ground
from tests.chaos.process import ChaosServer, open_store
from tests.chaos.report import Result
from tests.chaos.verdict import Verdict
from tests.e2e.server import until

FIRST = 20  # jobs before the disk is full
RUNNING = 10  # that are on their way when it is
MOST = 4000  # requests until it has to be noticed: a log that has just begun anew has room for some hundreds
ROOM = 64 * 1024  # bytes at least: the smaller files of the worker are not what is starved
READ_SECONDS = 3.0  # within which a read has to be answered


def run(arena: Arena, refusals: int) -> Result:
    began = time.monotonic()
    with open_store("sqlite", arena.folder) as store:
        ground = Ground(arena)
        server = ChaosServer(ground.folder, store)
        try:
            server.wait_alive()
            server.wait_ready()
            verdict, notes = _fill(ground, server, refusals)
            code = server.stop()
        finally:
            server.kill()
    verdict.failed += [f"the exit code is {code}"] if code else []
    return Result("disk_full", "sqlite", verdict, time.monotonic() - began, notes)


def _fill(ground: Ground, server: ChaosServer, refusals: int) -> tuple[Verdict, dict[str, object]]:
    wrong: list[str] = []
    for _ in range(FIRST):
        ground.submit(server)
    ground.finish(server)
    for _ in range(RUNNING):
        ground.submit(server)
    (worker,) = server.workers()
    database = ground.folder / "data" / "jobs.db"
    _limit(worker, max(ROOM, *(file.stat().st_size for file in database.parent.glob("jobs.db*"))))
    answers = _starve(ground, server, refusals, wrong)
    reads = _read(ground, server, wrong)
    # Nothing half written: exactly what was acknowledged is there, to the service and to anybody else.
    there = _count(server)
    if there != len(ground.load.acknowledged):
        wrong.append(f"{there} jobs are there, {len(ground.load.acknowledged)} were acknowledged")
    whole = [_integrity(database)]
    _limit(worker, resource.RLIM_INFINITY)
    recovery = _recover(ground, server)
    ground.finish(server)
    whole.append(_integrity(database))
    verdict = ground.verdict(server)
    verdict.failed += wrong
    verdict.wrong += [f"integrity_check says {one}" for one in whole if one != "ok"]
    if verdict.facts["accepted behind a refusal"]:
        verdict.lied.append("a request that was refused is there as a job")
    notes = {
        "answers to submits": ", ".join(f"{code}: {count}" for code, count in sorted(answers.items())),
        "answers to reads, a second after the last submit": dict(reads),
        "recovery": f"{recovery:.2f} s after there was room again",
        "integrity_check, full and after": ", ".join(whole),
    }
    return verdict, notes


def _limit(worker: psutil.Process, size: int) -> None:
    """What the worker's files may grow to; the hard limit stays, so that it can be raised again."""
    worker.rlimit(psutil.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def _starve(ground: Ground, server: ChaosServer, refusals: int, wrong: list[str]) -> Counter[int]:
    """Submit until so many were refused, each as it has to be."""
    answers: Counter[int] = Counter()
    slowest = 0.0
    while answers[503] < refusals and answers.total() < MOST:
        before = time.monotonic()
        answer = ground.load.submit(server, ground.mixture.small(ground.chance))
        slowest = max(slowest, time.monotonic() - before)
        if answer is None or answer.status_code not in (202, 503):
            wrong.append(f"a submit was answered with {answer and answer.status_code}")
            continue
        answers[answer.status_code] += 1
        if answer.status_code == 503 and not answer.headers.get("Retry-After"):
            wrong.append("a refusal without Retry-After")
    if answers[503] < refusals:
        wrong.append(f"the disk was full and {answers[202]} submits were accepted")
    if slowest > READ_SECONDS:
        wrong.append(f"a submit took {slowest:.1f} s")
    return answers


def _read(ground: Ground, server: ChaosServer, wrong: list[str]) -> Counter[int]:
    """Reads go on, though a moment after a write that failed they are told to come again."""
    answers: Counter[int] = Counter()
    time.sleep(1.0)
    for job in sorted(ground.load.acknowledged)[:FIRST]:
        answer = ground.load.read(server, job)
        answers[0 if answer is None else answer.status_code] += 1
        time.sleep(0.05)
    if not answers[200]:
        wrong.append(f"no read was answered while the disk was full: {dict(answers)}")
    return answers


def _count(server: ChaosServer) -> int:
    def look() -> int | None:
        answer = server.get("/api/v1/tasks", page_size=1)
        return int(answer.json()["total"]) if answer.status_code == 200 else None

    return until(look, "the list is answered", 10) or 0


def _recover(ground: Ground, server: ChaosServer) -> float:
    before = time.monotonic()

    def look() -> bool:
        answer = ground.load.submit(server, ground.mixture.small(ground.chance))
        return answer is not None and answer.status_code == 202

    until(look, "submits are accepted again", 15, every=0.1)
    return time.monotonic() - before


def _integrity(database: Path) -> str:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5)
    try:
        return "; ".join(row[0] for row in connection.execute("PRAGMA integrity_check"))
    finally:
        connection.close()
