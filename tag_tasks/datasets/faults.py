"""What the cleanup finds: for each table, the reasons for which a row is not kept.

A row may have several. Of rows that stand for the same thing one is kept, the best and then
the first; orphans are judged by the source, not by what is kept of it, so that a user with a
bad address does not take their payments along.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from tag_tasks.datasets.tables import BOOKINGS, ORDER, PAYMENTS, SERVICES, USERS, Table

REASON = "reason"
"""The column that says why a row is not kept: names separated by commas, empty for a row that is."""

ADDRESS = r"^[^@\s,;<>]+@[^@\s,;<>.]+(\.[^@\s,;<>.]+)+$"
"""Something, one @, and a domain with a dot: whether anybody lives there, only a letter can tell."""

FIRST_MOMENT = datetime(2000, 1, 1, tzinfo=UTC)
"""Nothing here is older."""

AHEAD = timedelta(days=1)
"""How far a clock may be ahead: what has happened cannot lie further in the future."""

MOST_HELD = 100_000
"""Values that rows share, and that this process holds at once."""

PLANNED_AHEAD = timedelta(days=5 * 366)
"""Nobody books for later."""

DUPLICATE = "duplicate_"
"""What the reasons begin with that a row has because of another."""

REASONS: Mapping[str, str] = {
    "missing_id": "нет идентификатора",
    "duplicate_id": "повтор идентификатора",
    "duplicate_transaction": "повтор транзакции",
    "orphan_service": "услуги не существует",
    "orphan_user": "пользователя не существует",
    "negative_price": "отрицательная цена или сумма",
    "impossible_date": "невозможная дата",
    "bad_address": "неверный адрес электронной почты",
}
"""Every reason, in words."""


@dataclass(frozen=True, slots=True)
class Parent:
    """What a row belongs to: `column` names the id of a row in `table`."""

    column: str
    table: Table
    reason: str


@dataclass(frozen=True, slots=True)
class Checks:
    """How the rows of one table are looked at."""

    table: Table
    addresses: Sequence[str]
    prices: Sequence[str] = ()
    past: Sequence[str] = ()
    """Moments at which something has happened."""

    planned: Sequence[str] = ()
    """Days and moments at which something is to happen."""

    order: Sequence[tuple[str, str]] = ()
    """Of each pair, the first cannot be later than the second."""

    unique: Mapping[str, str] = field(default_factory=dict)
    """Beside the id: column → reason for all but one of the rows that share its value."""

    parent: Parent | None = None


CHECKS: Mapping[str, Checks] = {
    "bookings": Checks(
        BOOKINGS,
        addresses=("customer_email", "provider_email"),
        prices=("total_price",),
        past=("created_at",),
        planned=("preferred_date", "scheduled_datetime"),
        parent=Parent("service_id", SERVICES, "orphan_service"),
    ),
    "payments": Checks(
        PAYMENTS,
        addresses=("user_email",),
        prices=("amount",),
        past=("created_at",),
        unique={"transaction_id": "duplicate_transaction"},
        parent=Parent("user_id", USERS, "orphan_user"),
    ),
    "users": Checks(
        USERS, addresses=("email",), past=("date_joined", "last_login"), order=(("date_joined", "last_login"),)
    ),
    "services": Checks(SERVICES, addresses=("provider_email",), prices=("price",), past=("created_at",)),
}


def flagged(checks: Checks, rows: DataFrame, read: Callable[[Table], DataFrame], now: datetime) -> DataFrame:
    """The rows with the reasons for which each is not kept. `read` answers with all rows of another table."""
    rows = rows.withColumn(REASON, F.concat_ws(",", *_faults(checks, now)))
    if checks.parent is not None:
        rows = _with_orphans(rows, checks.parent, read(checks.parent.table))
    rows = _with_repeated(rows, checks.table, ORDER, "duplicate_id")
    for column, reason in checks.unique.items():
        rows = _with_repeated(rows, checks.table, column, reason)
    return rows.select(*checks.table.columns, REASON)


def without_duplicates(
    session: SparkSession, checks: Checks, rows: DataFrame, read: Callable[[Table], DataFrame], now: datetime
) -> DataFrame:
    """The rows but for those that the cleanup would remove because they repeat another; `read` as for `flagged`.

    Which rows share a value is asked once, and they are judged once: they are few, and the answer is read often.
    """
    keys = {column: _repeated(rows, column).limit(MOST_HELD + 1).toArrow() for column in (ORDER, *checks.unique)}
    count = sum(values.num_rows for values in keys.values())
    if count > MOST_HELD:
        return _unrepeated(checks, rows, read, now)
    single, shared = rows, rows.limit(0)
    for column, values in keys.items():
        if values.num_rows:
            held = session.createDataFrame(values)
            shared = shared.unionByName(single.join(held, column, "left_semi").select(*rows.columns))
            single = single.join(held, column, "left_anti").select(*rows.columns)
    kept = _unrepeated(checks, shared, read, now).toArrow() if count else None
    return single if kept is None else single.unionByName(session.createDataFrame(kept, rows.schema))


def _unrepeated(checks: Checks, rows: DataFrame, read: Callable[[Table], DataFrame], now: datetime) -> DataFrame:
    repeated = F.col(REASON).contains(DUPLICATE)
    return flagged(checks, rows, read, now).filter(~repeated).select(*checks.table.columns)


def _repeated(rows: DataFrame, column: str) -> DataFrame:
    """The values that more than one row has."""
    return rows.groupBy(column).count().filter("count > 1").filter(F.col(column).isNotNull()).select(column)


def _faults(checks: Checks, now: datetime) -> list[Column]:
    """What a row's own values tell."""
    return [
        _named("missing_id", [F.col(ORDER).isNull()]),
        _named("negative_price", [F.col(one) < 0 for one in checks.prices]),
        _named("impossible_date", _impossible(checks, now)),
        _named("bad_address", [~F.col(one).rlike(ADDRESS) for one in checks.addresses]),
    ]


def _impossible(checks: Checks, now: datetime) -> list[Column]:
    found = [F.col(earlier) > F.col(later) for earlier, later in checks.order]
    for names, latest in ((checks.past, now + AHEAD), (checks.planned, now + PLANNED_AHEAD)):
        for name in names:
            moment = F.col(name).cast("timestamp")
            found += [moment < F.lit(FIRST_MOMENT), moment > F.lit(latest)]
    return found


def _named(reason: str, conditions: Sequence[Column]) -> Column:
    """The reason where any of the conditions is true, else null; an unknown value is no fault."""
    found = F.lit(False)
    for condition in conditions:
        found = found | F.coalesce(condition, F.lit(False))
    return F.when(found, F.lit(reason))


def _with_orphans(rows: DataFrame, parent: Parent, parents: DataFrame) -> DataFrame:
    """Also flag rows whose parent there is not, those that name none among them."""
    known = parents.select(F.col(ORDER).alias("_parent")).filter("_parent is not null").distinct()
    joined = rows.join(known, F.col(parent.column) == F.col("_parent"), "left")
    return joined.withColumn(REASON, _more(F.col("_parent").isNull(), parent.reason)).drop("_parent")


def _with_repeated(rows: DataFrame, table: Table, column: str, reason: str) -> DataFrame:
    """Also flag rows that share a value, all but one: of those without a fault before, the first.

    Only they are sorted, and they are few: over a whole table that takes ten times as long.
    """
    repeated = _repeated(rows, column)
    others = [name for name in table.columns if name != column]
    order = Window.partitionBy(column).orderBy(F.col(REASON) != "", *others)
    sharing = rows.join(repeated, column, "left_semi").withColumn("_place", F.row_number().over(order))
    first_time = ~F.col(REASON).contains(DUPLICATE)  # who repeats another row does so in every column
    counted = sharing.withColumn(REASON, _more((F.col("_place") > 1) & first_time, reason)).drop("_place")
    return (
        rows.join(repeated, column, "left_anti")
        .select(*table.columns, REASON)
        .unionByName(counted.select(*table.columns, REASON))
    )


def _more(condition: Column, reason: str) -> Column:
    """The reasons so far, and one more where the condition is true."""
    before = F.when(F.col(REASON) != "", F.col(REASON))
    return F.concat_ws(",", before, F.when(condition, F.lit(reason)))
