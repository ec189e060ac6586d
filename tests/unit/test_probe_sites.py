"""Which sites there are, and what they are: every one that answers, as it shows itself, and nothing else."""

from __future__ import annotations

import base64
import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from tag_tasks.assets import found
from tag_tasks.assets.found import Kind
from tag_tasks.assets.guard.pages import MOST_BODY
from tag_tasks.assets.probes import sites as probe
from tag_tasks.assets.probes.favicon import MOST_ICON, hash_of, murmur3
from tag_tasks.assets.probes.identify import identify
from tag_tasks.assets.probes.sites import Site, find_sites, tell
from tag_tasks.assets.scan import Scan
from tag_tasks.assets.scope import Scope
from tests.internet import sites as habits
from tests.internet.certificates import certificate, server
from tests.internet.diverted import Connects, diverted
from tests.internet.net import Internet
from tests.internet.services import silent
from tests.internet.sites import Tree, page, redirect, redirects
from tests.unit.scanning import Taken, scan

AT, OTHER = "127.1.0.1", "127.2.0.1"
SOON = 0.5  # seconds for a target that uses them up
ICON = bytes(range(256)) * 5
SECRET = "AKIAIOSFODNN7EXAMPLE"  # the one of AWS's own documentation
WRONG = b"<html><h1>400</h1><center>The plain HTTP request was sent to HTTPS port</center></html>"


@dataclass
class Seen:
    """What was found of an internet."""

    net: Internet
    sites: list[Site] = field(default_factory=list)
    taken: Taken = field(default_factory=Taken)

    def rows(self) -> dict[str, dict[str, Any]]:
        """By the name of the host."""
        return {row["url"].split("/")[2].split(":")[0].split(".")[0]: row for row in self.taken.of(Kind.SITES)}


def look(there: Mapping[str, habits.Site], *, identified: bool = False, tls: Any = None, **guard: Any) -> Seen:
    """Look for sites at these names below corp.example, which all lead to one address."""
    zone = {f"{name}.corp.example": {"A": [AT]} for name in there}
    seen = Seen(Internet(zone, {f"{name}.corp.example": site for name, site in there.items()}, tls=tls))

    async def scene(scan: Scan) -> None:
        hosts = [(name, [seen.net.port]) for name in zone]
        seen.sites = await find_sites(scan, hosts, total=len(hosts))
        await (identify(scan, seen.sites) if identified else _tell(scan, seen.sites))

    seen.taken = scan(seen.net, [corp()], scene, **guard)
    return seen


async def _tell(scan: Scan, sites: Sequence[Site]) -> None:
    tell(scan, sites)


def corp(ports: Sequence[int] = (80, 443)) -> Scope:
    network = ip_network("127.1.0.0/16")
    return Scope(id="corp", name="corp", domains=("corp.example",), networks=(network,), ports=frozenset(ports))


# -- which there are -----------------------------------------------------------------------


def test_what_answers_is_a_site_and_nothing_else() -> None:
    seen = look(
        {
            "www": page(b"<title>Here</title>"),
            "missing": habits.status(404),
            "failing": habits.status(503),
            "wrong": habits.status(400, WRONG),
            "bad": habits.status(400, b"Bad Request"),
            "garbage": habits.garbage,
            "torn": habits.torn,
        }
    )
    rows = seen.rows()
    assert {name: row["status"] for name, row in rows.items()} == {
        "www": 200,
        "missing": 404,
        "failing": 503,
        "bad": 400,
    }
    assert rows["www"] == {
        "url": f"http://www.corp.example:{seen.net.port}/", "status": 200,
    }  # fmt: skip
    [www] = [one for one in seen.sites if one.host == "www.corp.example"]
    assert (www.address, www.port, www.page.body) == (ip_address(AT), seen.net.port, b"<title>Here</title>")
    assert not seen.taken.said(found.SKIPPED) and not seen.taken.said(found.REFUSED)


def test_in_tls_it_is_found_as_such() -> None:
    seen = look({"www": page(b"x")}, tls=server(("www", certificate("www"))))
    assert [one.url for one in seen.sites] == [f"https://www.corp.example:{seen.net.port}/"]


@pytest.mark.parametrize(("port", "tls"), [(80, False), (443, True)])
def test_at_the_usual_ports_one_scheme_is_tried(port: int, tls: bool) -> None:
    connects: Connects = []
    net = Internet({}, {AT: page(b"x")}, tls=server(("x", certificate("x"))) if tls else None)
    sites: list[Site] = []

    async def scene(scan: Scan) -> None:
        sites.extend(await find_sites(scan, [(ip_address(AT), [80, 443])]))

    scan(net, [corp()], scene, make_socket=diverted(connects, lambda _: (AT, net.port)))
    assert [(one.url, one.port) for one in sites] == [(f"{'https' if tls else 'http'}://{AT}/", port)]
    assert set(connects) == {(AT, 80), (AT, 443)}


def test_an_address_is_a_host_too_of_either_kind() -> None:
    net = Internet({}, {AT: page(b"x"), "[::1]": page(b"y")}, addresses=(AT, "::1"))
    urls: list[str] = []
    scope = Scope(id="corp", name="corp", networks=(ip_network("127.1.0.0/16"), ip_network("::1")))

    async def scene(scan: Scan) -> None:
        hosts = [(ip_address(AT), [net.port]), (ip_address("::1"), [net.port])]
        urls.extend(sorted(one.url for one in await find_sites(scan, hosts)))

    scan(net, [scope], scene)
    assert urls == [f"http://127.1.0.1:{net.port}/", f"http://[::1]:{net.port}/"]


def test_outside_of_the_scope_nothing_is_looked_for() -> None:
    net = Internet({"evil.test": {"A": [AT]}, "out.corp.example": {"A": [OTHER]}}, {}, addresses=(AT, OTHER))

    async def scene(scan: Scan) -> None:
        hosts = ["evil.test", "out.corp.example", ip_address(OTHER)]
        assert await find_sites(scan, [(host, [net.port]) for host in hosts]) == []

    taken = scan(net, [corp()], scene)
    assert net.accepted == [] and len(taken.said(found.REFUSED)) == 3


def test_a_host_that_does_not_answer_is_told_once_and_holds_up_nobody() -> None:
    silent_at: list[int] = []
    net = Internet({}, {AT: page(b"x"), "127.1.0.2": habits.silent}, addresses=(AT, "127.1.0.2"))

    async def scene(scan: Scan) -> None:
        with silent("127.1.0.3") as (mute, port), silent("127.1.0.5") as (half, other):
            silent_at.append(other)
            hosts = [(mute, [port, port]), (ip_address("127.1.0.2"), [net.port]), (ip_address(AT), [net.port, 1])]
            hosts += [(ip_address("127.1.0.4"), [net.port]), (half, [other, net.port])]  # where nobody listens
            assert [str(one.host) for one in await find_sites(scan, hosts)] == [AT]

    taken = scan(net, [corp()], scene, seconds=SOON)
    late = "it took too long"
    assert taken.said(found.SKIPPED) == [
        *((f"127.1.0.{n}", late) for n in (2, 3)),
        ("127.1.0.5", f"{late} at port {silent_at[0]}"),
    ]


def test_a_host_that_was_asked_for_is_told_whatever_keeps_it_from_being_a_site() -> None:
    net = Internet({"www.corp.example": {"A": [AT]}}, {"www.corp.example": page(b"x")})

    async def scene(scan: Scan) -> None:
        names = ["www.corp.example", "none.corp.example"]
        closed = ip_address("127.1.0.4")
        hosts = [*((name, [net.port, 1]) for name in names), (closed, [1])]
        assert len(await find_sites(scan, hosts, named={*names, closed})) == 1

    told = dict(scan(net, [corp()], scene).said(found.SKIPPED))
    assert set(told) == {"none.corp.example", "127.1.0.4"} and all(told.values())


@pytest.mark.parametrize("site", [habits.endless, habits.bomb(50 * MOST_BODY)])
def test_a_page_without_end_is_a_site_of_which_a_part_is_kept(site: habits.Site) -> None:
    [one] = look({"www": site}).sites
    assert (len(one.page.body), one.page.cut) == (MOST_BODY, True)


def test_of_many_large_pages_the_beginnings_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe._Sites, "__init__", _small)
    seen = look({f"n{n}": page(b"<title>x</title>" + b"y" * 100_000) for n in range(5)}, identified=True)
    assert sorted(len(one.page.body) for one in seen.sites) == [4096, 4096, 4096, 50_000, 100_016]
    assert [row["title"] for row in seen.rows().values()] == ["x"] * 5


def _small(self: Any) -> None:
    self.by_url, self.room = {}, 150_016


# -- where they lead -----------------------------------------------------------------------


def test_where_a_site_leads_is_told_and_it_is_one_still() -> None:
    seen = look(
        {
            "within": redirects({"/": "/home"}),
            "target": page(b"<title>Target</title>"),
            "outside": redirect("https://evil.test/x?a=b"),
            "by": redirects({"/": "/home", "/home": "//evil.test/"}),
            "scheme": redirect("ftp://evil.test/"),
            "loop": redirect("/"),
            "dead": redirect("http://none.corp.example/"),
            "secret": redirect(f"https://evil.test/{SECRET}?token=hunter2-hunter2"),
            "numbered": redirect("http://127.2.0.1/?token=hunter2"),
        },
        identified=True,
    )
    told = {name: (row["status"], row.get("redirects_to")) for name, row in seen.rows().items()}
    assert told == {
        "within": (200, None),
        "target": (200, None),
        "outside": (302, "https://evil.test/x?a=b"),
        "by": (302, "http://evil.test/"),
        "scheme": (302, "ftp://evil.test/"),
        "loop": (302, None),
        "dead": (302, "http://none.corp.example/"),
        "secret": (302, "https://evil.test/AKIA***[20]?token=hunt***[15]"),
        "numbered": (302, "http://127.2.0.1/?token=***[7]"),
    }
    assert {one.page.url for one in seen.sites if one.page.url.endswith("/home")} == {
        f"http://within.corp.example:{seen.net.port}/home"
    }
    assert dict(seen.taken.said(found.REFUSED)) == {
        "evil.test": "outside",
        "ftp://evil.test/": "scheme",
        "http://127.2.0.1/?token=***[7]": "outside (127.2.0.1)",
    }


def test_another_site_of_the_scope_keeps_what_it_shows_to_itself() -> None:
    net = Internet(
        {f"{name}.corp.example": {"A": [AT]} for name in ("old", "new")},
        {"new.corp.example": page(b"<title>New</title>", Content_Type="text/html", Server="nginx/1.2.3")},
    )

    async def scene(scan: Scan) -> None:
        net.sites = {**net.sites, "old.corp.example": redirect(f"http://new.corp.example:{net.port}/")}
        await identify(scan, await find_sites(scan, [(name, [net.port]) for name in net.zone]))

    old, new = sorted(scan(net, [corp()], scene).of(Kind.SITES), key=lambda row: row["status"], reverse=True)
    assert (old["status"], old["redirects_to"], old.get("title")) == (302, new["url"], None)
    assert (old["fingerprints"], new["title"]) == ([], "New")


# -- what they are -------------------------------------------------------------------------


def test_what_a_site_shows_is_told() -> None:
    text = "<meta charset=gbk><title> 资产\n管理 &amp; 更多 </title><script src=/js/jquery-3.6.0.min.js></script>"
    headers = {"Content_Type": "text/html", "Server": "nginx/1.24.0", "X_Powered_By": "PHP/8.2.1"}
    tree = Tree({"/": text.encode("gbk"), "/favicon.ico": page(ICON, Content_Type="image/x-icon")}, headers=headers)
    seen = look({"www": tree}, identified=True)
    assert seen.rows()["www"] == {
        "url": f"http://www.corp.example:{seen.net.port}/",
        "status": 200,
        "title": "资产 管理 & 更多",
        "server": "nginx/1.24.0",
        "content_type": "text/html",
        "favicon": hash_of(ICON),
        "fingerprints": [
            {"name": "PHP", "version": "8.2.1"},
            {"name": "jQuery", "version": "3.6.0"},
            {"name": "nginx", "version": "1.24.0"},
        ],
    }
    assert tree.asked == ["/", "/favicon.ico"]


def test_the_icon_is_the_one_that_the_site_names_if_that_is_its_own() -> None:
    link = b'<link rel="icon" href="%s">'
    own = Tree({"/": link % b"/own.png", "/own.png": page(ICON), "/favicon.ico": page(b"other")})
    foreign = Tree({"/": link % b"http://evil.test/x.png", "/favicon.ico": page(ICON)})
    moved = Tree({"/": b"<p>", "/favicon.ico": redirect("/img/x.ico"), "/img/x.ico": page(ICON)})
    drawn = Tree({"/": b"<p>", "/favicon.ico": page(b"<svg/>", Content_Type="image/svg+xml")})
    seen = look({"own": own, "foreign": foreign, "moved": moved, "drawn": drawn}, identified=True)
    icons = {name: row["favicon"] for name, row in seen.rows().items()}
    same = hash_of(ICON)
    assert icons == {"own": same, "foreign": same, "moved": same, "drawn": hash_of(b"<svg/>")}
    assert own.asked == ["/", "/own.png"] and not seen.taken.said(found.REFUSED)


def test_an_icon_of_another_site_is_not_its_own() -> None:
    net = Internet({f"{name}.corp.example": {"A": [AT]} for name in ("www", "cdn")}, {"cdn.corp.example": page(ICON)})

    async def scene(scan: Scan) -> None:
        moved = redirect(f"http://cdn.corp.example:{net.port}/x.ico")
        net.sites = {**net.sites, "www.corp.example": Tree({"/": b"<p>", "/favicon.ico": moved})}
        await identify(scan, await find_sites(scan, [("www.corp.example", [net.port])]))

    [row] = scan(net, [corp()], scene).of(Kind.SITES)
    assert "favicon" not in row and row["status"] == 200


def test_what_is_no_icon_is_none() -> None:
    icons = {
        "none": habits.status(404, ICON),
        "html": page(b"<html>no such page", Content_Type="text/html"),
        "hidden": page(b"\n<!doctype html>no such page"),
        "empty": page(b""),
        "large": page(bytes(MOST_ICON + 1)),
        "endless": habits.endless,
        "away": redirect("https://evil.test/favicon.ico"),
        "torn": habits.torn,
    }
    there = {name: Tree({"/": b"<title>t</title>", "/favicon.ico": icon}) for name, icon in icons.items()}
    seen = look(there, identified=True)
    assert {name: (row["title"], row.get("favicon")) for name, row in seen.rows().items()} == dict.fromkeys(
        icons, ("t", None)
    )
    assert [where for where, _ in seen.taken.said(found.SKIPPED)] == [
        f"http://torn.corp.example:{seen.net.port}/favicon.ico"
    ]
    assert ("evil.test", "outside") in seen.taken.said(found.REFUSED)


@pytest.mark.parametrize(
    ("data", "seed", "value"),
    [
        (b"", 0, 0),
        (b"", 1, 0x514E28B7),
        (b"", 0xFFFFFFFF, 0x81F16F39),
        (b"\xff\xff\xff\xff", 0, 0x76293B50),
        (b"!Ce", 0, 0x7E4A8634),
        (b"hello", 0, 0x248BFA47),
        (b"aaaa", 0x9747B28C, 0x5A97808A),
        (b"The quick brown fox jumps over the lazy dog", 0, 0x2E4FF723),
    ],
)
def test_murmur3_has_its_published_values(data: bytes, seed: int, value: int) -> None:
    assert murmur3(data, seed) == value


def test_the_hash_of_an_icon_is_that_of_the_search_engines() -> None:
    def theirs(icon: bytes) -> int:
        value = murmur3(codecs.encode(icon, "base64"))
        return value if value < 2**31 else value - 2**32

    icons = [bytes([n]) * n for n in range(1, 200, 7)]
    assert [hash_of(one) for one in icons] == [theirs(one) for one in icons]
    assert {hash_of(one) < 0 for one in icons} == {True, False}
    assert base64.encodebytes(ICON).splitlines()[0] == base64.b64encode(ICON)[:76]


def test_hostile_words_are_masked_cut_and_fit_to_be_shown() -> None:
    body = f"<title>\x1b[31mkey {SECRET} and password=hunter2hunter2</title><meta name=generator content={SECRET}>"
    headers = {"Content_Type": "text/html", "Server": "x" * 5000, "Set_Cookie": f"session={SECRET}", "X_Key": SECRET}
    seen = look({"www": Tree({"/": body.encode()}, headers=headers)}, identified=True)
    row = seen.rows()["www"]
    assert row["title"] == "�[31mkey AKIA***[20] and password=hunt***[14]"
    assert len(row["server"]) <= 300
    assert SECRET not in repr(seen.taken.rows) and "hunter2hunter2" not in repr(seen.taken.rows)
