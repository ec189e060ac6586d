"""What the settings name is looked at before anything depends on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tag_tasks.folders.local import LocalFolder
from tagapi import checking
from tagapi.settings import load_settings


class Forgetful(LocalFolder):
    """As an S3 that does not mind If-None-Match."""

    def create(self, name: str, content: bytes) -> bool:
        self.replace(name, content)
        return True


class Wavering(LocalFolder):
    """As one that minds it too late."""

    def create(self, name: str, content: bytes) -> bool:
        first = super().create(name, content)
        self.replace(name, content)
        return first


@pytest.mark.parametrize("kind", [Forgetful, Wavering])
def test_a_storage_on_which_two_can_win_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[LocalFolder]
) -> None:
    monkeypatch.setattr("tag_tasks.folders.folder_at", kind)
    problem = checking._write(str(tmp_path))
    assert problem is not None and "If-None-Match" in problem
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_can_be_used_is_left_as_it_was(tmp_path: Path) -> None:
    assert checking._write(str(tmp_path)) is None
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    problem = checking._refused(lambda: checking._write(str(tmp_path / "file")))
    assert problem is not None and problem.startswith("cannot be used: ")


def test_what_is_not_there_is_told_all_at_once(tmp_path: Path) -> None:
    settings = load_settings(
        "local",
        {
            "TAGAPI_DATA__DIR": str(tmp_path),
            "TAGAPI_AUTH__TOKENS_FILE": str(tmp_path / "none.yaml"),
            "TAGAPI_SPARK__REMOTE": "sc://127.0.0.1:1",
            "TAGAPI_REGISTRY__URL": "redis://:secret@127.0.0.1:1/0",
        },
    )
    told = [str(finding) for finding in checking.reached(settings) if finding.problem]
    assert [line.partition(":")[0] for line in told] == ["auth.tokens_file", "spark.remote", "registry.url"]
    assert not any("secret" in line for line in told)
