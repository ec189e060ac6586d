"""What is made on a platform, in the words of the one that asked: each client puts it into its platform's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Campaign:
    """A campaign with one group of ads and one ad. Everything is made paused."""

    name: str
    objective: str
    """traffic, awareness, engagement, leads or sales."""
    daily_budget: Decimal
    """In the account's currency."""
    landing_url: str
    headline: str
    text: str
    image_url: str | None
    countries: Sequence[str]
    """ISO 3166 alpha-2."""
    age_min: int
    age_max: int
    special_ad_categories: Sequence[str]
    starts_on: str | None
    """A date, ISO 8601."""
    ends_on: str | None
    keywords: Sequence[str]
    headlines: Sequence[str]
    descriptions: Sequence[str]

    @classmethod
    def of(cls, asked: Mapping[str, Any]) -> Campaign:
        """From validated arguments."""
        lists = ("special_ad_categories", "keywords", "headlines", "descriptions")
        facts: dict[str, Any] = {name: asked.get(name) for name in cls.__dataclass_fields__}
        facts |= {name: asked.get(name) or [] for name in lists}
        return cls(**{**facts, "daily_budget": Decimal(asked["daily_budget"])})


def name_for(name: str, job_id: str) -> str:
    """The name of a thing on a platform: whoever looks there finds the job, and the job finds the thing."""
    return f"{name} [{job_id}]"


@dataclass(frozen=True, slots=True)
class Found:
    """A thing on a platform."""

    id: str
    name: str

    def __str__(self) -> str:
        return f"{self.name} ({self.id})"
