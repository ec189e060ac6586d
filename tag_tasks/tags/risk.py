"""Tags about the risk that a user takes."""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column
from pyspark.sql import functions as F

from tag_tasks.tags.tag import TagTask


class LowRiskUserTask(TagTask):
    tag_id = 3
    description = "低风险用户"
    source = "user_basic_info"
    columns = ("risk_score",)
    rule_in_words = "risk_score in 0..30"

    def rule(self, today: date) -> Column:
        return F.col("risk_score").between(0, 30)
