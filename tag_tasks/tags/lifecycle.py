"""Tags about where a user stands with us."""

from __future__ import annotations

from datetime import date, timedelta

from pyspark.sql import Column
from pyspark.sql import functions as F

from tag_tasks.tags.tag import TagTask


class NewUserTask(TagTask):
    tag_id = 4
    description = "新注册用户"
    source = "user_basic_info"
    columns = ("registration_date",)
    rule_in_words = "today − 30 ≤ registration_date ≤ today"

    def rule(self, today: date) -> Column:
        return F.col("registration_date").between(F.lit(today - timedelta(days=30)), F.lit(today))


class VIPUserTask(TagTask):
    tag_id = 5
    description = "VIP客户"
    source = "user_basic_info"
    columns = ("user_level", "kyc_status")
    rule_in_words = "user_level in (VIP2, VIP3) and kyc_status = verified"

    def rule(self, today: date) -> Column:
        return F.col("user_level").isin("VIP2", "VIP3") & (F.col("kyc_status") == "verified")
