"""Changing the memberships of a few users: find the files that hold them, and rewrite only those.

Additions go into a small file of the tag, where there is one, so that a thousand jobs for two
users each leave the table with as many files as it had.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    held = holders(session, table, base, verdicts.matches)
    changes = []
    for done, (tag_id, matches) in enumerate(sorted(verdicts.matches.items()), start=1):
        places = held[tag_id]
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


def holders(
    session: SparkSession, table: MembershipTable, base: Snapshot, wanted: Mapping[int, Iterable[str]]
) -> dict[int, dict[MemberFile, set[str]]]:
    """By tag: the files that hold any of its wanted users, and whom. Small files are looked up in memory."""
    found: dict[int, dict[MemberFile, set[str]]] = {tag_id: {} for tag_id in wanted}
    large: dict[MemberFile, list[str]] = {}
    for tag_id, users in wanted.items():
        for file in base.of(tag_id):
            possible = [user for user in users if file.may_hold(user)]
            if possible and file.rows > SMALL:
                large[file] = possible
            elif possible and (held := _among(_read(table, file), possible)):
                found[tag_id][file] = held
    for file, held in _search(session, table, large).items():
        found[file.tag_id][file] = held
    return found


def _search(
    session: SparkSession, table: MembershipTable, large: Mapping[MemberFile, list[str]]
) -> dict[MemberFile, set[str]]:
    """One query over all large files: Spark skips the pages that cannot hold the users."""
    files = list(large)
    branches = [
        session.read.parquet(table.uri(file))
        .filter(F.col("user_id").isin(large[file]))
        .select("user_id", F.lit(number).alias("file"))
        for number, file in enumerate(files)
    ]
    found: dict[MemberFile, set[str]] = {}
    for row in reduce(DataFrame.unionAll, branches).collect() if branches else ():
        found.setdefault(files[row["file"]], set()).add(row["user_id"])
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
