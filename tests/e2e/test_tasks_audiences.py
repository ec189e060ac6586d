"""From tag to audience to campaign over HTTP, at the platforms' stand-ins and at the simulator."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.e2e.server import Client, Server, until
from tests.platforms import google as google_books
from tests.platforms import meta as meta_books
from tests.platforms.accounts import settings_for
from tests.platforms.server import PlatformServer

FINAL = ("SUCCESS", "FAILURE", "REVOKED")
CAMPAIGN = {
    "name": "Verano",
    "daily_budget": "25.00",
    "landing_url": "https://example.org/verano",
    "headline": "Llega el verano",
    "text": "Todo a mitad de precio",
    "special_ad_categories": [],
}
TAGS = {"all": [1], "none": [3]}


@pytest.fixture(scope="module")
def books() -> Iterator[tuple[meta_books.Meta, google_books.Google, dict[str, str]]]:
    """Both platforms, and the settings of a service that has an account at each."""
    meta, google = meta_books.Meta(), google_books.Google()
    with PlatformServer(meta) as at_meta, PlatformServer(google) as at_google:
        settings = {**settings_for("meta", at_meta.url, SETTLE_SECONDS="1")}
        settings |= settings_for("google", at_google.url, SETTLE_SECONDS="1")
        yield meta, google, settings


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory, sample: Path, books: Any) -> Iterator[Server]:
    """A service with both accounts, its tags computed."""
    folder = tmp_path_factory.mktemp("outside")
    shutil.copytree(sample, folder / "data" / "sources")
    server = Server(folder, books[2])
    try:
        server.wait_ready()
        server.run([1, 3])
        yield server
        assert server.stop() == 0
    finally:
        server.kill()


def done(server: Server, path: str, method: str = "POST", **body: Any) -> dict[str, Any]:
    """The status of a job that has ended."""
    answer = server.request(method, path, json=body or None)
    assert answer.status_code == 202, answer.text
    url = answer.json()["status_url"]
    ended: dict[str, Any] = until(
        lambda: (told := server.read(url))["status"] in FINAL and told, "the job ends", seconds=60
    )
    return ended


def sync(server: Server, platform: str, name: str = "Clientes A", **more: Any) -> dict[str, Any]:
    asked = {"platform": platform, "audience": {"name": name, "tags": TAGS}, "consent": "granted", **more}
    return done(server, "/api/tasks/audiences/sync", **asked)


def carriers(server: Server, tag: int) -> set[str]:
    answer: list[str] = server.read(f"/api/v1/tags/{tag}/users?limit=10000")["users"]
    return set(answer)


def test_from_tag_to_audience_to_campaign(outside: Server, books: Any, sample: Path) -> None:
    meta: meta_books.Meta = books[0]
    result = sync(outside, "meta")["result"]
    audience = result["audience_id"]
    users = {row["user_id"]: row for row in pq.read_table(sample / "user_basic_info").to_pylist()}
    wanted = [users[user] for user in carriers(outside, 1) - carriers(outside, 3)]
    hashes = {
        (
            hashlib.sha256(row["email"].strip().lower().encode()).hexdigest(),
            hashlib.sha256(row["phone"].lstrip("+").encode()).hexdigest(),
        )
        for row in wanted
    }
    assert meta.members[audience] == hashes and len(hashes) > 100
    assert result["members"] == len(hashes)

    published = done(outside, "/api/tasks/publish/meta", campaign=CAMPAIGN, audience="Clientes A")["result"]
    assert published["external_audience_id"] == audience
    ad_set = meta.things[published["external_ad_set_id"]]
    assert ad_set["targeting"]["custom_audiences"] == [{"id": audience}]


def test_an_audience_can_be_read_and_removed(outside: Server, books: Any) -> None:
    for platform in ("meta", "google"):
        assert sync(outside, platform, name="Corta")["status"] == "SUCCESS"
    found = outside.read("/api/tasks/audiences/Corta")["audiences"]
    assert [(one["platform"], one["maybe"]) for one in found] == [("google", 0), ("meta", 0)]
    assert found[0]["definition"] == {"tags": TAGS} and found[0]["consent"] == "granted"
    assert {one["name"] for one in outside.read("/api/tasks/audiences")["audiences"]} >= {"Corta"}
    removed = done(outside, "/api/tasks/audiences/Corta", method="DELETE")["result"]["removed"]
    assert {one["platform"] for one in removed} == {"meta", "google"}
    assert outside.get("/api/tasks/audiences/Corta").status_code == 404
    assert outside.request("DELETE", "/api/tasks/audiences/Corta").status_code == 404
    assert not any("Corta" in str(thing.get("name")) for thing in books[1].things.values())


def test_no_raw_identifier_leaves_the_service(outside: Server, books: Any, sample: Path) -> None:
    """Neither in what a platform is sent, nor in what the service logs, answers or keeps of jobs and audiences."""
    for platform in ("meta", "google"):
        job = sync(outside, platform, name="Privada")
        done(outside, f"/api/tasks/audiences/users/{min(carriers(outside, 1) & carriers(outside, 3))}", method="DELETE")
        told = [outside.get(f"/api/tasks/{place}/{job['task_id']}").text for place in ("status", "events", "progress")]
    places = [
        *told,
        *(str((one.path, one.query, one.headers, one.body)) for book in books[:2] for one in book.requests),
    ]
    kept = [outside.log_file, *(outside.folder / "data" / "audiences").rglob("*"), *outside.folder.glob("data/*.db*")]
    files = [file for file in kept if file.is_file()]
    assert len(files) > 10
    places += [str(pq.read_table(file).to_pylist()) for file in files if file.suffix == ".parquet"]
    places += [file.read_bytes().decode(errors="replace") for file in files if file.suffix != ".parquet"]
    whole = "\n".join(places).lower()
    users = pq.read_table(sample / "user_basic_info", columns=["email", "phone"]).to_pylist()
    secrets = {value.strip().lower().lstrip("+") for row in users for value in row.values() if value}
    assert len(secrets) > 1000
    assert not [secret for secret in secrets if secret in whole]


def test_a_simulated_audience_can_be_removed_alone(outside: Server) -> None:
    for simulate in (False, True):
        sync(outside, "meta", name="Doble", simulate=simulate)
    removed = done(outside, "/api/tasks/audiences/Doble?simulated=true", method="DELETE")["result"]["removed"]
    assert [one["simulated"] for one in removed] == [True]
    found = outside.read("/api/tasks/audiences/Doble")["audiences"]
    assert [one["simulated"] for one in found] == [False]


def test_progress_never_falls(outside: Server) -> None:
    for job in (sync(outside, "meta", name="Progreso"), done(outside, "/api/tasks/publish/meta", campaign=CAMPAIGN)):
        events = outside.read(f"/api/tasks/events/{job['task_id']}")["events"]
        told = [event["progress"]["percentage"] for event in events]
        assert told == sorted(told) and told[-1] == 100.0


def test_many_readers_at_once_are_all_answered(outside: Server) -> None:
    """More than there are threads: each waits its turn."""
    sync(outside, "meta", name="Muchos")

    def read(_: int) -> int:
        with Client(outside.url) as client:
            return client.get("/api/tasks/audiences").status_code

    with ThreadPoolExecutor(40) as pool:
        assert set(pool.map(read, range(40))) == {200}


def test_a_person_is_taken_out_of_every_audience(outside: Server, books: Any) -> None:
    before = sync(outside, "google", name="Todos")["result"]
    person = min(carriers(outside, 1) - carriers(outside, 3))
    done(outside, f"/api/tasks/audiences/users/{person}", method="DELETE")
    assert len(books[1].members[before["audience_id"]]) == before["members"] - 1
    after = sync(outside, "google", name="Todos")["result"]
    assert (after["members"], after["added"]) == (before["members"] - 1, 0)


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"platform": "tiktok"}, 400, "platform"),
        ({"consent": None}, 400, "consent"),
        ({"audience": {"name": "A", "tags": {"all": [99]}}}, 400, "audience.tags"),
        ({"audience": {"name": "A", "tags": {"none": [1]}}}, 400, "audience.tags"),
        ({"audience": {"name": "A"}}, 400, "audience.tags"),
        ({"audience": {"name": "\n", "tags": TAGS}}, 400, "audience.name"),
    ],
)
def test_what_cannot_be_synced_is_refused(outside: Server, body: dict[str, Any], status: int, field: str) -> None:
    asked = {"platform": "meta", "audience": {"name": "A", "tags": TAGS}, "consent": "granted", **body}
    answer = outside.request("POST", "/api/tasks/audiences/sync", json=asked)
    assert (answer.status_code, answer.json()["field"]) == (status, field), answer.text


def test_a_campaign_for_an_audience_that_nobody_knows_is_refused(outside: Server) -> None:
    asked = {"campaign": CAMPAIGN, "audience": "Nadie"}
    answer = outside.request("POST", "/api/tasks/publish/meta", json=asked)
    assert (answer.status_code, answer.json()["message"]) == (404, "No existe la audiencia Nadie")


def test_a_simulated_walk_needs_no_account(tagged: Server) -> None:
    synced = sync(tagged, "meta", simulate=True)["result"]
    assert synced["simulated"] is True and synced["members"] > 0
    assert sync(tagged, "meta", simulate=True)["result"]["added"] == 0
    published = done(tagged, "/api/tasks/publish/meta", campaign=CAMPAIGN, audience="Clientes A", simulate=True)
    assert published["result"]["external_audience_id"] == synced["audience_id"]
    refused = tagged.request("POST", "/api/tasks/publish/meta", json={"campaign": CAMPAIGN})
    assert (refused.status_code, refused.json()["error"]) == (409, "not_configured")
