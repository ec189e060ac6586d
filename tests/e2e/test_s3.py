"""A service whose tables and files lie in a bucket does what one on a disk does."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import requests

from tagapi.client import Client as Library
from tests.e2e import oracle
from tests.e2e.conftest import served
from tests.e2e.export_client import found
from tests.e2e.server import ROOT, Client, Server, run_python, until
from tests.e2e.test_tasks_audiences import sync
from tests.e2e.test_workers_results import WORKERS, create, done
from tests.s3 import BUCKET, S3, as_user, s3

PREFIX = "tagapi"
ALL_TAGS = list(range(1, 9))
MOST_REQUESTS = 12
"""Of the table of memberships, for a job of two users that changes one."""
SERVICE = "/api/tasks/service"
DOWNLOADS = 24  # more than there are threads
AT_ONCE = 1.0  # seconds that an answer may take which waits for nobody


def variables(s3_server: S3, folder: Path, **more: str) -> dict[str, str]:
    """Everything in the bucket; jobs in a file, since S3 is no place for them."""
    return {
        **s3_server.variables,
        "TAGAPI_DATA__DIR": s3_server.uri(PREFIX),
        "TAGAPI_REGISTRY__URL": f"sqlite:///{folder / 'jobs.db'}",
        **more,
    }


@pytest.fixture(scope="module")
def in_bucket(tmp_path_factory: pytest.TempPathFactory, s3_server: S3, sample: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("in-bucket")
    shutil.copytree(sample, folder / "data" / "sources")  # for the second opinion
    s3_server.upload(sample, f"{PREFIX}/sources")
    yield from served(Server(folder, variables(s3_server, folder)))


def carried(server: Server) -> None:
    """What the service says of every tag is what the rules say."""
    today = datetime.now(UTC).date()
    for tag_id in ALL_TAGS:
        assert server.members(tag_id) == oracle.members(server.sources, tag_id, today)


def test_memberships_are_those_of_the_second_opinion(in_bucket: Server) -> None:
    in_bucket.run(ALL_TAGS)
    carried(in_bucket)
    in_bucket.run(ALL_TAGS, user_ids=["user_000001", "user_000002"])
    in_bucket.run(ALL_TAGS, mode="incremental")
    told = in_bucket.run(ALL_TAGS, dry_run=True)
    assert all(one["added"] == one["removed"] == 0 for one in told["tags"])
    carried(in_bucket)


def test_nothing_is_left_on_the_disk(in_bucket: Server) -> None:
    assert {path.name for path in (in_bucket.folder / "data").iterdir()} == {"sources"}


def test_a_small_job_asks_little_of_the_bucket(in_bucket: Server, s3_server: S3) -> None:
    """Counted is what the table is asked for: the listings of the sources come with reading them."""
    in_bucket.run([1, 8])
    for users in (["user_000001", "user_000002"], ["user_000003", "user_000004"]):
        key = f"{PREFIX}/sources/user_asset_summary/part-00000.parquet"
        flip(s3_server, key, users[0])
        before = len(s3_server.requests())
        told = in_bucket.run([1], user_ids=users)
        assert told["tags"][0]["added"] + told["tags"][0]["removed"] == 1
        asked = until(lambda before=before: settled(s3_server, before), "the requests are written down")
        of_table = [path for _, path in asked if "user_tags" in path]
        assert len(of_table) <= MOST_REQUESTS, "\n".join(of_table)


def settled(s3_server: S3, before: int) -> list[tuple[str, str]]:
    """The requests since then, once there are no more."""
    seen = s3_server.requests()[before:]
    time.sleep(0.2)
    return seen if s3_server.requests()[before:] == seen else []


def flip(s3_server: S3, key: str, user_id: str) -> None:
    """A user who is rich becomes poor, and the other way round."""
    table = pq.read_table(io.BytesIO(content(s3_server, key)))
    rows = table.to_pylist()
    for row in rows:
        if row["user_id"] == user_id:
            row["total_asset_value"] = 0.0 if row["total_asset_value"] >= 100_000 else 1_000_000.0
    changed = io.BytesIO()
    pq.write_table(type(table).from_pylist(rows, schema=table.schema), changed)
    s3_server.client.put_object(Bucket=BUCKET, Key=key, Body=changed.getvalue())


def seconds(server: Server, path: str) -> float:
    began = time.monotonic()
    assert server.get(path).status_code == 200, path
    return time.monotonic() - began


def test_no_request_of_a_client_waits_for_the_bucket(in_bucket: Server, s3_server: S3) -> None:
    task_id = in_bucket.trigger([2])
    in_bucket.wait(task_id)
    s3_server.pause()
    try:
        new = in_bucket.trigger([1])
        status = f"/api/v1/tasks/{task_id}/status"
        took = {path: seconds(in_bucket, path) for path in ("/health/ready", status, "/api/v1/tasks", WORKERS, SERVICE)}
        assert max(took.values()) < AT_ONCE, took
        assert in_bucket.status(new)["status"] in ("submitted", "running")
    finally:
        s3_server.resume()
    assert in_bucket.wait(new, seconds=110)["status"] == "completed"


def test_downloads_that_hang_hold_nobody_else(in_bucket: Server, s3_server: S3) -> None:
    job = done(in_bucket, "services_export")
    path = f"{WORKERS}{job['id']}/result/"

    def download(_: int) -> int:
        with Client(in_bucket.url) as client:
            return client.get(path).status_code

    with ThreadPoolExecutor(DOWNLOADS) as pool:
        s3_server.pause()
        try:
            answers = [pool.submit(download, number) for number in range(DOWNLOADS)]
            until(lambda: any(answer.done() for answer in answers), "some are refused", AT_ONCE * 5)
            took = [seconds(in_bucket, "/health/live") for _ in range(10)]
            assert max(took) < AT_ONCE, took
            assert {answer.result(30) for answer in answers} == {503}
        finally:
            s3_server.resume()
    until(lambda: in_bucket.get(path).status_code == 200, "it can be had again")


@pytest.mark.parametrize("form", ["csv", "parquet", "xlsx"])
def test_an_export_is_downloaded_as_it_was_described(in_bucket: Server, form: str) -> None:
    job = done(in_bucket, "users_export", format=form)
    path = f"{WORKERS}{job['id']}/result/"
    whole = in_bucket.get(path)
    assert whole.headers["ETag"] == f'"{hashlib.sha256(whole.content).hexdigest()}"'
    assert whole.headers["Content-Length"] == str(len(whole.content))
    for asked, part in (("bytes=0-9", whole.content[:10]), ("bytes=-5", whole.content[-5:])):
        answer = in_bucket.request("GET", path, headers={"Range": asked})
        assert (answer.status_code, answer.content) == (206, part)
    head = in_bucket.request("HEAD", path)
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(whole.content)))


@pytest.mark.parametrize("other", [b"", b"longer than it was" * 1_000_000])
def test_a_file_that_is_another_than_the_job_says_is_not_sent(in_bucket: Server, s3_server: S3, other: bytes) -> None:
    job = done(in_bucket, "services_export")
    [key] = [key for key in s3_server.keys(f"{PREFIX}/results/{job['task_id']}/") if key.endswith(".csv")]
    s3_server.client.put_object(Bucket=BUCKET, Key=key, Body=other)
    answer = in_bucket.get(f"{WORKERS}{job['id']}/result/")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "RESULT_NOT_FOUND")


def test_every_family_leaves_what_it_makes_in_the_bucket(in_bucket: Server, s3_server: S3) -> None:
    with Library(in_bucket.url) as library:
        cleaned = done(in_bucket, "data_cleanup", filters={"dry_run": False})
        assert json.loads(in_bucket.get(f"{WORKERS}{cleaned['id']}/result/").content)["dry_run"] is False
        library.collectors.put("coffee")
        library.documents.export("coffee", query="lang:es", start="2020-01-01").wait()
        read = [document["id"] for document in library.collectors.read("coffee")]
        assert read == found(in_bucket.sources, "lang = 'es'") and read
        trained = library.segments.train("clientes", segments=3).wait()
        assert library.segments.predict("clientes").wait()["updated_count"] == trained["users"]
        synced = sync(in_bucket, "meta", simulate=True)
        assert synced["status"] == "SUCCESS"
    made = {key.split("/")[1] for key in s3_server.keys(f"{PREFIX}/")}
    assert made == {"audiences", "cleaned", "collectors", "models", "results", "sources", "user_segments", "user_tags"}


def test_a_service_that_is_killed_goes_on_where_it_was(s3_server: S3, tmp_path: Path, sample: Path) -> None:
    s3_server.upload(sample, "killed/sources")
    told = variables(s3_server, tmp_path, TAGAPI_DATA__DIR=s3_server.uri("killed"), TAGAPI_JOBS__LEASE_SECONDS="2")
    first = Server(tmp_path / "first", told)
    try:
        first.wait_alive()
        first.wait_ready()
        jobs = [create(first, "bookings_export", format=form) for form in ("csv", "xlsx", "parquet")]
        tags = first.trigger(ALL_TAGS)
        until(lambda: s3_server.keys("killed/results/.staging"), "an attempt writes")
    finally:
        first.kill()
    for second in served(Server(tmp_path / "second", told)):
        assert second.wait(tags, seconds=90)["status"] == "completed"
        for job_id in jobs:
            assert until(partial(ended, second, job_id), "the export ends", 90)["status"] == "completed"
            file = second.get(f"{WORKERS}{job_id}/result/").content
            keys = s3_server.keys(f"killed/results/{job_id}/")
            [verdict] = [key for key in keys if key.endswith(".verdict") and content(s3_server, key)]
            [lying] = [key for key in keys if not key.endswith(".verdict")]
            assert lying.startswith(verdict.removesuffix(".verdict") + "/")
            assert content(s3_server, lying) == file


def content(s3_server: S3, key: str) -> bytes:
    body: bytes = s3_server.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return body


def ended(server: Server, job_id: str) -> dict[str, Any] | None:
    seen = server.read(f"{WORKERS}{job_id}/")
    return seen if seen["status"] in ("completed", "failed", "cancelled") else None


def test_the_policy_of_the_documentation_is_enough_and_no_more_than_that(tmp_path: Path, sample: Path) -> None:
    """On an S3 of its own, on which nobody may anything that no policy says."""
    policy = json.loads((ROOT / "docs" / "iam-policy.json").read_text().replace("BUCKET", BUCKET))
    with s3() as guarded:
        guarded.upload(sample, f"{PREFIX}/sources")
        user = as_user(guarded, policy)
        told = {**variables(guarded, tmp_path), **user}
        for server in served(Server(tmp_path / "server", told)):
            server.run(ALL_TAGS)
            server.run([1], user_ids=["user_000001"])
            job = done(server, "bookings_export", format="xlsx")
            assert server.get(f"{WORKERS}{job['id']}/result/").status_code == 200
            assert done(server, "data_cleanup", filters={"dry_run": False})["status"] == "completed"
        elsewhere = told | {"TAGAPI_DATA__DIR": f"s3://{BUCKET}/elsewhere"}
        tried = run_python("api_server.py", "--check", folder=tmp_path, variables=elsewhere)
        assert tried.returncode == 1 and "NO  data.dir" in tried.stdout
        for statement in policy["Statement"]:
            less = policy | {"Statement": [other for other in policy["Statement"] if other != statement]}
            tried = run_python("api_server.py", "--check", folder=tmp_path, variables=told | as_user(guarded, less))
            assert tried.returncode == 1 and "NO  " in tried.stdout, statement["Sid"]


def test_a_bucket_is_tried_before_it_is_needed(s3_server: S3, tmp_path: Path, sample: Path) -> None:
    s3_server.upload(sample, "tried/sources")
    told = variables(s3_server, tmp_path, TAGAPI_DATA__DIR=s3_server.uri("tried"))
    done = run_python("api_server.py", "--check", folder=tmp_path, variables=told)
    assert done.returncode == 0 and {line[:2] for line in done.stdout.splitlines()} == {"ok"}, done.stdout
    assert {key.split("/")[1] for key in s3_server.keys("tried/")} == {"sources"}
    nowhere = told | {"TAGAPI_DATA__DIR": "s3://nowhere/tried"}
    done = run_python("api_server.py", "--env", "local", folder=tmp_path, variables=nowhere)
    assert done.returncode == 1
    assert done.stderr.strip() == "Error: storage: the bucket nowhere does not exist"


def test_downloads_are_sent_on_to_the_bucket_where_that_is_wanted(s3_server: S3, tmp_path: Path, sample: Path) -> None:
    s3_server.upload(sample, "linked/sources")
    linked = s3_server.uri("linked")
    told = variables(s3_server, tmp_path, TAGAPI_DATA__DIR=linked, TAGAPI_STORAGE__LINK_SECONDS="60")
    for server in served(Server(tmp_path / "server", told)):
        is_sent_on(server, s3_server, tmp_path)


def is_sent_on(server: Server, s3_server: S3, folder: Path) -> None:
    job = done(server, "services_export")
    path = f"{WORKERS}{job['id']}/result/"
    sent_on = server.get(path)
    assert sent_on.status_code == 307 and sent_on.headers["Cache-Control"] == "no-store"
    assert sent_on.headers["Location"].startswith(s3_server.endpoint)
    head = server.request("HEAD", path)  # a link is signed for GET, and nothing else
    assert head.status_code == 200 and head.headers["ETag"]
    there = requests.get(sent_on.headers["Location"], timeout=10)
    assert there.headers["Content-Disposition"] == 'attachment; filename="services_export.csv"'
    through = server.get(path, link="false")
    assert through.status_code == 200 and through.content == there.content
    with Library(server.url) as library:
        file = library.jobs.get(job["task_id"]).download(folder / "out.csv")
    assert file.read_bytes() == there.content
    assert "Signature" not in server.log_file.read_text() + server.output.read_text()
