"""What a tag is: a rule that a user matches or not, over one source."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from datetime import date
from typing import ClassVar

from pyspark.sql import Column
from pyspark.sql import functions as F

TWO_DAYS = (date(2001, 1, 1), date(2002, 2, 2))
"""Any two: a rule that differs between them reads today's date."""


class TagTask(ABC):
    """A tag. To add one, write a subclass in the module of its domain: it is in the catalogue then."""

    tag_id: ClassVar[int]
    description: ClassVar[str]
    source: ClassVar[str]
    """The one table that the rule reads."""

    columns: ClassVar[tuple[str, ...]]
    """The columns that the rule reads, shown when it is explained."""

    rule_in_words: ClassVar[str]

    @abstractmethod
    def rule(self, today: date) -> Column:
        """The rule over the columns of the source; null is outside. Called inside a job: a Column needs a session."""

    @property
    def task_class(self) -> str:
        return type(self).__name__

    def matches(self, today: date) -> Column:
        """The rule as true or false, never null."""
        return F.coalesce(self.rule(today), F.lit(False))

    def reads_today(self) -> bool:
        """Whether the rule depends on the day on which it is asked."""
        return len({str(self.rule(day)) for day in TWO_DAYS}) > 1

    def fingerprint(self) -> int:
        """63 bits that change when the source or the rule does, whatever the day."""
        text = f"{self.source}|{self.rule(TWO_DAYS[0])}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
