"""One attempt to bring an audience up to date: staged, compared, sent, recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from tag_tasks.audiences.difference import Difference
from tag_tasks.audiences.sent import ABOUT, MAYBE, NOBODYS, OUT, SENT, Audience, SentTable, Step
from tag_tasks.audiences.upload import Upload, hold, release
from tag_tasks.audiences.wanted import INVALID, REACHABLE, Wanted
from tag_tasks.campaigns.once import made
from tag_tasks.delta.files import DataFile
from tag_tasks.platforms.audiences import Audiences
from tag_tasks.platforms.model import name_for
from tagapi.jobs.errors import Contended
from tagapi.jobs.model import Json
from tagapi.jobs.task import TaskContext

STEP, UPLOAD = "audience", "upload"
"""What is in the journal."""
DONE = "Audiencia sincronizada con éxito"
COUNTED = "Audiencia calculada; no se envió nada"
UNCONFIRMED = "Audiencia enviada; la plataforma aún no confirma una parte, que se enviará de nuevo la próxima vez"


def ids(platform: Audiences, name: str, job_id: str) -> list[str]:
    """What this job has made there."""
    return [found.id for found in platform.find(name, job_id)]


class SyncAttempt:
    """Call `compute` first, `clear` at the end."""

    def __init__(
        self,
        context: TaskContext,
        session: SparkSession,
        table: SentTable,
        audience: Audience,
        platform: Audiences,
        batch_rows: int,
    ) -> None:
        self._context = context
        self._session = session
        self._table = table
        self._audience = audience
        self._platform = platform
        self._batch_rows = batch_rows
        self._folder = table.staging(audience.key, context.attempt_name)
        self._staged: set[str] = set()
        """The folders of what no commit refers to."""
        self._upload = Upload(context, table, audience, table.held(audience.key, context.job_id), platform)

    # -- computing -------------------------------------------------------------------------

    def compute(self, rows: DataFrame, table_version: int) -> None:
        """Write who is wanted, `user_id, email, phone, reachable, invalid`, of that version of the memberships."""
        self._context.phase("calcular")
        files = self._stage(rows, "wanted", REACHABLE, INVALID)
        self._wanted = Wanted.of(files, table_version)
        self._difference = Difference(self._session, self._table, self._upload.held, self._wanted.files)

    def count(self) -> Json:
        """What a sync would do."""
        self._context.phase("comparar")
        held, difference = self._upload.held, self._difference
        added, removed = self._wanted.members, 0
        if held.of(SENT) or held.of(MAYBE):
            added, removed = difference.new.count(), difference.gone.count()
        return self._result((held.about or {}).get("audience_id"), added, removed, COUNTED)

    def _stage(self, rows: DataFrame, name: str, *apart: str) -> tuple[DataFile, ...]:
        self._staged.add(name)
        rows.write.mode("overwrite").partitionBy(*apart).parquet(f"{self._table.path}/{self._folder}/{name}")
        self._context.check()
        return self._table.staged_files(f"{self._folder}/{name}")

    def clear(self) -> None:
        self._table.discard_folders([f"{self._folder}/{name}" for name in self._staged])

    # -- sending ---------------------------------------------------------------------------

    def sync(self, out: Sequence[DataFile]) -> Json:
        """Send the differences. Raises what the platform's client raises, having kept what may be there.

        `out` are the files of those who were not to be sent when it was computed who is. Raises Contended where
        there are others by now.
        """
        upload, context = self._upload, self._context
        context.journal(UPLOAD, {"about": "batches"})  # so that an end of any kind says what was sent
        audience_id = self._audience_id()
        context.phase("comparar")
        gone, new = self._prepare_removal(), self._new()
        hold(context, self._audience)  # from here on a removal of a person waits for this job
        if self._table.held(NOBODYS).of(OUT) != out:
            raise Contended(reason="mientras se calculaba la audiencia, se pidió quitar a una persona")
        context.phase("quitar", sum(file.rows for file in gone))
        upload.remove(audience_id, gone)
        context.phase("enviar", sum(file.rows for file in new))
        upload.add(audience_id, new, self._batch_rows)
        self._record(audience_id, changed=bool(gone or new))
        release(context, self._audience)
        held = upload.held
        message = UNCONFIRMED if upload.unconfirmed else DONE
        return self._result(audience_id, held.added, held.removed, message)

    def _audience_id(self) -> str:
        """That of the audience, which is made where this is its first sync."""
        upload, context, platform = self._upload, self._context, self._platform
        if upload.held.about is not None:
            return str(upload.held.about["audience_id"])
        name = name_for(self._audience.name, context.job_id)
        create, find = partial(platform.create, name), partial(ids, platform, name, context.job_id)
        audience_id = made(context, STEP, create, find, platform.settle_seconds)
        upload.commit(Step(come={ABOUT: [self._about(audience_id)]}))
        return audience_id

    def _prepare_removal(self) -> list[DataFile]:
        """Keep as `maybe`, batch by batch, whoever is to go; what nobody has to be told of goes at once."""
        upload, difference = self._upload, self._difference
        held = upload.held
        if not held.of(SENT) and not held.of(MAYBE):
            return []
        going = self._stage(difference.gone, "gone", "shared")
        shared = [file for file in going if "shared=true" in file.path]
        unshared = [file for file in going if file not in shared]
        batches = [upload.kept(rows) for rows in self._table.pieces(unshared, self._batch_rows)]
        if not going and not held.of(MAYBE):
            return []
        kept = self._stage(difference.kept, "kept") if going else held.of(SENT)
        perhaps = self._stage(difference.perhaps, "perhaps") if held.of(MAYBE) else ()
        self._staged -= {"kept", "perhaps"}  # from here on the table may refer to them
        stays = set(kept) & set(held.of(SENT))
        upload.commit(
            Step(
                come={SENT: [file for file in kept if file not in stays], MAYBE: [*batches, *perhaps]},
                go={SENT: [file for file in held.of(SENT) if file not in stays], MAYBE: held.of(MAYBE)},
                removed=sum(file.rows for file in shared),
            )
        )
        return batches

    def _new(self) -> Sequence[DataFile]:
        if not self._upload.held.of(SENT):
            return self._wanted.files
        return self._stage(self._difference.new, "new")

    def _record(self, audience_id: str, *, changed: bool) -> None:
        """What the table has from now on: the wanted rows, as Spark wrote them, in place of all the batches."""
        held = self._upload.held
        come, go = {ABOUT: [self._about(audience_id)]}, {ABOUT: held.of(ABOUT)}
        if changed and not self._upload.unconfirmed:
            self._staged.discard("wanted")
            come |= {SENT: [*self._wanted.files]}
            go |= {SENT: held.of(SENT), MAYBE: held.of(MAYBE)}
        elif not self._upload.unconfirmed:
            go |= {MAYBE: held.of(MAYBE)}
        self._upload.commit(Step(come=come, go=go))

    def _about(self, audience_id: str) -> DataFile:
        asked = self._context.arguments
        told: dict[str, Any] = {
            "name": self._audience.name,
            "platform": self._audience.platform,
            "simulated": self._audience.simulated,
            "audience_id": audience_id,
            "definition": asked["audience"],
            "consent": asked["consent"],
            "asked_by": self._context.owner,
            "job_id": self._context.job_id,
            "synced_at": datetime.now(UTC).isoformat(),
            "table_version": self._wanted.table_version,
        }
        return self._table.write_about(f"{self._folder}/about", told)

    def _result(self, audience_id: str | None, added: int, removed: int, message: str) -> Json:
        asked: Mapping[str, Any] = self._context.arguments
        unconfirmed = self._upload.unconfirmed
        return {
            "success": True,
            "message": message,
            "audience_id": audience_id,
            "members": self._wanted.members,
            "added": added,
            "removed": removed,
            "without_identifier": self._wanted.without_identifier,
            "invalid": self._wanted.invalid + self._upload.invalid,
            "table_version": self._wanted.table_version,
            **({"unconfirmed": unconfirmed} if unconfirmed else {}),
            **({"simulated": True} if asked["simulate"] else {}),
            **({"dry_run": True} if asked["dry_run"] else {}),
        }
