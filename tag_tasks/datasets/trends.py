"""How the business goes: bookings and revenue over time, the best services and providers, cancellations, payments.

Revenue is the price of completed bookings. Amounts of different currencies are never added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tag_tasks.datasets.profile import as_rows, counted

COMPLETED, CANCELLED = "completed", "cancelled"
TOP = 10
NOTHING = Decimal("0.00")


def of_bookings(rows: DataFrame) -> Mapping[str, Any]:
    """Days, months, the best of everything, and how much is cancelled."""
    days = as_rows(_figures(rows, F.to_date("created_at").alias("day")).filter("day is not null").sort("day"))
    whole = as_rows(rows.agg(*_measures()))[0]
    return {
        **_rated(whole),
        "average_price": _ratio(whole["revenue"], whole["completed"]),
        "by_status": counted(rows, "status"),
        "by_day": [_rated(day) for day in days],
        "by_month": _months(days),
        "top_services": _top(rows, "service_id", "service_title"),
        "top_providers": _top(rows, "provider_id", "provider_email"),
    }


def of_payments(rows: DataFrame) -> Mapping[str, Any]:
    """What came in, by month, status and method: each currency for itself."""
    paid = F.col("status") == COMPLETED
    month = F.date_format("created_at", "yyyy-MM").alias("month")
    amount = (F.count("*").alias("count"), F.sum("amount").alias("amount"))
    return {
        "received": as_rows(rows.filter(paid).groupBy("currency").agg(*amount).sort("currency")),
        "received_by_month": as_rows(
            rows.filter(paid).groupBy(month, "currency").agg(*amount).sort("month", "currency")
        ),
        "by_status": as_rows(rows.groupBy("status", "currency").agg(*amount).sort("status", "currency")),
        "by_method": as_rows(
            rows.groupBy("payment_method", "currency").agg(*amount).sort("payment_method", "currency")
        ),
    }


def of_users(rows: DataFrame) -> Mapping[str, Any]:
    """Who there is."""
    month = F.date_format("date_joined", "yyyy-MM").alias("month")
    return {
        "active": rows.filter("is_active").count(),
        "by_role": counted(rows, "role"),
        "joined_by_month": as_rows(rows.groupBy(month).agg(F.count("*").alias("count")).sort("month")),
    }


def _measures() -> list[Column]:
    completed, cancelled = F.col("status") == COMPLETED, F.col("status") == CANCELLED
    return [
        F.count("*").alias("bookings"),
        F.count_if(completed).alias("completed"),
        F.count_if(cancelled).alias("cancelled"),
        F.sum(F.when(completed, F.col("total_price"))).alias("revenue"),
    ]


def _figures(rows: DataFrame, *by: Column) -> DataFrame:
    return rows.groupBy(*by).agg(*_measures())


def _top(rows: DataFrame, key: str, name: str) -> list[dict[str, Any]]:
    """Those with the most revenue; of equals, the smaller id first."""
    found = rows.groupBy(key).agg(F.max(name).alias(name), *_measures())
    best = found.filter(F.col("revenue").isNotNull()).sort(F.col("revenue").desc(), key).limit(TOP)
    return [_rated(row) for row in as_rows(best)]


def _rated(row: Mapping[str, Any]) -> dict[str, Any]:
    """With the share that was cancelled; no completed booking is no revenue."""
    rate = _ratio(row["cancelled"], row["bookings"])
    return {**row, "revenue": row["revenue"] or NOTHING, "cancellation_rate": rate}


def _ratio(part: Any, whole: Any) -> float | None:
    return round(float(part or 0) / whole, 4) if whole else None


def _months(days: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The days, added up."""
    months: dict[str, dict[str, Any]] = {}
    for row in days:
        day: date = row["day"]
        name = f"{day:%Y-%m}"
        empty = {"month": name, "bookings": 0, "completed": 0, "cancelled": 0, "revenue": NOTHING}
        month = months.setdefault(name, empty)
        for figure in ("bookings", "completed", "cancelled", "revenue"):
            month[figure] += row[figure] or 0
    return [_rated(month) for month in months.values()]
