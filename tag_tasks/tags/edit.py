"""Changing the memberships of some users: find the files that hold them, and rewrite only those.

Small files are read, searched and written here, with Arrow; large ones by Spark. Additions go
into a small file of the tag, where there is one, so that a thousand jobs for two users each
leave the table with as many files as it had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial, reduce

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tag_tasks.tags.model import Edit, MemberFile, Snapshot, TagChange
from tag_tasks.tags.parallel import change_tags
from tag_tasks.tags.table import MembershipTable
from tag_tasks.tags.verdicts import Verdicts
from tagapi.jobs.task import TaskContext

SMALL = 20_000
"""Rows of a file that is kept decoded in memory once read, and that takes additions."""

SMALL_KEPT = 128
"""Small files kept decoded: at most some 100 MB, in practice a few."""

NAMED = 1000
"""Users up to which a query names each, and skips what cannot hold them; more are joined with."""


class Editor:
    """Makes the table agree with verdicts. Call it as the table's only writer."""

    def __init__(
        self, session: SparkSession, table: MembershipTable, base: Snapshot, context: TaskContext, dry_run: bool
    ) -> None:
        self._session = session
        self._table = table
        self._base = base
        self._context = context
        self._dry_run = dry_run

    def edit(self, verdicts: Verdicts) -> list[TagChange]:
        """The changes, one for each tag of the verdicts. In a dry run they are counted only."""
        decided = {tag_id: verdicts.of(tag_id) for tag_id in verdicts.tag_ids}
        scopes = {tag_id: pa.concat_arrays(both) for tag_id, both in decided.items()}
        held = holders(self._session, self._table, self._base, scopes)
        work = [partial(self._tag, tag_id, *decided[tag_id], held[tag_id]) for tag_id in sorted(decided)]
        return change_tags(self._session, self._context, work)

    def _tag(
        self, tag_id: int, matching: pa.Array, failing: pa.Array, held: Mapping[MemberFile, pa.Array]
    ) -> TagChange:
        members = pa.concat_arrays([pa.array([], pa.string()), *held.values()])
        entering = _without(matching, members)
        leaving = _within(members, failing)
        edit = Edit()
        if not self._dry_run and (len(entering) or len(leaving)):
            affected = [file for file, users in held.items() if len(_within(users, leaving))]
            edit = self._edit(tag_id, entering, leaving, affected)
        return TagChange(tag_id, len(matching), len(entering), len(leaving), edit)

    def _edit(self, tag_id: int, entering: pa.Array, leaving: pa.Array, affected: list[MemberFile]) -> Edit:
        """Rewrite the files that hold somebody who leaves; those who enter go into a small one."""
        folder = self._table.stage(tag_id, self._context.attempt_name)
        small = [file for file in affected if file.rows <= SMALL]
        large = [file for file in affected if file.rows > SMALL]
        if len(entering) and not small:
            takers = [file for file in self._base.of(tag_id) if file.rows <= SMALL]
            small = [min(takers, key=lambda file: file.rows)] if takers else []
        staying = [_without(_read(self._table, file), leaving) for file in small]
        users = pa.concat_arrays([*staying, entering])
        coming: list[MemberFile] = []
        if len(users):
            coming.append(self._table.write(tag_id, folder, users.take(pc.sort_indices(users))))
        if large:
            coming += self._rewrite_large(tag_id, large, leaving, f"{folder}/kept")
        return Edit((*small, *large), tuple(coming))

    def _rewrite_large(
        self, tag_id: int, files: Sequence[MemberFile], leaving: pa.Array, folder: str
    ) -> tuple[MemberFile, ...]:
        kept = self._session.read.parquet(*(self._table.uri(file) for file in files))
        if len(leaving) <= NAMED:
            kept = kept.filter(~F.col("user_id").isin(leaving.to_pylist()))
        else:
            kept = kept.join(frame(self._session, leaving), "user_id", "left_anti")
        kept.select("user_id").write.mode("overwrite").parquet(f"{self._table.path}/{folder}")
        return self._table.staged(tag_id, folder)


def holders(
    session: SparkSession, table: MembershipTable, base: Snapshot, wanted: Mapping[int, pa.Array]
) -> dict[int, dict[MemberFile, pa.Array]]:
    """By tag: the files that hold any of its wanted users, and whom."""
    found: dict[int, dict[MemberFile, pa.Array]] = {tag_id: {} for tag_id in wanted}
    large: list[MemberFile] = []
    for tag_id, users in wanted.items():
        named = users.to_pylist() if len(users) <= NAMED else None
        for file in base.of(tag_id):
            if named is not None and not any(map(file.may_hold, named)):
                continue
            if file.rows > SMALL:
                large.append(file)
            elif len(held := _within(_read(table, file), users)):
                found[tag_id][file] = held
    for file, held in _search(session, table, large, wanted).items():
        found[file.tag_id][file] = held
    return found


def _search(
    session: SparkSession, table: MembershipTable, files: Sequence[MemberFile], wanted: Mapping[int, pa.Array]
) -> dict[MemberFile, pa.Array]:
    """Look into the large files with one query for each number of users: named ones let Spark skip pages."""
    found: dict[MemberFile, pa.Array] = {}
    branches = []
    for number, file in enumerate(files):
        rows = session.read.parquet(table.uri(file)).select("user_id", F.lit(number).alias("file"))
        if len(wanted[file.tag_id]) <= NAMED:
            rows = rows.filter(F.col("user_id").isin(wanted[file.tag_id].to_pylist()))
        branches.append(rows)
    if not branches:
        return found
    rows = reduce(DataFrame.unionAll, branches)
    many = [users for users in wanted.values() if len(users) > NAMED]
    if many:  # a superset for each tag is enough: what was not wanted of it is dropped below
        rows = rows.join(frame(session, pc.unique(pa.chunked_array([*wanted.values()]))), "user_id", "left_semi")
    table_of = rows.toArrow() if many else pa.Table.from_pylist([row.asDict() for row in rows.collect()], HITS)
    for number in pc.unique(table_of["file"]).to_pylist():
        file = files[number]
        held = table_of.filter(pc.equal(table_of["file"], number))["user_id"].combine_chunks().cast(pa.string())
        if len(held := _within(held, wanted[file.tag_id])):
            found[file] = held
    return found


HITS = pa.schema([("user_id", pa.string()), ("file", pa.int32())])


def frame(session: SparkSession, users: pa.Array) -> DataFrame:
    """Users as a data frame: `user_id`."""
    return session.createDataFrame(pa.table({"user_id": users}))


def _within(users: pa.Array, those: pa.Array) -> pa.Array:
    return users.filter(pc.is_in(users, value_set=those))


def _without(users: pa.Array, those: pa.Array) -> pa.Array:
    return users.filter(pc.invert(pc.is_in(users, value_set=those)))


def _read(table: MembershipTable, file: MemberFile) -> pa.Array:
    return _read_small(table, file) if file.rows <= SMALL else table.read(file)


@lru_cache(maxsize=SMALL_KEPT)
def _read_small(table: MembershipTable, file: MemberFile) -> pa.Array:
    """A file never changes once it is written, so what was read stays true."""
    return table.read(file)
