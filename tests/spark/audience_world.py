"""Audiences of literal users at the platforms' stand-ins, and what DuckDB says they should be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from tag_tasks.audiences.accounts import Accounts
from tag_tasks.audiences.person import PersonRemoval
from tag_tasks.audiences.removal import AudienceRemoval
from tag_tasks.audiences.sent import SentTable
from tag_tasks.audiences.sync import AudienceSync
from tag_tasks.platforms.audiences import Audiences, GoogleAudiences, MetaAudiences
from tag_tasks.segments.assigned import SegmentFile, SegmentTable
from tag_tasks.segments.model import Model, Scale
from tag_tasks.segments.models import ModelTable
from tag_tasks.spark.session import Spark
from tagapi.jobs.model import Json
from tests.platforms import google as google_books
from tests.platforms import meta as meta_books
from tests.platforms.server import PlatformServer
from tests.spark.world import ALL, BASIC, World
from tests.unit.outside import SETTLE, Context, google_account, meta_account

NAME = "Clientes A"
ROWS_OF_A_BATCH = 3
NORMALISED = {
    "meta": "lower(regexp_replace(email, '^\\s+|\\s+$', '', 'g'))",
    "google": """CASE WHEN lower(trim(email)) LIKE '%@gmail.com'
                 THEN replace(split_part(lower(trim(email)), '@', 1), '.', '') || '@gmail.com'
                 ELSE lower(regexp_replace(email, '^\\s+|\\s+$', '', 'g')) END""",
}
PLAIN = r"regexp_replace(phone, '[-\s./()]', '', 'g')"
DIGITS = f"ltrim({PLAIN}, '+0')"
PHONES = {"meta": DIGITS, "google": f"'+' || {DIGITS}"}
VALID_EMAIL = r"regexp_full_match(trim(email), '[^@\s]+@[^@\s]+\.[^@\s.]+')"
VALID_PHONE = rf"regexp_full_match({PLAIN}, '(\+|00)0*[1-9][0-9]{{6,14}}')"


@dataclass
class AudienceWorld:
    """One account at each platform; `sync` is a job of one attempt."""

    world: World
    table: SentTable
    meta: meta_books.Meta
    google: google_books.Google
    servers: Mapping[str, PlatformServer]
    accounts: Accounts
    segments: SegmentTable
    models: ModelTable
    batch_rows: int = ROWS_OF_A_BATCH

    def books(self, platform: str) -> Any:
        return self.meta if platform == "meta" else self.google

    def context(self, platform: str = "meta", tags: Mapping[str, Any] | None = None, **more: Any) -> Context:
        asked = {
            "platform": platform,
            "audience": {"name": NAME, "tags": tags or {"all": [1]}, "segment": None},
            "dry_run": False,
            "simulate": False,
            "consent": "granted",
        }
        return Context({**asked, **more})

    def task(self, table: SentTable | None = None) -> AudienceSync:
        world = self.world
        sent = table or self.table
        return AudienceSync(
            world.spark, world.sources, world.table, self.segments, self.models, sent, self.accounts, self.batch_rows
        )

    def attempt(self, context: Context, table: SentTable | None = None) -> Json:
        """One more attempt of a job."""
        context.epoch += 1
        return self.task(table).run(context)

    def sync(self, platform: str = "meta", tags: Mapping[str, Any] | None = None, **more: Any) -> Json:
        return self.task().run(self.context(platform, tags, **more))

    def remove(self, *abouts: Mapping[str, Any]) -> Json:
        return AudienceRemoval(self.table, self.accounts).run(Context({"audiences": abouts}))

    def person_removal(self, table: SentTable | None = None) -> PersonRemoval:
        return PersonRemoval(self.world.spark, table or self.table, self.accounts)

    def remove_person(self, user_id: str) -> Json:
        return self.person_removal().run(Context({"user_id": user_id}))

    def predicted(self, version: int, segment: int, *users: str) -> None:
        """As a prediction with this version of a model of two segments leaves it."""
        file = self.segments.write_file("model=clientes/attempt", pa.table({"user_id": list(users)}))
        at = self.segments.assigned("clientes")
        self.segments.commit("clientes", f"job {version} {segment}", at, [SegmentFile.of(version, segment, file)], [])

    def trained(self, segments: int) -> None:
        version = len(self.models.versions("clientes")) + 1
        model = Model(
            *("clientes", version, [Scale("age", 40.0, False, 40.0, 10.0)], [[float(one)] for one in range(segments)]),
            *([1] * segments, 0.5, segments, segments, segments, 20, "2026-01-01", "2026-01-01T00:00:00+00:00"),
        )
        self.models.add(model, f"training {version}", lambda: None)

    # -- what is there, and what should be ---------------------------------------------------

    def there(self, platform: str, *others: str) -> set[frozenset[str]]:
        """The members of the only audience that the platform has, beside others; each as the set of their hashes."""
        (rows,) = (rows for name, rows in self.books(platform).members.items() if name not in others)
        return {frozenset(value for value in row if value) for row in rows}

    def wanted(self, platform: str, carriers: str, consent: str = "true") -> set[frozenset[str]]:
        """By DuckDB: those users' hashes. `carriers` is SQL over `m`, a table of (user_id, tags)."""
        members = [(tag, user) for tag in ALL for user in self.world.members(tag)]
        with duckdb.connect() as db:
            db.execute("CREATE TABLE members (tag INTEGER, user_id VARCHAR)")
            if members:
                db.executemany("INSERT INTO members VALUES (?, ?)", members)
            email, phone = NORMALISED[platform], PHONES[platform]
            rows = db.execute(
                f"""
                WITH m AS (SELECT user_id, list(tag) AS tags FROM members GROUP BY user_id)
                SELECT CASE WHEN {VALID_EMAIL} THEN sha256({email}) END,
                       CASE WHEN {VALID_PHONE} THEN sha256({phone}) END
                FROM read_parquet($files) JOIN m USING (user_id) WHERE ({carriers}) AND {consent}
                """,
                {"files": self.world.files_of(BASIC)},
            ).fetchall()
        found = {frozenset(value for value in row if value) for row in rows}
        return found - {frozenset()}

    def requests(self, platform: str) -> Sequence[Any]:
        return self.books(platform).requests

    def sent_since(self, platform: str, count: int) -> list[str]:
        """Which uploads came after the so-manieth request."""
        marks = ("/users", ":ingest", ":remove")
        later = self.requests(platform)[count:]
        return [f"{one.method} {one.path}" for one in later if one.path.endswith(marks)]


@contextmanager
def audience_world(spark: Spark, folder: Path) -> Iterator[AudienceWorld]:
    books = {"meta": meta_books.Meta(), "google": google_books.Google()}
    with ExitStack() as stack:
        servers = {name: stack.enter_context(PlatformServer(one)) for name, one in books.items()}
        real: dict[str, Audiences] = {
            "meta": MetaAudiences(meta_account(servers["meta"].url, SETTLE)),
            "google": GoogleAudiences(google_account(servers["google"].url, SETTLE)),
        }
        world = World(spark, folder)
        table = SentTable(str(folder / "audiences"))
        yield AudienceWorld(
            world,
            table,
            books["meta"],
            books["google"],
            servers,
            Accounts(real),
            SegmentTable(str(folder / "segments")),
            ModelTable(str(folder / "models")),
        )
