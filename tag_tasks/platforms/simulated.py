"""Platforms inside the process, for who has no account: the same steps, and nothing outside.

A simulated thing is nothing but its id, which follows from its name: made again it is the same thing,
by whatever process, so there is nothing to look for and nothing to take back. No id of a platform
begins like these.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from decimal import Decimal

from tag_tasks.platforms.google import Published
from tag_tasks.platforms.model import Campaign, Found


def simulated_id(kind: str, name: str) -> str:
    """`SIM-` and twelve digits, the same for the same name."""
    return f"SIM-{int(hashlib.sha256(f'{kind} {name}'.encode()).hexdigest(), 16) % 10**12:012}"


class SimulatedMeta:
    """What MetaClient does, without Meta."""

    name = "Meta"
    settle_seconds = 0.0

    def create_campaign(self, name: str, campaign: Campaign) -> str:
        return simulated_id("campaign", name)

    def smallest(self, amount: Decimal) -> int:
        return int(amount * 100)

    def create_ad_set(
        self, name: str, campaign: Campaign, budget: int, campaign_id: str, audience_id: str | None
    ) -> str:
        return simulated_id("adset", name)

    def create_creative(self, name: str, campaign: Campaign) -> str:
        return simulated_id("creative", name)

    def create_ad(self, name: str, ad_set_id: str, creative_id: str) -> str:
        return simulated_id("ad", name)

    def find(self, kind: str, text: str) -> Sequence[Found]:
        return []

    def delete(self, thing: str) -> None:
        """There is nothing."""


class SimulatedGoogle:
    """What GoogleClient does, without Google."""

    name = "Google"
    settle_seconds = 0.0

    def publish(self, name: str, campaign: Campaign) -> Published:
        kinds = ("budget", "campaign", "ad group", "ad")
        budget, own, group, ad = (simulated_id(kind, name) for kind in kinds)
        return Published(budget_id=budget, campaign_id=own, ad_group_id=group, ad_id=ad)

    def find(self, job_id: str) -> Sequence[Published]:
        return []

    def remove(self, published: Published) -> None:
        """There is nothing."""
