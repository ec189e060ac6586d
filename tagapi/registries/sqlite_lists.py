"""Lists and totals of a SQLite registry: rows beside the jobs, written in the same transaction.

`listed` has a row for each place of a job in a list; `tally` counts these rows by blocks of job
numbers, so that a total, and a numbered page, cost nearly the same at any depth.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

from tagapi.jobs.model import Job
from tagapi.jobs.registry import Listing, moves

BLOCK = 1024  # job numbers that share a row of the tally
NO_NUMBER = 2**62  # above every job's


def place(db: sqlite3.Connection, before: Job | None, after: Job | None) -> None:
    """Take a job from the lists that it leaves, put it into those that it enters, and count."""
    job = after or before
    if job is None:
        return
    left, entered = ([_key(listing) for listing in side] for side in moves(before, after))
    number, block = job.number, job.number // BLOCK
    db.executemany("DELETE FROM listed WHERE listing = ? AND number = ?", [(key, number) for key in left])
    db.executemany("UPDATE tally SET jobs = jobs - 1 WHERE listing = ? AND block = ?", [(key, block) for key in left])
    db.executemany("DELETE FROM tally WHERE listing = ? AND block = ? AND jobs = 0", [(key, block) for key in left])
    db.executemany("INSERT INTO listed VALUES (?, ?)", [(key, number) for key in entered])
    db.executemany(
        "INSERT INTO tally VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET jobs = jobs + 1",
        [(key, block) for key in entered],
    )


def total(db: sqlite3.Connection, wanted: Sequence[Listing]) -> int:
    """How many jobs these listings have, no two of which share one."""
    return sum(jobs for _, jobs in _blocks(db, [_key(listing) for listing in wanted]))


def page(
    db: sqlite3.Connection, wanted: Sequence[Listing], before: int | None, offset: int, limit: int
) -> tuple[int, list[int]]:
    """The total of the listings, and the job numbers of one page of their union, highest first."""
    keys = [_key(listing) for listing in wanted]
    blocks = _blocks(db, keys)
    below = NO_NUMBER
    if before is not None:
        below = before
    else:
        below, offset = _skipped(blocks, offset)
    numbers: list[int] = []
    for key in keys:
        found = db.execute(
            "SELECT number FROM listed WHERE listing = ? AND number < ? ORDER BY number DESC LIMIT ?",
            (key, below, offset + limit),
        )
        numbers += [number for (number,) in found]
    return sum(jobs for _, jobs in blocks), sorted(numbers, reverse=True)[offset : offset + limit]


def _blocks(db: sqlite3.Connection, keys: Sequence[int]) -> list[tuple[int, int]]:
    """Every block that has jobs of these listings, highest first, with how many."""
    marks = ", ".join("?" * len(keys))
    rows = f"SELECT block, sum(jobs) FROM tally WHERE listing IN ({marks}) GROUP BY block ORDER BY block DESC"  # noqa: S608
    return db.execute(rows, keys).fetchall()


def _skipped(blocks: Sequence[tuple[int, int]], offset: int) -> tuple[int, int]:
    """Skip whole blocks: the number below which to go on, and how much of the offset is then left."""
    for block, jobs in blocks:
        if offset < jobs:
            return (block + 1) * BLOCK, offset
        offset -= jobs
    return 0, 0


@lru_cache(100_000)
def _key(listing: Listing) -> int:
    """A listing as a number of 63 bits: a digest, so that no table has to give it one."""
    state = None if listing.state is None else listing.state.value
    name = repr((listing.namespace, listing.owner, state, listing.label)).encode()
    return int.from_bytes(blake2b(name, digest_size=8).digest()) >> 1
