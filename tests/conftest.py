"""Where files may lie: what is true of one is true of the other."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.s3 import S3, s3


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    with s3() as there:
        yield there


@pytest.fixture
def bucket(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """An S3 that this process speaks to."""
    for name, value in s3_server.variables.items():
        monkeypatch.setenv(name, value)
    return s3_server


@pytest.fixture(params=["disk", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a folder may be: nothing is there yet."""
    if request.param == "disk":
        return str(tmp_path / "folder")
    there: S3 = request.getfixturevalue("bucket")
    return there.uri(f"prefix/{uuid.uuid4().hex}")
