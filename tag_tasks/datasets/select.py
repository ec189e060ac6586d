"""Which rows were asked for, and how Spark finds them. What a user wrote becomes a literal, never SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from tag_tasks.datasets.tables import Filter, Kind, Match, Table
from tag_tasks.spark.sources import Sources
from tagapi.jobs.errors import TaskFailed
from tagapi.jobs.model import Json

CENT = Decimal("0.01")
MOST_MONEY = Decimal(10**9)  # beyond any decimal(10,2)
MOST_INT = 2**63 - 1

TYPES: Mapping[Kind, tuple[type[T.DataType], ...]] = {
    Kind.INT: (T.ByteType, T.ShortType, T.IntegerType, T.LongType),
    Kind.MONEY: (T.DecimalType,),
    Kind.TEXT: (T.StringType,),
    Kind.BOOL: (T.BooleanType,),
    Kind.DATE: (T.DateType,),
    Kind.TIME: (T.TimestampType, T.TimestampNTZType),
}


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows of one table: those that pass every filter and lie in the range, both ends included."""

    filters: Json = field(default_factory=dict)
    since: datetime | None = None
    until: datetime | None = None

    @classmethod
    def of(cls, arguments: Json, filters: Json | None = None) -> Selection:
        """As a job's arguments say; with the filters of one table where a job reads several."""
        return cls(
            filters=arguments.get("filters") or {} if filters is None else filters,
            since=_moment(arguments.get("date_from")),
            until=_moment(arguments.get("date_to")),
        )


def rows_of(session: SparkSession, sources: Sources, table: Table) -> DataFrame:
    """All rows, with the columns of the table in its order. Raises TaskFailed where the source is another table."""
    rows = sources.read(session, table.name)
    found = {one.name: one.dataType for one in rows.schema.fields}
    for name, kind in table.columns.items():
        problem = _problem(found.get(name), kind)
        if problem:
            raise TaskFailed(reason=f"the source {table.name} cannot be read: its column {name} {problem}")
    return rows.select(*(_column(name, found[name]) for name in table.columns))


def selected(rows: DataFrame, table: Table, wanted: Selection) -> DataFrame:
    """The rows that were asked for. An unknown filter key is the caller's mistake, and a KeyError."""
    conditions = [_condition(table.filters[key], value) for key, value in wanted.filters.items()]
    moment = F.col(table.range_column)
    if wanted.since is not None:
        conditions.append(moment >= F.lit(wanted.since))
    if wanted.until is not None:
        conditions.append(moment <= F.lit(wanted.until))
    for condition in conditions:
        rows = rows.filter(condition)
    return rows


def _condition(one: Filter, value: Any) -> Column:
    column = F.col(one.column)
    if one.kind is Kind.INT and abs(value) > MOST_INT:
        return F.lit(False)  # no row has it, and no literal either
    if one.match is Match.EQUAL:
        return column == F.lit(value)
    least = one.match is Match.AT_LEAST
    bound = F.lit(_cents(value, ROUND_CEILING if least else ROUND_FLOOR))
    return column >= bound if least else column <= bound


def _cents(value: float, rounding: str) -> Decimal:
    """A bound in whole cents that finds the same: a price has no more digits."""
    exact = max(-MOST_MONEY, min(MOST_MONEY, Decimal(str(value))))
    return exact.quantize(CENT, rounding=rounding)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _problem(found: T.DataType | None, kind: Kind) -> str | None:
    if found is None:
        return "is missing"
    if not isinstance(found, TYPES[kind]) or (isinstance(found, T.DecimalType) and found.scale > 2):
        return f"is {found.simpleString()}, not {'decimal(10,2)' if kind is Kind.MONEY else kind.value}"
    return None


def _column(name: str, found: T.DataType) -> Column:
    column = F.col(name)
    if isinstance(found, T.TimestampNTZType):
        return column.cast(T.TimestampType()).alias(name)  # without an offset it is UTC, as the session is
    if isinstance(found, T.DecimalType) and found.scale < 2:
        return column.cast(T.DecimalType(min(38, found.precision + 2 - found.scale), 2)).alias(name)
    return column
