"""What namespaces read of audiences: which there are, their ids, and whether consents are kept with the users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tag_tasks.audiences.accounts import Accounts
from tag_tasks.audiences.members import Expression
from tag_tasks.audiences.preview import preview
from tag_tasks.audiences.sent import SentTable
from tag_tasks.audiences.wanted import CONSENT
from tag_tasks.reads import Reads
from tag_tasks.spark.session import Spark
from tag_tasks.spark.sources import Sources
from tag_tasks.tags.catalogue import catalogue
from tag_tasks.tags.evaluate import USERS
from tag_tasks.tags.table import MembershipTable


class AudienceReader:
    """Reads for the API. Raises NotReady while Spark, or the storage, does not answer."""

    def __init__(
        self,
        spark: Spark,
        sources: Sources,
        members: MembershipTable,
        table: SentTable,
        accounts: Accounts,
        at_once: int,
    ) -> None:
        """At most `at_once` reads are under way."""
        self._spark = spark
        self._sources = sources
        self._members = members
        self._table = table
        self._accounts = accounts
        self._reads = Reads(at_once)

    def tag_ids(self) -> Sequence[int]:
        return list(catalogue())

    def keeps_consent(self) -> bool:
        """Whether the users' table has the column `ads_consent`."""

        def look() -> bool:
            with self._spark.session() as session:
                return CONSENT in self._sources.read(session, USERS).columns

        return self._reads.run(look)

    def preview(self, expression: Expression) -> Mapping[str, Any]:
        """How large an audience of these tags would be, and how they overlap. Raises NotFoundInData."""

        def look() -> Mapping[str, Any]:
            with self._spark.session() as session:
                return preview(session, self._members, expression)

        return self._reads.run(look)

    def every(self) -> Sequence[Mapping[str, Any]]:
        """What is kept of each audience, by name and platform."""
        found = self._reads.run(self._table.abouts)
        return sorted(found, key=lambda about: (about["name"], about["platform"], about["simulated"]))

    def audience_id(self, platform: str, name: str, *, simulated: bool) -> str | None:
        """The platform's id of an audience that was synced; None where there is none of that name."""
        audience, _ = self._accounts.named({"platform": platform, "name": name, "simulated": simulated})
        about = self._reads.run(lambda: self._table.held(audience.key)).about
        return None if about is None else str(about["audience_id"])
