"""The numbers by which users are told apart: where each comes from, and what people call much and little of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from tag_tasks.spark.sources import Sources
from tag_tasks.tags.evaluate import USERS

ASSETS, ACTIVITY = "user_asset_summary", "user_activity_summary"


@dataclass(frozen=True, slots=True)
class Feature:
    """A number of a user, or the days since a date of theirs."""

    name: str
    source: str
    column: str
    much: str
    little: str
    days_since: bool = False

    def of(self, today: date) -> Column:
        """As a float; null where it is not known, or is no number."""
        column = F.col(self.column)
        if self.days_since:
            column = F.datediff(F.lit(today), column)
        number = column.cast("float")
        return F.when(F.abs(number) < math.inf, number).alias(self.name)  # NaN is above everything


FEATURES: Mapping[str, Feature] = {
    feature.name: feature
    for feature in (
        Feature("age", USERS, "age", "de más edad", "más jóvenes"),
        Feature("risk_score", USERS, "risk_score", "más riesgo", "menos riesgo"),
        Feature("days_since_registration", USERS, "registration_date", "más antiguos", "más nuevos", days_since=True),
        Feature("total_asset_value", ASSETS, "total_asset_value", "más patrimonio", "menos patrimonio"),
        Feature("cash_balance", ASSETS, "cash_balance", "más efectivo", "menos efectivo"),
        Feature("trade_count_30d", ACTIVITY, "trade_count_30d", "más operaciones", "menos operaciones"),
        Feature("trade_amount_30d", ACTIVITY, "trade_amount_30d", "más importe operado", "menos importe operado"),
        Feature("login_count_30d", ACTIVITY, "login_count_30d", "más accesos", "menos accesos"),
        Feature(
            "days_since_login",
            ACTIVITY,
            "last_login_date",
            "más días sin entrar",
            "menos días sin entrar",
            days_since=True,
        ),
    )
}
"""By name, in the order in which a model has them."""


class Numbers:
    """Reads the features of users."""

    def __init__(self, session: SparkSession, sources: Sources, names: Sequence[str], today: date) -> None:
        self._session = session
        self._sources = sources
        self._today = today
        self._features = [FEATURES[name] for name in names]

    def check(self) -> None:
        """Raise TaskFailed, naming the table, where one cannot be read or has not the columns."""
        self._sources.check(self._session, USERS, ("user_id",))
        for source in self._others():
            self._sources.check(self._session, source, ("user_id", *(one.column for one in self._of(source))))

    def rows(self, only: Column | None = None) -> DataFrame:
        """Every user of the users' table, or some of them: `user_id` and the features. `only` is on `user_id`.

        The condition is applied to each table before they meet, since it is the meeting that costs.
        """
        tables = [self._table(source, only) for source in (USERS, *self._others())]
        return reduce(lambda rows, other: rows.join(other, "user_id", "left"), tables)

    def _table(self, source: str, only: Column | None) -> DataFrame:
        rows = self._sources.read(self._session, source)
        if only is not None:
            rows = rows.filter(only)
        return rows.select("user_id", *(feature.of(self._today) for feature in self._of(source)))

    def _of(self, source: str) -> list[Feature]:
        return [feature for feature in self._features if feature.source == source]

    def _others(self) -> list[str]:
        return [source for source in (ASSETS, ACTIVITY) if self._of(source)]
