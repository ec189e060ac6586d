"""Google: OAuth, Google Ads' atomic mutate with unique names, its search, and the Data Manager."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from typing import Any

from tests.platforms.server import Asked, Platform, Refused

CUSTOMER, MANAGER = "1112223333", "9998887777"
DEVELOPER, CLIENT, SECRET, REFRESH = "dev-token", "client-id", "client-secret", "refresh-secret"
COLLECTIONS = {
    "campaignBudgetOperation": ("campaignBudgets", "campaignBudgetResult"),
    "campaignOperation": ("campaigns", "campaignResult"),
    "campaignCriterionOperation": ("campaignCriteria", "campaignCriterionResult"),
    "adGroupOperation": ("adGroups", "adGroupResult"),
    "adGroupCriterionOperation": ("adGroupCriteria", "adGroupCriterionResult"),
    "adGroupAdOperation": ("adGroupAds", "adGroupAdResult"),
    "userListOperation": ("userLists", "userListResult"),
}
HASH = re.compile(r"[0-9a-f]{64}")
LIKE = re.compile(r"\.name LIKE '%([^'%]*)%'")
MOST_MEMBERS = 10_000


def failure(code: dict[str, str], message: str) -> Refused:
    told = {
        "@type": "type.googleapis.com/google.ads.googleads.v21.errors.GoogleAdsFailure",
        "errors": [{"errorCode": code, "message": message}],
        "requestId": "rEqUeStId",
    }
    error = {"code": 400, "status": "INVALID_ARGUMENT", "message": "Request contains an invalid argument."}
    return Refused(400, {"error": {**error, "details": [told]}})


@dataclass
class Google(Platform):
    """One customer's books."""

    things: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By resource name: what it was made with."""
    members: dict[str, set[tuple[str, ...]]] = field(default_factory=dict)
    """Of the user lists, by their ids."""
    unremovable: bool = False
    processing: dict[str, int] = field(default_factory=dict)
    """Of each upload, how often it will still be said to be under way."""
    processed_after: int = 1
    failed: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._ids = itertools.count(2_345_678_901, 3)
        self._tokens = itertools.count(1)
        self.token = ""

    def books(self) -> dict[str, Any]:
        members = {one: sorted(map(list, rows)) for one, rows in self.members.items()}
        return {"things": self.things, "members": members}

    def limited(self) -> Refused:
        error = {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Too many requests."}
        return Refused(429, {"error": error}, {"Retry-After": "0"})

    def expired(self) -> Refused:
        self.token = ""
        return Refused(401, {"error": {"code": 401, "status": "UNAUTHENTICATED", "message": "Token expired."}})

    def refused(self) -> Refused:
        return failure({"authorizationError": "ACTION_NOT_PERMITTED"}, "Not permitted.")

    def answer(self, asked: Asked) -> dict[str, Any]:
        if asked.path == "/token":
            return self._new_token(asked.json)
        if asked.headers.get("authorization") != f"Bearer {self.token}" or not self.token:
            raise self.expired()
        if asked.path.startswith("/v1/"):
            return self._data_manager(asked)
        if asked.headers.get("developer-token") != DEVELOPER or asked.headers.get("login-customer-id") != MANAGER:
            raise failure({"authorizationError": "USER_PERMISSION_DENIED"}, "No access.")
        found = re.fullmatch(r"/v\d+/customers/(\d+)/(googleAds:mutate|googleAds:search|userLists:mutate)", asked.path)
        assert found and found[1] == CUSTOMER
        if found[2] == "googleAds:search":
            return {"results": self._search(asked.json["query"])}
        if found[2] == "userLists:mutate":
            made = [self._do({"userListOperation": one}, {}) for one in asked.json["operations"]]
            return {"results": [next(iter(one.values())) for one in made]}
        return self._mutate(asked.json)

    def _new_token(self, form: dict[str, str]) -> dict[str, Any]:
        wanted = {"grant_type": "refresh_token", "client_id": CLIENT, "client_secret": SECRET, "refresh_token": REFRESH}
        if form != wanted:
            raise Refused(400, {"error": "invalid_grant", "error_description": "Bad Request"})
        self.token = f"access-secret-{next(self._tokens)}"
        return {"access_token": self.token, "expires_in": 3599, "token_type": "Bearer"}

    # -- Google Ads ------------------------------------------------------------------------

    def _mutate(self, body: dict[str, Any]) -> dict[str, Any]:
        before, names = {key: dict(thing) for key, thing in self.things.items()}, {}
        try:
            answers = [self._do(operation, names) for operation in body["mutateOperations"]]
        except Refused:
            self.things = before
            raise
        if body.get("validateOnly"):
            self.things = before
            return {}
        return {"mutateOperationResponses": answers}

    def _do(self, operation: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
        (kind, what), *_ = operation.items()
        collection, result = COLLECTIONS[kind]
        if "remove" in what:
            return {result: {"resourceName": self._remove(what["remove"])}}
        given = _renamed(what["create"], names)
        self._check(collection, given)
        number = str(next(self._ids))
        group = str(given.get("adGroup", given.get("campaign", ""))).rpartition("/")[2]
        own = f"{group}~{number}" if collection in ("adGroupAds", "adGroupCriteria", "campaignCriteria") else number
        resource = f"customers/{CUSTOMER}/{collection}/{own}"
        if "resourceName" in given:
            names[given["resourceName"]] = resource
        self.things[resource] = {**given, "resourceName": resource}
        if collection == "userLists":
            self.members[number] = set()
        return {result: {"resourceName": resource}}

    def _check(self, collection: str, given: dict[str, Any]) -> None:
        taken = {
            thing.get("name")
            for name, thing in self.things.items()
            if f"/{collection}/" in name and thing.get("status") != "REMOVED"
        }
        if collection == "campaigns":
            if given["name"] in taken:
                raise failure({"campaignError": "DUPLICATE_CAMPAIGN_NAME"}, "A campaign with this name exists.")
            if "containsEuPoliticalAdvertising" not in given or given["status"] != "PAUSED":
                raise failure({"requestError": "REQUIRED_FIELD_MISSING"}, "The required field was not present.")
        if collection == "campaignBudgets":
            if given["name"] in taken:
                raise failure({"campaignBudgetError": "DUPLICATE_NAME"}, "A budget with this name exists.")
            if int(given["amountMicros"]) < 1_000_000:
                raise failure({"campaignBudgetError": "MONEY_AMOUNT_TOO_SMALL"}, "Too small.")
        if collection == "adGroupAds":
            texts = given["ad"]["responsiveSearchAd"]
            for name, least, most, longest in (("headlines", 3, 15, 30), ("descriptions", 2, 4, 90)):
                lengths = [len(one["text"]) for one in texts[name]]
                if not least <= len(lengths) <= most or max(lengths) > longest:
                    raise failure({"adError": "INVALID_INPUT"}, f"Bad {name}.")
        for parent in ("campaign", "adGroup", "campaignBudget"):
            if parent in given and given[parent] not in self.things:
                raise failure({"mutateError": "RESOURCE_NOT_FOUND"}, f"No {given[parent]}.")

    def _remove(self, resource: str) -> str:
        if self.unremovable:
            raise failure({"authorizationError": "ACTION_NOT_PERMITTED"}, "Not permitted.")
        if self.things.get(resource, {}).get("status") in (None, "REMOVED") and "/campaigns/" in resource:
            raise failure({"mutateError": "RESOURCE_NOT_FOUND"}, f"No {resource}.")
        if "/userLists/" in resource:
            if resource not in self.things:
                raise failure({"mutateError": "RESOURCE_NOT_FOUND"}, f"No {resource}.")
            del self.things[resource], self.members[resource.rpartition("/")[2]]
            return resource
        self.things[resource]["status"] = "REMOVED"
        return resource

    def _search(self, query: str) -> list[dict[str, Any]]:
        wanted = LIKE.search(query)
        assert wanted, query
        if "FROM user_list" in query:
            return [
                {"userList": {"id": name.rpartition("/")[2], "name": thing["name"]}}
                for name, thing in self.things.items()
                if "/userLists/" in name and wanted[1] in thing["name"] and thing.get("membershipStatus") != "CLOSED"
            ]
        assert "FROM ad_group_ad" in query and "status != 'REMOVED'" in query, query
        rows = []
        for name, thing in self.things.items():
            if "/adGroupAds/" not in name:
                continue
            group = self.things[thing["adGroup"]]
            campaign = self.things[group["campaign"]]
            if wanted[1] in campaign["name"] and campaign["status"] != "REMOVED":
                ids = [
                    one.rpartition("/")[2] for one in (group["campaign"], thing["adGroup"], campaign["campaignBudget"])
                ]
                rows.append(
                    {
                        "campaign": {"id": ids[0], "name": campaign["name"]},
                        "adGroup": {"id": ids[1]},
                        "campaignBudget": {"id": ids[2]},
                        "adGroupAd": {"ad": {"id": name.rpartition("~")[2]}},
                    }
                )
        return rows

    # -- Data Manager ----------------------------------------------------------------------

    def _data_manager(self, asked: Asked) -> dict[str, Any]:
        if asked.path == "/v1/requestStatus:retrieve":
            return {"requestStatusPerDestination": [{"requestStatus": self._status(asked.query["requestId"])}]}
        body = asked.json
        people = body["audienceMembers"]
        if not 0 < len(people) <= MOST_MEMBERS or body["encoding"] != "HEX":
            raise Refused(400, {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "Bad members."}})
        (destination,) = body["destinations"]
        known = self.members.get(destination["productDestinationId"])
        if known is None:
            raise Refused(404, {"error": {"code": 404, "status": "NOT_FOUND", "message": "No such list."}})
        for person in people:
            identifiers = person["userData"]["userIdentifiers"]
            row = tuple(sorted(value for one in identifiers for value in one.values()))
            if not row or not all(HASH.fullmatch(value) for value in row):
                raise Refused(400, {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "Not hashed."}})
            (known.add if asked.path.endswith(":ingest") else known.discard)(row)
        if asked.path.endswith(":ingest"):
            granted = {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"}
            if body.get("consent") != granted or "termsOfService" not in body:
                raise Refused(400, {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "No consent."}})
        request = f"dm-{next(self._ids)}"
        self.processing[request] = self.processed_after
        return {"requestId": request}

    def _status(self, request: str) -> str:
        """What an upload is at: for some looks it is not done yet."""
        if request in self.failed:
            return "FAILED"
        left = self.processing.get(request, 0)
        self.processing[request] = left - 1
        return "PROCESSING" if left > 0 else "SUCCESS"


def _renamed(given: Any, names: dict[str, str]) -> Any:
    """With temporary resource names as the real ones."""
    return {key: names.get(value, value) if isinstance(value, str) else value for key, value in given.items()}
