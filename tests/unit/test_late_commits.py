"""A commit that was asked for and is not there never comes, whatever table it is of, and however late it is tried."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from tag_tasks.segments.assigned import SegmentFile, SegmentTable
from tag_tasks.segments.model import Model
from tag_tasks.segments.models import ModelTable
from tagapi.jobs.errors import Contended

JOB = "550e8400-e29b-41d4-a716-446655440000"


def test_of_a_prediction(tmp_path: Path) -> None:
    table, other = SegmentTable(str(tmp_path)), SegmentTable(str(tmp_path))
    at = table.assigned("m")
    file = table.write_file("model=m/version=1/segment=0", pa.table({"user_id": ["a"]}))
    assert not other.find_commit(JOB)
    with pytest.raises(Contended):
        table.commit("m", JOB, at, [SegmentFile.of(1, 0, file)], [])
    assert not other.find_commit(JOB)
    assert other.assigned("m").files == []


def test_a_prediction_is_made_anew_behind_anothers(tmp_path: Path) -> None:
    table, other = SegmentTable(str(tmp_path)), SegmentTable(str(tmp_path))
    at = table.assigned("m")
    for which, name in ((other, "n"), (table, "m")):
        file = which.write_file(f"model={name}/version=1/segment=0", pa.table({"user_id": ["a"]}))
        which.commit(name, f"{JOB}-{name}", at, [SegmentFile.of(1, 0, file)], [])
    assert len(table.assigned("m").files) == len(table.assigned("n").files) == 1


def test_of_a_training(tmp_path: Path) -> None:
    table, other = ModelTable(str(tmp_path)), ModelTable(str(tmp_path))
    model = Model(
        model="m",
        version=1,
        scales=[],
        centres=[],
        sizes=[],
        silhouette=0.0,
        users=0,
        trained_on=0,
        silhouette_on=0,
        seed=0,
        today="2026-01-20",
        trained_at="2026-01-20T10:30:00+00:00",
    )

    def asked_for() -> None:
        assert not other.find_commit(JOB)

    with pytest.raises(Contended):
        table.add(model, JOB, asked_for)
    assert not other.find_commit(JOB)
    assert other.names() == []
    table.add(model, f"{JOB}-again", lambda: None)
    assert other.versions("m") == [1]
