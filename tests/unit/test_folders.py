"""A folder does the same on a disk and in a bucket."""

from __future__ import annotations

import errno
import json
import logging
import os
import resource
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from botocore.config import Config

from tag_tasks.folders import Entry, Folder, folder_at
from tag_tasks.folders.s3 import CONFIG
from tag_tasks.storage import is_hiccup
from tests.e2e.lossy import lose, lossy
from tests.s3 import BUCKET, S3

RACERS = 8
REGIONAL_HOST = "s3.eu-south-2.amazonaws.com"
MILLION = 1_000_000
GIVEN_UP = 60.0  # seconds


@pytest.fixture
def folder(place: str) -> Folder:
    made = folder_at(place)
    made.make("job")
    return made


def write(folder: Folder, name: str, content: bytes) -> None:
    file = folder.write(name)
    file.write(content)
    file.close()
    folder.sync(name)


def read(folder: Folder, name: str) -> bytes | None:
    file = folder.open(name)
    if file is None:
        return None
    with file:
        return file.read()


@pytest.mark.parametrize("size", [0, 1, 5_000_000, 20_000_000])
def test_what_is_written_is_read_at_any_place(folder: Folder, size: int) -> None:
    content = os.urandom(size)
    write(folder, "job/it", content)
    assert read(folder, "job/it") == content
    file = folder.open("job/it")
    assert file is not None
    with file:
        file.seek(size // 2)
        assert file.read() == content[size // 2 :]
        assert file.seek(0, os.SEEK_END) == size


def test_one_of_many_creators_wins(folder: Folder) -> None:
    begin = threading.Barrier(RACERS)

    def race(number: int) -> bool:
        begin.wait(10)
        return folder.create("job/verdict", str(number).encode())

    for _ in range(5):
        with ThreadPoolExecutor(RACERS) as pool:
            won = list(pool.map(race, range(RACERS)))
        assert won.count(True) == 1
        assert read(folder, "job/verdict") == str(won.index(True)).encode()
        folder.remove("job/verdict")


def test_an_empty_file_is_there_too(folder: Folder) -> None:
    assert folder.create("job/verdict", b"")
    assert not folder.create("job/verdict", b"late")
    assert folder.list("job") == [Entry("verdict", 0)]
    folder.replace("job/verdict", b"else")
    assert read(folder, "job/verdict") == b"else"


def test_a_list_tells_files_and_folders_of_one_step(folder: Folder) -> None:
    folder.make("job/1")
    write(folder, "job/1/it", b"abc")
    write(folder, "job/a", b"ab")
    write(folder, "job/b c", b"")
    write(folder, "job.other", b"")
    assert folder.list("job") == [Entry("1", None), Entry("a", 2), Entry("b c", 0)]
    assert folder.list("job/1") == [Entry("it", 3)]
    assert folder.list("none") == folder.list("job/a") == []


def test_a_long_list_has_everything(folder: Folder) -> None:
    names = [f"{number:04}" for number in range(1100)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: folder.replace(f"job/{name}", b"x"), names))
    assert [entry.name for entry in folder.list("job")] == names
    folder.remove("job")
    assert folder.list("job") == []


def test_what_is_removed_is_gone_with_all_that_is_in_it_and_nothing_else(folder: Folder) -> None:
    folder.make("job/1")
    folder.make("job2")
    for name in ("job/1/it", "job/a", "job2/a"):
        write(folder, name, b"x")
    for _ in range(2):
        folder.remove("job")
        assert read(folder, "job/1/it") is None and read(folder, "job/a") is None
    assert read(folder, "job2/a") == b"x"


def test_what_is_no_file_is_not_opened(folder: Folder) -> None:
    folder.make("job/1")
    write(folder, "job/1/it", b"x")
    assert folder.open("job/1") is None and folder.open("job/none") is None and folder.open("job/1/it/more") is None


def test_only_a_bucket_has_links(folder: Folder, place: str) -> None:
    write(folder, "job/it.csv", b"a,b")
    url = folder.link("job/it.csv", 60, "it.csv", "text/csv; charset=utf-8")
    if not place.startswith("s3://"):
        assert url is None
        return
    assert url is not None
    answer = requests.get(url, headers={"Range": "bytes=1-"}, timeout=10)
    assert (answer.status_code, answer.content) == (206, b",b")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="it.csv"'


@pytest.mark.parametrize("name", ["lake", "the.lake"])
def test_a_link_leads_to_the_region_of_the_bucket(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The host of all regions knows only the old ones, and sends on to others what was signed for itself."""
    for key, value in {"REGION": "eu-south-2", "ACCESS_KEY_ID": "AKIDEXAMPLE", "SECRET_ACCESS_KEY": "secret"}.items():
        monkeypatch.setenv(f"AWS_{key}", value)
    url = folder_at(f"s3://{name}/x").link("it.csv", 60, "it.csv", "text/csv")
    assert url is not None and urlsplit(url).hostname in (f"{name}.s3.eu-south-2.amazonaws.com", REGIONAL_HOST)


def test_a_missing_bucket_and_a_refusal_stay_and_a_hiccup_does_not(bucket: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = folder_at("s3://nowhere/x")
    with pytest.raises(OSError) as missing:
        nowhere.create("it", b"")
    assert missing.value.errno == errno.ENOENT
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(OSError) as away:
        folder_at(bucket.uri("x")).list("it")
    assert away.value.errno == errno.EIO


def test_who_may_not_is_told_so(bucket: S3) -> None:
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{BUCKET}/no/*"}
        ],
    }
    bucket.client.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))
    try:
        with pytest.raises(OSError) as refused:
            folder_at(bucket.uri("no")).replace("it", b"")
    finally:
        bucket.client.delete_bucket_policy(Bucket=BUCKET)
    assert refused.value.errno == errno.EACCES


def lose_the_last(piece: bytes, before: int) -> tuple[bytes, bool]:
    """What comes after `100 Continue`: S3 has what it was given, and nobody hears of it."""
    return (piece, True) if piece.startswith(b"HTTP/1.1 100") else lose(piece, before)


def test_a_lost_answer_is_asked_for_again(bucket: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who made the file is told that it was there already, and can see that it is theirs."""
    with lossy(int(bucket.endpoint.rpartition(":")[2])) as way:
        monkeypatch.setenv("AWS_ENDPOINT_URL", way.url)
        folder = folder_at(bucket.uri(uuid.uuid4().hex))
        way.spoil("PUT /", lose_the_last)
        assert not folder.create("job/verdict", b"published")
        assert folder.list("job") == [Entry("verdict", 9)]
        assert len(way.asked("PUT /")) == 2


def test_a_bucket_that_is_slow_is_waited_for(bucket: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it does not have yet is in memory: so a file must not be written much faster than it is taken."""
    written, taken = 0, threading.Event()

    def hold(piece: bytes, before: int) -> tuple[bytes, bool]:
        taken.wait(10)
        return piece, True

    with lossy(int(bucket.endpoint.rpartition(":")[2])) as way:
        monkeypatch.setenv("AWS_ENDPOINT_URL", way.url)
        file = folder_at(bucket.uri(uuid.uuid4().hex)).write("job/it")

        def write() -> None:
            nonlocal written
            for _ in range(30):
                file.write(bytes(MILLION * 10))
                written += 10
            file.close()

        way.spoil("PUT /", *[hold] * 40)
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(write)
            wait([done], 2)
            ahead = written
            taken.set()
            done.result(60)
    assert ahead <= 60, "megabytes"
    assert written == 300


@pytest.mark.parametrize("work", ["open", "write", "list", "create"])
def test_a_bucket_that_does_not_answer_is_given_up(bucket: S3, monkeypatch: pytest.MonkeyPatch, work: str) -> None:
    """Arrow by itself goes on for minutes."""
    monkeypatch.setattr("tag_tasks.folders.arrow.READ_SECONDS", 1)
    monkeypatch.setattr("tag_tasks.folders.s3.CONFIG", CONFIG.merge(Config(read_timeout=1)))
    folder = folder_at(bucket.uri(uuid.uuid4().hex))
    write(folder, "job/it", b"x")
    assert read(folder, "job/it") == b"x" and folder.list("job")
    began = time.monotonic()
    bucket.pause()
    try:
        with pytest.raises(OSError):
            if work == "write":
                write(folder, "job/other", b"x")
            elif work == "create":
                folder.create("job/verdict", b"x")
            else:
                getattr(folder, work)("job" if work == "list" else "job/it")
    finally:
        bucket.resume()
    assert time.monotonic() - began < GIVEN_UP


def in_conflict(piece: bytes, before: int) -> tuple[bytes, bool]:
    """S3 says that somebody else is at work on the same thing."""
    if piece.startswith(b"HTTP/1.1 100"):
        return piece, True
    return b"HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", False


@pytest.mark.parametrize("work", ["list", "remove", "replace", "create"])
def test_a_conflict_passes(bucket: S3, monkeypatch: pytest.MonkeyPatch, work: str) -> None:
    """Who creates asks again, since somebody may be there by then; to everybody else it is a hiccup."""
    with lossy(int(bucket.endpoint.rpartition(":")[2])) as way:
        monkeypatch.setenv("AWS_ENDPOINT_URL", way.url)
        folder = folder_at(bucket.uri(uuid.uuid4().hex))
        way.spoil("", in_conflict)
        if work == "create":
            assert not folder.create("job/verdict", b"x")
            assert folder.list("job") == [Entry("verdict", 1)]
            return
        with pytest.raises(OSError) as raised:
            getattr(folder, work)(*("job", b"x")[: 2 if work == "replace" else 1])
        assert is_hiccup(raised.value)


@pytest.mark.parametrize("work", ["create", "replace"])
def test_a_full_disk_keeps_nothing_of_what_it_could_not_take(tmp_path: Path, work: str) -> None:
    folder = folder_at(str(tmp_path))
    bounds = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, bounds[1]))
    try:
        with pytest.raises(OSError) as raised:
            getattr(folder, work)("it", bytes(100))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, bounds)
    assert raised.value.errno == errno.EFBIG
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_put_in_its_place_goes_away(tmp_path: Path) -> None:
    folder = folder_at(str(tmp_path))
    folder.make("it")
    with pytest.raises(IsADirectoryError):
        folder.replace("it", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["it"]


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_disk_without_hard_links_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def link(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(OSError, match="hard links are not permitted there") as raised:
        folder_at(str(tmp_path)).create("it", b"x")
    assert raised.value.errno == code and list(tmp_path.iterdir()) == []


def test_a_folder_outlasts_a_power_cut_with_those_that_it_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name is kept by the folder that it is in, so that has to be synced."""
    synced = set[str]()
    fsync = os.fsync

    def watched(handle: int) -> None:
        synced.add(str(Path(f"/proc/self/fd/{handle}").readlink()))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    folder_at(str(tmp_path / "results")).make("job/1")
    assert synced == {str(path) for path in (tmp_path, tmp_path / "results", tmp_path / "results" / "job")}


def test_many_who_ask_a_bucket_at_once_are_nothing_to_warn_of(bucket: S3, caplog: pytest.LogCaptureFixture) -> None:
    folder = folder_at(bucket.uri(uuid.uuid4().hex))
    folder.replace("job/it", b"x")
    with ThreadPoolExecutor(32) as pool:
        found = list(pool.map(lambda _: folder.list("job"), range(100)))
    assert found == [[Entry("it", 1)]] * 100
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
