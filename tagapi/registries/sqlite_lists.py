"""Lists and totals of a SQLite registry: rows beside the jobs, written in the same transaction.

`listed` has a row for each place of a job in a list; `tally` counts these rows by blocks of job
numbers, so that a total, and a numbered page, cost nearly the same at any depth.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

from tagapi.jobs.lists import Listing, moves
from tagapi.jobs.model import Job

BLOCK = 1024  # job numbers that share a row of the tally
EACH = "SELECT value FROM json_each(?)"


def place(db: sqlite3.Connection, before: Job | None, after: Job | None) -> None:
    """Take a job from the lists that it leaves, put it into those that it enters, and count."""
    job = after or before
    if job is None:
        return
    left, entered = moves(before, after)
    number, block = job.number, job.number // BLOCK
    # One statement for all listings: each one lets go of the interpreter, and has to come by it again.
    if left:
        keys = _keys(left)
        db.execute(f"DELETE FROM listed WHERE number = ? AND listing IN ({EACH})", (number, keys))
        db.execute(f"UPDATE tally SET jobs = jobs - 1 WHERE block = ? AND listing IN ({EACH})", (block, keys))
        db.execute(f"DELETE FROM tally WHERE jobs = 0 AND block = ? AND listing IN ({EACH})", (block, keys))
    if entered:
        keys = _keys(entered)
        db.execute("INSERT INTO listed SELECT value, ? FROM json_each(?)", (number, keys))
        counted = "INSERT INTO tally SELECT value, ?, 1 FROM json_each(?) WHERE true"
        db.execute(f"{counted} ON CONFLICT DO UPDATE SET jobs = jobs + 1", (block, keys))


def totals(db: sqlite3.Connection, *wanted: Sequence[Listing]) -> list[int]:
    """How many jobs each of these unions of listings has; no two listings of one union share a job."""
    keys = _keys(frozenset(listing for union in wanted for listing in union))
    counted = db.execute(f"SELECT listing, sum(jobs) FROM tally WHERE listing IN ({EACH}) GROUP BY listing", (keys,))
    jobs = dict(counted.fetchall())
    return [sum(jobs.get(_key(listing), 0) for listing in union) for union in wanted]


def page(
    db: sqlite3.Connection, wanted: Sequence[Listing], before: int | None, offset: int, limit: int
) -> tuple[int, list[int]]:
    """The total of the listings, and the job numbers of one page of their union, highest first."""
    blocks = _blocks(db, wanted)
    below, offset = _skipped(blocks, offset) if before is None else (before, offset)
    numbers: list[int] = []
    for key in map(_key, wanted):
        found = db.execute(
            "SELECT number FROM listed WHERE listing = ? AND number < ? ORDER BY number DESC LIMIT ?",
            (key, below, offset + limit),
        )
        numbers += [number for (number,) in found]
    return sum(jobs for _, jobs in blocks), sorted(numbers, reverse=True)[offset : offset + limit]


def _blocks(db: sqlite3.Connection, wanted: Sequence[Listing]) -> list[tuple[int, int]]:
    """Every block that has jobs of these listings, highest first, with how many."""
    counted = f"SELECT block, sum(jobs) FROM tally WHERE listing IN ({EACH}) GROUP BY block ORDER BY block DESC"
    return db.execute(counted, (_keys(frozenset(wanted)),)).fetchall()


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


@lru_cache(10_000)
def _keys(listings: frozenset[Listing]) -> str:
    """As a statement takes many."""
    return json.dumps([_key(listing) for listing in listings])
