"""The order of an export: by id, and rows that share an id by everything else.

Spark sorts by the id alone: by every column takes it nearly twice as long, for the few rows
in a thousand, or none, that share one. Those are put in order here, as they pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tagapi.jobs.errors import TaskFailed

LONGEST_RUN = 1_000_000
"""Rows that may share an id: they are held at once."""

NO_ID = -(2**63)
"""Stands for a null, which comes first; a real id that is as small is put in order with the nulls, and after them."""


def break_ties(pieces: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows, from pieces that are sorted by their first column, in an order that only the rows decide.

    Where the pieces are cut moves to where the first column changes. Raises TaskFailed for a
    run of rows with the same id that is too long to be held.
    """
    held: pa.Table | None = None
    for piece in pieces:
        rows = piece if held is None else pa.concat_tables([held, piece])
        ids = _ids(rows)
        last_run = int(np.searchsorted(ids, ids[-1], side="left"))
        if len(ids) - last_run > LONGEST_RUN:
            raise TaskFailed(reason=f"more than {LONGEST_RUN:,} rows share the id {rows[0][-1].as_py()}")
        held = rows.slice(last_run)
        if last_run:
            yield _in_order(rows.slice(0, last_run), ids[:last_run])
    if held is not None:
        yield _in_order(held, _ids(held))


def _ids(rows: pa.Table) -> np.ndarray:
    ids: np.ndarray = pc.fill_null(rows[0].combine_chunks().cast(pa.int64()), NO_ID).to_numpy()
    return ids


def _in_order(chunked: pa.Table, ids: np.ndarray) -> pa.Table:
    rows = chunked.combine_chunks()
    same = ids[1:] == ids[:-1]
    shared = np.flatnonzero(np.concatenate([same, [False]]) | np.concatenate([[False], same]))
    if not len(shared):
        return rows
    keys = [(name, "ascending", "at_start") for name in rows.column_names]
    order = pc.sort_indices(rows.take(shared), sort_keys=keys).to_numpy()
    if (order == np.arange(len(order))).all():
        return rows
    places = np.arange(rows.num_rows)
    places[shared] = shared[order]
    return rows.take(places)
