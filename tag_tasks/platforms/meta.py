"""Meta's Marketing API (Graph API, REST): campaigns and custom audiences of one ad account.

https://developers.facebook.com/docs/marketing-apis: forms and JSON in, JSON out, ids of digits, no
idempotency keys, errors by code. The token travels in the Authorization header.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tag_tasks.platforms.model import Campaign, Found
from tag_tasks.platforms.transport import (
    Answer,
    Asked,
    PlatformBusy,
    PlatformRefused,
    Transport,
    Unanswered,
    retry_after,
)
from tagapi.jobs.errors import TaskFailed

UNKNOWN_OUTCOME = frozenset({1, 2})
"""Codes of errors on Meta's side: whether it happened is not said."""
LIMITS = frozenset({4, 17, 32, 613, *range(80000, 80015)})
"""Codes of too many calls: nothing happened."""
GONE = 100
GONE_SUBCODE = 33
"""Of a thing that does not exist, or not any more."""

OBJECTIVES: Mapping[str, str] = {
    "traffic": "OUTCOME_TRAFFIC",
    "awareness": "OUTCOME_AWARENESS",
    "engagement": "OUTCOME_ENGAGEMENT",
    "leads": "OUTCOME_LEADS",
    "sales": "OUTCOME_SALES",
}
GOALS: Mapping[str, str] = {"awareness": "REACH", "engagement": "POST_ENGAGEMENT"}
"""What an ad set is optimised for; LINK_CLICKS for the others, which need no pixel."""
WHOLE = frozenset({"CLP", "COP", "CRC", "HUF", "ISK", "IDR", "JPY", "KRW", "PYG", "TWD", "VND"})
"""Currencies whose smallest unit here is the unit itself, by Meta's own list; of the others it is the hundredth."""
PAGE = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class MetaAccount:
    base_url: str
    api_version: str
    account_id: str
    page_id: str
    access_token: str = field(repr=False)
    settle_seconds: float = 120.0
    """For which an unanswered creation is looked for before it is taken for lost."""


class MetaClient:
    """Of one account. Safe to use from many threads."""

    name = "Meta"

    def __init__(self, account: MetaAccount) -> None:
        self._account = account
        self._transport = Transport(self.name, judge)
        self.settle_seconds = account.settle_seconds

    # -- campaigns -------------------------------------------------------------------------

    def create_campaign(self, name: str, campaign: Campaign) -> str:
        return self.create(
            "campaigns",
            {
                "name": name,
                "objective": OBJECTIVES[campaign.objective],
                "status": "PAUSED",
                "special_ad_categories": list(campaign.special_ad_categories),
                "is_adset_budget_sharing_enabled": False,
            },
        )

    def create_ad_set(
        self, name: str, campaign: Campaign, budget: int, campaign_id: str, audience_id: str | None
    ) -> str:
        """`budget` is in the smallest unit of the account's currency."""
        targeting: dict[str, Any] = {
            "geo_locations": {"countries": list(campaign.countries)},
            "age_min": campaign.age_min,
            "age_max": campaign.age_max,
        }
        if audience_id is not None:
            targeting["custom_audiences"] = [{"id": audience_id}]
        times = {"start_time": campaign.starts_on, "end_time": campaign.ends_on}
        return self.create(
            "adsets",
            {
                "name": name,
                "campaign_id": campaign_id,
                "daily_budget": budget,
                "billing_event": "IMPRESSIONS",
                "optimization_goal": GOALS.get(campaign.objective, "LINK_CLICKS"),
                "bid_strategy": "LOWEST_COST_WITHOUT_CAP",
                "targeting": targeting,
                "status": "PAUSED",
                **{key: f"{day}T00:00:00+0000" for key, day in times.items() if day is not None},
            },
        )

    def create_creative(self, name: str, campaign: Campaign) -> str:
        link = {"link": campaign.landing_url, "message": campaign.text, "name": campaign.headline}
        if campaign.image_url is not None:
            link["picture"] = campaign.image_url
        story = {"page_id": self._account.page_id, "link_data": link}
        return self.create("adcreatives", {"name": name, "object_story_spec": story})

    def create_ad(self, name: str, ad_set_id: str, creative_id: str) -> str:
        given = {"name": name, "adset_id": ad_set_id, "creative": {"creative_id": creative_id}, "status": "PAUSED"}
        return self.create("ads", given)

    def smallest(self, amount: Decimal) -> int:
        """In the smallest unit of the account's currency. Raises TaskFailed for a fraction of it."""
        told = self.ask("GET", f"act_{self._account.account_id}", {"fields": "currency"})
        currency = str(told.get("currency"))
        units = amount * (1 if currency in WHOLE else 100)
        if units != int(units):
            raise TaskFailed(reason=f"El presupuesto diario no admite decimales en {currency}")
        return int(units)

    # -- what is there ---------------------------------------------------------------------

    def find(self, kind: str, text: str) -> Sequence[Found]:
        """The things of a kind (campaigns, adsets, adcreatives, ads, customaudiences) whose name contains the text."""
        filtering = json.dumps([{"field": "name", "operator": "CONTAIN", "value": text}])
        query = {"fields": "id,name", "filtering": filtering, "limit": str(PAGE)}
        found = (Found(str(one["id"]), str(one["name"])) for one in self._pages(self._in_account(kind), query))
        return [one for one in found if text in one.name]

    def delete(self, thing: str) -> None:
        """Delete a thing, with what is below it. One that is gone already is fine."""
        try:
            self.ask("DELETE", thing)
        except PlatformRefused as error:
            if (error.facts.get("platform_code"), error.facts.get("subcode")) != (GONE, GONE_SUBCODE):
                raise

    # -- requests --------------------------------------------------------------------------

    def create(self, kind: str, given: Mapping[str, Any]) -> str:
        """Make a thing in the account; answers with its id."""
        told = self.ask("POST", self._in_account(kind), json=given)
        if not isinstance(told.get("id"), str):
            raise Unanswered(reason="La API de Meta no dio el identificador", kind="MetaError", detail="no id")
        return str(told["id"])

    def _in_account(self, kind: str) -> str:
        return f"act_{self._account.account_id}/{kind}"

    def _pages(self, path: str, query: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        after: str | None = None
        while True:
            told = self.ask("GET", path, {**query, **({} if after is None else {"after": after})})
            yield from told.get("data") or ()
            paging = told.get("paging") or {}
            if not paging.get("next"):
                return
            after = str(paging["cursors"]["after"])

    def ask(
        self, method: str, path: str, query: Mapping[str, str] | None = None, json: Any = None
    ) -> Mapping[str, Any]:
        """One request; `path` begins behind the version. Raises PlatformRefused, PlatformBusy or Unanswered."""
        url = f"{self._account.base_url.rstrip('/')}/{self._account.api_version}/{path}"
        headers = {"Authorization": f"Bearer {self._account.access_token}"}
        return self._transport.send(Asked(method, url, headers, query or {}, json))


def judge(answer: Answer) -> Exception | None:
    """The error that an answer of the Graph API is."""
    said = answer.body.get("error")
    if answer.status < 400 and not isinstance(said, dict):
        return None
    error: Mapping[str, Any] = said if isinstance(said, dict) else {}
    code, subcode = error.get("code"), error.get("error_subcode")
    text = str(error.get("error_user_msg") or error.get("message") or f"HTTP {answer.status}")
    detail = f"({code}) {text}, fbtrace_id {error.get('fbtrace_id')}"
    facts = {"kind": str(error.get("type") or "MetaError"), "detail": detail, "platform_code": code, "subcode": subcode}
    if code in LIMITS or answer.status == 429:
        wait = retry_after(answer) or _regain_seconds(answer)
        facts |= {} if wait is None else {"retry_after": wait}
        return PlatformBusy(reason="Meta limita las llamadas por ahora", **facts)
    if code in UNKNOWN_OUTCOME or error.get("is_transient") or answer.status >= 500:
        return Unanswered(reason="La API de Meta falló, y no se sabe si hizo lo pedido", **facts)
    return PlatformRefused(reason=f"Meta rechazó la solicitud: {detail}", **facts)


def _regain_seconds(answer: Answer) -> float | None:
    """What the usage header says, in minutes, of when calls are taken again."""
    try:
        usage = json.loads(answer.headers.get("X-Business-Use-Case-Usage", "{}"))
        minutes = [one.get("estimated_time_to_regain_access", 0) for ones in usage.values() for one in ones]
        return 60.0 * max(minutes) if minutes and max(minutes) > 0 else None
    except (ValueError, AttributeError, TypeError):
        return None
