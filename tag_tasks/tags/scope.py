"""Which rows of its source a tag's run over everyone looks at: all, or what is new since the last one.

A row may come late, or with a time that others have too. So it is the files that tell what is
new, and the time only spares most of what a file that was rewritten has beside: rows that are
older than the watermark by more than a margin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tag_tasks.spark.seen import BY_TIME, Seen, by_time
from tag_tasks.spark.sources import Sources
from tag_tasks.tags.model import Marks
from tag_tasks.tags.table import MembershipTable
from tag_tasks.tags.tag import TagTask

EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Scope:
    """`names` are the files to read, None for the whole source; `since` the earliest time, None for any."""

    names: tuple[str, ...] | None = None
    since: datetime | None = None
    watermark: datetime | None = None
    """Of the last run, for what is not read again."""

    @property
    def nothing(self) -> bool:
        """No file is new."""
        return self.names == ()

    @property
    def whole(self) -> bool:
        """Everyone is evaluated."""
        return self.since is None


class Scopes:
    """Decides for the tags of one run. The files are listed when it is made: before anything is read."""

    def __init__(
        self, table: MembershipTable, sources: Sources, tags: Sequence[TagTask], submitted: datetime, late: timedelta
    ) -> None:
        self._table = table
        self._sources = sources
        self._submitted = submitted
        self._late = late
        self._loaded: dict[int, Seen | None] = {}
        self.seen: dict[str, Seen] = {}
        """By source; not of those that have no files to tell apart."""
        for source in {tag.source for tag in tags}:
            if (files := sources.files(source)) is not None:
                self.seen[source] = Seen(sources.path(source), submitted, files)

    def of(self, tag: TagTask) -> Scope:
        """For an incremental run. The whole source where nobody can say what the tag has seen of it."""
        marks = self._table.marks(tag.tag_id)
        if marks is None or marks.files is None or marks.rule != tag.fingerprint():
            return Scope()
        if tag.reads_today() and marks.run.date() != self._submitted.date():
            return Scope()
        late = min(self._late, marks.watermark - EARLIEST)
        timed = Scope(None, marks.watermark - late, marks.watermark)
        now = self.seen.get(tag.source)
        if now is None:
            return timed if marks.files == self._by_time(tag.source) else Scope()
        before = self._seen_before(marks)
        if before is None or before.source != now.source:
            return Scope()
        new = now.files - before.files
        if len(new) == len(now.files):  # all are: then they are read as they are
            return timed
        return Scope(self._sources.names(tag.source, new), timed.since, timed.watermark)

    def marks(self, tag: TagTask, scope: Scope, newest: datetime | None) -> Marks | None:
        """What the run leaves of the tag, having read up to `newest`; None where no row had a time."""
        times = [moment for moment in (scope.watermark, newest) if moment is not None]
        if not times:
            return None
        seen = self.seen.get(tag.source)
        files = self._by_time(tag.source) if seen is None else seen.reference
        return Marks(max(times), tag.fingerprint(), self._submitted, files)

    def _by_time(self, source: str) -> int:
        return by_time(self._sources.identity(source))

    def _seen_before(self, marks: Marks) -> Seen | None:
        reference = marks.files
        if reference is None or reference & BY_TIME:
            return None
        if reference not in self._loaded:
            self._loaded[reference] = self._table.seen.load(reference)
        seen = self._loaded[reference]
        return seen if seen is not None and seen.run == marks.run else None
