"""Who an audience is to have, and by which hashes: one Spark plan, written once, counted by its files' footers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tag_tasks.audiences.hashing import with_hashes
from tag_tasks.delta.files import DataFile
from tag_tasks.spark.sources import Sources
from tag_tasks.tags.evaluate import USERS
from tagapi.jobs.errors import TaskFailed

CONSENT = "ads_consent"
GRANTED = "granted"
REACHABLE, INVALID = "reachable", "invalid"
"""The columns by which the files are told apart: whether there is any hash, and how many identifiers are none."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Files of the members: `user_id, email, phone`, of those with any hash."""

    files: Sequence[DataFile]
    members: int
    without_identifier: int
    invalid: int
    table_version: int

    @classmethod
    def of(cls, staged: Sequence[DataFile], table_version: int) -> Wanted:
        """From the files that Spark wrote, which say by their folders what is in them."""
        reachable = [file for file in staged if f"{REACHABLE}=true" in file.path]
        others = sum(file.rows for file in staged if file not in reachable)
        invalid = sum(file.rows * _invalid_in(file) for file in staged)
        return cls(reachable, sum(file.rows for file in reachable), others, invalid, table_version)


def _invalid_in(file: DataFile) -> int:
    return next(int(part.partition("=")[2]) for part in file.path.split("/") if part.startswith(f"{INVALID}="))


def hashed(session: SparkSession, sources: Sources, users: DataFrame, platform: str, *, granted: bool) -> DataFrame:
    """The users who may be sent, with their hashes: `user_id, email, phone, reachable, invalid`.

    Where the users' table has a column of consents, those alone who gave it; else all of them, where somebody
    said that they did. Raises TaskFailed where nobody did. No raw identifier leaves this plan.
    """
    sources.check(session, USERS, ("user_id", "email", "phone"))
    known = sources.read(session, USERS)
    if CONSENT in known.columns:
        if dict(known.dtypes)[CONSENT] != "boolean":
            raise TaskFailed(reason=f"{USERS}.{CONSENT} no es una columna booleana")
        known = known.filter(F.col(CONSENT))
    elif not granted:
        raise TaskFailed(reason=f"{USERS} no tiene la columna {CONSENT}, y nadie ha dicho que haya consentimiento")
    rows = with_hashes(known.join(users, "user_id", "left_semi"), platform)
    return rows.withColumn(REACHABLE, (F.col("email") != "") | (F.col("phone") != ""))
