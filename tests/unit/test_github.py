"""GitHub's code search by its stand-in: pages, and limits that are heeded before they are met."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tag_tasks.platforms.github import (
    LONGEST_WAIT,
    MOST_FRAGMENT,
    MOST_FRAGMENTS,
    MOST_RESULTS,
    TRIES,
    GitHubAccount,
    GitHubClient,
    Hit,
)
from tag_tasks.platforms.transport import Answer, PlatformBusy, PlatformRefused, Unanswered
from tagapi.jobs.errors import JobCancelled
from tests.platforms import faults
from tests.platforms import github as books
from tests.platforms.faults import Fault
from tests.platforms.github import GitHub
from tests.platforms.server import PlatformServer
from tests.unit.test_fofa import told

KEYWORD = '"corp.example" password'


@dataclass
class Clock:
    """Whoever waits has it move."""

    at: float = 1_700_000_000.25

    def now(self) -> float:
        return self.at

    def pause(self, seconds: float) -> None:
        assert 0 < seconds <= LONGEST_WAIT
        self.at += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def github(clock: Clock) -> GitHub:
    return GitHub(now=clock.now)


@pytest.fixture
def server(github: GitHub) -> Iterator[PlatformServer]:
    with PlatformServer(github) as server:
        yield server


def client(server: PlatformServer, clock: Clock, token: str = books.TOKEN) -> GitHubClient:
    return GitHubClient(GitHubAccount(base_url=server.url, token=token), clock.now)


def search(server: PlatformServer, clock: Clock, query: str = KEYWORD) -> list[Hit]:
    return list(client(server, clock).search(query, clock.pause))


def fill(github: GitHub, count: int) -> None:
    for number in range(count):
        github.add(KEYWORD, "acme/app", f"f{number}.py", f"password = {number}")


def test_a_hit_has_its_file_and_its_lines(github: GitHub, server: PlatformServer, clock: Clock) -> None:
    github.add(KEYWORD, "acme/app", "conf/a b.py", "one", "two", fork=True)
    (hit,) = search(server, clock)
    assert (hit.repository, hit.path, hit.fork, hit.fragments) == ("acme/app", "conf/a b.py", True, ("one", "two"))
    assert hit.url == github.items[KEYWORD][0]["html_url"] and hit.sha == github.items[KEYWORD][0]["sha"]
    assert server.platform.requests[0].query == {"q": KEYWORD, "per_page": "100", "page": "1"}


@pytest.mark.parametrize("count", [0, 99, 100, 101, MOST_RESULTS, MOST_RESULTS + 50])
def test_all_pages_are_read_and_no_more_than_there_may_be(
    github: GitHub, server: PlatformServer, clock: Clock, count: int
) -> None:
    fill(github, count)
    assert [hit.path for hit in search(server, clock)] == [f"f{number}.py" for number in range(count)][:MOST_RESULTS]


def test_the_limit_is_heeded_and_never_met(github: GitHub, server: PlatformServer, clock: Clock) -> None:
    fill(github, MOST_RESULTS)
    for _ in range(3):
        assert len(search(server, clock)) == MOST_RESULTS
        clock.at += books.MINUTE
    assert len(github.requests) == 30 == len(github.asked_at), "not one of them was refused"


def test_a_limit_that_others_have_used_up_is_waited_for(github: GitHub, server: PlatformServer, clock: Clock) -> None:
    fill(github, 5)
    github.asked_at = [clock.at - 20] * books.EACH_MINUTE
    began = clock.at
    assert len(search(server, clock)) == 5
    assert 40 <= clock.at - began <= 42 and len(github.requests) == 2


def test_it_waits_as_long_as_it_is_told(github: GitHub, server: PlatformServer, clock: Clock) -> None:
    fill(github, 5)
    github.secondary, began = 2, clock.at
    assert len(search(server, clock)) == 5
    assert clock.at - began == 60


def test_who_is_limited_for_ever_is_told_so(github: GitHub, server: PlatformServer, clock: Clock) -> None:
    github.each_minute = 0
    with pytest.raises(PlatformBusy, match="请求速度"):
        search(server, clock)
    assert len(github.requests) == TRIES


def test_a_lost_answer_is_asked_for_again(github: GitHub, server: PlatformServer, clock: Clock) -> None:
    fill(github, 5)
    github.faults.set(Fault(faults.LOST_AFTER, nth=1), Fault(faults.FAILS_BEFORE, nth=1))
    assert len(search(server, clock)) == 5 and len(github.requests) == 3


def test_a_cancel_ends_the_waiting(github: GitHub, server: PlatformServer, clock: Clock) -> None:
    def pause(seconds: float) -> None:
        raise JobCancelled

    github.secondary = 1
    with pytest.raises(JobCancelled):
        list(client(server, clock).search(KEYWORD, pause))
    assert len(github.requests) == 1


def test_a_bad_query_and_a_bad_token_are_refused_at_once(github: GitHub, server: PlatformServer, clock: Clock) -> None:
    with pytest.raises(PlatformRefused, match="Validation Failed"):
        search(server, clock, "x" * 257)
    with pytest.raises(PlatformRefused, match="Bad credentials"):
        list(client(server, clock, "wrong").search(KEYWORD, clock.pause))
    assert len(github.requests) == 2


def test_a_right_that_is_missing_is_no_limit() -> None:
    judge = GitHubClient(GitHubAccount(base_url="http://127.0.0.1", token=""))._judge
    assert isinstance(judge(Answer(403, {"message": "Resource not accessible"}, {})), PlatformRefused)
    assert isinstance(judge(Answer(403, {"message": "Abuse"}, {"retry-after": "7"})), PlatformBusy)


@pytest.mark.parametrize("kind", [None, faults.LOST_BEFORE, faults.FAILS_BEFORE, faults.EXPIRED, faults.REFUSED])
def test_the_token_reaches_no_log_and_no_error(
    github: GitHub, server: PlatformServer, clock: Clock, kind: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    github.faults.set(*([] if kind is None else [Fault(kind)]))
    errors = ""
    try:
        search(server, clock)
    except (PlatformBusy, PlatformRefused, Unanswered) as error:
        errors = told(error)
    assert books.TOKEN not in caplog.text + errors + repr(client(server, clock)._account)
    assert github.requests[0].headers["authorization"] == f"Bearer {books.TOKEN}"


def test_what_is_no_file_is_left_out_and_the_rest_is_bounded(
    github: GitHub, server: PlatformServer, clock: Clock
) -> None:
    github.add(KEYWORD, "acme/app", "a.py", *["x" * 10_000] * 20)
    good = github.items[KEYWORD][0]
    strange = [None, [], {}, {**good, "path": 7}, {**good, "html_url": "x" * 5000}, {**good, "repository": None}]
    odd = {**good, "path": "b.py", "text_matches": [None, {"fragment": 3}, {"fragment": "y"}]}
    github.items[KEYWORD] += [*strange, odd, {**good, "path": "c.py", "text_matches": "z"}]
    first, second, third = search(server, clock)
    assert [len(one) for one in first.fragments] == [MOST_FRAGMENT] * MOST_FRAGMENTS
    assert second.fragments == ("y",) and third.fragments == ()
