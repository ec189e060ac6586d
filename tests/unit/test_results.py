"""The results' folder: complete or not at all, and who comes too late finds the door shut."""

from __future__ import annotations

import errno
import hashlib
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config

from tag_tasks.datasets.results import STAGING, VERDICT, ResultFolder, Staged, TakenOver
from tag_tasks.folders import Folder, folder_at
from tag_tasks.folders.s3 import CONFIG
from tagapi.jobs.errors import TaskFailed, Transient
from tests.s3 import S3

JOB = str(uuid.UUID(int=1))
OTHER = str(uuid.UUID(int=2))


@pytest.fixture
def folder(place: str) -> Folder:
    return folder_at(place)


@pytest.fixture
def results(folder: Folder) -> ResultFolder:
    return ResultFolder(folder)


def write(staged: Staged, text: str = "a,b", name: str = "it.csv") -> None:
    with staged.file(name, "text/csv") as file:
        file.write(text.encode())
    file.sync()


def publish(results: ResultFolder, job_id: str = JOB, epoch: int = 1, text: str = "a,b") -> None:
    with results.stage(f"{job_id}-{epoch}") as staged:
        write(staged, text)
        staged.publish()


def read(results: ResultFolder, job_id: str = JOB, name: str = "it.csv") -> str | None:
    file = results.open(job_id, name)
    if file is None:
        return None
    with file:
        return file.read().decode()


def left(folder: Folder, within: str = "") -> list[str]:
    """All files that are no verdicts, and all attempts that have not tidied up."""
    names = [JOB, OTHER, STAGING] if not within else [f"{within}/{entry.name}" for entry in folder.list(within)]
    return [
        found
        for name in names
        for found in (left(folder, name) or ([name] if within and not name.endswith(VERDICT) else []))
        if not is_folder(folder, found)
    ]


def is_folder(folder: Folder, name: str) -> bool:
    above, _, last = name.rpartition("/")
    return any(entry.name == last and entry.size is None for entry in folder.list(above))


def test_a_published_file_is_found_and_read(results: ResultFolder) -> None:
    publish(results)
    assert read(results) == "a,b"
    assert results.find(JOB, 1)
    assert results.open(JOB, "other.csv") is None and results.published(OTHER) is None


def test_a_staged_file_knows_what_it_is(results: ResultFolder) -> None:
    with results.stage(f"{JOB}-1") as staged, staged.file("it.csv", "text/csv") as file:
        for piece in (b"a", memoryview(b",b"), b""):
            file.write(piece)
    digest = hashlib.sha256(b"a,b").hexdigest()
    assert file.described() == {"name": "it.csv", "content_type": "text/csv", "size": 3, "sha256": digest}


def test_what_is_not_published_goes_away(results: ResultFolder, folder: Folder) -> None:
    with results.stage(f"{JOB}-1") as staged:
        write(staged)
        assert results.open(JOB, "it.csv") is None
        assert left(folder) == [f"{JOB}/1/it.csv", f"{STAGING}/{JOB}-1"]
    assert not results.find(JOB, 1)
    assert left(folder) == []


def test_an_error_leaves_nothing(results: ResultFolder, folder: Folder) -> None:
    with pytest.raises(KeyError), results.stage(f"{JOB}-1") as staged:
        write(staged)
        raise KeyError
    assert left(folder) == []


def test_a_disk_that_refuses_fails_the_task_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file where a folder should be")
    results = ResultFolder(folder_at(str(tmp_path / "results")))
    refused = pytest.raises(TaskFailed, match=r"^the result cannot be written: (Not a directory|File exists)$")
    with refused, results.stage(f"{JOB}-1"):
        pass


def test_who_looks_shuts_the_door(results: ResultFolder, folder: Folder) -> None:
    """A frozen attempt is about to publish; its successor asks whether it did; then it wakes up."""
    with results.stage(f"{JOB}-1") as staged:
        write(staged)
        assert not results.find(JOB, 1)
        with pytest.raises(TakenOver):
            staged.publish()
    assert not results.find(JOB, 1) and left(folder) == []
    publish(results, epoch=2)
    assert results.find(JOB, 1) and results.find(JOB, 2)


def test_a_result_is_published_once(results: ResultFolder) -> None:
    """Two attempts that are both about to publish: the second is refused, and the first one's file stays."""
    publish(results, text="first")
    with results.stage(f"{JOB}-2") as staged:
        write(staged, "second")
        with pytest.raises(TakenOver):
            staged.publish()
    assert read(results) == "first"


def test_an_attempt_clears_away_its_predecessors_and_nobody_elses(results: ResultFolder, folder: Folder) -> None:
    with results.stage(f"{JOB}-1") as old, results.stage(f"{OTHER}-1") as foreign:
        write(old)
        write(foreign)
        with results.stage(f"{JOB}-2"):
            assert f"{JOB}/1/it.csv" not in left(folder)
            assert f"{OTHER}/1/it.csv" in left(folder)
        foreign.publish()
        with pytest.raises(TakenOver):
            old.publish()
    assert results.find(OTHER, 1)


def test_a_stale_attempt_that_wakes_up_leaves_its_successors_files_alone(results: ResultFolder) -> None:
    """It was given up before it staged anything, or while it asked for its predecessor's commit."""
    with results.stage(f"{JOB}-10") as staged:
        write(staged)
        with results.stage(f"{JOB}-9") as stale:
            write(stale)
            with pytest.raises(TakenOver):
                stale.publish()
        assert not results.find(JOB, 9)
        staged.publish()
    assert results.find(JOB, 10)


def test_what_was_published_is_withdrawn_by_a_later_attempt_alone(results: ResultFolder, folder: Folder) -> None:
    publish(results)
    results.withdraw(JOB, 1)
    assert read(results) == "a,b"
    results.withdraw(JOB, 2)
    assert read(results) is None and left(folder) == []
    publish(results, epoch=2, text="second")
    assert read(results) == "second"


class Disk:
    """Fails links, before or after it has made them."""

    def __init__(self, code: int, after: Callable[[Any, Any], object] = lambda *_: None) -> None:
        self.code = code
        self.after = after

    def link(self, source: Any, target: Any, **_: Any) -> None:
        self.after(source, target)
        raise OSError(self.code, "the disk hiccups")


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.ENOSPC, errno.ESTALE])
def test_a_disk_that_fails_for_a_moment_is_nobody_who_was_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    results = ResultFolder(folder_at(str(tmp_path)))
    with results.stage(f"{JOB}-1") as staged:
        write(staged)
        with monkeypatch.context() as patch:
            patch.setattr(os, "link", Disk(code).link)
            with pytest.raises(Transient, match=r"^the result cannot be published: the disk hiccups$") as raised:
                staged.publish()
        assert not isinstance(raised.value, TakenOver)
        assert (tmp_path / JOB / "1" / "it.csv").exists()
        staged.publish()
    assert read(results) == "a,b"


@pytest.mark.parametrize("code", [errno.EIO, errno.EEXIST])
def test_what_happened_and_was_reported_as_failed_has_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """A shared disk sends a link again when its reply is lost, and is then told that it is there already."""
    results, told = ResultFolder(folder_at(str(tmp_path))), list[Transient]()
    with results.stage(f"{JOB}-1") as staged:
        write(staged)
        with monkeypatch.context() as patch:
            patch.setattr(os, "link", Disk(code, after=os.link).link)
            try:
                staged.publish()
            except Transient as error:
                told.append(error)
    assert bool(told) == (code == errno.EIO) and not any(isinstance(error, TakenOver) for error in told)
    assert results.find(JOB, 1) and read(results) == "a,b"


def test_who_does_not_know_whether_it_was_published_takes_nothing_away_that_may_be(
    bucket: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bucket is away from the moment of publishing on, and when it is back nobody has published."""
    monkeypatch.setattr("tag_tasks.folders.s3.CONFIG", CONFIG.merge(Config(read_timeout=1)))
    results = ResultFolder(folder_at(bucket.uri(uuid.uuid4().hex)))
    with results.stage(f"{JOB}-1") as staged:
        write(staged)
        bucket.pause()
        try:
            with pytest.raises(Transient) as raised:
                staged.publish()
        finally:
            bucket.resume()
        assert not isinstance(raised.value, TakenOver)
    found = results.find(JOB, 1)
    assert read(results) == ("a,b" if found else None)


def test_a_disk_that_does_not_say_whether_a_result_is_there_is_asked_again(tmp_path: Path) -> None:
    """A loop of links is an error that is neither a folder nor none."""
    (tmp_path / "results").symlink_to(tmp_path / "results")
    with pytest.raises(Transient, match=r"^the result cannot be looked for: "):
        ResultFolder(folder_at(str(tmp_path / "results"))).find(JOB, 1)


def test_removed_results_are_gone_and_others_are_not(results: ResultFolder) -> None:
    publish(results, JOB)
    publish(results, OTHER)
    results.remove([JOB, str(uuid.uuid4())])
    assert read(results) is None
    assert read(results, OTHER) == "a,b"
    results.remove([JOB])


def test_who_publishes_what_was_removed_comes_too_late(tmp_path: Path) -> None:
    results = ResultFolder(folder_at(str(tmp_path)))
    with results.stage(f"{JOB}-1") as staged:
        write(staged)
        results.remove([JOB])
        with pytest.raises(TakenOver):
            staged.publish()
    assert results.published(JOB) is None


def test_a_removed_file_stays_readable_on_a_disk_for_who_reads_it(tmp_path: Path) -> None:
    results = ResultFolder(folder_at(str(tmp_path)))
    publish(results)
    file = results.open(JOB, "it.csv")
    assert file is not None
    with file:
        results.remove([JOB])
        assert file.read() == b"a,b"
    assert results.open(JOB, "it.csv") is None


def lose(folder: Folder, job_id: str, epoch: int = 1) -> None:
    """An attempt of the job is killed: nobody tidies up."""
    for within, name in ((STAGING, f"{job_id}-{epoch}"), (f"{job_id}/{epoch}", "it.csv")):
        folder.make(within)
        folder.replace(f"{within}/{name}", b"half")


def test_what_a_lost_process_staged_goes_with_its_job(results: ResultFolder, folder: Folder) -> None:
    lose(folder, JOB, 7)
    results.remove([JOB])
    results.sweep(lambda job_id: job_id == JOB)
    assert left(folder) == []


def test_what_lost_attempts_left_of_jobs_that_have_ended_is_swept_away(results: ResultFolder, folder: Folder) -> None:
    for job_id in (JOB, OTHER):
        lose(folder, job_id)
    results.sweep(lambda job_id: job_id == JOB)
    assert left(folder) == [f"{OTHER}/1/it.csv", f"{STAGING}/{OTHER}-1"]


def test_a_result_whose_process_was_lost_right_after_it_is_not_swept_away(
    results: ResultFolder, folder: Folder
) -> None:
    lose(folder, JOB)
    results.publish(f"{JOB}-1")
    results.sweep(lambda _: True)
    assert read(results) == "half" and left(folder) == [f"{JOB}/1/it.csv"]


@pytest.mark.parametrize("name", ["", ".", "..", "../it.csv", "a/b", "/etc/passwd", ".hidden", "a\0b", "it.csv/"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    results = ResultFolder(folder_at(str(tmp_path / "results")))
    publish(results)
    (tmp_path / "it.csv").write_text("outside")
    assert results.open(JOB, name) is None
    assert results.open(name, "it.csv") is None and results.published(name) is None
    results.remove([name])
    assert (tmp_path / "it.csv").read_text() == "outside"
    assert read(results) == "a,b"


def test_a_folder_is_no_file(results: ResultFolder, folder: Folder) -> None:
    publish(results)
    folder.make(f"{JOB}/1/folder")
    assert results.open(JOB, "folder") is None


class Earlier:
    """What an earlier release has left: a folder of a job, made by a rename."""

    def __init__(self, folder: Path) -> None:
        (folder / JOB).mkdir(parents=True)
        (folder / JOB / "it.csv").write_text("earlier")


def test_results_of_earlier_releases_are_found_and_read(tmp_path: Path) -> None:
    Earlier(tmp_path)
    results = ResultFolder(folder_at(str(tmp_path)))
    assert read(results) == "earlier" and results.find(JOB, 3)
    with results.stage(f"{JOB}-4") as staged, pytest.raises(TakenOver):
        write(staged)
        staged.publish()
    assert read(results) == "earlier"
    results.remove([JOB])
    assert not (tmp_path / JOB).exists()


def test_results_of_earlier_releases_are_withdrawn(tmp_path: Path) -> None:
    Earlier(tmp_path)
    results = ResultFolder(folder_at(str(tmp_path)))
    with results.stage(f"{JOB}-2") as staged:
        results.withdraw(JOB, 2)
        assert read(results) is None
        write(staged, "new")
        staged.publish()
    assert read(results) == "new"


def test_an_attempt_of_an_earlier_release_is_shut_out(tmp_path: Path) -> None:
    """It would publish by renaming its folder to that of the job."""
    results = ResultFolder(folder_at(str(tmp_path)))
    (tmp_path / STAGING / f"{JOB}-1").mkdir(parents=True)
    (tmp_path / STAGING / f"{JOB}-1" / "it.csv").write_text("late")
    assert not results.find(JOB, 1)
    with pytest.raises(OSError, match="not empty"):
        (tmp_path / STAGING / f"{JOB}-1").rename(tmp_path / JOB)
    results.sweep(lambda _: True)
    assert not (tmp_path / STAGING / f"{JOB}-1").exists()
