"""Whether a caller may have something done, now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tagapi.auth import Principal, RightNeeded, Role
from tagapi.jobs.errors import NotFoundInData
from tagapi.namespaces.tasks.orders import NotConfigured, Orders

ANN, ADMIN = Principal("ann", Role.USER), Principal("root", Role.ADMIN)
SYNC: Mapping[str, Any] = {
    "platform": "meta",
    "audience": {"name": "A", "tags": {"all": [1]}, "segment": None},
    "dry_run": False,
    "simulate": False,
    "consent": "granted",
}


class Nothing:
    """No account, no audience and one model, by whose version in use there are two segments."""

    countries = frozenset({"CO"})

    def missing(self, platform: str) -> str | None:
        return "TAGAPI_META__ACCOUNT_ID, TAGAPI_META__PAGE_ID"

    def tag_ids(self) -> Sequence[int]:
        return [1]

    def keeps_consent(self) -> bool:
        return False

    def every(self) -> Sequence[Mapping[str, Any]]:
        return []

    def audience_id(self, platform: str, name: str, *, simulated: bool) -> str | None:
        return None

    def models(self) -> Sequence[Mapping[str, Any]]:
        return []

    def model(self, name: str, version: int | None = None) -> Mapping[str, Any]:
        if name != "clientes":
            raise NotFoundInData(thing="model", name=name)
        return {"segments": [{}] * 6}

    def in_use(self, name: str) -> Mapping[str, Any]:
        return {**self.model(name), "segments": [{}] * 2}

    def segment_of(self, name: str, user_id: str) -> Mapping[str, Any]:
        raise NotFoundInData(thing="segment", name=user_id)


ORDERS = Orders(Nothing(), Nothing(), Nothing())


def removal(simulated: bool, asked_by: str) -> Mapping[str, Any]:
    return {"audiences": [{"platform": "meta", "simulated": simulated, "name": "A", "asked_by": asked_by}]}


def test_what_others_tried_is_not_everybodys_to_remove() -> None:
    ORDERS.check("audience_removal", removal(True, "ann"), ANN)
    ORDERS.check("audience_removal", removal(True, "ann"), ADMIN)
    for simulated, asked_by in ((True, "bob"), (False, "ann")):
        with pytest.raises(RightNeeded):
            ORDERS.check("audience_removal", removal(simulated, asked_by), ANN)


def test_a_missing_right_is_told_before_a_missing_account() -> None:
    with pytest.raises(RightNeeded):
        ORDERS.check("audience_sync", SYNC, ANN)
    for caller, more in ((ADMIN, {}), (ANN, {"dry_run": True})):
        with pytest.raises(NotConfigured, match="ACCOUNT_ID, TAGAPI_META__PAGE_ID"):
            ORDERS.check("audience_sync", {**SYNC, **more}, caller)


def test_what_is_not_there_is_named_by_its_field() -> None:
    of_none = {**SYNC, "audience": {"name": "A", "tags": None, "segment": {"model": "otro", "segment": 1}}}
    with pytest.raises(NotFoundInData) as missing:
        ORDERS.check("audience_sync", of_none, ADMIN)
    assert missing.value.facts["field"] == "audience.segment.model"
    published = {"campaign": {"countries": ["CO"]}, "audience": "A", "simulate": True}
    with pytest.raises(NotFoundInData) as gone:  # as when a job is repeated whose audience has gone
        ORDERS.check("meta_publish", published, ANN)
    assert gone.value.facts["field"] == "audience"
