"""What the columns of a table hold: counts, nulls, distinct values, quantiles, histograms, outliers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from math import ceil, floor
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tag_tasks.datasets.tables import Kind, Table

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
BINS = 20  # of a histogram, between the 1st and the 99th percentile, so that one outlier does not flatten it
FENCE = 1.5  # Tukey's: an outlier lies so many times the middle half's width outside of it
MOST_CURRENCIES = 10  # the most frequent ones: each takes four queries
FEW = 50  # distinct values up to which each is counted
ORDERED = (Kind.INT, Kind.MONEY, Kind.DATE, Kind.TIME)


def profile(rows: DataFrame, table: Table, check: Callable[[], None]) -> Mapping[str, Any]:
    """`{rows, columns: {name: {...}}}`. `check` is called between queries, and may raise."""
    count, facts = _facts(rows, table)
    for name, kind in table.columns.items():
        check()
        if kind is Kind.MONEY:
            facts[name] |= _money(rows, table, name, check)
        elif kind in (Kind.TEXT, Kind.BOOL) and facts[name]["distinct"] <= FEW:
            facts[name]["values"] = counted(rows, name)
    return {"rows": count, "columns": facts}


def counted(rows: DataFrame, column: str) -> list[dict[str, Any]]:
    """How often each value comes, the most frequent first; null is a value."""
    found = rows.groupBy(F.col(column).alias("value")).agg(F.count("*").alias("count"))
    return as_rows(found.sort(F.col("count").desc(), "value"))


def as_rows(rows: DataFrame) -> list[dict[str, Any]]:
    """A small answer as dictionaries."""
    found: list[dict[str, Any]] = rows.toArrow().to_pylist()
    return found


def _facts(rows: DataFrame, table: Table) -> tuple[int, dict[str, dict[str, Any]]]:
    """What one pass over the table tells of every column."""
    asked: dict[str, Column] = {"rows": F.count("*")}
    for name, kind in table.columns.items():
        asked[f"{name}.known"] = F.count(name)
        asked[f"{name}.distinct"] = F.count_distinct(F.col(name))
        if kind in ORDERED:
            asked[f"{name}.min"], asked[f"{name}.max"] = F.min(name), F.max(name)
    answer = as_rows(rows.agg(*(column.alias(label) for label, column in asked.items())))[0]
    count = answer.pop("rows")
    facts: dict[str, dict[str, Any]] = {name: {"kind": kind.value} for name, kind in table.columns.items()}
    for label, value in answer.items():
        name, _, fact = label.rpartition(".")
        facts[name] |= {"nulls": count - value} if fact == "known" else {fact: value}
    return count, facts


def _money(rows: DataFrame, table: Table, name: str, check: Callable[[], None]) -> dict[str, Any]:
    """The distribution of a money column; of each currency for itself where there are any: they are never added up."""
    if table.currency is None:
        return _amounts(rows, name)
    found = []
    for one in counted(rows, table.currency)[:MOST_CURRENCIES]:
        check()
        currency = F.lit(one["value"]).cast("string")
        alike = rows.filter(F.col(table.currency).eqNullSafe(currency))
        found.append({"currency": one["value"], "rows": one["count"], **_amounts(alike, name)})
    return {"by_currency": found}


def _amounts(rows: DataFrame, name: str) -> dict[str, Any]:
    """In one query for the sum, one for the quantiles and one for what they cut out."""
    whole = as_rows(rows.agg(F.sum(name).alias("sum"), F.count(name).alias("known")))[0]
    total: Decimal | None = whole["sum"]
    if total is None:
        return {"sum": None, "mean": None, "quantiles": {}, "histogram": [], "outliers": None}
    number = F.col(name).cast("double")
    answer = as_rows(rows.agg(F.percentile(number, list(QUANTILES)).alias("quantiles")))[0]
    quantiles = dict(zip((str(one) for one in QUANTILES), answer["quantiles"], strict=True))
    spread = quantiles["0.75"] - quantiles["0.25"]
    low, high = quantiles["0.25"] - FENCE * spread, quantiles["0.75"] + FENCE * spread
    outside = rows.agg(F.count_if(number < low).alias("below"), F.count_if(number > high).alias("above"))
    return {
        "sum": total,
        "mean": float(total / whole["known"]),  # of exact money: an average of floats depends on the order they come in
        "quantiles": quantiles,
        "histogram": _histogram(rows, name, floor(quantiles["0.01"]), ceil(quantiles["0.99"])),
        "outliers": {"low": low, "high": high, **as_rows(outside)[0]},
    }


def _histogram(rows: DataFrame, name: str, low: int, high: int) -> list[dict[str, Any]]:
    """Rows in each of BINS equal steps from `low`, counted in cents so that no value falls between two."""
    width = max(1, ceil((high - low) * 100 / BINS))
    cents = (F.col(name) * 100).cast("long") - low * 100
    inside = rows.filter((cents >= 0) & (cents < width * BINS))
    found = inside.groupBy(F.floor(cents / width).cast("long").alias("bin")).agg(F.count("*").alias("count"))
    counts = {row["bin"]: row["count"] for row in as_rows(found)}
    return [
        {"from": low + one * width / 100, "to": low + (one + 1) * width / 100, "count": counts.get(one, 0)}
        for one in range(BINS)
    ]
