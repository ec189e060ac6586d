"""What was asked for, and what came of it: scans of the lab, many of which work on the assets of the same scope."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import requests

from tests.chaos.exports import NOT_NOW
from tests.e2e.assets_client import ROOT
from tests.e2e.server import Client
from tests.internet.lab import OFFICE, SHOP, SITES, WWW, ZONE, Lab, site
from tests.internet.sites import Get, Site, answer

OVER = ("SUCCESS", "FAILURE", "REVOKED")
CANCELLED = 0.12  # the chance that a job is cancelled on the way
BY_CLOCK = 0.3  # the chance that a monitor is begun by its schedule
EVERY_SECONDS = 21_600
DOMAIN_MONITOR, ADDRESS_MONITOR, ADD, SYNC, AGAIN = (
    "domain_exec_task",
    "ip_exec_task",
    "add_asset_site_task",
    "domain_task_sync_task",
    "asset_site_update",
)
DOMAINS, ADDRESSES = "domain_task", "ip_task"
TENDING = (DOMAIN_MONITOR, ADDRESS_MONITOR, ADD, SYNC, AGAIN)
"""The types whose findings go into a scope."""
SLOW = 0.2  # seconds that a site of the lab takes


class Town:
    """The sites of the lab, none of which hangs: one is slow, one never the same, and two must never be asked."""

    def __init__(self) -> None:
        self.trespasses: list[str] = []
        self._asked = 0
        outside = dict.fromkeys(("mail.corp.example", "legacy.corp.example"), self._outside)
        calm: dict[str, Site] = {OFFICE: site("Office"), "dev.corp.example": self._slow}
        self.sites = {**SITES, **calm, **outside, "api.corp.example": self._changing}

    async def _outside(self, get: Get, writer: asyncio.StreamWriter) -> None:
        self.trespasses.append(get.host)
        writer.write(answer(b"not yours", 403))

    async def _slow(self, get: Get, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(SLOW)
        await site("Dev")(get, writer)

    async def _changing(self, get: Get, writer: asyncio.StreamWriter) -> None:
        self._asked += 1
        await site(f"API {self._asked}")(get, writer)


@dataclass(slots=True)
class Scan:
    """One that was asked for."""

    key: str
    task_type: str
    data: dict[str, Any]
    stopped: bool = False
    """It is to be cancelled, once it runs."""
    asked: bool = False
    """Somebody was asked to cancel it."""
    over: bool = False
    """It was seen to have ended."""
    job: str | None = None
    revoked: bool = False
    """A cancel of it was told to have happened."""
    schedule: str | None = None

    @property
    def scope(self) -> str | None:
        return self.data.get("scope_id")


class Scans:
    """Sent again, under the same key, until they are acknowledged. For one thread."""

    def __init__(self, lab: Lab, chance: random.Random) -> None:
        self.every: list[Scan] = []
        self.refused: list[str] = []
        """Answers that nobody foresaw."""
        self.synced = ""
        """The job whose findings are taken over."""
        self._scopes = 0
        self._chance = chance
        ports = f"{lab.plain.port},{lab.secure.port},{lab.ssh}"
        self._ports = {"port_scan": True, "port_scan_type": "custom", "port_custom": ports}
        self._urls = f"http://shop.corp.example:{lab.plain.port}/ https://api.corp.example:{lab.secure.port}/"

    def scope(self) -> str:
        """The name of the next one."""
        self._scopes += 1
        return f"s{self._scopes}"

    def add(
        self, task_type: str, scope: str | None = None, stopped: bool | None = None, slow: str | None = None
    ) -> Scan:
        stop = self._chance.random() < CANCELLED if stopped is None else stopped
        data = self._data(task_type, scope, slow)
        if task_type in (DOMAIN_MONITOR, ADDRESS_MONITOR) and self._chance.random() < BY_CLOCK:
            data["schedule"] = {"every_seconds": EVERY_SECONDS}
        self.every.append(Scan(f"scan-{len(self.every) + 1}", task_type, data, stop))
        return self.every[-1]

    def _data(self, task_type: str, scope: str | None, slow: str | None = None) -> dict[str, Any]:
        """`slow` is an option that costs time, and finds nothing new in the lab."""
        sites = {"ssl_cert": True, "site_identify": True, "site_spider": True, "web_info_hunter": True, **self._ports}
        names = {"domain_brute": True, "domain_brute_type": "test", **sites}
        if slow is not None:
            names[slow] = True
            sites |= {slow: True} if slow != "alt_dns" else {}
        addresses = f"{WWW}, {SHOP}, {OFFICE}"
        of_scope = {"scope_id": scope}
        kinds: dict[str, dict[str, Any]] = {
            DOMAINS: {"target": "corp.example", "options": names},
            ADDRESSES: {"target": addresses, "options": sites},
            DOMAIN_MONITOR: {"target": "corp.example", "options": names, **of_scope},
            ADDRESS_MONITOR: {"target": addresses, "options": sites, **of_scope},
            ADD: {"target": self._urls, **of_scope},
            SYNC: {"task_id": self.synced, **of_scope},
            AGAIN: of_scope,
        }
        return kinds[task_type]

    def push(self, client: Client) -> None:
        """Send what is not acknowledged, stop what is to be stopped: whatever the service lets one do."""
        for one in self.every:
            with suppress(requests.RequestException, AssertionError):
                if one.job is None:
                    self._send(client, one)
                elif one.stopped and not (one.over or one.revoked):
                    self._stop(client, one)

    def _send(self, client: Client, one: Scan) -> None:
        told = client.post(f"{ROOT}/", {"task_type": one.task_type, "data": one.data}, {"Idempotency-Key": one.key})
        if told.status_code == 200:
            data = told.json()["data"]
            one.job, one.schedule = data["celery_id"], data.get("schedule_id")
        elif told.status_code not in NOT_NOW:
            self.refused.append(f"{one.key} was answered {told.status_code}: {told.text}")

    def _stop(self, client: Client, one: Scan) -> None:
        state = status(client, str(one.job))["status"]
        one.over = state in OVER
        if state not in (*OVER, "PENDING"):
            one.asked = True
            told = client.delete(f"{ROOT}/{one.job}/")
            one.revoked = told.status_code == 200

    def over(self, client: Client) -> bool:
        """Whether each is acknowledged and has ended."""
        with suppress(requests.RequestException, AssertionError):
            return all(self._over(client, one) for one in self.every)
        return False

    def _over(self, client: Client, one: Scan) -> bool:
        one.over = one.over or (one.job is not None and status(client, one.job)["status"] in OVER)
        return one.over


def planted(lab: Lab) -> dict[str, frozenset[tuple[str, str]]]:
    """What the lab was built of: kinds and keys, of all names, sites and ports that a scan of each type has to find."""
    names = [name for name in ZONE if name != "legacy.corp.example"]
    http, https = lab.plain.port, lab.secure.port
    sites = [f"http://{name}:{http}/" for name in names if name != "mail.corp.example"]
    sites += [f"https://{name}:{https}/" for name in names if not name.startswith(("mail.", "dev."))]
    ports = [(WWW, http), (WWW, https), (SHOP, http), (SHOP, https), (SHOP, lab.ssh), (OFFICE, http)]
    by_name = frozenset([("domains", name) for name in names] + [("sites", url) for url in sites])
    return {DOMAINS: by_name, ADDRESSES: frozenset(("addresses", f"{address}:{port}") for address, port in ports)}


def status(client: Client, job: str) -> dict[str, Any]:
    told: dict[str, Any] = client.read(f"{ROOT}/{job}/")["data"]
    return told


def scope_file(lab: Lab, count: int) -> str:
    """So many scopes, each with all that the lab's own scope has."""
    whole = lab.scope()
    one = whole[whole.index("  - id:") :]
    return "scopes:\n" + "".join(one.replace("id: corp", f"id: s{number}") for number in range(1, count + 1))
