"""Leaks: where a keyword stands in public code, without the secrets that stand there, and each place once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from tag_tasks.assets.found import Kind
from tag_tasks.assets.leaks import NOT_CONFIGURED, GitHubMonitor, GitHubSearch
from tag_tasks.assets.table import NO_SCOPE
from tag_tasks.platforms.github import GitHubAccount
from tag_tasks.platforms.transport import PlatformRefused
from tag_tasks.spark.session import Spark
from tagapi.jobs.errors import JobCancelled, TaskFailed
from tests.platforms import github as books
from tests.platforms.github import GitHub
from tests.platforms.server import PlatformServer
from tests.spark.business import Hooked
from tests.spark.test_assets import There
from tests.unit.outside import Context, Killed

KEYWORD = "corp.example"
SECRETS = ["AKIAABCDEFGHIJKLMNOP", "hunter2-and-more", "ghp_0123456789abcdefghijABCDEFGHIJ012345"]


@pytest.fixture
def github() -> GitHub:
    return GitHub(each_minute=1000)


@pytest.fixture
def account(github: GitHub) -> Iterator[GitHubAccount]:
    with PlatformServer(github) as server:
        yield GitHubAccount(base_url=server.url, token=books.TOKEN)


@pytest.fixture
def there(spark: Spark, tmp_path: Path) -> There:
    return There(spark, tmp_path)


def asked(keyword: str = KEYWORD, owner: str = "ann") -> Context:
    return Context({"keyword": keyword, "name": "n"}, owner=owner)


def search(there: There, account: GitHubAccount | None) -> GitHubSearch:
    return GitHubSearch(account, there.files)


def monitor(there: There, account: GitHubAccount | None) -> GitHubMonitor:
    return GitHubMonitor(account, there.files, there.table, there.store)


def paths(there: There, context: Context) -> list[str]:
    found = there.reader.found(context.job_id, "leaks", 1, 1000)
    assert found["total"] == len(found["items"])
    return [one["path"] for one in found["items"]]


def everything(folder: Path) -> str:
    """All texts in all Parquet files, whoever refers to them."""
    with duckdb.cursor() as cursor:
        query = "SELECT to_json(rows)::VARCHAR FROM read_parquet($file) AS rows"
        files = list(map(str, folder.rglob("*.parquet")))
        told = [text for file in files for (text,) in cursor.execute(query, {"file": file}).fetchall()]
    assert told
    return "\n".join(told)


def test_a_place_is_told_with_its_lines(there: There, github: GitHub, account: GitHubAccount) -> None:
    github.add(KEYWORD, "acme/app", "conf.py", "host = 'corp.example'", "port = 1")
    result = search(there, account).run(context := asked())
    (item,) = there.reader.found(context.job_id, None, 1, 10)["items"]
    assert (item["repository"], item["path"], item["keyword"]) == ("acme/app", "conf.py", KEYWORD)
    assert item["snippet"] == "host = 'corp.example'\n…\nport = 1" and item["url"].endswith("/conf.py")
    assert result["statistic"]["leak_cnt"] == 1 and result["statistic"]["noise_cnt"] == 0
    assert [one["name"] for one in result["service"]] == ["search"]


def test_no_secret_is_stored_anywhere(there: There, github: GitHub, account: GitHubAccount) -> None:
    key, password, token = SECRETS
    lines = [f"aws = {key}", f'password = "{password}"  # corp.example', f"https://x:{token}@corp.example/"]
    github.add(KEYWORD, "acme/app", "conf.py", *lines)
    github.add(KEYWORD, "acme/app", f"{key}/{token}.txt", "corp.example")
    github.add(token, "acme/app", "other.py", token)
    results = [
        search(there, account).run(first := asked()),
        search(there, account).run(asked(token)),
        monitor(there, account).run(asked()),
        monitor(there, account).run(asked(token)),
    ]
    told = everything(there.folder) + json.dumps(results)
    assert not [secret for secret in SECRETS if secret in told]
    assert "AKIA***[20]" in told and "***[16]" in told and paths(there, first)[0] == "conf.py"
    assert len(there.assets(Kind.LEAKS, NO_SCOPE)) == 3


@pytest.mark.parametrize(
    "path",
    [
        *("package-lock.json", "web/yarn.lock", "go.sum", "Cargo.lock", "js/app.min.js", "js/app.js.map"),
        *("node_modules/a/index.js", "php/vendor/a.php", "lib/site-packages/a.py"),
    ],
)
def test_what_nobody_wrote_there_is_noise(there: There, github: GitHub, account: GitHubAccount, path: str) -> None:
    github.add(KEYWORD, "acme/app", path, KEYWORD)
    for near in ("lock.py", "vendors.txt", "blocks/min.js", "go.summary"):
        github.add(KEYWORD, "acme/app", near, KEYWORD)
    result = search(there, account).run(context := asked())
    assert paths(there, context) == ["lock.py", "vendors.txt", "blocks/min.js", "go.summary"]
    assert result["statistic"]["noise_cnt"] == 1


def test_copies_and_forks_are_noise(there: There, github: GitHub, account: GitHubAccount) -> None:
    github.add(KEYWORD, "acme/app", "a.py", KEYWORD, text="same")
    github.add(KEYWORD, "other/copy", "b.py", KEYWORD, text="same")
    github.add(KEYWORD, "fork/app", "c.py", KEYWORD, fork=True)
    result = search(there, account).run(context := asked())
    assert paths(there, context) == ["a.py"]
    assert result["noise"] == {"duplicate": 1, "fork": 1}


def test_a_monitor_tells_each_place_once(there: There, github: GitHub, account: GitHubAccount) -> None:
    for number in range(3):
        github.add(KEYWORD, "acme/app", f"{number}.py", KEYWORD)
        github.add("else", "acme/app", f"{number}.py", "else")
    first = monitor(there, account).run(context := asked())
    assert first["new"] == {"leaks": 3} and paths(there, context) == ["0.py", "1.py", "2.py"]
    assert [name for name, _ in context.said] == list(GitHubMonitor.phases)
    again = monitor(there, account).run(context := asked())
    assert again["new"] == {} and again["statistic"]["leak_cnt"] == 0 and paths(there, context) == []
    github.add(KEYWORD, "acme/app", "3.py", KEYWORD)
    assert monitor(there, account).run(context := asked())["new"] == {"leaks": 1} and paths(there, context) == ["3.py"]
    assert monitor(there, account).run(asked("else"))["new"] == {"leaks": 3}, "another keyword is another monitor"
    assert monitor(there, account).run(asked(owner="bob"))["new"] == {"leaks": 4}, "so is another's"
    assert there.reader.assets("leaks", 1, 100, owner="ann")["total"] == 7
    assert there.reader.assets("leaks", 1, 100, owner="bob")["total"] == 4


def test_a_place_that_comes_twice_is_one(there: There, github: GitHub, account: GitHubAccount) -> None:
    for text in ("one", "two"):
        github.add(KEYWORD, "acme/app", "a.py", KEYWORD, text=text)
    assert monitor(there, account).run(asked())["new"] == {"leaks": 1}
    assert len(there.assets(Kind.LEAKS, NO_SCOPE)) == 1


def test_a_keyword_that_stands_nowhere_finds_nothing(there: There, account: GitHubAccount) -> None:
    assert monitor(there, account).run(context := asked())["new"] == {} and paths(there, context) == []


@pytest.mark.parametrize("method", ["write_all", "write", "commit", "commit_on"])
def test_whenever_it_is_killed_each_place_comes_once(
    there: There, spark: Spark, tmp_path: Path, github: GitHub, account: GitHubAccount, method: str
) -> None:
    def dies() -> None:
        raise Killed

    github.add(KEYWORD, "acme/app", "a.py", KEYWORD)
    Hooked(there.table, method, dies)
    with pytest.raises(Killed):
        monitor(there, account).run(context := asked())
    after = There(spark, tmp_path)
    assert not after.table.find_commit(context.job_id)
    assert monitor(after, account).run(replace(context, epoch=2))["new"] == {"leaks": 1}
    assert len(after.assets(Kind.LEAKS, NO_SCOPE)) == 1 and paths(after, context) == ["a.py"]


def test_without_an_account_it_says_what_is_missing(there: There) -> None:
    for task in (search(there, None), monitor(there, None)):
        with pytest.raises(TaskFailed, match=NOT_CONFIGURED):
            task.run(asked())


def test_what_github_refuses_is_told_and_nothing_is_left(there: There, account: GitHubAccount) -> None:
    with pytest.raises(PlatformRefused, match="Validation Failed"):
        search(there, account).run(context := asked("x" * 300))
    assert not there.files.there(context.job_id)
    with pytest.raises(PlatformRefused, match="Bad credentials") as error:
        search(there, replace(account, token="ghp_wrong")).run(asked())
    assert "ghp_wrong" not in str(error.value)


def test_a_cancel_ends_it(there: There, github: GitHub, account: GitHubAccount) -> None:
    github.add(KEYWORD, "acme/app", "a.py", KEYWORD)
    for task in (search(there, account), monitor(there, account)):
        context = asked()
        context.cancelled = True
        with pytest.raises(JobCancelled):
            task.run(context)
        assert not there.files.there(context.job_id)
