"""Audiences on the platforms: made, found, filled by batches of hashes, removed.

Meta: https://developers.facebook.com/docs/marketing-api/audiences/guides/custom-audiences.
Google: user lists of Google Ads, filled through the Data Manager API,
https://developers.google.com/data-manager/api/reference/rest/v1/audienceMembers.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from tag_tasks.platforms.google import AccessTokens, AlreadyGone, GoogleAccount, GoogleRest
from tag_tasks.platforms.meta import MetaAccount, MetaClient
from tag_tasks.platforms.model import Found
from tag_tasks.platforms.simulated import simulated_id
from tag_tasks.platforms.transport import PlatformRefused

MOST_ROWS = 10_000
"""Of one upload, on either platform."""
LIFE_SPAN = 540  # days that a member stays in a user list: the longest that Google takes
FIND = (
    "SELECT user_list.id, user_list.name FROM user_list"
    " WHERE user_list.name LIKE '%{job_id}%' AND user_list.membership_status = 'OPEN'"
)

Row = tuple[str, str]
"""The hashes of an e-mail address and of a phone number; "" where there is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """One upload of a session."""

    session: int
    """Unlike other sessions' of the account."""
    number: int
    """From 1."""
    last: bool
    total: int
    """Rows of the whole session."""
    add: bool
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a platform said of an upload."""

    invalid: int = 0
    """Rows that it could not read."""
    request: str | None = None
    """Where it goes on with the upload by itself: what to ask for how that went."""


class Audiences(Protocol):
    """One account's audiences. Raises PlatformRefused, PlatformBusy and Unanswered, as every client does."""

    settle_seconds: float

    @property
    def account(self) -> str:
        """Its number."""

    def create(self, name: str) -> str:
        """Answers with the audience's id."""

    def find(self, name: str, job_id: str) -> Sequence[Found]:
        """Those of exactly this name, which has the job's id."""

    def send(self, audience_id: str, batch: Batch) -> Receipt: ...

    def arrived(self, receipt: Receipt) -> bool:
        """Whether the platform has taken the whole upload. Raises PlatformRefused where it has not, and will not."""

    def delete(self, audience_id: str) -> None:
        """One that is gone already is fine."""


class MetaAudiences:
    """Custom audiences of an ad account. Safe to use from many threads."""

    def __init__(self, account: MetaAccount) -> None:
        self._client = MetaClient(account)
        self.account = account.account_id
        self.settle_seconds = account.settle_seconds

    def create(self, name: str) -> str:
        given = {"name": name, "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
        return self._client.create("customaudiences", given)

    def find(self, name: str, job_id: str) -> Sequence[Found]:
        return [found for found in self._client.find("customaudiences", job_id) if found.name == name]

    def send(self, audience_id: str, batch: Batch) -> Receipt:
        payload = {"schema": ["EMAIL_SHA256", "PHONE_SHA256"], "data": [list(row) for row in batch.rows]}
        session = {
            "session_id": batch.session,
            "batch_seq": batch.number,
            "last_batch_flag": batch.last,
            "estimated_num_total": batch.total,
        }
        method = "POST" if batch.add else "DELETE"
        told = self._client.ask(method, f"{audience_id}/users", json={"payload": payload, "session": session})
        return Receipt(invalid=int(told.get("num_invalid_entries") or 0))

    def arrived(self, receipt: Receipt) -> bool:
        return True  # its answer is the outcome

    def delete(self, audience_id: str) -> None:
        self._client.delete(audience_id)


class GoogleAudiences:
    """User lists of a Google Ads customer. Safe to use from many threads."""

    def __init__(self, account: GoogleAccount) -> None:
        self._rest = GoogleRest(account, AccessTokens(account))
        self._ads = f"{account.base_url.rstrip('/')}/{account.api_version}/customers/{account.customer_id}"
        self._manager = f"{account.data_manager_url.rstrip('/')}/v1"
        self._login = account.login_customer_id
        self.account = account.customer_id
        self.settle_seconds = account.settle_seconds

    def create(self, name: str) -> str:
        given = {
            "name": name,
            "membershipStatus": "OPEN",
            "membershipLifeSpan": str(LIFE_SPAN),
            "crmBasedUserList": {"uploadKeyType": "CONTACT_INFO"},
        }
        told = self._rest.post(f"{self._ads}/userLists:mutate", {"operations": [{"create": given}]})
        return str(told["results"][0]["resourceName"]).rpartition("/")[2]

    def find(self, name: str, job_id: str) -> Sequence[Found]:
        query = FIND.format(job_id=uuid.UUID(job_id))  # no other text gets into a query
        told = self._rest.post(f"{self._ads}/googleAds:search", {"query": query})
        lists = [row["userList"] for row in told.get("results") or ()]
        return [Found(str(one["id"]), str(one["name"])) for one in lists if one["name"] == name]

    def send(self, audience_id: str, batch: Batch) -> Receipt:
        body: dict[str, Any] = {
            "destinations": [self._destination(audience_id)],
            "audienceMembers": [{"userData": {"userIdentifiers": _identifiers(row)}} for row in batch.rows],
            "encoding": "HEX",
            "validateOnly": False,
        }
        if batch.add:
            body["consent"] = {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"}
            body["termsOfService"] = {"customerMatchTermsOfServiceStatus": "ACCEPTED"}
        told = self._rest.post(f"{self._manager}/audienceMembers:{'ingest' if batch.add else 'remove'}", body)
        return Receipt(request=str(told["requestId"]))

    def arrived(self, receipt: Receipt) -> bool:
        told = self._rest.get(f"{self._manager}/requestStatus:retrieve", {"requestId": str(receipt.request)})
        said = [str(one.get("requestStatus")) for one in told.get("requestStatusPerDestination") or ()]
        if bad := [status for status in said if status in ("FAILED", "PARTIAL_SUCCESS")]:
            reason = f"Google no pudo procesar un envío ({bad[0]}), solicitud {receipt.request}"
            raise PlatformRefused(reason=reason, kind="DataManagerError", detail=bad[0])
        return bool(said) and all(status == "SUCCESS" for status in said)

    def delete(self, audience_id: str) -> None:
        name = f"customers/{self.account}/userLists/{audience_id}"
        with suppress(AlreadyGone):
            self._rest.post(f"{self._ads}/userLists:mutate", {"operations": [{"remove": name}]})

    def _destination(self, audience_id: str) -> dict[str, Any]:
        operating = {"accountType": "GOOGLE_ADS", "accountId": self.account}
        login = {} if self._login is None else {"loginAccount": {"accountType": "GOOGLE_ADS", "accountId": self._login}}
        return {"operatingAccount": operating, **login, "productDestinationId": audience_id}


def _identifiers(row: Row) -> list[dict[str, str]]:
    named = zip(("emailAddress", "phoneNumber"), row, strict=True)
    return [{name: value} for name, value in named if value]


class SimulatedAudiences:
    """What the clients do, and nothing outside: a simulated audience is nothing but its id."""

    settle_seconds = 0.0
    account = "simulated"

    def create(self, name: str) -> str:
        return simulated_id("audience", name)

    def find(self, name: str, job_id: str) -> Sequence[Found]:
        return []

    def send(self, audience_id: str, batch: Batch) -> Receipt:
        return Receipt()

    def arrived(self, receipt: Receipt) -> bool:
        return True

    def delete(self, audience_id: str) -> None:
        """There is nothing."""
