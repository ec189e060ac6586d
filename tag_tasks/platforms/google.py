"""Google Ads (REST): a campaign with all that belongs to it in one atomic `googleAds:mutate`, found by its unique name.

https://developers.google.com/google-ads/api/rest: access tokens by OAuth's refresh token, temporary resource
names with negative ids inside one mutate, errors as GoogleAdsFailure.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tag_tasks.platforms.countries import NUMBERS
from tag_tasks.platforms.model import Campaign
from tag_tasks.platforms.transport import (
    Answer,
    Asked,
    PlatformBusy,
    PlatformRefused,
    Transport,
    Unanswered,
    retry_after,
)

EARLY = 60.0  # seconds before its end that an access token is taken for expired
MICROS = 1_000_000
BUDGET, CAMPAIGN, AD_GROUP = -1, -2, -3
"""Temporary ids in one mutate."""
COUNTRY = 2000  # a country's geo target is this and its ISO number
AGES = ((18, 24), (25, 34), (35, 44), (45, 54), (55, 64), (65, 120))
"""The ranges that can be left out, in years."""
FIND = (
    "SELECT campaign.id, campaign_budget.id, ad_group.id, ad_group_ad.ad.id FROM ad_group_ad"
    " WHERE campaign.name LIKE '%{job_id}%' AND campaign.status != 'REMOVED'"
)
DUPLICATES = frozenset({"DUPLICATE_CAMPAIGN_NAME", "DUPLICATE_NAME"})
GONE = frozenset({"RESOURCE_NOT_FOUND", "OPERATION_NOT_PERMITTED_FOR_REMOVED_RESOURCE"})
"""Codes of MutateError and ContextError: what was to be removed is not there, or not any more."""
RESUMES = frozenset({"RESOURCE_EXHAUSTED"})
UNCLEAR = frozenset({"UNAVAILABLE", "INTERNAL", "DEADLINE_EXCEEDED", "UNKNOWN", "ABORTED"})


@dataclass(frozen=True, kw_only=True, slots=True)
class GoogleAccount:
    base_url: str
    data_manager_url: str
    token_url: str
    api_version: str
    customer_id: str
    login_customer_id: str | None
    developer_token: str = field(repr=False)
    client_id: str
    client_secret: str = field(repr=False)
    refresh_token: str = field(repr=False)
    settle_seconds: float = 120.0
    """For which an unanswered mutate is looked for before it is taken for lost."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """The ids of a campaign and of what belongs to it."""

    budget_id: str
    campaign_id: str
    ad_group_id: str
    ad_id: str


class AlreadyThere(PlatformRefused):
    """A campaign, or a budget, of this name is there already: by an earlier request of the same job."""

    code = "already_there"


class AlreadyGone(PlatformRefused):
    """It is not there: removed by an earlier request of the same job, or by hand."""

    code = "already_gone"


class AccessTokens:
    """The access token of an account, kept until shortly before it expires. Safe to use from many threads."""

    def __init__(self, account: GoogleAccount, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._account = account
        self._monotonic = monotonic
        self._transport = Transport("Google", judge)
        self._lock = threading.Lock()
        self._token = ""
        self._until = 0.0

    def get(self) -> str:
        """Raises PlatformRefused, and PlatformBusy: nothing happens by asking for a token."""
        with self._lock:
            if self._monotonic() >= self._until:
                self._renew()
            return self._token

    def forget(self, token: str) -> None:
        """It was refused."""
        with self._lock:
            if token == self._token:
                self._until = 0.0

    def _renew(self) -> None:
        account = self._account
        form = {
            "grant_type": "refresh_token",
            "client_id": account.client_id,
            "client_secret": account.client_secret,
            "refresh_token": account.refresh_token,
        }
        try:
            told = self._transport.send(Asked("POST", account.token_url, {}, form=form))
        except Unanswered as error:
            raise PlatformBusy(**{**error.facts, "reason": "Google no dio un token de acceso"}) from None
        self._token = str(told.get("access_token", ""))
        self._until = self._monotonic() + float(told.get("expires_in") or 0) - EARLY


class GoogleRest:
    """Requests with an access token; one that is refused is renewed once."""

    def __init__(self, account: GoogleAccount, tokens: AccessTokens) -> None:
        self._account = account
        self._tokens = tokens
        self._transport = Transport("Google", judge)

    def post(self, url: str, json: Any) -> Mapping[str, Any]:
        return self._with_token(lambda headers: Asked("POST", url, headers, json=json))

    def get(self, url: str, query: Mapping[str, str]) -> Mapping[str, Any]:
        return self._with_token(lambda headers: Asked("GET", url, headers, query))

    def _with_token(self, ask: Callable[[Mapping[str, str]], Asked]) -> Mapping[str, Any]:
        token = self._tokens.get()
        try:
            return self._transport.send(ask(self._headers(token)))
        except PlatformRefused as error:
            if error.facts.get("status") != 401:
                raise
            self._tokens.forget(token)
            return self._transport.send(ask(self._headers(self._tokens.get())))

    def _headers(self, token: str) -> Mapping[str, str]:
        account = self._account
        login = {} if account.login_customer_id is None else {"login-customer-id": account.login_customer_id}
        return {"Authorization": f"Bearer {token}", "developer-token": account.developer_token, **login}


class GoogleClient:
    """Of one account. Safe to use from many threads."""

    name = "Google"

    def __init__(self, account: GoogleAccount) -> None:
        self._rest = GoogleRest(account, AccessTokens(account))
        self._customer = f"customers/{account.customer_id}"
        self._base = f"{account.base_url.rstrip('/')}/{account.api_version}/{self._customer}"
        self.settle_seconds = account.settle_seconds

    def publish(self, name: str, campaign: Campaign) -> Published:
        """Make all of it, or nothing. Raises AlreadyThere where the name is taken."""
        operations = self._operations(name, campaign)
        told = self._rest.post(
            f"{self._base}/googleAds:mutate",
            {"mutateOperations": operations, "partialFailure": False, "validateOnly": False},
        )
        names = [next(iter(one.values()))["resourceName"] for one in told.get("mutateOperationResponses") or ()]
        ids = {name.split("/")[2]: name.split("/")[3] for name in names}
        try:
            return Published(
                budget_id=ids["campaignBudgets"],
                campaign_id=ids["campaigns"],
                ad_group_id=ids["adGroups"],
                ad_id=ids["adGroupAds"].split("~")[1],
            )
        except (KeyError, IndexError):
            raise Unanswered(
                reason="Google no dio los identificadores", kind="GoogleAdsError", detail="no ids"
            ) from None

    def find(self, job_id: str) -> Sequence[Published]:
        """What is there under names with this job's id."""
        rows = self.search(FIND.format(job_id=uuid.UUID(job_id)))  # no other text gets into a query
        return [
            Published(
                budget_id=str(row["campaignBudget"]["id"]),
                campaign_id=str(row["campaign"]["id"]),
                ad_group_id=str(row["adGroup"]["id"]),
                ad_id=str(row["adGroupAd"]["ad"]["id"]),
            )
            for row in rows
        ]

    def remove(self, published: Published) -> None:
        """Remove a campaign with its budget. One that is gone already is fine."""
        operations = [
            {"campaignOperation": {"remove": f"{self._customer}/campaigns/{published.campaign_id}"}},
            {"campaignBudgetOperation": {"remove": f"{self._customer}/campaignBudgets/{published.budget_id}"}},
        ]
        with suppress(AlreadyGone):
            self._rest.post(f"{self._base}/googleAds:mutate", {"mutateOperations": operations})

    def search(self, query: str) -> Sequence[Mapping[str, Any]]:
        """All rows of a query in GAQL."""
        rows: list[Mapping[str, Any]] = []
        page: dict[str, str] = {}
        while True:
            told = self._rest.post(f"{self._base}/googleAds:search", {"query": query, **page})
            rows += told.get("results") or ()
            if not told.get("nextPageToken"):
                return rows
            page = {"pageToken": str(told["nextPageToken"])}

    def _operations(self, name: str, campaign: Campaign) -> list[dict[str, Any]]:
        """Later ones name earlier ones by temporary ids."""
        budget, own, group = (
            f"{self._customer}/{kind}/{number}"
            for kind, number in (("campaignBudgets", BUDGET), ("campaigns", CAMPAIGN), ("adGroups", AD_GROUP))
        )
        return [
            {"campaignBudgetOperation": {"create": _budget(budget, name, campaign)}},
            {"campaignOperation": {"create": _campaign(own, budget, name, campaign)}},
            *(
                {"campaignCriterionOperation": {"create": {"campaign": own, "location": {"geoTargetConstant": target}}}}
                for target in (f"geoTargetConstants/{COUNTRY + NUMBERS[code]}" for code in campaign.countries)
            ),
            {"adGroupOperation": {"create": _ad_group(group, own, name)}},
            *(
                {"adGroupCriterionOperation": {"create": {"adGroup": group, "negative": True, "ageRange": age}}}
                for age in _ages_left_out(campaign)
            ),
            *(
                {
                    "adGroupCriterionOperation": {
                        "create": {
                            "adGroup": group,
                            "status": "PAUSED",
                            "keyword": {"text": keyword, "matchType": "PHRASE"},
                        }
                    }
                }
                for keyword in campaign.keywords
            ),
            {"adGroupAdOperation": {"create": _ad(group, campaign)}},
        ]


def _budget(resource: str, name: str, campaign: Campaign) -> dict[str, Any]:
    micros = str(int(campaign.daily_budget * MICROS))
    return {"resourceName": resource, "name": name, "amountMicros": micros, "explicitlyShared": False}


def _campaign(resource: str, budget: str, name: str, campaign: Campaign) -> dict[str, Any]:
    dates = {"startDate": campaign.starts_on, "endDate": campaign.ends_on}
    return {
        "resourceName": resource,
        "name": name,
        "status": "PAUSED",
        "advertisingChannelType": "SEARCH",
        "campaignBudget": budget,
        "targetSpend": {},
        "networkSettings": {"targetGoogleSearch": True, "targetSearchNetwork": True, "targetContentNetwork": False},
        "containsEuPoliticalAdvertising": "DOES_NOT_CONTAIN_EU_POLITICAL_ADVERTISING",
        **{key: day for key, day in dates.items() if day is not None},
    }


def _ad_group(resource: str, campaign: str, name: str) -> dict[str, Any]:
    return {"resourceName": resource, "name": name, "campaign": campaign, "status": "PAUSED", "type": "SEARCH_STANDARD"}


def _ad(group: str, campaign: Campaign) -> dict[str, Any]:
    texts = {
        "headlines": [{"text": text} for text in campaign.headlines],
        "descriptions": [{"text": text} for text in campaign.descriptions],
    }
    return {
        "adGroup": group,
        "status": "PAUSED",
        "ad": {"finalUrls": [campaign.landing_url], "responsiveSearchAd": texts},
    }


def _ages_left_out(campaign: Campaign) -> list[dict[str, str]]:
    """The ranges in which nobody is who is meant."""
    return [
        {"type": f"AGE_RANGE_{first}_{last}" if last < 65 else "AGE_RANGE_65_UP"}
        for first, last in AGES
        if last < campaign.age_min or (first > campaign.age_max and campaign.age_max < 65)
    ]


def judge(answer: Answer) -> Exception | None:
    """The error that an answer of a Google API is."""
    said = answer.body.get("error")
    if answer.status < 400 and said is None:
        return None
    error: Mapping[str, Any] = said if isinstance(said, dict) else {"message": said}
    status = str(error.get("status") or "")
    failures = [one for detail in error.get("details") or () for one in detail.get("errors") or ()]
    codes = [str(code) for one in failures for code in (one.get("errorCode") or {}).values()]
    request_id = next((detail.get("requestId") for detail in error.get("details") or () if "requestId" in detail), None)
    text = "; ".join(str(one.get("message")) for one in failures) or str(
        error.get("message") or f"HTTP {answer.status}"
    )
    detail = f"({', '.join(codes) or status or answer.status}) {text}, request_id {request_id}"
    facts = {"kind": "GoogleAdsError", "detail": detail, "status": answer.status}
    if answer.status == 429 or status in RESUMES:
        wait = retry_after(answer)
        return PlatformBusy(
            reason="Google limita las llamadas por ahora", **facts, **({} if wait is None else {"retry_after": wait})
        )
    if answer.status >= 500 or status in UNCLEAR:
        return Unanswered(reason="La API de Google falló, y no se sabe si hizo lo pedido", **facts)
    kind = AlreadyThere if DUPLICATES.intersection(codes) else PlatformRefused
    if codes and GONE.issuperset(codes):
        kind = AlreadyGone
    return kind(reason=f"Google rechazó la solicitud: {detail}", **facts)
