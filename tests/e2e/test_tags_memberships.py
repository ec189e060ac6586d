"""What tasks do to memberships, compared with a second opinion, and how memberships are read."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import pytest

from tests.e2e import oracle
from tests.e2e.conftest import USERS, StartServer, served
from tests.e2e.server import Client, Server
from tests.e2e.test_tags_contract import ALL_TAGS, TASK_CLASSES, TWO_USERS, moment, refusal

LATER = "TIMESTAMPTZ '2099-01-01 00:00:00+00'"
HOSTILE = [
    "o'hara",
    'say "hi"',
    "a/b",
    "a//b/",
    "/etc/passwd",
    "100%",
    "%2F",
    "a\\b",
    "line\nbreak",
    "tab\there",
    "nul\x00byte",
    " padded ",
    "😀👩‍👩‍👧",
    "é",
    "e\u0301",
    "\uffff",
    "用户",
    "x" * 255,
    "😀" * 255,
    "'; DROP TABLE users; --",
    "../../secret",
    "?a=1&b=2#c",
    "user;v=1",
    "null",
    "+",
]
THREE = {user: [3] for user in HOSTILE}


def verified(server: Server, tag_ids: list[int] = ALL_TAGS) -> dict[int, list[str]]:
    """The members of the tags, having checked them against the sources."""
    today = datetime.now(UTC).date()
    found = {tag_id: server.members(tag_id) for tag_id in tag_ids}
    assert found == {tag_id: oracle.members(server.sources, tag_id, today) for tag_id in tag_ids}
    return found


def version(server: Server) -> int:
    """The table's version, as a dry run sees it."""
    return int(server.run([1], user_ids=TWO_USERS, dry_run=True)["table_version"])


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> Iterator[Server]:
    """A server whose sources may be changed and broken: see `own`."""
    folder = tmp_path_factory.mktemp("changing")
    shutil.copytree(sample, folder / "data" / "sources")
    yield from served(Server(folder))


@pytest.fixture
def own(changing: Server, sample: Path) -> Iterator[Server]:
    """`changing`, every tag computed; its sources are mended after the test."""
    changing.run(ALL_TAGS)
    yield changing
    shutil.rmtree(changing.sources)
    shutil.copytree(sample, changing.sources)


# -- computing -----------------------------------------------------------------------------


def test_a_full_run_makes_members_of_exactly_those_who_match(server: Server) -> None:
    task_id = server.trigger(ALL_TAGS)
    result = server.wait(task_id)["result"]
    assert (result["total_users"], result["message"]) == (USERS, f"Successfully processed {USERS} users")
    found = verified(server)
    assert [(tag["tag_id"], tag["matched_users"]) for tag in result["tags"]] == [
        (tag_id, len(members)) for tag_id, members in found.items()
    ]
    assert {(tag["added"], tag["removed"]) for tag in result["tags"]} == {(None, None)}


def test_diff_counts_who_came_and_who_went(own: Server) -> None:
    task = own.ask(tag_ids=[3, 7], diff=True).json()
    assert task["data"]["diff"] is True
    result = own.wait(task["task_id"])["result"]
    assert {(tag["added"], tag["removed"]) for tag in result["tags"]} == {(0, 0)}

    before = verified(own, [3])[3]
    oracle.change(own.sources, "user_basic_info", {"risk_score": "100 - risk_score"}, "user_id <= 'user_000100'")
    changed = own.run([3], diff=True)["tags"][0]
    after = verified(own, [3])[3]
    assert (changed["added"], changed["removed"]) == (len({*after} - {*before}), len({*before} - {*after}))
    assert changed["added"] > 0 < changed["removed"]


def test_a_dry_run_tells_and_writes_nothing(tagged: Server) -> None:
    before, at = {tag_id: tagged.members(tag_id) for tag_id in ALL_TAGS}, version(tagged)
    trigger = tagged.ask(tag_ids=ALL_TAGS, dry_run=True).json()
    assert trigger["data"]["dry_run"] is True
    result = tagged.wait(trigger["task_id"])["result"]
    assert result["total_users"] == USERS
    assert {(tag["added"], tag["removed"]) for tag in result["tags"]} == {(0, 0)}
    assert result["table_version"] == at == version(tagged)
    assert {tag_id: tagged.members(tag_id) for tag_id in ALL_TAGS} == before


def test_first_runs(start_server: StartServer) -> None:
    """On an empty table: everyone is evaluated, whatever the mode, and whoever matches is new."""
    server = start_server()
    for asked in ({"dry_run": True}, {"dry_run": True, "mode": "incremental"}, {"diff": True, "mode": "incremental"}):
        assert (server.members(3), server.members(8)) == ([], [])
        assert server.read("/api/v1/tags/3")["tag"]["last_run"] is None
        result = server.run([3, 8], **asked)
        assert result["total_users"] == USERS
        assert [tag["added"] for tag in result["tags"]] == [tag["matched_users"] for tag in result["tags"]]
        assert {tag["removed"] for tag in result["tags"]} == {0}
    verified(server, [3, 8])
    result = server.run([3, 1], mode="incremental")
    assert result["total_users"] == USERS, "it is the first run of tag 1"
    verified(server, [1, 3])


@pytest.mark.parametrize("mode", ["full", "incremental"])
def test_listed_users_are_the_whole_scope(own: Server, mode: str) -> None:
    """Those who match are in, those who no longer match are out, nobody else is looked at."""
    server = own
    before = set(server.members(3))
    leaving = sorted(before)[:2]
    entering = sorted(set(oracle.users(server.sources)) - before)[:2]
    oracle.change(server.sources, "user_basic_info", {"risk_score": "100 - risk_score"}, "risk_score IS NOT NULL")

    result = server.run([3], user_ids=leaving + entering, mode=mode)
    tag = result["tags"][0]
    assert result["total_users"] == 4
    now = set(oracle.members(server.sources, 3, datetime.now(UTC).date()))
    expected = (before - set(leaving + entering)) | (now & set(leaving + entering))
    assert set(server.members(3)) == expected
    assert (tag["matched_users"], tag["removed"]) == (len(now & set(leaving + entering)), 2)


def latest(sources: Path) -> set[str]:
    """Users whose rows a run sees again in a file that was rewritten: within an hour of the newest."""
    source = oracle.table(sources, "user_basic_info")
    newest = f"SELECT max(updated_time) - INTERVAL 1 HOUR FROM {source}"
    with duckdb.connect() as connection:
        return {
            row[0]
            for row in connection.execute(f"SELECT user_id FROM {source} WHERE updated_time >= ({newest})").fetchall()
        }


def test_incremental_evaluates_what_changed_and_keeps_the_rest(own: Server) -> None:
    server = own
    again = latest(server.sources)
    nothing = server.run([1, 3], mode="incremental")
    assert (nothing["total_users"], nothing["message"], nothing["unknown_user_ids"]) == (0, "No results", [])
    assert nothing["tags"] == [{"tag_id": tag_id, "matched_users": 0, "added": 0, "removed": 0} for tag_id in (1, 3)]

    three = "user_id IN ('user_000001', 'user_000002', 'user_000003')"
    oracle.change(server.sources, "user_basic_info", {"risk_score": "5", "updated_time": LATER}, three)
    oracle.change(server.sources, "user_basic_info", {"risk_score": "99"}, "user_id = 'user_000004'")
    kept = "user_000004" in server.members(3)
    result = server.run([1, 3], mode="incremental")
    assert result["total_users"] == len({"user_000001", "user_000002", "user_000003"} | again)
    assert {"user_000001", "user_000002", "user_000003"} <= set(server.members(3))
    assert ("user_000004" in server.members(3)) == kept, "it did not say that it changed"
    assert server.run([1, 3], mode="incremental")["total_users"] == 0, "no file has come since"

    server.run([1, 3])
    verified(server, [1, 3])


def test_users_without_a_time_are_evaluated_with_each_file(own: Server) -> None:
    server = own
    again = latest(server.sources)
    oracle.change(server.sources, "user_basic_info", {"updated_time": "NULL"}, "user_id = 'user_000007'")
    server.run([3])
    oracle.change(server.sources, "user_basic_info", {"risk_score": "1"}, "user_id = 'user_000007'")
    assert server.run([3], mode="incremental")["total_users"] == len({"user_000007"} | again)
    assert "user_000007" in server.members(3)


# -- sources that fail ---------------------------------------------------------------------


def _missing(folder: Path) -> None:
    shutil.rmtree(folder)


def _nothing_in_it(folder: Path) -> None:
    _missing(folder)
    folder.mkdir()


def _no_rows(folder: Path) -> None:
    file = folder / "part-00000.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY (FROM '{file}' LIMIT 0) TO '{folder / 'x.unfinished'}' (FORMAT parquet)")
    (folder / "x.unfinished").replace(file)


def _corrupt(folder: Path) -> None:
    (folder / "part-00000.parquet").write_bytes(b"PAR1 this is no Parquet PAR1")


def _cut_short(folder: Path) -> None:
    file = folder / "part-00000.parquet"
    file.write_bytes(file.read_bytes()[:-1000])


@pytest.mark.parametrize("breaks", [_missing, _nothing_in_it, _no_rows, _corrupt, _cut_short])
@pytest.mark.parametrize(
    ("source", "tag_id"), [("user_basic_info", 3), ("user_asset_summary", 1), ("user_activity_summary", 2)]
)
def test_a_source_that_cannot_be_read_fails_the_task_and_changes_nothing(
    own: Server, sample: Path, breaks: Callable[[Path], None], source: str, tag_id: int
) -> None:
    before = {one: own.members(one) for one in (1, 2, 3)}
    breaks(own.sources / source)
    asked: list[dict[str, Any]] = [
        {"tag_ids": [tag_id]},
        {"tag_ids": [tag_id], "user_ids": TWO_USERS},
        {"tag_ids": [1, 2, 3], "mode": "incremental"},
        {"tag_ids": [tag_id], "dry_run": True},
    ]
    tasks = [own.trigger(**one) for one in asked]
    for one, task_id in zip(asked, tasks, strict=True):
        status = own.wait(task_id)
        assert status["status"] == "failed", (one, status)
        assert isinstance(status["error"], str) and status["error"], one
        assert "result" not in status
        assert status["completed_at"] is not None
        assert refusal(own.delete(f"/api/v1/tasks/{task_id}"), 409) == ("Task already finished", "任务已结束")
    shutil.rmtree(own.sources / source, ignore_errors=True)
    shutil.copytree(sample / source, own.sources / source)
    assert {one: own.members(one) for one in (1, 2, 3)} == before
    assert own.run([tag_id])["total_users"] == USERS, "once mended, it works again"


def test_reading_a_source_that_cannot_be_read_is_not_possible_now(own: Server, sample: Path) -> None:
    _corrupt(own.sources / "user_basic_info")
    for query in ("", "?explain=true"):
        refusal(own.get(f"/api/v1/users/user_000001/tags{query}"), 503)
    shutil.copytree(sample, own.sources, dirs_exist_ok=True)
    assert own.get("/api/v1/users/user_000001/tags").status_code == 200


# -- reading -------------------------------------------------------------------------------


@pytest.mark.parametrize("tag_id", ALL_TAGS)
def test_tag_detail(tagged: Server, tag_id: int) -> None:
    tag = tagged.read(f"/api/v1/tags/{tag_id}")["tag"]
    assert (tag["tag_id"], tag["task_class"], tag["description"]) == (tag_id, *TASK_CLASSES[tag_id])
    assert tag["source"] == oracle.RULES[tag_id][0]
    assert tag["rule"]
    assert tag["members"] == len(tagged.members(tag_id))
    assert moment(tag["last_run"]) <= datetime.now(UTC)


def test_tag_detail_tells_of_the_last_run_over_everyone(tagged: Server) -> None:
    task_id = tagged.trigger([5])
    submitted = tagged.wait(task_id)["submitted_at"]
    tagged.run([5], user_ids=TWO_USERS)
    tagged.run([5], dry_run=True)
    assert tagged.read("/api/v1/tags/5")["tag"]["last_run"] == submitted


@pytest.mark.parametrize("path", ["/api/v1/tags/9", "/api/v1/tags/9/users", f"/api/v1/tags/{9**50}"])
def test_an_unknown_tag(server: Server, path: str) -> None:
    assert refusal(server.get(path), 404) == ("Tag not found", "标签不存在")


@pytest.mark.parametrize(("tag_id", "limit"), [(4, 1), (3, 17), (2, 1000), (2, 10_000)])
def test_pages_hold_every_member_once_in_order(tagged: Server, tag_id: int, limit: int) -> None:
    expected = oracle.members(tagged.sources, tag_id, datetime.now(UTC).date())
    assert len(expected) > 10
    assert tagged.members(tag_id, limit) == expected


def test_the_last_page_says_so(tagged: Server) -> None:
    members = tagged.members(5)
    page = tagged.read("/api/v1/tags/5/users", limit=len(members))
    assert page == {"success": True, "tag_id": 5, "users": members, "next_cursor": None}
    assert tagged.read("/api/v1/tags/5/users", limit=len(members) - 1)["next_cursor"] is not None


def test_a_page_holds_a_thousand_by_default(tagged: Server) -> None:
    assert len(tagged.read("/api/v1/tags/2/users")["users"]) == 1000


@pytest.mark.parametrize("limit", ["0", "10001", "-1", "1.5", "all", "", "9" * 5000])
def test_a_wrong_limit(tagged: Server, limit: str) -> None:
    error, _ = refusal(tagged.get("/api/v1/tags/1/users", limit=limit), 400)
    assert "limit" in error


@pytest.mark.parametrize("cursor", ["???", "a", "user_000001", "=", "_w", "用户", "'; DROP TABLE users; --"])
def test_a_cursor_that_nobody_gave_out(tagged: Server, cursor: str) -> None:
    error, _ = refusal(tagged.get("/api/v1/tags/1/users", cursor=cursor), 400)
    assert "cursor" in error


def test_the_tags_of_a_user(tagged: Server) -> None:
    today = datetime.now(UTC).date()
    carried = {tag_id: set(oracle.members(tagged.sources, tag_id, today)) for tag_id in ALL_TAGS}
    for user in ("user_000001", "user_000002", "user_001234", "user_002000"):
        tags = [tag_id for tag_id, members in carried.items() if user in members]
        assert tagged.read(f"/api/v1/users/{user}/tags") == {"success": True, "user_id": user, "tags": tags}
        explained = tagged.read(f"/api/v1/users/{user}/tags", explain="true")["tags"]
        assert [one["tag_id"] for one in explained] == ALL_TAGS
        assert [one["tag_id"] for one in explained if one["member"]] == tags
        assert [one["tag_id"] for one in explained if one["matches_now"]] == tags
        keys = {"tag_id", "member", "matches_now", "observed", "threshold", "reason"}
        assert all(set(one) == keys and one["threshold"] and one["reason"] for one in explained)


def test_an_explanation_tells_stored_and_current_apart(own: Server) -> None:
    server = own
    user = server.members(3)[0]
    oracle.change(server.sources, "user_basic_info", {"risk_score": "77", "age": "NULL"}, f"user_id = '{user}'")
    assert 3 in server.read(f"/api/v1/users/{user}/tags")["tags"]
    explained = {one["tag_id"]: one for one in server.read(f"/api/v1/users/{user}/tags", explain="true")["tags"]}
    assert (explained[3]["member"], explained[3]["matches_now"]) == (True, False)
    assert explained[3]["observed"] == {"risk_score": 77}
    assert (explained[7]["matches_now"], explained[7]["observed"]) == (False, {"age": None})


@pytest.mark.parametrize("query", ["", "?explain=true", "?explain=false"])
@pytest.mark.parametrize("user", ["nobody", "user_000000", "USER_000001", "%20user_000001", "user_000001%20"])
def test_a_user_who_does_not_exist(tagged: Server, user: str, query: str) -> None:
    assert refusal(tagged.get(f"/api/v1/users/{user}/tags{query}"), 404) == ("User not found", "用户不存在")


@pytest.mark.parametrize("explain", ["1", "yes", "True", ""])
def test_a_wrong_explain(tagged: Server, explain: str) -> None:
    error, _ = refusal(tagged.get("/api/v1/users/user_000001/tags", explain=explain), 400)
    assert "explain" in error


# -- user ids are any text -----------------------------------------------------------------


@pytest.fixture(scope="module")
def hostile_sources(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> Path:
    """The sample with the users of HOSTILE, every one of whom carries tag 3."""
    folder = tmp_path_factory.mktemp("hostile") / "sources"
    shutil.copytree(sample, folder)
    file = folder / "user_basic_info" / "part-00000.parquet"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("CREATE TABLE strange (user_id VARCHAR)")
        connection.executemany("INSERT INTO strange VALUES (?)", [[user] for user in HOSTILE])
        one = f"(SELECT * REPLACE (1 AS risk_score) FROM '{file}' LIMIT 1)"
        select = f"SELECT one.* REPLACE (strange.user_id AS user_id) FROM strange, {one} one"
        connection.execute(f"COPY ({select}) TO '{folder}/user_basic_info/part-00001.parquet' (FORMAT parquet)")
    return folder


def test_users_of_any_name(start_server: StartServer, hostile_sources: Path) -> None:
    server = start_server(sources=hostile_sources)
    assert server.run([3], user_ids=HOSTILE)["total_users"] == len(HOSTILE)
    assert server.members(3, limit=1) == sorted(HOSTILE), "computed for a few"
    assert {user: _tags_of(server, user) for user in HOSTILE} == THREE

    assert server.run([3], user_ids=[*HOSTILE, *oracle.users(hostile_sources)])["total_users"] == USERS + len(HOSTILE)
    verified(server, [3])
    server.run([3])
    found = verified(server, [3])[3]
    assert set(HOSTILE) <= set(found)
    assert {user: _tags_of(server, user) for user in HOSTILE} == THREE


def _tags_of(server: Client, user: str) -> Any:
    """The user's tags, or the answer that said otherwise."""
    response = server.get(f"/api/v1/users/{quote(user, safe='')}/tags")
    body = response.json()
    return body["tags"] if response.status_code == 200 and body["user_id"] == user else response.text
