"""The data that is measured on: the product's own sample, and changes to it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tag_tasks.tags.sample import LAYOUT, TABLES, write_sample

PAIR = ("user_2500000x", "user_7500000x")
"""Two users whose data flips between jobs: in files of their own, but in the midst of everybody by their ids."""

FLIPPED = ("total_asset_value", "cash_balance", "trade_count_30d", "risk_score", "age")


def sample(folder: Path, users: int) -> Path:
    """The sources of so many users, made where they are missing."""
    sources = folder / f"{users}" / "data" / "sources"
    if not (sources / TABLES[-1]).is_dir():
        write_sample(sources, users, datetime.now(UTC).date())
    return sources


def flip_pair(sources: Path, rich: bool) -> None:
    """Write the two users' rows, so that they enter (or leave) tags 1 and 6."""
    for table in TABLES:
        rows = pq.read_table(next(iter(sorted((sources / table).glob("part-0*.parquet"))))).slice(0, 2)
        rows = rows.set_column(0, "user_id", pa.array(PAIR))
        for name in ("total_asset_value", "cash_balance"):
            if name in rows.column_names:
                values = pa.array([1_000_000.0 if rich else 0.0] * 2)
                rows = rows.set_column(rows.column_names.index(name), name, values)
        pq.write_table(rows, sources / table / "pair.parquet")


def drop_pair(sources: Path) -> None:
    for table in TABLES:
        (sources / table / "pair.parquet").unlink(missing_ok=True)


def change_one_per_cent(sources: Path) -> None:
    """Give every hundredth user another one's values and a fresh updated_time."""
    now = int(time.time() * 1_000_000)
    for table in TABLES:
        for file in sorted((sources / table).glob("part-0*.parquet")):
            rows = pq.read_table(file)
            for name in (*FLIPPED, "updated_time"):
                if name in rows.column_names:
                    rows = rows.set_column(rows.column_names.index(name), name, _changed(rows, name, now))
            pq.write_table(rows, file, **LAYOUT)


def _changed(rows: pa.Table, name: str, now: int) -> pa.Array:
    column = rows[name].combine_chunks()
    order = np.arange(len(column))
    if name != "updated_time":
        order[::100] = np.roll(order[::100], 1)
        return column.take(pa.array(order))
    times = column.cast(pa.int64()).to_numpy().copy()
    times[::100] = now
    return pa.array(times).cast(column.type)
