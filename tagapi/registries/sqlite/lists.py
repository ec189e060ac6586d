"""Lists and totals of a SQLite registry: rows beside the jobs, written in the same transaction.

`listed` has a row for each place of a job in a list, whose key is a digest there (`listing`); `tally`
counts these rows by blocks of job numbers, so that a total, and a numbered page, cost nearly the same at
any depth.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import apsw

from tagapi.jobs.lists import ListKey, moves
from tagapi.jobs.model import Job
from tagapi.registries.sqlite.tables import BLOCK

EACH = "SELECT value FROM json_each(?)"
TOTAL = f"(SELECT coalesce(sum(jobs), 0) FROM tally WHERE listing IN ({EACH}))"
"""How many jobs some lists have, given as digests of their keys; no two of them may share a job."""


def move(db: apsw.Connection, before: Job | None, after: Job | None) -> None:
    """Take a job from the lists that it leaves, put it into those that it enters, and count."""
    if job := after or before:
        left, entered = moves(before, after)
        if left or entered:
            db.execute("INSERT INTO moved VALUES (?, ?, ?)", (job.number, digests(left), digests(entered)))


def page(
    db: apsw.Connection, wanted: Sequence[ListKey], before: int | None, offset: int, limit: int, first: int
) -> tuple[int, list[int]]:
    """The total of the lists from number `first` on, and the job numbers of one page of their union, highest first."""
    blocks = _blocks(db, wanted, first)
    below, offset = _skipped(blocks, offset) if before is None else (before, offset)
    numbers: list[int] = []
    for digest in map(_digest, wanted):
        found = db.execute(
            "SELECT number FROM listed WHERE listing = ? AND number < ? AND number >= ? ORDER BY number DESC LIMIT ?",
            (digest, below, first, offset + limit),
        )
        numbers += [number for (number,) in found]
    return sum(jobs for _, jobs in blocks), sorted(numbers, reverse=True)[offset : offset + limit]


def above(db: apsw.Connection, wanted: Sequence[ListKey], after: int, limit: int) -> list[int]:
    """The lowest job numbers above `after` of the union of the lists, ascending."""
    numbers: list[int] = []
    for digest in map(_digest, wanted):
        found = db.execute(
            "SELECT number FROM listed WHERE listing = ? AND number > ? ORDER BY number LIMIT ?", (digest, after, limit)
        )
        numbers += [number for (number,) in found]
    return sorted(numbers)[:limit]


def _blocks(db: apsw.Connection, wanted: Sequence[ListKey], first: int) -> list[tuple[int, int]]:
    """Every block that has jobs of these lists from number `first` on, highest first, with how many."""
    listings, cut = digests(wanted), first // BLOCK
    whole = (
        f"SELECT block, sum(jobs) FROM tally WHERE listing IN ({EACH}) AND block >= ? GROUP BY block ORDER BY 1 DESC"
    )
    blocks: list[Any] = db.execute(whole, (listings, cut)).fetchall()
    if first % BLOCK and blocks and blocks[-1][0] == cut:  # the last one counts in part
        part = f"SELECT count(*) FROM listed WHERE listing IN ({EACH}) AND number >= ? AND number < ?"
        blocks[-1] = (cut, db.execute(part, (listings, first, (cut + 1) * BLOCK)).get)
    return blocks


def _skipped(blocks: Sequence[tuple[int, int]], offset: int) -> tuple[int, int]:
    """Skip whole blocks: the number below which to go on, and how much of the offset is then left."""
    for block, jobs in blocks:
        if offset < jobs:
            return (block + 1) * BLOCK, offset
        offset -= jobs
    return 0, 0


@lru_cache(100_000)
def _digest(key: ListKey) -> int:
    """The key of a list as a number of 63 bits, so that no table has to give it one."""
    state = None if key.state is None else key.state.value
    name = repr((key.namespace, key.owner, state, key.label)).encode()
    return int.from_bytes(blake2b(name, digest_size=8).digest()) >> 1


def digests(keys: Iterable[ListKey]) -> str:
    """As a statement takes many: JSON."""
    return _digests(frozenset(keys))


@lru_cache(10_000)
def _digests(keys: frozenset[ListKey]) -> str:
    return json.dumps([_digest(key) for key in keys])
