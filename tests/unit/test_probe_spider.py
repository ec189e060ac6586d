"""The pages that a site links to: every one that may be looked at, none else, and soon whatever the site does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

import pytest

from tag_tasks.assets import found
from tag_tasks.assets.found import Kind
from tag_tasks.assets.guard.pages import MOST_BODY
from tag_tasks.assets.probes import spider as probe
from tag_tasks.assets.probes.sites import find_sites
from tag_tasks.assets.probes.spider import MOST_LOST, MOST_PAGES, Crawled, is_page, spider
from tag_tasks.assets.scan import Scan
from tag_tasks.assets.scope import Scope
from tests.internet import sites as habits
from tests.internet.net import Internet
from tests.internet.sites import Get, Tree, answer, page, redirect
from tests.unit.scanning import Taken, scan

AT = "127.1.0.1"
SOON = 0.5  # seconds for a target that uses them up
CORP = Scope(id="corp", name="corp", domains=("corp.example",), networks=(ip_network("127.1.0.0/16"),))
SECRET = "AKIAIOSFODNN7EXAMPLE"  # the one of AWS's own documentation


@dataclass
class Seen:
    """What was crawled of an internet."""

    net: Internet
    crawled: list[Crawled] = field(default_factory=list)
    taken: Taken = field(default_factory=Taken)

    def pages(self) -> dict[str, tuple[int, str | None]]:
        """Status and title by path."""
        rows = self.taken.of(Kind.PAGES)
        return {row["url"].removeprefix(row["site"].rstrip("/")): (row["status"], row["title"]) for row in rows}


def crawl(there: Mapping[str, habits.Site], **guard: Any) -> Seen:
    """Crawl the sites at these names below corp.example."""
    zone = {f"{name}.corp.example": {"A": [AT]} for name in there}
    seen = Seen(Internet(zone, {f"{name}.corp.example": site for name, site in there.items()}))

    async def scene(scan: Scan) -> None:
        sites = await find_sites(scan, [(name, [seen.net.port]) for name in zone])
        seen.crawled = await spider(scan, sites)

    seen.taken = scan(seen.net, [CORP], scene, **guard)
    return seen


def links(*to: str, title: str = "t") -> bytes:
    return f"<title>{title}</title>".encode() + b"".join(f"<a href='{one}'>x</a>".encode() for one in to)


def test_pages_are_looked_at_two_links_deep_each_once() -> None:
    tree = Tree(
        {
            "/": links("/a", "/b?x=1&amp;y=2", "/gone", "#part", "/"),
            "/a": links("/a/deep", "/", "/b?x=1&y=2", title="A"),
            "/b?x=1&y=2": links("/a", "/a#part", "http://other.corp.example/x", "http://evil.test/", title="B"),
            "/a/deep": links("/a/deep/deeper", title="Deep"),
        }
    )
    seen = crawl({"www": tree, "other": Tree({"/": b"<p>"})})
    assert seen.pages() == {
        "/a": (200, "A"),
        "/b?x=1&y=2": (200, "B"),
        "/a/deep": (200, "Deep"),
        "/gone": (404, "Not found"),
    }
    assert sorted(tree.asked) == ["/", "/a", "/a/deep", "/b?x=1&y=2", "/gone", "/robots.txt"]
    base = f"http://www.corp.example:{seen.net.port}"
    assert {one.url for one in seen.crawled} == {f"{base}{path}" for path in seen.pages()}
    assert {one.site.url for one in seen.crawled} == {f"{base}/"}
    assert not seen.taken.said(found.SKIPPED) and not seen.taken.said(found.REFUSED)


def test_what_robots_are_asked_to_leave_is_left() -> None:
    robots = b"User-agent: *\nDisallow: /open\n\nUser-agent: tagapi\nDisallow: /private\nAllow: /private/not\n"
    paths = ["/open", "/private/x", "/private/not", "/other?private"]
    tree = Tree({"/": links(*paths), "/robots.txt": page(robots), **{one: links() for one in paths}})
    assert set(crawl({"www": tree}).pages()) == {"/open", "/private/not", "/other?private"}
    assert "/private/x" not in tree.asked


@pytest.mark.parametrize(
    ("robots", "reason"),
    [
        (habits.status(503), "robots.txt has the status 503"),
        (redirect("http://evil.test/robots.txt"), "robots.txt leads out of the scope"),
        (habits.silent, "robots.txt is not reached: it took too long"),
    ],
)
def test_where_robots_cannot_be_read_nothing_is_followed_and_that_is_told(robots: habits.Site, reason: str) -> None:
    tree = Tree({"/": links("/a"), "/a": links(), "/robots.txt": robots})
    seen = crawl({"www": tree}, seconds=SOON)
    assert seen.pages() == {} and "/a" not in tree.asked
    at = f"http://www.corp.example:{seen.net.port}/"
    assert seen.taken.said(found.SKIPPED) == [(at, f"its pages are not looked through: {reason}")]


@pytest.mark.parametrize("status", [401, 403, 404, 410, 429])
def test_without_robots_everything_may_be_looked_at(status: int) -> None:
    tree = Tree({"/": links("/a"), "/a": links(), "/robots.txt": habits.status(status, b"User-agent: *\nDisallow: /")})
    assert set(crawl({"www": tree}).pages()) == {"/a"}


@pytest.mark.parametrize("path", ["/logout", "/user/sign_out?x", "/x?do=LogOff", "/a/delete/3", "/x.pdf", "/x.JPG?y"])
def test_what_does_something_or_is_no_page_is_not_asked_for(path: str) -> None:
    tree = Tree({"/": links(path, "/a"), path: links(), "/a": links()})
    assert set(crawl({"www": tree}).pages()) == {"/a"} and path not in tree.asked


def test_which_paths_are_pages() -> None:
    for one in ("/", "/a.html", "/a.php?x=y.pdf", "/v1.2/", "/catalogout/", "/blog/outlook", "/a.pdf/x", "/signet"):
        assert is_page(one), one


def test_forms_are_not_sent() -> None:
    form = b"<form action=/buy><input></form><form action=/a></form>"
    tree = Tree({"/": links("/a") + form, "/a": links(), "/buy": links()})
    assert set(crawl({"www": tree}).pages()) == {"/a"}


def test_redirects_within_the_site_are_followed_and_none_out_of_it() -> None:
    tree = Tree(
        {
            "/": links("/old", "/loop", "/out", "/other"),
            "/old": redirect("/older"),
            "/older": redirect("new"),
            "/new": links("/last", title="New"),
            "/last": links("/further"),
            "/loop": redirect("/loop"),
            "/out": redirect("http://evil.test/"),
            "/other": redirect("http://other.corp.example/"),
        }
    )
    other = Tree({"/": b"<p>"})
    seen = crawl({"www": tree, "other": other})
    assert {path: status for path, (status, _) in seen.pages().items()} == {
        "/old": 302, "/older": 302, "/new": 200, "/last": 200, "/loop": 302, "/out": 302, "/other": 302,
    }  # fmt: skip
    assert tree.asked.count("/loop") == 1 and other.asked == ["/"]
    assert not seen.taken.said(found.REFUSED)


def test_a_site_that_leads_elsewhere_is_not_looked_through() -> None:
    tree = Tree({"/": redirect("http://other.corp.example/"), "/a": links()})
    assert crawl({"www": tree}).pages() == {} and "/robots.txt" not in tree.asked


def test_what_has_no_end_ends() -> None:
    async def everything(get: Get, writer: Any) -> None:
        """A page for each path, with links to ever more of them."""
        here = links(*(f"{get.path.rstrip('/')}/{n}" for n in range(30)))
        writer.write(answer(b"User-agent: *" if "robots" in get.path else here, Content_Type="text/html"))

    seen = crawl({"www": everything, "after": Tree({"/": links("/a"), "/a": links()})})
    at = f"http://www.corp.example:{seen.net.port}/"
    mine = [row for row in seen.taken.of(Kind.PAGES) if row["site"] == at]
    assert len(mine) == MOST_PAGES and len(seen.taken.of(Kind.PAGES)) == MOST_PAGES + 1
    assert seen.taken.said(found.SKIPPED) == [
        (at, f"it has more than {MOST_PAGES} pages: the others are not looked at")
    ]


def test_a_site_that_hangs_is_left_alone_and_holds_up_nobody() -> None:
    hanging = {f"/{n}": habits.dripping for n in range(40)}
    tree = Tree({"/": links(*hanging), **hanging})
    seen = crawl({"tar": tree, "www": Tree({"/": links("/a"), "/a": links()})}, seconds=SOON)
    assert [row["url"].rpartition("/")[2] for row in seen.taken.of(Kind.PAGES)] == ["a"]
    assert MOST_LOST <= len(tree.asked) - 2 < MOST_LOST + probe.AT_ONCE
    reasons = dict(seen.taken.said(found.SKIPPED))
    assert reasons[f"http://tar.corp.example:{seen.net.port}/"].startswith(f"{MOST_LOST} pages were not reached")


@pytest.mark.parametrize(
    "site", [habits.endless, habits.bomb(50 * MOST_BODY), habits.garbage, habits.torn, habits.status(500)]
)
def test_pages_that_are_none_do_no_harm(site: habits.Site) -> None:
    seen = crawl({"www": Tree({"/": links("/bad", "/good"), "/bad": site, "/good": links(title="Good")})})
    assert seen.pages()["/good"] == (200, "Good")


def test_what_pages_say_again_is_kept_once() -> None:
    common = "<script>var same = 1</script><script src=/same.js></script><a href=/a>x</a>"
    tree = Tree(
        {
            "/": links("/a", "/b") + common.encode(),
            "/a": (common + "<script>var a = 2</script><script src=/a.js></script>").encode(),
            "/b": (common + "<script>var a = 2</script><a href=http://other.corp.example/></a>").encode(),
        }
    )
    seen = crawl({"www": tree})
    inline = [text for one in seen.crawled for text in one.html.inline]
    scripts = [text for one in seen.crawled for text in one.html.scripts]
    others = [text for one in seen.crawled for text in one.html.links]
    assert inline == ["var a = 2"] and scripts == [f"http://www.corp.example:{seen.net.port}/a.js"]
    assert others == ["http://other.corp.example/"]


def test_what_is_kept_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "MOST_TEXT", 3000)
    pages = {f"/{n}": f"<script>{n}{'x' * 999}</script>".encode() for n in range(20)}
    seen = crawl({"www": Tree({"/": links(*pages), **pages})})
    assert len(seen.crawled) == 20
    assert 2000 < sum(len(text) for one in seen.crawled for text in one.html.inline) <= 3000


def test_secrets_in_titles_and_addresses_are_masked() -> None:
    paths = [f"/{SECRET}", "/reset?token=hunter2hunter2"]
    tree = Tree({"/": links(*paths), paths[0]: links(title=f"secret: {SECRET}"), paths[1]: links(title="\x1b[2Jx")})
    seen = crawl({"www": tree})
    assert seen.pages() == {
        "/AKIA***[20]": (200, "secret: AKIA***[20]"),
        "/reset?token=hunt***[14]": (200, "�[2Jx"),
    }
    assert SECRET not in repr(seen.taken.rows) and "hunter2hunter2" not in repr(seen.taken.rows)


def test_the_bounds_hold_for_each_site_alone() -> None:
    def many(count: int) -> Callable[[], Tree]:
        paths = [f"/{n}" for n in range(count)]
        return lambda: Tree({"/": links(*paths), **{one: links() for one in paths}})

    seen = crawl({f"s{n}": many(60)() for n in range(3)})
    assert len(seen.taken.of(Kind.PAGES)) == 180 and not seen.taken.said(found.SKIPPED)
