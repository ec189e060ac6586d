"""What namespaces read of audiences: which there are, their ids, and whether consents are kept with the users."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from tag_tasks.audiences.accounts import Accounts
from tag_tasks.audiences.sent import SentTable
from tag_tasks.audiences.wanted import CONSENT
from tag_tasks.bounded import BoundedThreads, NoAnswer
from tag_tasks.spark.session import Spark
from tag_tasks.spark.sources import Sources
from tag_tasks.tags.catalogue import catalogue
from tag_tasks.tags.evaluate import USERS
from tagapi.jobs.errors import NotReady, Transient

Answer = TypeVar("Answer")
SECONDS = 10.0  # that a read may take
RETRY_AFTER = 5  # seconds, as a guess


class AudienceReader:
    """Reads for the API. Raises NotReady while the storage, or Spark, does not answer."""

    def __init__(
        self,
        spark: Spark,
        sources: Sources,
        table: SentTable,
        accounts: Accounts,
        at_once: int,
        seconds: float = SECONDS,
    ) -> None:
        """At most `at_once` reads are under way; each may take so many seconds."""
        self._spark = spark
        self._sources = sources
        self._table = table
        self._accounts = accounts
        self._threads = BoundedThreads("read", at_once, seconds)

    def tag_ids(self) -> Sequence[int]:
        return list(catalogue())

    def keeps_consent(self) -> bool:
        """Whether the users' table has the column `ads_consent`."""

        def look() -> bool:
            with self._spark.session() as session:
                return CONSENT in self._sources.read(session, USERS).columns

        return self._read(look)

    def every(self) -> Sequence[Mapping[str, Any]]:
        """What is kept of each audience, by name and platform."""
        found = self._read(self._table.abouts)
        return sorted(found, key=lambda about: (about["name"], about["platform"], about["simulated"]))

    def audience_id(self, platform: str, name: str, *, simulated: bool) -> str | None:
        """The platform's id of an audience that was synced; None where there is none of that name."""
        audience, _ = self._accounts.named({"platform": platform, "name": name, "simulated": simulated})
        about = self._read(lambda: self._table.held(audience.key)).about
        return None if about is None else str(about["audience_id"])

    def _read(self, read: Callable[[], Answer]) -> Answer:
        try:
            return self._threads.run(read)
        except (NoAnswer, Transient) as error:
            raise NotReady(part="the storage", retry_after=RETRY_AFTER) from error
