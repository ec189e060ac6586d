"""Tags about what a user does."""

from __future__ import annotations

from datetime import date, timedelta

from pyspark.sql import Column
from pyspark.sql import functions as F

from tag_tasks.tags.tag import TagTask


class ActiveTraderTask(TagTask):
    tag_id = 2
    description = "活跃交易者"
    source = "user_activity_summary"
    columns = ("trade_count_30d",)
    rule_in_words = "trade_count_30d > 10"

    def rule(self, today: date) -> Column:
        return F.col("trade_count_30d") > 10


class RecentActiveUserTask(TagTask):
    tag_id = 8
    description = "最近活跃用户"
    source = "user_activity_summary"
    columns = ("last_login_date",)
    rule_in_words = "today − 7 ≤ last_login_date ≤ today"

    def rule(self, today: date) -> Column:
        return F.col("last_login_date").between(F.lit(today - timedelta(days=7)), F.lit(today))
