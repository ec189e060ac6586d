"""Reading a collector from an offset on, a batch at a time: what is behind an offset that a client kept.

An offset goes out as a token that names the collector's generation too, so that it is never taken for a place
in another collector of the same name. It holds for as long as the collector is there, in every process: nothing
is remembered of who reads. What a token points at may be forgotten by now; then the reading goes on at the
earliest document behind it that is kept, and says so.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from deltalake import DeltaTable

from tag_tasks.documents.collected import COLLECTOR, Collected, Key, Piece, State, owner_key, states_of
from tag_tasks.documents.collectors import ROW_GROUP, CollectorTable
from tag_tasks.documents.pieces import MOST_BYTES, Lines
from tagapi.jobs.errors import BadOffset, NotFoundInData, TaskFailed

EARLIEST, LATEST = "earliest", "latest"
FEW = 250  # documents: a batch of fewer takes more from the next piece, as each costs a way to the client
LOOK_EVERY = 1.0  # seconds: older than that, what is known of a collector is looked at anew before it is read on
SEEN_KEPT = 16  # collectors, as they were last


class CollectorDeleted(NotFoundInData):
    message = "The collector {name} was deleted."
    code = "collector_deleted"


def offset_token(generation: str, offset: int) -> str:
    """The place before the document of this offset, as clients keep it: base64url of `<generation>.<offset>`."""
    return base64.urlsafe_b64encode(f"{generation}.{offset}".encode()).rstrip(b"=").decode("ascii")


def offset_of(token: str, found: Collected) -> int:
    """The offset that a token names. Raises BadOffset for whatever the collector has not given."""
    try:
        told = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode("ascii")
        offset = int(told.rpartition(".")[2])
    except ValueError:
        raise BadOffset(field="resume_offset") from None
    # Compared as a whole: there is one token for each place, and no other way to write it.
    if not 0 <= offset <= found.next or token != offset_token(found.generation, offset):
        raise BadOffset(field="resume_offset")
    return offset


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Documents that follow each other, as they go over the wire."""

    lines: Sequence[memoryview]
    """Their bytes, put behind one another; they lie where Arrow has read them to."""
    documents: int
    """0 where there is none behind `first`, as the collector was in this `state`."""
    first: str
    """The token of the place before them."""
    next: str
    """The token of the place behind them."""
    expired: bool
    """Documents right before them were forgotten before they were read."""
    state: State


class CollectorReader:
    """Opens readings. Safe to use from many threads."""

    def __init__(self, table: CollectorTable, now: Callable[[], float] = time.monotonic) -> None:
        self._table = table
        self._now = now
        self._seen: dict[Key, Collected] = {}
        """Since many may read the same, and a look at a table that did not change is a fifth of the work."""
        self._states: tuple[int, Mapping[Key, State]] = (-1, {})

    def open(self, collector_id: str, owner: str, resume_offset: str | None) -> Reading:
        """A reading from `earliest` (or None), `latest` or a token on; `owner` is a user's name.

        Raises NotFoundInData, BadOffset, and Transient where the storage does not answer.
        """
        key = Key(owner_key(owner), COLLECTOR, collector_id)
        found = self._look(key)
        if found is None:
            raise NotFoundInData(thing="collector", name=collector_id)
        begin = _begin(found, resume_offset)
        return Reading(self._table, partial(self._look, key), self._now, key, found, begin)

    def states(self) -> Mapping[Key, State]:
        """Of all collectors: another one after each commit to a collector, whoever made it. Raises Transient.

        One look for all who wait, and none at others' collectors for each of them.
        """
        if self._states[0] != self._table.use(_version):
            self._states = self._table.use(states_of)
        return self._states[1]

    def _look(self, key: Key) -> Collected | None:
        """The collector as it is now."""
        known = self._seen.get(key)
        if known is not None and known.version == self._table.use(_version):
            return known
        found = self._table.collected(key)
        if len(self._seen) >= SEEN_KEPT:
            self._seen = {}
        if found is not None:
            self._seen[key] = found
        return found


def _version(table: DeltaTable) -> int:
    return int(table.version())


def _begin(found: Collected, resume_offset: str | None) -> int:
    if resume_offset in (None, EARLIEST):
        return found.earliest
    return found.next if resume_offset == LATEST else offset_of(resume_offset, found)


class Reading:
    """A place in a collector, that moves on. For one thread at a time; once it has raised, it is over."""

    def __init__(
        self,
        table: CollectorTable,
        look: Callable[[], Collected | None],
        now: Callable[[], float],
        key: Key,
        found: Collected,
        offset: int,
    ) -> None:
        self._look, self._now = look, now
        self.key = key
        self._found, self._state, self._looked_at = found.window(offset), found.state, now()
        self._offset = offset
        self._jumped = False
        """Documents at the offset were forgotten: it was moved behind them, and nobody was told yet."""
        self._lines = Lines(table)
        self._find()
        self.expired, self._jumped = self._jumped, False
        """Whether older documents were asked for than are kept."""
        self.token = self._token(self._offset)
        """The place where it began."""

    def next(self, most: int) -> Batch:
        """At most so many documents, and at most ROW_GROUP, from where it is; none where there are none yet.

        Raises CollectorDeleted, and Transient or TaskFailed where the storage does not answer.
        """
        self._fill()
        start, expired, self._jumped = self._offset, self._jumped, False
        parts = list(self._gather(min(most, ROW_GROUP)))
        documents = sum(count for _, count in parts)
        return Batch(
            lines=[view for view, _ in parts],
            documents=documents,
            first=self._token(start),
            next=self._token(start + documents),
            expired=expired,
            state=self._state,
        )

    def _gather(self, most: int) -> Iterator[tuple[memoryview, int]]:
        """Parts of a batch, with how many documents each has; a place where some are missing ends it."""
        documents = size = 0
        while self._lines.left and not self._jumped:
            view, count = self._lines.cut(most - documents)
            self._offset += count
            documents, size = documents + count, size + len(view)
            yield view, count
            if documents >= min(most, FEW) or size >= MOST_BYTES // 2:
                return
            self._fill()

    def _fill(self) -> None:
        """Have lines from the offset on, unless there are none."""
        while not self._lines.left and (piece := self._piece()) is not None:
            try:
                self._lines.read(piece, self._offset)
            except TaskFailed as error:
                if not isinstance(error.__cause__, FileNotFoundError):
                    raise
                self._look_anew()
                if piece in self._found.pieces:  # it is not forgotten, but lost
                    raise

    def _piece(self) -> Piece | None:
        """Where the next document is."""
        if self._now() - self._looked_at >= LOOK_EVERY or self._found.at_or_behind(self._offset) is None:
            self._look_anew()
        self._find()
        return self._found.at_or_behind(self._offset)

    def _look_anew(self) -> None:
        found, self._looked_at = self._look(), self._now()
        if found is None or found.generation != self._found.generation:
            raise CollectorDeleted(thing="collector", name=self.key.name)
        self._found, self._state = found.window(self._offset), found.state

    def _find(self) -> None:
        """Move on to where documents are kept."""
        piece = self._found.at_or_behind(self._offset)
        kept = self._found.next if piece is None else piece.first
        if kept > self._offset:
            self._offset, self._jumped = kept, True

    def _token(self, offset: int) -> str:
        return offset_token(self._found.generation, offset)
