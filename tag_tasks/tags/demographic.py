"""Tags about who a user is."""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column
from pyspark.sql import functions as F

from tag_tasks.tags.tag import TagTask


class YoungUserTask(TagTask):
    tag_id = 7
    description = "年轻用户"
    source = "user_basic_info"
    columns = ("age",)
    rule_in_words = "age in 18..30"

    def rule(self, today: date) -> Column:
        return F.col("age").between(18, 30)
