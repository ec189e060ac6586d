"""A query's rows as Arrow, one bounded piece after the other: a table of any size through a small process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.connect.dataframe import DataFrame as ConnectDataFrame
from pyspark.sql.connect.session import SparkSession as ConnectSession
from pyspark.sql.pandas.types import to_arrow_schema


def arrow_pieces(
    session: SparkSession, rows: DataFrame, piece: int, check: Callable[[], None] = lambda: None
) -> Iterator[pa.Table]:
    """The rows in the query's order, in tables of exactly `piece` rows, the last one shorter; none if there are none.

    The server's own batches may be cut differently from run to run; what depends on the cut, such as
    the row groups of a file, must not. Nothing is copied: a piece still has the batches as its chunks.
    `check` is called between batches, and may raise.
    """
    schema = arrow_schema(rows)
    held: list[pa.Table] = []
    count = 0
    for batch in _batches(session, rows):
        check()
        held.append(batch if batch.schema == schema else batch.cast(schema))
        count += batch.num_rows
        while count >= piece:
            whole = pa.concat_tables(held)
            yield whole.slice(0, piece)
            held, count = [whole.slice(piece)], count - piece
    if count:
        yield pa.concat_tables(held)


def arrow_schema(rows: DataFrame) -> pa.Schema:
    """What Arrow calls the columns' types; moments are UTC."""
    return to_arrow_schema(rows.schema, timezone="UTC")


def _batches(session: SparkSession, rows: DataFrame) -> Iterator[pa.Table]:
    """What `toLocalIterator` reads, before it makes a Python object of every cell.

    PySpark has no public door to it: `toArrow` collects everything first.
    """
    connected = cast("ConnectDataFrame", rows)
    client = cast("ConnectSession", session).client
    plan = connected._plan.to_proto(client)
    for batch in client.to_table_as_iterator(plan, connected._plan.observations):
        if isinstance(batch, pa.Table):
            yield batch
