"""The page over the whole service, from start to end: tags, a dry run, an audience, files, and a long list."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from tagapi.jobs.model import Request
from tagapi.jobs.registry import Bounds
from tagapi.registries import open_registry
from tests.e2e.browser import Page
from tests.e2e.conftest import served
from tests.e2e.paged import HOSTILE, foreign, open_at, page_of, settled, text_of
from tests.e2e.server import Server, refusing_spark, until

MANY = 400
DRAWN = 60  # rows, at most: what is seen and a little more


@pytest.fixture
def local(chromium: Page, tagged: Server) -> Iterator[Page]:
    """Of whoever sits at this machine: nothing is asked."""
    with page_of(chromium, tagged) as page:
        page.sees("live")
        assert "token" not in text_of(page, "body")
        yield page


def job_of(page: Page) -> str:
    return str(page.run("location.hash.split('/')[2]"))


def test_from_a_tag_to_its_members(local: Page, tagged: Server) -> None:
    local.click("Tags")
    local.sees("total_asset_value")
    for name in ("High net worth", "VIP"):
        local.run(f"document.querySelector('[aria-label=\"Run {name}\"]').click()")
    local.click("Run 2 tags")
    local.click("Watch it")
    local.sees("What came of it", 30)
    assert tagged.status(job_of(local))["tag_ids"] == [1, 5]
    found = {one["tag_id"]: one["matched_users"] for one in tagged.status(job_of(local))["result"]["tags"]}
    until(lambda: "VIP" in text_of(local, ".bars"), "the bars are drawn")
    bars = text_of(local, ".bars")
    assert f"{found[1]:,}" in bars and f"{found[5]:,}" in bars and "VIP" in bars
    local.click("High net worth")
    local.sees("total_asset_value ≥ 100000")
    local.sees(tagged.members(1, 1)[0])
    assert local.run("document.querySelectorAll('svg.chart circle').length") >= 2
    local.run("document.querySelector('.members a').click()")
    local.sees("matches total_asset_value ≥ 100000")


def test_a_dry_run_shows_the_difference_before_it_is_written(local: Page, tagged: Server) -> None:
    tagged.run([7], user_ids=["user_000001"])
    open_at(local, tagged, "#/tags/7")
    local.sees("Who carries it")
    before = tagged.read("/api/v1/tags/7")["tag"]
    local.click("Show what a run would change")
    local.sees("Nothing is written yet.", 30)
    assert tagged.read("/api/v1/tags/7")["tag"]["last_run"] == before["last_run"]
    assert f"{before['members']:,}" in text_of(local, ".difference")
    local.click("Write it")
    local.sees("Written, as version", 30)
    assert tagged.read("/api/v1/tags/7")["tag"]["last_run"] > before["last_run"]


def test_an_audience_is_counted_as_it_is_put_together(local: Page, tagged: Server) -> None:
    high, vip = set(tagged.members(1)), set(tagged.members(5))
    local.click("Audience")
    local.sees("Nobody yet")
    for tag, choice in ((1, "all"), (5, "none")):
        local.run(f"document.querySelector('input[name=tag{tag}][value={choice}]').click()")
    until(lambda: text_of(local, ".figure") == f"{len(high - vip):,}", "the size is counted")
    assert f"{len(high & vip):,}" in text_of(local, ".overlaps")
    assert local.run("location.hash") == "#/audience?all=1&none=5"
    local.run("location.reload()")
    until(lambda: text_of(local, ".figure") == f"{len(high - vip):,}", "the address keeps it")


def test_results_are_shown_as_what_they_are(local: Page, tagged: Server) -> None:
    asked = {"task_type": "report_generation", "language": "en"}
    report = tagged.post("/api/v1/workers/", asked).json()["task_id"]
    export = tagged.post("/api/v1/workers/", {"task_type": "users_export", "format": "csv"}).json()["task_id"]
    unknown = tagged.trigger([1], user_ids=["user_000001", HOSTILE])
    tagged.request("PUT", "/api/v3/stream/c/page", json={})
    documents = tagged.post(
        "/api/v3/stream/export", {"start": "2020-01-01", "target": "page", "query": "coffee"}
    ).json()
    open_at(local, tagged, f"#/jobs/{report}")
    local.sees("report.html", 60)
    inside = "document.querySelector('iframe.report')?.contentDocument.body.innerText ?? ''"
    until(lambda: "Bookings and payments" in local.run(inside), "the report is in its place")
    assert local.run("document.querySelector('iframe.report').sandbox.value") == "allow-same-origin"
    open_at(local, tagged, f"#/jobs/{export}")
    local.sees("users_export.csv", 30)
    local.click("Download")
    until(lambda: local.run("!document.querySelector('.file button').disabled"), "it is fetched")
    open_at(local, tagged, f"#/jobs/{unknown}")
    local.sees(f"There are no such users: {HOSTILE}", 30)
    open_at(local, tagged, f"#/jobs/{documents['result_tasks']['tasks'][0]['id']}")
    local.sees("The first documents there", 30)
    settled(local)
    assert local.run("document.querySelectorAll('.documents li').length") > 0


def test_a_token_of_another_time_is_dropped_where_none_is_asked_for(local: Page, tagged: Server) -> None:
    local.run("sessionStorage.setItem('tagapi.token', 'tagapi_of_yesterday')")
    local.run("location.reload()")
    local.sees("live")
    until(lambda: local.run("sessionStorage.length") == 0, "it is forgotten")
    assert all("401" in one for one in local.complaints), local.complaints
    local.complaints.clear()


def test_the_service_says_that_all_is_well(local: Page, tagged: Server) -> None:
    local.click("Service")
    local.sees("All is well.")
    assert "sqlite" in text_of(local, "main")
    assert foreign(local, tagged) == []


def test_what_is_wrong_is_told_in_words_and_a_long_list_scrolls(chromium: Page, sample: Path, tmp_path: Path) -> None:
    """Without Spark; every job waits."""
    folder = tmp_path / "data"
    shutil.copytree(sample, folder / "sources")
    oldest = fill(folder)
    with refusing_spark() as address:
        settings = {"TAGAPI_SPARK__REMOTE": address, "TAGAPI_JOBS__DRAIN_SECONDS": "0.1"}
        for server in served(Server(tmp_path, settings), ready=False):
            with page_of(chromium, server) as page:
                page.sees(f"{MANY:,} jobs")
                scroll_through(page, oldest)
                page.click("Service")
                page.sees("Spark is not ready")
                open_at(page, server, "#/users/user_000001")
                page.sees("again in a moment")  # not ready, or away by now
                page.complaints[:] = [one for one in page.complaints if "503" not in one]


def fill(folder: Path) -> str:
    """The id of the oldest."""
    registry = open_registry(f"sqlite:///{folder}/jobs.db")
    room = Bounds(queued=MANY, queued_per_owner=MANY)
    asked = {"tag_ids": [1], "user_ids": None, "mode": "full", "dry_run": False, "diff": False}

    def add(_: int) -> str:
        one = Request(job_id=str(uuid4()), task="tags.compute", owner="local", arguments=asked, lane="spark")
        return registry.add(one, room).job.id

    oldest = add(0)
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(add, range(1, MANY)))
    registry.close()
    return oldest


def scroll_through(page: Page, oldest: str) -> None:
    """A screen at a time, until every job was seen; no more of them are drawn than are seen, and a few."""
    seen: set[str] = set()

    def look() -> bool:
        now = page.run("[...document.querySelectorAll('.rows .row .id')].map((one) => one.textContent)")
        assert len(now) <= DRAWN
        seen.update(now)
        page.run("(() => { const list = document.querySelector('.rows'); list.scrollTop += list.clientHeight; })()")
        return len(seen) == MANY

    until(look, "the end of the list is reached", 60)
    assert page.run("[...document.querySelectorAll('.rows .row a')].at(-1).hash") == f"#/jobs/{oldest}"
