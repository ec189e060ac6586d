"""The results' folder: complete or not at all, and who comes too late finds the door shut."""

from __future__ import annotations

import errno
import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tag_tasks.datasets.results import STAGING, TRASH, ResultFolder, StagedFile, TakenOver
from tagapi.jobs.errors import TaskFailed, Transient

JOB = str(uuid.UUID(int=1))
OTHER = str(uuid.UUID(int=2))


@pytest.fixture
def results(tmp_path: Path) -> ResultFolder:
    return ResultFolder(tmp_path / "results")


def write(staged: Path, text: str = "a,b", name: str = "it.csv") -> None:
    with StagedFile(staged / name, "text/csv") as file:
        file.write(text.encode())
    file.sync()


def publish(results: ResultFolder, job_id: str = JOB, epoch: int = 1, text: str = "a,b") -> None:
    with results.stage(f"{job_id}-{epoch}") as staged:
        write(staged, text)
        results.publish(f"{job_id}-{epoch}", job_id)


def files(results: ResultFolder) -> Iterator[Path]:
    return (path for path in results._folder.rglob("*") if path.is_file())


def test_a_published_file_is_found_and_read(results: ResultFolder) -> None:
    publish(results)
    path, file = results.path(JOB, "it.csv"), results.open(JOB, "it.csv")
    assert path is not None
    assert file is not None
    with file:
        assert file.read() == path.read_bytes() == b"a,b"
    assert results.find(JOB, 1)


def test_a_staged_file_knows_what_it_is(tmp_path: Path) -> None:
    with StagedFile(tmp_path / "it.csv", "text/csv") as file:
        for piece in (b"a", memoryview(b",b"), b""):
            file.write(piece)
    digest = hashlib.sha256(b"a,b").hexdigest()
    assert file.described() == {"name": "it.csv", "content_type": "text/csv", "size": 3, "sha256": digest}


def test_what_is_not_published_goes_away(results: ResultFolder) -> None:
    with results.stage(f"{JOB}-1") as staged:
        write(staged)
        assert results.path(JOB, "it.csv") is None
    assert not results.find(JOB, 1)
    assert list(files(results)) == []


def test_an_error_leaves_nothing(results: ResultFolder) -> None:
    with pytest.raises(KeyError), results.stage(f"{JOB}-1") as staged:
        write(staged)
        raise KeyError
    assert list(files(results)) == []


def test_a_disk_that_refuses_fails_the_task_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file where a folder should be")
    results = ResultFolder(tmp_path / "results")
    with pytest.raises(TaskFailed, match=r"^the result cannot be written: Not a directory$"), results.stage(f"{JOB}-1"):
        pass


def test_who_looks_shuts_the_door(results: ResultFolder) -> None:
    """A frozen attempt is about to publish; its successor asks whether it did; then it wakes up."""
    with results.stage(f"{JOB}-1") as staged:
        write(staged)
        assert not results.find(JOB, 1)
        with pytest.raises(TakenOver):
            results.publish(f"{JOB}-1", JOB)
    assert not results.find(JOB, 1)
    publish(results, epoch=2)
    assert results.find(JOB, 1)


def test_a_result_is_published_once(results: ResultFolder) -> None:
    """Two attempts that are both about to publish: the second is refused, and the first one's file stays."""
    publish(results, text="first")
    with results.stage(f"{JOB}-2") as staged:
        write(staged, "second")
        with pytest.raises(TakenOver):
            results.publish(f"{JOB}-2", JOB)
    path = results.path(JOB, "it.csv")
    assert path is not None
    assert path.read_text() == "first"


def test_an_attempt_clears_away_its_predecessors_and_nobody_elses(results: ResultFolder, tmp_path: Path) -> None:
    with results.stage(f"{JOB}-1") as old, results.stage(f"{OTHER}-1") as foreign:
        write(old)
        write(foreign)
        with results.stage(f"{JOB}-2"):
            assert not old.exists()
            assert foreign.exists()
        results.publish(f"{OTHER}-1", OTHER)
    assert results.find(OTHER, 1)


def test_a_stale_attempt_that_wakes_up_leaves_its_successors_files_alone(results: ResultFolder) -> None:
    """It was given up before it staged anything, or while it asked for its predecessor's commit."""
    with results.stage(f"{JOB}-10") as staged:
        write(staged)
        with results.stage(f"{JOB}-9") as stale:
            write(stale)
        assert not results.find(JOB, 9)
        results.publish(f"{JOB}-10", JOB)
    assert results.find(JOB, 10)


class Disk:
    """Fails renames, before or after it has done them."""

    def __init__(self, code: int, after: Callable[[str, str], object] = lambda *_: None) -> None:
        self.code = code
        self.after = after

    def rename(self, source: str, target: str) -> NoReturn:
        self.after(source, target)
        raise OSError(self.code, "the disk hiccups")


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.ENOSPC, errno.ESTALE])
def test_a_disk_that_fails_for_a_moment_is_nobody_who_was_faster(
    results: ResultFolder, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    with results.stage(f"{JOB}-1") as staged:
        write(staged)
        with monkeypatch.context() as patch:
            patch.setattr(os, "rename", Disk(code).rename)
            with pytest.raises(Transient, match=r"^the result cannot be published: the disk hiccups$") as raised:
                results.publish(f"{JOB}-1", JOB)
        assert not isinstance(raised.value, TakenOver)
        assert staged.is_dir()


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOENT])
def test_a_rename_that_happened_and_was_reported_as_failed_has_happened(
    results: ResultFolder, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """A shared disk sends a rename again when its reply is lost, and is then told that there is nothing to rename."""
    with results.stage(f"{JOB}-1") as staged:
        write(staged)
        with monkeypatch.context() as patch:
            patch.setattr(os, "rename", Disk(code, after=os.rename).rename)
            results.publish(f"{JOB}-1", JOB)
    assert results.find(JOB, 1)


def test_a_disk_that_does_not_say_whether_a_result_is_there_is_asked_again(tmp_path: Path) -> None:
    """A loop of links is an error that is neither a folder nor none."""
    (tmp_path / "results").symlink_to(tmp_path / "results")
    with pytest.raises(Transient, match=r"^the result cannot be looked for: "):
        ResultFolder(tmp_path / "results").find(JOB, 1)


def test_removed_results_are_gone_and_others_are_not(results: ResultFolder) -> None:
    publish(results, JOB)
    publish(results, OTHER)
    results.remove([JOB, str(uuid.uuid4())])
    assert results.path(JOB, "it.csv") is None
    assert results.path(OTHER, "it.csv") is not None
    results.remove([JOB])


def test_a_removed_file_stays_readable_for_who_reads_it(results: ResultFolder) -> None:
    publish(results)
    file = results.open(JOB, "it.csv")
    assert file is not None
    with file:
        results.remove([JOB])
        assert file.read() == b"a,b"
    assert results.open(JOB, "it.csv") is None


def test_what_a_lost_process_staged_goes_with_its_job(results: ResultFolder) -> None:
    results._staging(f"{JOB}-7").mkdir(parents=True)
    (results._staging(f"{JOB}-7") / "it.csv").write_text("half")
    results.remove([JOB])
    assert list(files(results)) == []


def lose(results: ResultFolder, job_id: str) -> None:
    """An attempt of the job is killed: nobody tidies up."""
    folder = results._folder / STAGING / f"{job_id}-1"
    folder.mkdir(parents=True)
    (folder / "rows").write_text("half")


def test_what_lost_attempts_left_of_jobs_that_have_ended_is_swept_away(results: ResultFolder) -> None:
    for job_id in (JOB, OTHER):
        lose(results, job_id)
    results.sweep(lambda job_id: job_id == JOB)
    assert not list(results._folder.rglob(f"{JOB}*"))
    assert len(list(results._folder.rglob(f"{OTHER}-1"))) == 1


def test_what_somebody_died_over_while_it_was_removed_is_swept_away(
    results: ResultFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = results._folder / TRASH / "half"
    half.mkdir(parents=True)
    results.sweep(lambda _: False)
    assert half.exists(), "somebody may be at it"
    monkeypatch.setattr("tag_tasks.datasets.results.TRASHED", -1.0)
    results.sweep(lambda _: False)
    assert not half.exists()


@pytest.mark.parametrize("name", ["", ".", "..", "../it.csv", "a/b", "/etc/passwd", ".hidden", "a\0b", "it.csv/"])
def test_no_name_leads_out_of_the_folder(results: ResultFolder, tmp_path: Path, name: str) -> None:
    publish(results)
    (tmp_path / "it.csv").write_text("outside")
    assert results.path(JOB, name) is None
    assert results.path(name, "it.csv") is None
    assert results.open(name, "it.csv") is None
    results.remove([name])
    assert (tmp_path / "it.csv").read_text() == "outside"
    assert results.path(JOB, "it.csv") is not None


def test_a_folder_is_no_file(results: ResultFolder) -> None:
    publish(results)
    (results._folder / JOB / "folder").mkdir()
    assert results.path(JOB, "folder") is None
