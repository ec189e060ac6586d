"""The sample documents: the same for a seed and a day, in order, and odd where documents are."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tag_tasks.documents import sample
from tag_tasks.documents.source import SCHEMA

TODAY = date(2026, 6, 15)
COUNT = 3_000


@pytest.fixture
def documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pa.Table:
    monkeypatch.setattr(sample, "CHUNK", 1_000)
    sample.write_sample(tmp_path, COUNT, TODAY)
    return pq.read_table(tmp_path / "documents")


def test_it_is_the_same_for_a_seed_and_a_day(tmp_path: Path, documents: pa.Table) -> None:
    sample.write_sample(tmp_path / "again", COUNT, TODAY)
    assert pq.read_table(tmp_path / "again" / "documents").equals(documents)
    sample.write_sample(tmp_path / "other", COUNT, TODAY, seed=1)
    assert not pq.read_table(tmp_path / "other" / "documents").equals(documents)


def test_each_file_holds_a_stretch_of_the_last_two_years(tmp_path: Path, documents: pa.Table) -> None:
    assert documents.schema.names == SCHEMA.names and documents.num_rows == COUNT
    assert len([*(tmp_path / "documents").glob("*.parquet")]) == 3
    published = documents["published"].to_pylist()
    assert published == sorted(published)
    assert published[-1] < datetime(2026, 6, 15, tzinfo=UTC) and (published[-1] - published[0]).days >= 728
    assert len(set(documents["id"].to_pylist())) == COUNT


def test_there_is_something_to_be_found_and_something_absent(documents: pa.Table) -> None:
    assert len(set(documents["lang"].to_pylist()) - {None}) == 6
    assert "reddit.com" in documents["domain_url"].to_pylist()
    types = {one for ones in documents["source_type"].to_pylist() for one in ones or ()}
    assert "SOCIALMEDIA_TWITTER" in types
    content = documents["content"]
    assert pc.any(pc.match_substring(content, "#")).as_py() and pc.any(pc.match_substring(content, "@")).as_py()
    absent = {name for name in SCHEMA.names if documents[name].null_count}
    assert absent == set(SCHEMA.names) - {"id", "published"}
