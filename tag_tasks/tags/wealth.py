"""Tags about what a user owns."""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column
from pyspark.sql import functions as F

from tag_tasks.tags.tag import TagTask


class HighNetWorthUserTask(TagTask):
    tag_id = 1
    description = "高净值用户"
    source = "user_asset_summary"
    columns = ("total_asset_value",)
    rule_in_words = "total_asset_value ≥ 100000"

    def rule(self, today: date) -> Column:
        return _at_least("total_asset_value", 100_000)


class CashRichUserTask(TagTask):
    tag_id = 6
    description = "现金充足用户"
    source = "user_asset_summary"
    columns = ("cash_balance",)
    rule_in_words = "cash_balance ≥ 50000"

    def rule(self, today: date) -> Column:
        return _at_least("cash_balance", 50_000)


def _at_least(column: str, amount: int) -> Column:
    """The column is a number from `amount` on. Spark sorts NaN above every number, but nobody is that rich."""
    return (F.col(column) >= amount) & ~F.isnan(column)
