"""What is sent, to whom, how often, and what comes of it: the sender over a registry in memory and real sockets."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

import psutil
import pytest
from standardwebhooks import Webhook as Scheme
from standardwebhooks import WebhookVerificationError

from tagapi.jobs import changes
from tagapi.jobs.errors import StoreUnavailable
from tagapi.jobs.lists import Bounds
from tagapi.jobs.model import Job, Request
from tagapi.jobs.notifying import OWNER_GONE, RECEIVER_GONE, TOO_MANY_WAIT, Notifying
from tagapi.jobs.webhooks import Answer, Delivery, DeliveryState, Webhook, backoff
from tagapi.namespaces.tasks.webhook_render import render_created, render_news
from tagapi.registries.memory import MemoryRegistry
from tagapi.webhooks import names, posting, sender, signing
from tagapi.webhooks.addresses import Allowed, allowed
from tagapi.webhooks.posting import Poster
from tagapi.webhooks.sender import Sender
from tests.e2e.receiver import HANG, RESET, Receiver, receiving
from tests.e2e.server import until

ROOM = Bounds(queued=10_000, queued_per_owner=10_000)
LEASE = timedelta(seconds=30)
SOON = 0.05
SLOWLY = b"HTTP/1.1 429 Slowly\r\nRetry-After: 100\r\nContent-Length: 0\r\n\r\n"
LOOPBACK = allowed(["127.0.0.1"])
PEM = Path(__file__).parents[1] / "internet" / "site.pem"


class House:
    """A registry, its webhooks, and a sender that is started and stopped with it."""

    def __init__(
        self, permitted: Allowed = LOOPBACK, seconds: float = 5.0, context: ssl.SSLContext | None = None
    ) -> None:
        self.registry = MemoryRegistry()
        self.gone: set[str] = set()
        may = lambda webhook: webhook.owner not in self.gone  # noqa: E731
        self.notifying = Notifying(self.registry, permitted.check, may)
        poster = Poster(permitted, context, seconds)
        tell = partial(render_news, limits={})
        self.sender = Sender(self.registry.outbox, lambda: self.registry.now(), tell, poster, may, SOON, SOON)
        self.outcomes: list[DeliveryState] = []
        self.sender.ended = self.outcomes.append

    def webhook(self, url: str, owner: str = "ann", types: tuple[str, ...] = ("job.started",)) -> Webhook:
        return self.notifying.create(url, types, None, owner=owner)

    def known(self, url: str) -> Webhook:
        """One that is in the store, whatever it leads to."""
        facts: dict[str, Any] = {"id": "w", "owner": "ann", "secret": b"s", "types": ("job.started",)}
        return self.registry.outbox.add(Webhook(url=url, created_at=self.registry.now(), **facts), 1)

    def start_job(self, owner: str = "ann") -> Job:
        request = Request(job_id=str(uuid4()), task="tags.compute", owner=owner, arguments={"secret": "hidden"})
        job = self.registry.add(request, ROOM).job
        return self.registry.update(job.id, partial(changes.claim, worker="w1", lease=LEASE))

    def log(self, webhook: Webhook) -> list[Delivery]:
        return [*self.registry.outbox.find(webhook.id, None, 1000).deliveries]

    def wait_log(self, webhook: Webhook, wanted: Callable[[Delivery], object]) -> list[Delivery]:
        """The log, once every delivery in it is so."""
        until(lambda: all(map(wanted, self.log(webhook))), "the log says so", every=0.01)
        return self.log(webhook)


@pytest.fixture
def house() -> Iterator[House]:
    with running() as house:
        yield house


@contextmanager
def running(
    permitted: Allowed = LOOPBACK, seconds: float = 5.0, context: ssl.SSLContext | None = None
) -> Iterator[House]:
    house = House(permitted, seconds, context)
    house.sender.start()
    try:
        yield house
    finally:
        house.sender.stop()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def final(delivery: Delivery) -> bool:
    return delivery.due_at is None


def has_answer(delivery: Delivery) -> bool:
    return delivery.answer is not None


@contextmanager
def after(
    house: House, answer: bytes, wanted: Callable[[Delivery], object]
) -> Iterator[tuple[Delivery, socket.socket]]:
    """A delivery that was answered so, byte for byte, on a connection that stayed open; and where others may come."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        webhook = house.webhook(f"http://127.0.0.1:{listening.getsockname()[1]}")
        house.start_job()
        connection, _ = listening.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(answer)
            (delivery,) = house.wait_log(webhook, wanted)
        yield delivery, listening


def secret_of(webhook: Webhook) -> str:
    return str(render_created(webhook)[0]["secret"])


# -- what is sent --------------------------------------------------------------------------


def test_a_delivery_says_what_the_front_says_and_verifies(house: House, receiver: Receiver) -> None:
    webhook = house.webhook(f"{receiver.url}/in?key=1")
    job = house.start_job()
    (received,) = receiver.wait(1)
    received.verify(secret_of(webhook))
    assert received.path == "/in?key=1"
    assert received.headers["content-type"] == "application/json"
    assert received.told["type"] == "job.started"
    assert datetime.fromisoformat(received.told["timestamp"]) == job.started_at
    data = received.told["data"]
    assert (data["task_id"], data["status"], data["task"], data["owner"]) == (job.id, "STARTED", "tags.compute", "ann")
    assert "hidden" not in received.body.decode()
    (delivery,) = house.wait_log(webhook, final)
    assert (delivery.id, delivery.state, delivery.attempts) == (received.id, DeliveryState.DELIVERED, 1)
    assert delivery.answer is not None
    assert delivery.answer.status == 204


def test_another_secret_or_another_body_does_not_verify(house: House, receiver: Receiver) -> None:
    house.webhook(receiver.url)
    other = house.webhook(f"{receiver.url}/other", types=("job.failed",))
    house.start_job()
    (received,) = receiver.wait(1)
    with pytest.raises(WebhookVerificationError):
        received.verify(secret_of(other))


def test_a_signature_is_the_schemes_own() -> None:
    """By its library: each sign the same."""
    now, body, secret = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), b'{"\xc3\xb1": 1}', "whsec_c3NzcQ=="
    told = signing.headers(b"sssq", "m1", now, body)
    assert told["webhook-signature"] == Scheme(secret).sign("m1", now, body.decode())
    assert told["webhook-timestamp"] == str(int(now.timestamp()))


# -- again, and for how long ---------------------------------------------------------------


@pytest.mark.parametrize("fault", [500, 404, 302, 301, 429, RESET])
def test_what_is_not_taken_comes_again_with_the_same_id(house: House, receiver: Receiver, fault: int) -> None:
    answers = iter([fault, fault])
    receiver.behave = lambda path: next(answers, 200)
    webhook = house.webhook(receiver.url)
    house.start_job()
    received = receiver.wait(3)
    assert len({one.id for one in received}) == 1
    assert {one.path for one in received} == {"/"}, "a redirect is not followed"
    for one in received:
        one.verify(secret_of(webhook))
    (delivery,) = house.wait_log(webhook, final)
    assert (delivery.state, delivery.attempts) == (DeliveryState.DELIVERED, 3)
    ended = [DeliveryState.WAITING, DeliveryState.WAITING, DeliveryState.DELIVERED]
    until(lambda: house.outcomes == ended, "each attempt is counted")


def test_one_who_never_answers_is_left_after_a_while(receiver: Receiver) -> None:
    answers = iter([HANG])
    receiver.behave = lambda path: next(answers, 200)
    with running(seconds=0.2) as house:
        webhook = house.webhook(receiver.url)
        house.start_job()
        receiver.wait(2)
        (delivery,) = house.wait_log(webhook, final)
        assert delivery.state is DeliveryState.DELIVERED


def test_an_answer_that_never_ends_counts_by_its_head(house: House) -> None:
    endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
    with after(house, endless, final) as (delivery, _):
        assert delivery.state is DeliveryState.DELIVERED


@pytest.mark.parametrize("secure", [False, True])
def test_who_talks_on_and_on_is_not_listened_to(monkeypatch: pytest.MonkeyPatch, secure: bool) -> None:
    """With preliminary answers, each of which is read before the next: they would keep the whole service busy."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(PEM)
    with socket.create_server(("127.0.0.1", 0)) as listening, ExitStack() as kept:
        here = listening.getsockname()
        monkeypatch.setattr(names, "_found", lambda *_: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", here)])
        with running(seconds=20, context=ssl.create_default_context(cafile=PEM)) as house:
            webhook = house.known(f"{'https' if secure else 'http'}://www.corp.example:{here[1]}/")
            house.start_job()
            connection = kept.enter_context(listening.accept()[0])
            if secure:
                connection = kept.enter_context(server.wrap_socket(connection, server_side=True))
            connection.recv(65536)
            with suppress(OSError):
                while True:
                    connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000)
            (delivery, *_) = house.wait_log(webhook, has_answer)
    assert delivery.answer is not None
    assert delivery.answer.error == posting.NO_CONNECTION


def test_nobody_there_is_told_in_a_word(house: House) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    webhook = house.webhook(f"http://127.0.0.1:{port}/with-a-secret")
    house.start_job()
    (delivery, *_) = house.wait_log(webhook, has_answer)
    assert delivery.answer is not None
    assert (delivery.answer.status, delivery.answer.error) == (None, posting.NO_CONNECTION)


def test_a_receiver_that_is_gone_pauses_its_webhook(house: House, receiver: Receiver) -> None:
    receiver.behave = lambda path: 410
    webhook = house.webhook(receiver.url)
    house.start_job()
    until(lambda: house.notifying.get(webhook.id).paused, "it is paused")
    assert house.notifying.get(webhook.id).paused == RECEIVER_GONE
    (delivery,) = house.log(webhook)
    assert delivery.state is DeliveryState.GIVEN_UP and house.outcomes == [DeliveryState.GIVEN_UP]
    house.start_job()
    assert house.log(webhook) == [delivery], "nothing more is kept for it"
    receiver.behave = lambda path: 200
    house.notifying.resume(webhook.id)
    house.start_job()
    receiver.wait(2)
    house.notifying.deliver_again(webhook.id, delivery.id)
    receiver.wait(3)
    assert [one.state for one in house.wait_log(webhook, final)] == [DeliveryState.DELIVERED] * 2


def test_they_come_ever_slower_and_not_together() -> None:
    waits = [backoff(failures, 5, 14_400, 0).total_seconds() for failures in range(12)]
    assert waits[:4] == [5, 15, 45, 135]
    assert waits == sorted(waits)
    assert waits[-1] == 14_400
    assert backoff(10_000, 5, 14_400, 0).total_seconds() == 14_400
    assert 9 < backoff(1, 5, 14_400, 0.999).total_seconds() < 15


def test_who_asks_for_time_gets_it(house: House, receiver: Receiver) -> None:
    """For what was sent, and, for a minute, from whatever else there is for them."""
    with after(house, SLOWLY, has_answer) as (delivery, listening):
        assert delivery.due_at is not None
        assert delivery.answer is not None
        assert delivery.due_at - delivery.answer.at > timedelta(seconds=99)
        house.webhook(receiver.url)
        for _ in range(3):
            house.start_job()
        receiver.wait(3)
        listening.settimeout(0.3)
        with pytest.raises(TimeoutError):
            listening.accept()


# -- lanes ---------------------------------------------------------------------------------


def test_a_receiver_that_hangs_delays_nobody_else(house: House, receiver: Receiver) -> None:
    receiver.behave = lambda path: HANG if path == "/hangs" else 200
    for _ in range(3):
        house.webhook(f"{receiver.url}/hangs")
    quick = house.webhook(f"{receiver.url}/quick")
    for _ in range(30):
        house.start_job()
    receiver.wait(30, "/quick", seconds=10)
    assert len(receiver.received("/hangs")) <= 3 * sender.AT_ONCE
    assert all(one.state is DeliveryState.DELIVERED for one in house.wait_log(quick, final))


def test_a_name_that_nobody_answers_for_keeps_no_other_waiting(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "AT_ONCE", 2)
    hanging, answered = threading.Semaphore(0), threading.Event()
    port = int(receiver.url.rpartition(":")[2])

    def found(host: str, *_: object) -> list[Any]:
        if host.startswith("hangs"):
            hanging.release()
            answered.wait(30)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(names, "_found", found)
    with running(allowed(["hangs.example", "quick.example"])) as house:
        house.webhook(f"http://hangs.example:{port}/hangs")
        for _ in range(sender.AT_ONCE):
            house.start_job()
        assert hanging.acquire(timeout=5)
        house.webhook(f"http://quick.example:{port}/quick")
        house.start_job()
        receiver.wait(1, "/quick")
        answered.set()
        receiver.wait(sender.AT_ONCE, "/hangs")


def test_one_that_fails_has_one_attempt_at_a_time(house: House, receiver: Receiver) -> None:
    answers = iter([500])
    receiver.behave = lambda path: 200 if path == "/quick" else next(answers, HANG)
    webhook, quick = house.webhook(f"{receiver.url}/fails"), house.webhook(f"{receiver.url}/quick")
    house.start_job()
    house.wait_log(webhook, lambda one: one.failures)
    for _ in range(5):
        house.start_job()
    receiver.wait(6, "/quick")
    house.wait_log(quick, final)
    assert len(receiver.wait(2, "/fails")) == 2


def test_all_together_have_so_many_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "AT_ONCE_OF_ALL", 3)
    one_too_many, together = threading.Barrier(4), threading.Event()

    def behave(_: str) -> int:
        with suppress(threading.BrokenBarrierError):
            one_too_many.wait(0.5)
            together.set()
        return 200

    house = House()
    with receiving(behave) as receiver:
        for _ in range(3):
            house.webhook(receiver.url)
        for _ in range(2):
            house.start_job()
        house.sender.start()
        receiver.wait(6)
        house.sender.stop()
    assert not together.is_set()


# -- who may hear, and where ---------------------------------------------------------------


def test_whose_owner_is_gone_hears_no_more(house: House, receiver: Receiver) -> None:
    webhook = house.webhook(receiver.url)
    house.gone.add("ann")
    house.start_job()
    until(lambda: house.notifying.get(webhook.id).paused, "it is paused")
    assert house.notifying.get(webhook.id).paused == OWNER_GONE
    assert receiver.received() == []


def test_orphans_are_paused_though_nothing_happens() -> None:
    house = House()
    mine, theirs = house.webhook("http://127.0.0.1/"), house.webhook("http://127.0.0.1/", owner="bob")
    house.gone.add("bob")
    house.notifying.pause_orphans()
    assert [house.notifying.get(one.id).paused for one in (mine, theirs)] == [None, OWNER_GONE]


def test_who_has_too_much_waiting_is_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tagapi.jobs.notifying.WAITING_AT_MOST", 2)
    house = House()
    webhook, other = house.webhook("http://127.0.0.1/"), house.webhook("http://127.0.0.1/", types=("job.failed",))
    for _ in range(2):
        house.start_job()
    house.notifying.tidy()
    assert house.notifying.get(webhook.id).paused is None
    house.start_job()
    house.notifying.tidy()
    assert [house.notifying.get(one.id).paused for one in (webhook, other)] == [TOO_MANY_WAIT, None]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"])
def test_nothing_is_sent_to_an_address_that_is_not_allowed(receiver: Receiver, host: str) -> None:
    """However it got into the store, and wherever a name leads by now."""
    port = receiver.url.rpartition(":")[2]
    with running(Allowed()) as house:
        webhook = house.known(f"https://{host}:{port}/")
        house.start_job()
        (delivery,) = house.wait_log(webhook, has_answer)
    assert delivery.answer is not None
    assert (delivery.answer.status, delivery.answer.error) == (None, posting.NOT_ALLOWED)
    assert receiver.received() == []


def test_a_proxy_of_the_environment_is_not_asked(
    house: House, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    house.webhook(receiver.url)
    house.start_job()
    receiver.wait(1)


@pytest.mark.parametrize("name", ["hooks.example", "xn--mnchen-3ya.example"])
def test_a_listed_name_is_sent_to_wherever_it_leads(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    port = receiver.url.rpartition(":")[2]
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", int(port)))]
    monkeypatch.setattr(names, "_found", lambda *_: found)
    with running(allowed([name])) as house:
        webhook = house.webhook(f"http://{name}:{port}/")
        house.start_job()
        receiver.wait(1)[0].verify(secret_of(webhook))


def test_a_name_that_leads_nowhere_is_told_in_a_word() -> None:
    label = "x" * 64  # longer than any is
    with running(allowed([label])) as house:
        made = house.known(f"http://{label}.example/")
        house.start_job()
        (delivery,) = house.wait_log(made, has_answer)
    assert delivery.answer is not None
    assert delivery.answer.error in (posting.NO_NAME, posting.NO_CONNECTION)


def test_an_address_that_was_tried_is_not_one_that_is_not_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name has two of them: the one that may be reached does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    found = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
    ]
    monkeypatch.setattr("tagapi.webhooks.names._found", lambda *_: found)
    with running() as house:
        webhook = house.known(f"https://two.example:{port}/")
        house.start_job()
        (delivery, *_) = house.wait_log(webhook, has_answer)
    assert delivery.answer is not None
    assert delivery.answer.error == posting.NO_CONNECTION


def test_of_a_name_with_many_addresses_a_few_are_tried(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has a service knock at a thousand doors with one delivery. The first nine have nobody behind them."""
    port = int(receiver.url.rpartition(":")[2])
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{last}", port)) for last in (*range(2, 11), 1)]
    monkeypatch.setattr(names, "_found", lambda *_: found)
    with running(allowed(["many.example"])) as house:
        webhook = house.webhook(f"http://many.example:{port}/")
        house.start_job()
        (delivery,) = house.wait_log(webhook, has_answer)
    assert delivery.answer is not None
    assert delivery.answer.error == posting.NO_CONNECTION
    assert not receiver.received()


def test_who_does_not_hang_up_is_left_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over TLS, whose farewell would be waited for: with enough of those a service has no sockets any more."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(PEM)
    with socket.create_server(("127.0.0.1", 0)) as listening, ExitStack() as kept:
        here = listening.getsockname()
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", here)]
        monkeypatch.setattr(names, "_found", lambda *_: found)
        with running(context=ssl.create_default_context(cafile=PEM)) as house:
            webhook = house.known(f"https://www.corp.example:{here[1]}/")
            house.start_job()
            connection = kept.enter_context(server.wrap_socket(listening.accept()[0], server_side=True))
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            house.wait_log(webhook, final)
            ours = psutil.Process()
            until(lambda: here not in [one.raddr for one in ours.net_connections()], "the socket is closed", 5)


# -- the end of a process ------------------------------------------------------------------


def test_what_is_on_its_way_when_the_process_leaves_is_noted(house: House, receiver: Receiver) -> None:
    came, go = threading.Event(), threading.Event()

    def behave(_: str) -> int:
        came.set()
        assert go.wait(5)
        return 200

    receiver.behave = behave
    webhook = house.webhook(receiver.url)
    house.start_job()
    assert came.wait(5)
    stopping = threading.Thread(target=house.sender.stop)
    stopping.start()
    go.set()
    stopping.join(10)
    assert [one.state for one in house.log(webhook)] == [DeliveryState.DELIVERED]
    house.start_job()
    assert len(receiver.received()) == 1, "and nothing more is begun"


# -- the store -----------------------------------------------------------------------------


def test_it_goes_on_when_the_store_is_back(house: House, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "AWAY_EVERY", 0.05)
    away, asked = threading.Event(), threading.Event()
    due = house.registry.outbox._due

    def refused(*arguments: Any) -> Any:
        if away.is_set():
            asked.set()
            raise StoreUnavailable(retry_after=1)
        return due(*arguments)

    monkeypatch.setattr(house.registry.outbox, "_due", refused)
    away.set()
    house.webhook(receiver.url)
    house.start_job()
    assert asked.wait(5)
    away.clear()
    receiver.wait(1)


def test_while_nothing_can_be_written_it_is_tried_now_and_then(
    house: House, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a disk that is full: what is due can be read, and cannot be claimed."""
    monkeypatch.setattr(sender, "AWAY_EVERY", 0.5)
    tried: list[float] = []
    swap = house.registry.outbox._swap_delivery

    def refused(*arguments: Any) -> bool:
        if len(tried) < 3:
            tried.append(monotonic())
            raise StoreUnavailable(retry_after=1)
        return swap(*arguments)

    monkeypatch.setattr(house.registry.outbox, "_swap_delivery", refused)
    house.webhook(receiver.url)
    house.start_job()
    receiver.wait(1)
    assert all(later - before > 0.4 for before, later in pairwise(tried))


def test_a_store_that_is_away_when_the_answer_comes_has_it_sent_once(house: House, receiver: Receiver) -> None:
    away, asked = threading.Event(), threading.Event()
    now = house.registry.now

    def behave(_: str) -> int:
        away.set()
        return 200

    def told() -> datetime:
        if away.is_set():
            asked.set()
            raise StoreUnavailable(retry_after=1)
        return now()

    house.registry.now = told  # type: ignore[method-assign]
    receiver.behave = behave
    webhook = house.webhook(receiver.url)
    house.start_job()
    assert asked.wait(5)
    away.clear()
    receiver.behave = lambda path: 200
    (delivery,) = house.wait_log(webhook, final)
    assert (delivery.state, delivery.attempts, len(receiver.received())) == (DeliveryState.DELIVERED, 1, 1)


def test_an_attempt_that_lost_its_lease_says_nothing(house: House, receiver: Receiver) -> None:
    """Its process was frozen: another one has delivered meanwhile, and counted that."""
    outbox, real_now = house.registry.outbox, house.registry.now
    ahead = timedelta()

    def taken_over(_: str) -> int:
        nonlocal ahead
        ahead += sender.LEASE
        taken = outbox.claim(house.log(webhook)[0], sender.LEASE)
        assert taken is not None
        outbox.answer(taken, Answer(at=house.registry.now(), seconds=0.1, status=204), timedelta())
        return 500

    house.registry.now = lambda: real_now() + ahead  # type: ignore[method-assign]
    receiver.behave = taken_over
    webhook = house.webhook(receiver.url)
    house.start_job()
    receiver.wait(1)
    house.sender.stop()
    (delivery,) = house.log(webhook)
    assert (delivery.state, delivery.attempts, house.outcomes) == (DeliveryState.DELIVERED, 2, [])


def test_what_is_sent_is_recorded_without_its_address(
    house: House, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG", logger="tagapi"):
        webhook = house.webhook(f"{receiver.url}/a-secret-path")
        house.start_job()
        house.wait_log(webhook, final)
        until(lambda: "webhook_sent" in caplog.text, "it is recorded")
    said = json.dumps([str(vars(record)) for record in caplog.records])
    assert "a-secret-path" not in said
    assert secret_of(webhook).removeprefix("whsec_") not in said
