"""The guard before a small internet: what it contacts, what it refuses, and how it ends."""

from __future__ import annotations

import ast
import asyncio
import errno
import gzip
import os
import resource
import socket
import ssl
import zlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import psutil
import pytest

import tag_tasks.assets
from tag_tasks.assets.guard import Guard, Page, Port
from tag_tasks.assets.guard.names import LOOK_UP_SECONDS, Names, servers_of
from tag_tasks.assets.limits import Limits
from tag_tasks.assets.refused import NoTls, NotReached, Refusal, Refused
from tag_tasks.assets.scope import Asked, Own, Scope, Use, Why
from tag_tasks.assets.scope_file import ScopeError
from tag_tasks.assets.spelling import Misspelt
from tagapi.jobs.errors import Transient
from tests.internet.names import Turns, Zone
from tests.internet.net import ANY, Internet
from tests.internet.services import silent as nobody
from tests.internet.sites import Get, Site, answer, bomb, dripping, endless, page, redirect, redirects, silent
from tests.unit.fakes import PATIENCE

SITE, OUTSIDE = "127.1.0.1", "127.2.0.1"
SOON = 1.0  # seconds in which a cancel has closed everything
PEM = Path(__file__).parents[1] / "internet" / "site.pem"
CORP = Scope(
    id="corp",
    name="corp",
    domains=("corp.example",),
    networks=(ip_network("127.1.0.0/16"), ip_network("::1")),
    exclude_domains=("legacy.corp.example",),
    exclude_networks=(ip_network("127.1.9.0/24"),),
)
ZONE: Zone = {
    "www.corp.example": {"A": [SITE]},
    "alias.corp.example": {"CNAME": ["www.corp.example."]},
    "old.corp.example": {"CNAME": ["legacy.corp.example."]},
    "legacy.corp.example": {"A": [SITE]},
    "out.corp.example": {"A": [OUTSIDE]},
    "both.corp.example": {"A": [OUTSIDE, SITE]},
    "mapped.corp.example": {"AAAA": [f"::ffff:{OUTSIDE}"]},
    "many.corp.example": {"A": [f"127.1.{n // 250}.{n % 250}" for n in range(90)]},
    "corp.example": {"MX": ["10 mail.corp.example."]},
    "evil.test": {"A": [SITE]},
}


@dataclass
class World:
    """A guard and its internet, and what may be done at the moment."""

    net: Internet
    refusals: list[Refusal] = field(default_factory=list)
    scopes: Callable[[], Sequence[Scope]] = lambda: [CORP]
    guard: Guard = field(init=False)

    def url(self, name: str = "www.corp.example", path: str = "/", scheme: str = "http") -> str:
        return f"{scheme}://{name}:{self.net.port}{path}"

    async def refused(self, work: Awaitable[object]) -> Why:
        """Why the work is refused; of which a record has been made."""
        with pytest.raises(Refused) as caught:
            await work
        assert caught.value.refusal in self.refusals
        why: Why = caught.value.refusal.why
        return why


def run(
    scene: Callable[[World], Awaitable[None]], site: Site | None = None, net: dict[str, Any] | None = None, **more: Any
) -> World:
    """Play a scene before sites that are all alike."""
    world = World(Internet(ZONE, {ANY: site or page(b"here")}, **{"addresses": [SITE, OUTSIDE], **(net or {})}))

    async def play() -> None:
        async with world.net:
            world.guard = Guard(
                scopes=lambda: world.scopes(),
                record=world.refusals.append,
                names=Names(world.net.servers),
                **{"limits": Limits(per_second=None), **more},
            )
            async with world.guard:
                await scene(world)

    asyncio.run(asyncio.wait_for(play(), 4 * PATIENCE))
    return world


# -- what is contacted ---------------------------------------------------------------------


def test_a_page_is_fetched_from_the_address_of_its_name() -> None:
    async def scene(world: World) -> None:
        found = await world.guard.fetch(world.url("alias.corp.example", "/a?b"))
        assert (found.status, found.body, found.cut, found.address) == (200, b"here", False, ip_address(SITE))
        assert found.url == world.url("alias.corp.example", "/a?b")

    world = run(scene)
    assert world.net.accepted == [(SITE, world.net.port)] and not world.refusals


def test_a_name_keeps_its_own_name_at_an_address_of_many() -> None:
    async def hosts(get: Get, writer: asyncio.StreamWriter) -> None:
        assert "cookie" not in get.headers and "authorization" not in get.headers
        writer.write(answer(get.host.encode(), Set_Cookie="a=b"))

    async def scene(world: World) -> None:
        world.net.zone["a_b.corp.example"] = {"A": [SITE]}
        for name in ("www.corp.example", "alias.corp.example", "a_b.corp.example"):
            assert (await world.guard.fetch(world.url(name))).body == name.encode()

    run(scene, hosts)


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("out.corp.example", Why.NOT_GLOBAL),
        ("mapped.corp.example", Why.NOT_GLOBAL),
        ("old.corp.example", Why.EXCLUDED),
        ("legacy.corp.example", Why.EXCLUDED),
        ("evil.test", Why.OUTSIDE),
        (OUTSIDE, Why.OUTSIDE),
        ("2130837505", Why.OUTSIDE),
        (f"[::ffff:{OUTSIDE}]", Why.OUTSIDE),
        ("127.1.9.1", Why.EXCLUDED),
        ("0177.2.0.1", Why.SPELLING),
        ("169.254.169.254", Why.NEVER),
        ("0.0.0.0", Why.NEVER),  # noqa: S104
        ("www.corp.example@127.2.0.1", Why.SPELLING),
    ],
)
def test_what_is_outside_is_refused_at_once_and_behind_a_redirect(host: str, why: Why) -> None:
    async def scene(world: World) -> None:
        assert await world.refused(world.guard.fetch(world.url(host))) is why
        world.net.sites = {ANY: redirect(world.url(host))}
        assert await world.refused(world.guard.fetch(world.url())) is why

    world = run(scene)
    assert world.net.accepted == [(SITE, world.net.port)]
    assert ("evil.test", "A") not in world.net.names.asked


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("ftp://www.corp.example/", Why.SCHEME),
        ("file:///etc/passwd", Why.SCHEME),
        ("javascript:alert(1)", Why.SPELLING),
        ("data:text/html,x", Why.SPELLING),
        ("//evil.test/", Why.OUTSIDE),
        ("http://www.corp.example\\@evil.test/", Why.SPELLING),
        ("http://ex\u00e4mple.test/", Why.OUTSIDE),
        ("http://[::1", Why.SPELLING),
        ("http://[::1]evil.test/", Why.SPELLING),
        ("http://\udcff.test/", Why.SPELLING),
    ],
)
def test_redirects_lead_nowhere_else(location: str, why: Why) -> None:
    async def scene(world: World) -> None:
        with pytest.raises(Refused) as caught:
            await world.guard.fetch(world.url())
        assert caught.value.refusal.why is why
        assert [(one.status, one.header("location")) for one in caught.value.passed] == [(302, location)]

    assert len(run(scene, redirect(location)).net.accepted) == 1


def test_a_redirect_is_followed_and_the_way_is_told() -> None:
    async def scene(world: World) -> None:
        found = await world.guard.fetch(world.url(path="/1"))
        assert (found.body, found.url) == (b"here", world.url(path="/3"))
        assert found.passed == (world.url(path="/1"), world.url(path="/2"))
        first = await world.guard.fetch(world.url(path="/1"), redirects=0)
        assert (first.status, first.leads_to) == (302, world.url(path="/2"))

    run(scene, redirects({"/1": "/2", "/2": "3"}))


def test_a_loop_of_redirects_ends() -> None:
    async def scene(world: World) -> None:
        with pytest.raises(NotReached, match="redirects more than 5 times"):
            await world.guard.fetch(world.url())

    assert len(run(scene, redirect("/")).net.accepted) == 6


def test_an_answer_that_changes_is_looked_at_each_time() -> None:
    async def scene(world: World) -> None:
        world.net.zone["turning.corp.example"] = {"A": Turns([SITE], [OUTSIDE])}
        assert await world.refused(world.guard.fetch(world.url("turning.corp.example"))) is Why.NOT_GLOBAL

    world = run(scene, redirect("/again"))
    assert world.net.accepted == [(SITE, world.net.port)]


def test_of_several_addresses_those_are_taken_that_are_allowed() -> None:
    async def scene(world: World) -> None:
        assert (await world.guard.fetch(world.url("both.corp.example"))).address == ip_address(SITE)

    world = run(scene)
    assert [(one.address, one.why) for one in world.refusals] == [(OUTSIDE, Why.NOT_GLOBAL)]


def test_names_are_resolved_over_tcp_too_and_none_is_an_answer() -> None:
    async def scene(world: World) -> None:
        assert len((await world.guard.resolve("many.corp.example")).addresses) == 90
        assert (await world.guard.resolve("none.corp.example")).addresses == ()
        assert (await world.guard.records("corp.example", "MX")).values == ("10 mail.corp.example.",)
        assert (await world.guard.resolve("ALIAS.corp.example.")).aliases == ("www.corp.example",)
        assert await world.refused(world.guard.records("evil.test", "MX")) is Why.OUTSIDE
        assert await world.refused(world.guard.resolve(SITE)) is Why.SPELLING

    run(scene)


def test_a_name_server_that_says_nothing_is_not_waited_for() -> None:
    async def scene(world: World) -> None:
        world.net.names.silent.add("www.corp.example")
        world.guard._names = Names(world.net.servers, seconds=0.05)
        with pytest.raises(NotReached):
            await world.guard.resolve("www.corp.example")

    run(scene)
    assert LOOK_UP_SECONDS <= 5


def test_name_servers_are_addresses() -> None:
    two = ((ip_address("127.0.0.1"), 5353), (ip_address("::1"), 53))
    assert servers_of("127.0.0.1:5353, [::1]:53") == servers_of("127.0.0.1:5353,[::1]") == two
    for wrong in ("dns.example:53", "127.0.0.1:x", "127.0.0.1:0", "::1:53:", "[::1]:70000"):
        with pytest.raises(Misspelt):
            servers_of(wrong)


# -- ports, and this service's own ---------------------------------------------------------


def test_a_port_is_open_or_not_and_a_banner_is_read() -> None:
    async def scene(world: World) -> None:
        at, port = ip_address(SITE), world.net.port
        assert await world.guard.port(at, port) is Port.OPEN
        assert await world.guard.port(ip_address("127.1.0.2"), port) is Port.CLOSED
        assert await world.refused(world.guard.port(ip_address(OUTSIDE), port)) is Why.OUTSIDE
        async with world.guard.connection(Asked(address=at, port=port, use=Use.SCAN)) as open_:
            assert (await open_.read(100), open_.tls) == (b"220 hello\r\n", None)
        await world.net.all_gone()

    run(scene, net={"banner": b"220 hello\r\n"})


def test_an_address_that_says_nothing_takes_no_longer_than_its_time() -> None:
    async def scene(world: World) -> None:
        asked = Asked(address=ip_address(SITE), port=world.net.port, use=Use.SCAN)
        with pytest.raises(NotReached, match="too long"):
            async with world.guard.connection(asked) as open_:
                await open_.read(1)

    run(scene, silent, seconds=0.05)


def test_a_port_is_silent_before_a_targets_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tag_tasks.assets.guard.CONNECT_SECONDS", 0.05)

    async def scene(world: World) -> None:
        with nobody(SITE) as where, quickly():
            assert await world.guard.port(*where) is Port.SILENT

    run(scene)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_without_a_socket_to_be_had_nothing_is_said_of_the_target(number: int) -> None:
    def make(*_: int) -> socket.socket:
        raise OSError(number, "no more of them")

    async def scene(world: World) -> None:
        with pytest.raises(Transient):
            await world.guard.port(ip_address(SITE), world.net.port)
        with pytest.raises(Transient):
            await world.guard.fetch(world.url(SITE))

    assert not run(scene, make_socket=make).net.accepted


def test_without_a_socket_to_be_had_nothing_is_said_of_a_name() -> None:
    async def scene(world: World) -> None:
        assert (await world.guard.resolve("www.corp.example")).addresses
        with none_left(), pytest.raises(Transient):
            await world.guard.resolve("both.corp.example")

    run(scene)


@contextmanager
def none_left() -> Iterator[None]:
    """This process has no descriptor left."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)
    last = os.dup(0)  # the lowest number that was free
    resource.setrlimit(resource.RLIMIT_NOFILE, (last + 1, most[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, most)
        os.close(last)


def test_a_kind_of_address_that_this_machine_has_not_ends_no_job() -> None:
    def make(*_: int) -> socket.socket:
        raise OSError(errno.EAFNOSUPPORT, "no IPv6 here")

    async def scene(world: World) -> None:
        assert await world.guard.port(ip_address("::1"), world.net.port) is Port.SILENT
        with pytest.raises(NotReached):
            await world.guard.fetch(world.url("[::1]"))

    run(scene, make_socket=make)


def test_who_speaks_no_tls_is_told_from_who_does_not_answer() -> None:
    async def scene(world: World) -> None:
        for port, lost in ((world.net.port, NoTls), (1, NotReached)):
            asked = Asked(address=ip_address(SITE), port=port, use=Use.SCAN)
            with pytest.raises(NotReached) as caught:
                async with world.guard.connection(asked, tls=True):
                    pass
            assert type(caught.value) is lost

    run(scene, net={"banner": b"220 hello, this is no TLS\r\n"})


def test_the_services_own_sockets_are_not_contacted() -> None:
    async def scene(world: World) -> None:
        own = Own(ip_address("0.0.0.0"), world.net.port)  # noqa: S104
        guard = Guard(
            scopes=lambda: [CORP], limits=Limits(), record=world.refusals.append, names=Names(), own=lambda: [own]
        )
        async with guard:
            assert await world.refused(guard.port(ip_address(SITE), world.net.port)) is Why.OWN
            assert await world.refused(guard.fetch(f"http://[::1]:{world.net.port}/")) is Why.OWN
            assert await guard.port(ip_address(SITE), 1) is Port.CLOSED

    assert not run(scene).net.accepted


def test_a_certificate_is_told_whatever_it_is_worth() -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(PEM)

    async def scene(world: World) -> None:
        asked = Asked(address=ip_address(SITE), port=world.net.port, use=Use.VISIT, name="www.corp.example")
        async with world.guard.connection(asked, tls=True) as open_:
            assert open_.tls == "TLSv1.3"
            assert open_.certificate == ssl.PEM_cert_to_DER_cert(
                PEM.read_text().partition("\n")[2].split("-----BEGIN P")[0]
            )
        assert (await world.guard.fetch(world.url(scheme="https"))).body == b"here"
        with pytest.raises(NotReached):
            await world.guard.fetch(world.url())

    run(scene, net={"tls": tls})


# -- limits --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("site", "size", "cut"),
    [
        (page(b"x" * 1000), 1000, False),
        (page(b"x" * 1001), 1000, True),
        (endless, 1000, True),
        (bomb(50_000_000), 1000, True),
        (page(gzip.compress(b"x" * 1000), Content_Encoding="gzip"), 1000, False),
        (page(gzip.compress(b"x" * 1001), Content_Encoding="GZIP"), 1000, True),
        (page(gzip.compress(b"x" * 600) * 2, Content_Encoding="gzip"), 1000, True),
        (page(gzip.compress(b"x" * 400) * 2, Content_Encoding="gzip"), 800, False),
        (page(zlib.compress(b"x" * 900), Content_Encoding="deflate"), 900, False),
        (page(zlib.compress(b"x" * 900, wbits=-15), Content_Encoding="deflate"), 900, False),
        (page(b"no gzip at all", Content_Encoding="gzip"), 0, True),
        (page(b"as it is", Content_Encoding="br"), 8, False),
        (page(b"", Content_Encoding="gzip"), 0, False),
    ],
)
def test_of_a_body_so_many_bytes_are_kept_as_they_are_unpacked(site: Site, size: int, cut: bool) -> None:
    async def scene(world: World) -> None:
        found = await world.guard.fetch(world.url())
        assert (len(found.body), found.cut) == (size, cut)
        await world.net.all_gone()

    run(scene, site, most_body=1000)


@pytest.mark.parametrize("site", [silent, dripping], ids=["silent", "dripping"])
def test_a_slow_site_takes_no_longer_than_its_time(site: Site) -> None:
    async def scene(world: World) -> None:
        with pytest.raises(NotReached, match="too long"):
            await world.guard.fetch(world.url())
        await world.net.all_gone()

    run(scene, site, seconds=0.1)


def test_what_is_no_http_is_not_reached() -> None:
    async def rubbish(_: Get, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x00\x01 nothing of this world\r\n\r\n")

    async def scene(world: World) -> None:
        with pytest.raises(NotReached):
            await world.guard.fetch(world.url())
        with pytest.raises(NotReached):
            await world.guard.fetch(f"http://{SITE}:1/")

    run(scene, rubbish)


def test_an_address_has_so_many_connections_at_once() -> None:
    most, arrived = 0, 0

    async def scene(world: World) -> None:
        async def counted(_: Get, writer: asyncio.StreamWriter) -> None:
            nonlocal most, arrived
            most, arrived = max(most, len(world.net.open)), arrived + 1
            writer.write(answer(b"here"))

        world.net.sites = {ANY: counted}
        await asyncio.gather(*(world.guard.fetch(world.url()) for _ in range(30)))

    run(scene, limits=Limits(per_address=3, per_second=None))
    assert arrived == 30 and most <= 4  # of which one may be closing


# -- how it ends ---------------------------------------------------------------------------


@contextmanager
def quickly() -> Iterator[None]:
    loop = asyncio.get_running_loop()
    began = loop.time()
    yield
    assert loop.time() - began < SOON


@pytest.mark.parametrize("site", [silent, dripping, endless], ids=["silent", "dripping", "endless"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_cancel_closes_every_socket(site: Site, tls: bool) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(PEM)

    async def scene(world: World) -> None:
        where = world.url(scheme="https" if tls else "http")
        working = [asyncio.create_task(world.guard.fetch(where)) for _ in range(20)]
        while len(world.net.open) < 20:
            await asyncio.sleep(0)
        with quickly():
            for one in working:
                one.cancel()
            await asyncio.gather(*working, return_exceptions=True)
            await world.net.all_gone()
        assert not world.guard._doors._open and not world.guard._limits.sockets.taken

    run(scene, site, net={"tls": server} if tls else None, most_body=2**40)


def sockets_open() -> int:
    return len(psutil.Process().net_connections())


def test_a_cancel_closes_the_sockets_of_questions_too() -> None:
    async def scene(world: World) -> None:
        world.net.names.silent.add("www.corp.example")
        before = sockets_open()
        working = asyncio.create_task(world.guard.fetch(world.url()))
        while len(world.net.names.asked) < 2:
            await asyncio.sleep(0)
        assert sockets_open() == before + 2
        working.cancel()
        with quickly(), pytest.raises(asyncio.CancelledError):
            await working
        await asyncio.sleep(0)
        assert sockets_open() == before and not world.guard._limits.sockets.taken

    run(scene)


@pytest.mark.parametrize("how", ["closed", "gone", "excluded"])
def test_what_is_open_is_closed_when_the_scope_does_not_allow_it_any_more(how: str) -> None:
    async def scene(world: World) -> None:
        def closed() -> Sequence[Scope]:
            raise ScopeError("is not there")

        working = asyncio.create_task(world.refused(world.guard.fetch(world.url())))
        while not world.net.open:
            await asyncio.sleep(0)
        world.guard.look()
        assert not working.done()
        elsewhere = Scope(id="corp", name="corp", domains=("corp.example",), networks=(ip_network("127.3.0.0/16"),))
        world.scopes = {"closed": closed, "gone": list, "excluded": lambda: [elsewhere]}[how]
        world.guard.look()
        assert await working is (Why.NOT_GLOBAL if how == "excluded" else Why.CLOSED)
        await world.net.all_gone()
        assert await world.refused(world.guard.resolve("www.corp.example" if how != "excluded" else "a.b")) is not None

    run(scene, dripping)


def test_it_looks_by_itself() -> None:
    async def scene(world: World) -> None:
        working = asyncio.create_task(world.refused(world.guard.fetch(world.url())))
        while not world.net.open:
            await asyncio.sleep(0)
        world.scopes = list
        assert await asyncio.wait_for(working, 3 * SOON) is Why.CLOSED

    run(scene, dripping)


def test_the_end_of_the_guard_closes_everything() -> None:
    async def scene(world: World) -> None:
        async with Guard(
            scopes=lambda: [CORP], limits=Limits(), record=world.refusals.append, names=Names(world.net.servers)
        ) as guard:
            working = asyncio.create_task(guard.fetch(world.url()))
            while not world.net.open:
                await asyncio.sleep(0)
        with pytest.raises(Refused), quickly():
            await working
        await world.net.all_gone()

    run(scene, endless)


def test_after_its_end_nothing_is_contacted_and_nothing_before_its_beginning() -> None:
    async def scene(world: World) -> None:
        record, names = world.refusals.append, Names(world.net.servers)
        guard = Guard(scopes=lambda: [CORP], limits=Limits(sockets=1), record=record, names=names)
        assert await world.refused(guard.fetch(world.url())) is Why.CLOSED
        async with guard:
            working = [asyncio.create_task(guard.fetch(world.url("127.1.0.1"))) for _ in range(2)]
            while not world.net.open:
                await asyncio.sleep(0)
        for one in working:  # of which the second waits for the place of the first
            assert await world.refused(one) is Why.CLOSED
        assert await world.refused(guard.port(ip_address(SITE), world.net.port)) is Why.CLOSED

    assert len(run(scene, dripping).net.accepted) == 1


# -- nobody else ---------------------------------------------------------------------------

OPENING = {
    *("open_connection", "open_unix_connection", "create_connection", "create_datagram_endpoint", "start_server"),
    *("create_server", "sock_connect", "sock_sendto", "create_subprocess_exec", "create_subprocess_shell"),
    *("import_module", "__import__", "urlopen", "system", "popen", "socket", "ssl", "aiohttp", "dns"),
}
"""What opens a connection, or comes by something that does."""


def _names_in(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.ImportFrom):
            yield from (one.name for one in node.names)


def test_nobody_but_the_guard_opens_a_connection() -> None:
    root = Path(tag_tasks.assets.__file__).parent
    others = [path for path in root.rglob("*.py") if (root / "guard") not in path.parents]
    assert len(others) > 5
    for path in others:
        assert not OPENING & set(_names_in(path.read_text(encoding="utf-8"))), path
    assert OPENING & set(_names_in((root / "guard" / "__init__.py").read_text(encoding="utf-8")))


def test_a_page_knows_its_headers_in_any_case() -> None:
    one = Page(
        url="http://a.example/", address=ip_address(SITE), status=200, headers=(("X-A", "b"),), body=b"", cut=False
    )
    assert (one.header("x-a"), one.header("x-b"), one.leads_to) == ("b", None, None)
