"""A context whose attempts may be killed at any step, and accounts at the platforms' stand-ins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from tag_tasks.campaigns.google_publish import GooglePublish
from tag_tasks.campaigns.meta_publish import MetaPublish
from tag_tasks.platforms.google import GoogleAccount, GoogleClient
from tag_tasks.platforms.meta import MetaAccount, MetaClient
from tag_tasks.platforms.simulated import SimulatedGoogle, SimulatedMeta
from tagapi.jobs.errors import JobCancelled
from tagapi.jobs.model import Entry, Json
from tagapi.jobs.task import Task
from tests.platforms import google as google_books
from tests.platforms import meta as meta_books
from tests.platforms.server import PlatformServer

SETTLE = 0.4  # seconds, in place of minutes
CAMPAIGN: Mapping[str, Any] = {
    "name": "Verano",
    "objective": "traffic",
    "daily_budget": "12.50",
    "landing_url": "https://example.org/verano",
    "headline": "Llega el verano",
    "text": "Todo a mitad de precio",
    "image_url": None,
    "countries": ["CO", "US"],
    "age_min": 25,
    "age_max": 54,
    "special_ad_categories": [],
    "starts_on": "2030-01-01",
    "ends_on": "2030-02-01",
    "keywords": ["ropa de verano"],
    "headlines": ["Verano", "Ofertas", "Rebajas"],
    "descriptions": ["Todo a mitad de precio", "Solo este mes"],
}


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Context:
    """A job's attempts, one after the other; the journal is what they share."""

    arguments: Json
    job_id: str = field(default_factory=lambda: str(uuid4()))
    owner: str = "ana"
    entries: list[Entry] = field(default_factory=list)
    dies_at: int | None = None
    """At which step, counted from 0, of those at which a process may die: before and after each note."""
    cancelled: bool = False
    steps: int = 0
    submitted_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    said: list[tuple[str, int | None]] = field(default_factory=list)
    epoch: int = 1
    kept: Json | None = None
    kept_before: Json | None = None

    @property
    def attempt_name(self) -> str:
        return f"{self.job_id}-{self.epoch}"

    def _step(self) -> None:
        at, self.steps = self.steps, self.steps + 1
        if at == self.dies_at:
            raise Killed

    def phase(self, name: str, total: int | None = None) -> None:
        self.said.append((name, total))

    def progress(self, done: int, total: int) -> None: ...

    def check(self) -> None:
        if self.cancelled:
            raise JobCancelled

    def pause(self, seconds: float) -> None:
        time.sleep(min(seconds, 0.02))
        self.check()

    def on_cancel(self, stop: Callable[[], None]) -> AbstractContextManager[object]:
        return nullcontext()

    def begin_commit(self, result: Json) -> None: ...

    def journal(self, step: str, fact: Json) -> None:
        self._step()
        self.entries.append(Entry(step=step, fact=fact, at=datetime.now(UTC)))
        self._step()

    def journaled(self) -> list[Entry]:
        return list(self.entries)

    def hold(self, name: str, seconds: float) -> None: ...

    def release(self, name: str) -> None: ...

    def grow(self, kept: Json) -> None:
        self._step()
        self.kept = kept
        self._step()


@dataclass
class Platform:
    """A stand-in, and the task that publishes there."""

    name: str
    books: Any
    server: PlatformServer
    task: Task

    def context(self, **more: Any) -> Context:
        return Context({"campaign": dict(CAMPAIGN), "audience_id": None, "simulate": False, **more})

    def campaigns(self) -> list[dict[str, Any]]:
        """Everything that is there, whatever it is part of."""
        if self.name == "meta":
            return list(self.books.things.values())
        removed = {name for name, thing in self.books.things.items() if thing.get("status") == "REMOVED"}
        gone = removed | {
            name
            for name, thing in self.books.things.items()
            if thing.get("campaign") in removed
            or self.books.things.get(thing.get("adGroup"), {}).get("campaign") in removed
        }
        return [thing for name, thing in self.books.things.items() if name not in gone]

    def whole(self) -> int:
        """How many things a complete campaign is."""
        return 4 if self.name == "meta" else 3 + 2 + 3 + 1 + 1


def meta_account(url: str, settle: float) -> MetaAccount:
    """The account of the stand-in at this address."""
    return MetaAccount(
        base_url=url,
        api_version="v23.0",
        account_id=meta_books.ACCOUNT,
        page_id=meta_books.PAGE,
        access_token=meta_books.TOKEN,
        settle_seconds=settle,
    )


def google_account(url: str, settle: float) -> GoogleAccount:
    """The same at Google."""
    return GoogleAccount(
        base_url=url,
        data_manager_url=url,
        token_url=f"{url}/token",
        api_version="v21",
        customer_id=google_books.CUSTOMER,
        login_customer_id=google_books.MANAGER,
        developer_token=google_books.DEVELOPER,
        client_id=google_books.CLIENT,
        client_secret=google_books.SECRET,
        refresh_token=google_books.REFRESH,
        settle_seconds=settle,
    )


@contextmanager
def meta_platform(settle: float = SETTLE) -> Iterator[Platform]:
    books = meta_books.Meta()
    with PlatformServer(books) as server:
        client = MetaClient(meta_account(server.url, settle))
        yield Platform("meta", books, server, MetaPublish(client, SimulatedMeta()))


@contextmanager
def google_platform(settle: float = SETTLE) -> Iterator[Platform]:
    books = google_books.Google()
    with PlatformServer(books) as server:
        client = GoogleClient(google_account(server.url, settle))
        yield Platform("google", books, server, GooglePublish(client, SimulatedGoogle()))


PLATFORMS = {"meta": meta_platform, "google": google_platform}
