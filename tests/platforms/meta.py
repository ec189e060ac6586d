"""Meta's Graph API, as far as campaigns and audiences go: ids of digits, errors by code, deletion with all below."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass, field
from typing import Any

from tests.platforms.server import Asked, Platform, Refused

TOKEN, ACCOUNT, PAGE = "meta-secret-token", "1234567890", "555000111"
EDGES = {
    "campaigns": {"name", "objective", "status", "special_ad_categories"},
    "adsets": {"name", "campaign_id", "daily_budget", "billing_event", "optimization_goal", "targeting", "status"},
    "adcreatives": {"name", "object_story_spec"},
    "ads": {"name", "adset_id", "creative", "status"},
    "customaudiences": {"name", "subtype", "customer_file_source"},
}
"""What can be made in an account, and what has to be given for it."""
PARENT = {"adsets": "campaign_id", "ads": "adset_id"}
OBJECTIVES = {f"OUTCOME_{one}" for one in ("TRAFFIC", "AWARENESS", "ENGAGEMENT", "LEADS", "SALES")}
HASH = re.compile(r"[0-9a-f]{64}")
PAGE_SIZE = 25
MOST_ROWS = 10_000


def error(status: int, code: int, message: str, subcode: int | None = None, **more: Any) -> Refused:
    told = {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "Atr4ceId", **more}
    return Refused(status, {"error": told if subcode is None else {**told, "error_subcode": subcode}})


@dataclass
class Meta(Platform):
    """One account's books."""

    currency: str = "USD"
    things: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By id: `kind`, and what it was made with."""
    members: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    """Of the audiences."""
    undeletable: set[str] = field(default_factory=set)
    """Kinds of things that Meta refuses to delete."""

    def __post_init__(self) -> None:
        self._ids = itertools.count(120_210_000_000_000_001, 7)

    def books(self) -> dict[str, Any]:
        members = {audience: sorted(map(list, rows)) for audience, rows in self.members.items()}
        return {"things": self.things, "members": members}

    def limited(self) -> Refused:
        refused = error(400, 80004, "There have been too many calls to this ad-account", 2446079)
        usage = {ACCOUNT: [{"type": "ads_management", "estimated_time_to_regain_access": 0}]}
        refused.headers = {"X-Business-Use-Case-Usage": json.dumps(usage)}
        return refused

    def expired(self) -> Refused:
        return error(401, 190, "Error validating access token: Session has expired", 463)

    def refused(self) -> Refused:
        return error(403, 200, "(#200) Permissions error")

    def answer(self, asked: Asked) -> dict[str, Any]:
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            raise error(401, 190, "Invalid OAuth access token")
        version, _, path = asked.path.lstrip("/").partition("/")
        assert re.fullmatch(r"v\d+\.\d+", version)
        head, _, edge = path.partition("/")
        if head == f"act_{ACCOUNT}":
            if asked.method == "GET" and not edge:
                return {"currency": self.currency, "id": head}
            if edge not in EDGES:
                raise error(400, 100, f"Unknown path components: /{edge}")
            return self._create(edge, asked.json) if asked.method == "POST" else self._list(edge, asked.query)
        if head not in self.things:
            raise error(400, 100, f"Object with ID '{head}' does not exist", 33)
        if edge == "users":
            return self._change_members(head, asked)
        if asked.method == "DELETE":
            return self._delete(head)
        return {"id": head, "name": self.things[head]["name"]}

    def _create(self, kind: str, given: dict[str, Any]) -> dict[str, Any]:
        if missing := EDGES[kind] - given.keys():
            raise error(400, 100, f"(#100) The parameter {min(missing)} is required")
        if not 1 <= len(given["name"]) <= 400:
            raise error(400, 100, "(#100) Param name must be at most 400 characters")
        if kind == "campaigns" and given["objective"] not in OBJECTIVES:
            raise error(400, 100, "(#100) Param objective must be one of the outcomes")
        if given.get("status", "PAUSED") != "PAUSED":
            raise error(400, 100, "this stand-in takes nothing that would spend money")
        parent = given.get(PARENT.get(kind, ""))
        if kind in PARENT and self.things.get(str(parent), {}).get("kind") not in ("campaigns", "adsets"):
            raise error(400, 100, f"Invalid parameter: no {PARENT[kind]} {parent}", 1487056)
        if kind == "ads" and given["creative"]["creative_id"] not in self.things:
            raise error(400, 100, "Invalid parameter: no such creative")
        if kind == "adsets":
            self._check_ad_set(given)
        thing = str(next(self._ids))
        self.things[thing] = {"kind": kind, **given}
        if kind == "customaudiences":
            self.members[thing] = set()
        return {"id": thing}

    def _check_ad_set(self, given: dict[str, Any]) -> None:
        if not isinstance(given["daily_budget"], int) or given["daily_budget"] < 100:
            raise error(400, 100, "The ad set budget is too low", 1885272)
        for audience in given["targeting"].get("custom_audiences", ()):
            if audience["id"] not in self.members:
                raise error(400, 100, "Invalid parameter: no such custom audience")

    def _list(self, kind: str, query: dict[str, str]) -> dict[str, Any]:
        wanted = [one["value"] for one in json.loads(query.get("filtering", "[]")) if one["operator"] == "CONTAIN"]
        found = [
            {"id": thing, "name": facts["name"]}
            for thing, facts in self.things.items()
            if facts["kind"] == kind and all(text in facts["name"] for text in wanted)
        ]
        first = int(query.get("after") or 0)
        size = min(int(query.get("limit") or PAGE_SIZE), PAGE_SIZE)
        page: dict[str, Any] = {"data": found[first : first + size]}
        if first + size < len(found):
            page["paging"] = {"cursors": {"after": str(first + size)}, "next": "https://graph.facebook.com/next"}
        return page

    def _delete(self, thing: str) -> dict[str, Any]:
        if self.things[thing]["kind"] in self.undeletable:
            raise error(403, 200, "(#200) Permissions error")
        children = [one for one, facts in self.things.items() if facts.get(PARENT.get(facts["kind"], "")) == thing]
        del self.things[thing]
        self.members.pop(thing, None)
        for child in children:
            if child in self.things:
                self._delete(child)
        return {"success": True}

    def _change_members(self, audience: str, asked: Asked) -> dict[str, Any]:
        payload, session = asked.json["payload"], asked.json["session"]
        if payload["schema"] != ["EMAIL_SHA256", "PHONE_SHA256"] or not 0 < len(payload["data"]) <= MOST_ROWS:
            raise error(400, 100, "(#100) Invalid payload")
        rows = [tuple(row) for row in payload["data"]]
        good = [row for row in rows if all(not one or HASH.fullmatch(one) for one in row) and any(row)]
        if asked.method == "POST":
            self.members[audience].update(good)
        else:
            self.members[audience].difference_update(good)
        return {
            "audience_id": audience,
            "session_id": str(session["session_id"]),
            "num_received": len(rows),
            "num_invalid_entries": len(rows) - len(good),
            "invalid_entry_samples": {},
        }
