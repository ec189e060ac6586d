"""The benchmarks measure registries that they have filled by themselves: as if the jobs had come one by one."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks.__main__ import PARTS
from benchmarks.fill import fill
from tagapi.jobs.lists import Query
from tagapi.jobs.model import JobState
from tagapi.registries import open_registry
from tests.contract.backends import valkey

FINISHED, QUEUED = 30, 20


@pytest.mark.parametrize("store", ["sqlite", "redis"])
def test_a_registry_that_was_filled_is_one_like_any_other(store: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/jobs.db"
    if store == "redis":
        valkey().client().flushdb()
        url = valkey().url
    open_registry(url).close()
    fill(url, 1, FINISHED, finished=True)
    fill(url, FINISHED + 1, FINISHED + QUEUED, finished=False)
    registry = open_registry(url)
    try:
        assert registry.find(Query(limit=100)).total == FINISHED + QUEUED and registry.queued() == QUEUED
        assert (
            registry.find(Query(states=frozenset({JobState.SUCCEEDED}), namespace="tags", label="tag:1")).total
            == FINISHED
        )
        claimed = registry.claim("bench", timedelta(seconds=30))
        assert claimed is not None and claimed.number == FINISHED + 1
        assert registry.queued() == QUEUED - 1
    finally:
        registry.close()


def test_every_part_of_the_benchmarks_can_be_run() -> None:
    assert {"compute", "http", "registries", "exports", "assets"} <= PARTS.keys()
