"""Rows that share an id are put in order as they pass, however the stream is cut."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from tag_tasks.datasets import order
from tagapi.jobs.errors import TaskFailed

SCHEMA = pa.schema([("ID", pa.int32()), ("Name", pa.string()), ("Price", pa.decimal128(10, 2)), ("Active", pa.bool_())])
IDS = [None, None, None, -5, 1, 1, 2, 3, 3, 3, 3, 3, 4, 7, 7]


def shuffled(seed: int) -> list[tuple[Any, ...]]:
    """Rows ordered by their id, and by nothing else."""
    random.seed(seed)
    names, prices = [None, "", "b", "a"], [None, Decimal("1.00"), Decimal("-1.00")]
    rows = [(id_, names[n % 4], prices[n % 3], [None, True, False][n % 3]) for n, id_ in enumerate(IDS)]
    random.shuffle(rows)
    return sorted(rows, key=lambda row: (row[0] is not None, row[0] or 0))


def passed(rows: list[tuple[Any, ...]], piece: int) -> list[tuple[Any, ...]]:
    columns = [pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), SCHEMA.types, strict=True)]
    table = pa.table(columns, schema=SCHEMA)
    pieces = (table.slice(first, piece) for first in range(0, len(rows), piece))
    return [tuple(row.values()) for one in order.break_ties(pieces) for row in one.to_pylist()]


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 100])
def test_the_order_depends_on_the_rows_alone(piece: int) -> None:
    expected = sorted(
        shuffled(0), key=lambda row: [(cell is not None, cell) if cell is not None else (False,) for cell in row]
    )
    for seed in range(20):
        assert passed(shuffled(seed), piece) == expected


def test_nothing_is_in_order() -> None:
    assert list(order.break_ties(iter([]))) == []


def test_a_run_that_is_too_long_to_be_held_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "LONGEST_RUN", 4)
    with pytest.raises(TaskFailed, match="more than 4 rows share the id 3"):
        passed(shuffled(0), 3)
