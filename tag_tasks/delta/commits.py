"""Commits that say whose they are: made on exactly one version, found again by their job, fenced off, vacuumed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction

from tagapi.jobs.errors import Contended

PROPERTIES: Mapping[str, str] = {
    # A job's transaction must outlive its doubts; those without a time never expire.
    "delta.setTransactionRetentionDuration": "interval 30 days",
    "delta.logRetentionDuration": "interval 7 days",
    "delta.deletedFileRetentionDuration": "interval 2 days",
    "delta.checkpointInterval": "50",
}
FASTER = "the table changed while it was written"
FENCE = "fence commit"
FENCES = frozenset({FENCE, "SHUT THE DOOR"})  # the second is what earlier releases wrote
UPKEEP_OPERATIONS = frozenset({"VACUUM START", "VACUUM END"})


def opened(path: str, schema: pa.Schema | Schema, partition_by: Sequence[str] = ()) -> DeltaTable:
    """The table, which is made where it is not there."""
    try:
        return DeltaTable.create(
            path,
            schema,
            mode="ignore",
            partition_by=list(partition_by) or None,
            configuration=dict(PROPERTIES),
        )
    except CommitFailedError:  # somebody else made it at the same moment
        return DeltaTable(path)


def commit(
    table: DeltaTable,
    actions: Sequence[AddAction | RemoveAction],
    metadata: Mapping[str, Any],
    transactions: Sequence[Transaction],
    mode: Literal["append", "overwrite"] = "append",
    schema: Schema | None = None,
) -> None:
    """Commit on top of the version that the table has here. Raises Contended where somebody else was faster."""
    # With delta-rs's own retries a commit computed on an older version would go through.
    properties = CommitProperties(
        custom_metadata=dict(metadata), max_commit_retries=0, app_transactions=list(transactions)
    )
    columns = table.metadata().partition_columns
    try:
        table.create_write_transaction(
            list(actions), mode, schema or table.schema(), columns, commit_properties=properties
        )
    except CommitFailedError as error:
        raise Contended(reason=FASTER) from error


def of_job(job_id: str, now: int, step: int = 1) -> Transaction:
    """What says that the job's commit is there, or that of its so-manieth step; `now` is in milliseconds."""
    return Transaction(job_id, step, now)


def steps(table: DeltaTable, job_id: str) -> int:
    """How many steps of the job are there."""
    return table.transaction_version(job_id) or 0


def has(table: DeltaTable, job_id: str, step: int = 1) -> bool:
    return steps(table, job_id) >= step


def fenced(table: DeltaTable, job_id: str) -> bool:
    """Whether the job's commit is there; where it is not, with a fence behind the newest version.

    A commit that is still on its way was prepared for the version that the table had; the fence
    commit, which is empty, takes that version's place, so that the late one is refused.
    """
    if has(table, job_id):
        return True
    commit(table, [], {"purpose": FENCE, "job_id": job_id}, [])
    table.update_incremental()
    return has(table, job_id)


def fenced_since(table: DeltaTable, job_id: str, version: int) -> bool:
    """Whether somebody was told, after this version, that the job's commit is not there and cannot come any more.

    For who made a commit on that version and wants to make it anew on a later one. Yes, where that cannot be said.
    """
    missed = table.version() - version
    history = table.history(missed) if missed > 0 else []
    return len(history) < missed or any(
        entry.get("purpose") in FENCES and entry.get("job_id") == job_id for entry in history
    )


def changes_no_rows(commit: Mapping[str, Any]) -> bool:
    """Whether an entry of a table's history is a fence, or upkeep."""
    return commit.get("operation") in UPKEEP_OPERATIONS or commit.get("purpose") in FENCES


def vacuum(path: str, retention_hours: float) -> None:
    """Remove files that no version within the retention needs, staged ones that were left behind among them.

    On a handle of its own, since it takes long; a table that is not there has nothing to remove.
    """
    if DeltaTable.is_deltatable(path):
        DeltaTable(path).vacuum(
            retention_hours=math.ceil(retention_hours), dry_run=False, full=True, enforce_retention_duration=False
        )
