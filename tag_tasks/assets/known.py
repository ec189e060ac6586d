"""What is new against what is known, on Spark: pure functions from rows to rows.

Found rows have `key, facts, place`, known ones the columns of the table. A key is a thing; its facts may change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from tag_tasks.assets.table import ROWS

GONE = '{"gone":true'
"""How the facts begin of what was not seen any more, since the last time that it was looked for."""
CHANGED, LOST = "changed", "gone"


def found_rows(session: SparkSession, path: str | None) -> DataFrame:
    """What a job found, from its file of a kind, as far as a scope keeps it; nothing where there is no file."""
    if path is None:
        none = session.range(0)
        return none.select(F.lit("").alias("key"), F.lit("").alias("facts"), F.col("id").alias("place"))
    return session.read.parquet(path).filter("asset").select("key", "facts", "place")


def known_rows(session: SparkSession, uris: Sequence[str], owner: str | None) -> DataFrame | None:
    """What is known, of this owner alone where there is one; None where there is nothing."""
    if not uris:
        return None
    rows = session.read.parquet(*uris).select(*ROWS.names)
    return rows if owner is None else rows.filter(F.col("owner") == owner)


def new_rows(found: DataFrame, known: DataFrame | None) -> DataFrame:
    """`key, facts` of what is found and not known, in the order in which it was found."""
    new = found if known is None else found.join(known.select("key"), "key", "left_anti")
    return new.sort("place").select("key", "facts")


def looked_at_again(known: DataFrame, found: DataFrame, gone: bool) -> DataFrame:
    """The known rows with `seen`, the facts that they should have, and `change`: changed, gone or null.

    `gone` is whether what was not found is gone.
    """
    again = found.select("key", F.col("facts").alias("seen"))
    rows = known.join(again, "key", "left")
    lost = F.col("seen").isNull() & ~F.col("facts").startswith(GONE) if gone else F.lit(False)
    changed = F.col("seen").isNotNull() & (F.col("seen") != F.col("facts"))
    change = F.when(lost, F.lit(LOST)).when(changed, F.lit(CHANGED))
    return rows.withColumn("change", change)


def changes(again: DataFrame) -> Mapping[str, int]:
    """How many rows changed, and how many are gone."""
    counted = again.filter(F.col("change").isNotNull()).groupBy("change").count().collect()
    return {row["change"]: row["count"] for row in counted}


def renewed(again: DataFrame, now: datetime) -> DataFrame:
    """All known rows as they are now, by number."""
    when = F.when(F.col("change").isNull(), F.col("changed_at")).otherwise(F.lit(now))
    facts = F.when(F.col("change") == LOST, _without()).when(F.col("change") == CHANGED, F.col("seen"))
    rows = again.withColumn("changed_at", when).withColumn("facts", F.coalesce(facts, F.col("facts")))
    return rows.select(*ROWS.names).sort("number")


def _without() -> Column:
    """The facts of what is gone: they are an object, into which this is written first."""
    rest = F.when(F.col("facts") == "{}", F.lit("}")).otherwise(F.concat(F.lit(","), F.expr("substring(facts, 2)")))
    return F.concat(F.lit(GONE), rest)
