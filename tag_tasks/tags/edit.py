"""Changing the memberships of a few users: find the files that hold them, and rewrite only those.

Additions go into a small file of the tag, where there is one, so that a thousand jobs for two
users each leave the table with as many files as it had.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache, reduce

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tag_tasks.tags.evaluate import Verdicts
from tag_tasks.tags.table import Edit, MemberFile, MembershipTable, Snapshot, TagChange
from tagapi.jobs.task import TaskContext

SMALL = 20_000
"""Rows of a file that is kept decoded in memory once read, and that takes additions."""

SMALL_KEPT = 128
"""Small files kept decoded: at most some 100 MB, in practice a few."""


def edit_for_few(
    session: SparkSession,
    table: MembershipTable,
    base: Snapshot,
    verdicts: Verdicts,
    context: TaskContext,
    dry_run: bool,
) -> list[TagChange]:
    """The changes that make the table agree with the verdicts. Call it as the table's only writer."""
    finder = _Finder(session, table, base, verdicts)
    changes = []
    for done, (tag_id, matches) in enumerate(sorted(verdicts.matches.items()), start=1):
        places = finder.places(tag_id)
        members = {user for found in places.values() for user in found}
        entering = {user for user, match in matches.items() if match} - members
        leaving = members & {user for user, match in matches.items() if not match}
        edit = Edit()
        if not dry_run and (entering or leaving):
            edit = _edit(table, base, tag_id, entering, leaving, places, context)
        changes.append(TagChange(tag_id, sum(matches.values()), len(entering), len(leaving), edit))
        context.progress(done, len(verdicts.matches))
    return changes


def _edit(
    table: MembershipTable,
    base: Snapshot,
    tag_id: int,
    entering: set[str],
    leaving: set[str],
    places: dict[MemberFile, set[str]],
    context: TaskContext,
) -> Edit:
    """Rewrite the files that hold somebody who leaves, and one small file for those who enter."""
    going = [file for file, users in places.items() if users & leaving]
    if entering:
        smallest = min(base.of(tag_id), key=lambda file: file.rows, default=None)
        if smallest is not None and smallest.rows <= SMALL and smallest not in going:
            going.append(smallest)
    folder = table.stage(tag_id, context.attempt_name)
    coming = []
    for file in sorted(going, key=lambda file: file.rows, reverse=True):
        users = _read(table, file)
        staying = users.filter(pc.invert(pc.is_in(users, value_set=pa.array(leaving, users.type))))
        if entering and file.rows <= SMALL:  # the first small one takes all of them
            staying = _sorted(staying.to_pylist(), entering)
            entering = set()
        if len(staying):
            coming.append(table.write(tag_id, folder, staying))
    if entering:
        coming.append(table.write(tag_id, folder, _sorted([], entering)))
    return Edit(tuple(going), tuple(coming))


class _Finder:
    """Finds out which of the users each file of a tag holds."""

    def __init__(self, session: SparkSession, table: MembershipTable, base: Snapshot, verdicts: Verdicts) -> None:
        self._table = table
        self._base = base
        self._verdicts = verdicts
        self._in_large = self._search_large(session)

    def places(self, tag_id: int) -> dict[MemberFile, set[str]]:
        """The files that hold any of the users, and whom."""
        found = {}
        for file in self._candidates(tag_id):
            users = self._in_large.get(file.path, set())
            if file.rows <= SMALL:
                users = _among(_read(self._table, file), self._verdicts.matches[tag_id])
            if users:
                found[file] = users
        return found

    def _candidates(self, tag_id: int) -> list[MemberFile]:
        users = self._verdicts.matches[tag_id]
        return [file for file in self._base.of(tag_id) if any(map(file.may_hold, users))]

    def _search_large(self, session: SparkSession) -> dict[str, set[str]]:
        """One query over all large files: Spark skips the pages that cannot hold the users."""
        branches = []
        for tag_id, users in self._verdicts.matches.items():
            for file in self._candidates(tag_id):
                if file.rows > SMALL:
                    rows = session.read.parquet(self._table.uri(file)).filter(F.col("user_id").isin(list(users)))
                    branches.append(rows.select("user_id", F.lit(file.path).alias("path")))
        found: dict[str, set[str]] = {}
        if branches:
            for row in reduce(DataFrame.unionAll, branches).toArrow().to_pylist():
                found.setdefault(row["path"], set()).add(row["user_id"])
        return found


def _among(ids: pa.Array, users: Iterable[str]) -> set[str]:
    wanted = pa.array(list(users), ids.type)
    return set(wanted.filter(pc.is_in(wanted, value_set=ids)).to_pylist())


def _read(table: MembershipTable, file: MemberFile) -> pa.Array:
    return _read_small(table, file) if file.rows <= SMALL else table.read(file)


@lru_cache(maxsize=SMALL_KEPT)
def _read_small(table: MembershipTable, file: MemberFile) -> pa.Array:
    """A file never changes once it is written, so what was read stays true."""
    return table.read(file)


def _sorted(there: Sequence[str], entering: set[str]) -> pa.Array:
    return pa.array(sorted({*there, *entering}), pa.string())
