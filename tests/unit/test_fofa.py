"""Fofa's search by its stand-in: pages, errors, and a key that is told to nobody else."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import pytest

from tag_tasks.platforms.fofa import MOST_ROWS, PAGE, TRIES, FofaAccount, FofaClient, FofaRow
from tag_tasks.platforms.transport import PlatformBusy, PlatformRefused, Unanswered
from tagapi.jobs.errors import JobCancelled
from tests.e2e.server import free_port
from tests.platforms import faults
from tests.platforms import fofa as books
from tests.platforms.faults import Fault
from tests.platforms.fofa import Fofa
from tests.platforms.server import PlatformServer
from tests.unit.test_transport import answering

QUERY = 'domain="corp.example" && 端口="443"'
FORMS = {books.KEY, quote(books.KEY), quote_plus(books.KEY)}


@pytest.fixture
def server() -> Iterator[PlatformServer]:
    with PlatformServer(Fofa(found={QUERY: rows(5)})) as server:
        yield server


def rows(count: int) -> list[list[object]]:
    return [[f"198.51.{number // 250}.{number % 250}", f"h{number}.corp.example:443", "443"] for number in range(count)]


def client(url: str, key: str = books.KEY) -> FofaClient:
    return FofaClient(FofaAccount(base_url=url, email=books.EMAIL, key=key))


def search(url: str, query: str = QUERY, key: str = books.KEY) -> list[FofaRow]:
    return list(client(url, key).search(query, lambda seconds: None))


def test_what_a_query_finds_comes_in_order(server: PlatformServer) -> None:
    assert [[row.ip, row.host, row.port] for row in search(server.url)] == rows(5)
    assert len(server.platform.requests) == 1


@pytest.mark.parametrize("count", [0, PAGE - 1, PAGE, PAGE + 1, MOST_ROWS, MOST_ROWS + 50])
def test_all_pages_are_read_and_no_more_than_there_may_be(count: int) -> None:
    with PlatformServer(Fofa(found={QUERY: rows(count)})) as server:
        found = search(server.url)
    assert [[row.ip, row.host, row.port] for row in found] == rows(count)[:MOST_ROWS]


def test_rows_that_are_none_are_left_out() -> None:
    bad = [["1.2.3.4"], "text", None, [1, 2, {}], ["1.2.3.4", "x" * 5000, "1"], ["1.2.3.4", "a.example", 80]]
    with PlatformServer(Fofa(found={QUERY: [*bad]})) as server:  # type: ignore[list-item]
        assert search(server.url) == [FofaRow("1.2.3.4", "a.example", "80")]


@pytest.mark.parametrize(
    ("query", "key", "said"), [("a=", books.KEY, "820000"), (QUERY, "fofa+wrong/key=456", "账号无效")]
)
def test_what_fofa_refuses_is_told(server: PlatformServer, query: str, key: str, said: str) -> None:
    with pytest.raises(PlatformRefused, match=said):
        search(server.url, query, key)
    assert len(server.platform.requests) == 1


def test_who_asks_too_fast_waits_longer_each_time(server: PlatformServer) -> None:
    server.platform.faults.set(Fault(faults.LIMITED, nth=1), Fault(faults.LOST_AFTER, nth=1))
    waits: list[float] = []
    assert len(list(client(server.url).search(QUERY, waits.append))) == 5
    assert waits == [2.0, 4.0]


def test_who_is_limited_for_ever_is_told_so(server: PlatformServer) -> None:
    server.platform.faults.set(Fault(faults.LIMITED))
    with pytest.raises(PlatformBusy, match="请求速度"):
        search(server.url)
    assert len(server.platform.requests) == TRIES


def test_a_cancel_ends_the_waiting(server: PlatformServer) -> None:
    def pause(seconds: float) -> None:
        raise JobCancelled

    server.platform.faults.set(Fault(faults.LIMITED))
    with pytest.raises(JobCancelled):
        list(client(server.url).search(QUERY, pause))
    assert len(server.platform.requests) == 1


@pytest.mark.parametrize(
    "body", [b'{"error": false}', b'{"error": false, "results": {}}', b'{"error": false, "results": 1}']
)
def test_an_answer_without_rows_is_none(body: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    with answering(head + body) as port, pytest.raises(Unanswered):
        search(f"http://127.0.0.1:{port}")


def told(error: BaseException) -> str:
    """All that anybody might tell of an error."""
    facts = getattr(error, "facts", {})
    return "".join([*traceback.format_exception(error), repr(error), str(facts)])


class Echo(Fofa):
    """Repeats what it was asked in what it says."""

    def refused(self) -> books.Refused:
        return books.error(f"bad: {self.requests[-1].query} {quote_plus(books.KEY)} {quote(books.KEY)}")


@pytest.mark.parametrize("kind", [None, faults.LOST_BEFORE, faults.FAILS_BEFORE, faults.LIMITED, faults.REFUSED])
def test_the_key_reaches_no_log_and_no_error(kind: str | None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("urllib3", "urllib3.connectionpool", "urllib3.util.retry", "requests"):
        caplog.set_level(logging.DEBUG, logger=name)
    errors = ""
    with PlatformServer(Echo(found={QUERY: rows(1)})) as server:
        assert books.KEY not in repr(client(server.url)._account)
        server.platform.faults.set(*([] if kind is None else [Fault(kind)]))
        try:
            search(server.url)
        except (PlatformBusy, PlatformRefused, Unanswered) as error:
            errors = told(error)
        assert (errors == "") is (kind is None)
        assert server.platform.requests[0].query["key"] == books.KEY
    for text in (caplog.text, errors):
        assert not any(form in text for form in FORMS), text


def test_the_key_is_in_no_error_of_a_connection() -> None:
    with pytest.raises(PlatformBusy) as error:
        search(f"http://127.0.0.1:{free_port()}")
    assert not any(form in told(error.value) for form in FORMS)


def test_a_redirect_is_not_followed(server: PlatformServer) -> None:
    there = f"HTTP/1.1 302 Found\r\nLocation: {server.url}/api/v1/search/all\r\nContent-Length: 0\r\n\r\n"

    def pause(seconds: float) -> None:
        raise JobCancelled

    with answering(there.encode()) as port, pytest.raises(JobCancelled):
        list(client(f"http://127.0.0.1:{port}").search(QUERY, pause))
    assert server.platform.requests == []
