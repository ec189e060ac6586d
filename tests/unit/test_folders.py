"""A folder does the same on a disk and in a bucket."""

from __future__ import annotations

import errno
import json
import os
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tag_tasks.folders import Entry, Folder, folder_at
from tests.e2e.lossy import lose, lossy
from tests.s3 import BUCKET, S3

RACERS = 8


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
