"""What the rules say about some users, collected as Arrow: small enough to hold, whoever asked."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc


class Verdicts:
    """Cells `source, user_id, tag_<id>...`: true, false, or null where a tag had nothing to say on the row."""

    def __init__(self, cells: pa.Table, tag_ids: Sequence[int], listed: pa.Array | None = None) -> None:
        """`listed` are the users in scope, whether or not a source has a row on them; else those with a cell are."""
        self._cells = cells
        self.tag_ids = tag_ids
        self._listed = listed

    def of(self, tag_id: int) -> tuple[pa.Array, pa.Array]:
        """The users in the tag's scope that match, and those that do not. No user is in both, or twice.

        A user with several rows matches if any of them does, as in a run over everyone.
        """
        cell = self._cells[f"tag_{tag_id}"]
        matching = self._users(pc.fill_null(cell, False))
        scope = self._users(pc.is_valid(cell)) if self._listed is None else self._listed
        return matching, scope.filter(pc.invert(pc.is_in(scope, value_set=matching)))

    def users_of(self, source: str) -> pa.Array:
        """The users that a source has a row on."""
        return self._users(pc.equal(self._cells["source"], source))

    def users(self) -> int:
        """How many users there is any verdict on."""
        return int(pc.count_distinct(self._cells["user_id"]).as_py())

    def _users(self, mask: pa.ChunkedArray) -> pa.Array:
        found = pc.unique(self._cells["user_id"].filter(mask)).cast(pa.string())
        return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
