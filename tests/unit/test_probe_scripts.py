"""What scripts give away is found, and secrets are masked wherever they stand."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping

import pytest

from tag_tasks.assets.found import Kind
from tag_tasks.assets.probes.scripts import MOST_LOST, MOST_OF_A_SORT, MOST_SCRIPTS, hunt
from tag_tasks.assets.probes.sites import find_sites
from tag_tasks.assets.probes.spider import spider
from tag_tasks.assets.scan import Scan
from tests.internet.net import Internet
from tests.internet.sites import Get, Site, answer, endless, silent
from tests.unit.scanning import Taken, scan
from tests.unit.test_guard import CORP, OUTSIDE, SITE

AWS, GOOGLE, JWT = (
    "AKIAIOSFODNN7EXAMPLE",
    "AIzaSyA-1234567890abcdefghijklmnopqrstu",
    "eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.x9",
)
GENERIC = "f3Zq81LmPw02KdXy"
APP = f"""
const base = "https://api.corp.example/v1"; const other = "https://api.evil.test/";
fetch('/api/v1/users?page=2'); load("/static/app.css"); const a = `/graphql`; const none = "/";
const v6 = "http://[2001:DB8::1]:8080/", ula = 'fd00:1::2', time = "12:30:45";
const mac = "00:11:22:33:44:55", pseudo = "a::b", half = "fd00:1:";
const box = "10.20.30.40", none2 = "127.0.0.1", version = "1.2.3", no = "300.1.1.1";
const aws = "{AWS}"; const google = '{GOOGLE}'; const token = "{JWT}";
const apiKey = "{GENERIC}"; const password = "changeme"; const label = "password";
"""


def pages(said: Mapping[str, str | Site]) -> Site:
    async def say(get: Get, writer: object) -> None:
        one = said.get(get.path)
        if callable(one):
            await one(get, writer)  # type: ignore[arg-type]
        else:
            kind = "application/javascript" if get.path.endswith(".js") else "text/html"
            body = answer(b"", 404) if one is None else answer(one.encode(), Content_Type=kind)
            writer.write(body)  # type: ignore[attr-defined]

    return say  # type: ignore[return-value]


def hunted(said: Mapping[str, str | Site], crawl: bool = False, **guard: float) -> tuple[Taken, set[str]]:
    names: set[str] = set()
    net = Internet({"www.corp.example": {"A": [SITE]}}, {"www.corp.example": pages(said)}, addresses=[SITE, OUTSIDE])

    async def scene(here: Scan) -> None:
        sites = await find_sites(here, [("www.corp.example", [net.port])])
        crawled = await spider(here, sites) if crawl else []
        names.update(await hunt(here, sites, crawled, ["corp.example"]))

    taken = scan(net, [CORP], scene, **guard)
    assert not [at for at, _ in net.accepted if at == OUTSIDE]
    return taken, names


def found(taken: Taken) -> set[tuple[str, str]]:
    return {(row["sort"], row["value"]) for row in taken.of(Kind.WIH)}


def test_everything_that_a_script_gives_away_is_found_and_nothing_else() -> None:
    taken, names = hunted({"/": '<script src="/app.js"></script>', "/app.js": APP})
    assert names == {"api.corp.example"}
    assert found(taken) == {
        ("name", "api.corp.example"),
        ("endpoint", "/api/v1/users?page=2"),
        ("endpoint", "/graphql"),
        ("address", "10.20.30.40"),
        ("address", "2001:db8::1"),
        ("address", "fd00:1::2"),
        ("secret", f"AKIA***[{len(AWS)}]"),
        ("secret", f"AIza***[{len(GOOGLE)}]"),
        ("secret", f"eyJh***[{len(JWT)}]"),
        ("secret", f"f3Zq***[{len(GENERIC)}]"),
    }
    (script,) = {row["script"] for row in taken.of(Kind.WIH)}
    assert script.endswith("/app.js")


def test_no_secret_is_told_in_full_anywhere() -> None:
    leaky = f'<script src="/app.js?key={AWS}"></script><script>var k = "{AWS}"; fetch("/api/x?token={JWT}")</script>'
    taken, _ = hunted({"/": leaky, f"/app.js?key={AWS}": APP})
    told = json.dumps([dict(row.facts) for row in taken.rows.values()]) + json.dumps([key for _, key in taken.rows])
    assert found(taken)
    for secret in (AWS, GOOGLE, JWT, GENERIC):
        assert secret not in told


def test_inline_scripts_and_those_of_further_pages_are_read_each_once() -> None:
    said: dict[str, str | Site] = {
        "/": '<a href="/more">more</a><script>fetch("/api/inline")</script>',
        "/more": '<script src="/more.js"></script><script src="/more.js"></script>',
        "/more.js": 'fetch("/api/more")',
    }
    taken, _ = hunted(said, crawl=True)
    assert found(taken) == {("endpoint", "/api/inline"), ("endpoint", "/api/more")}


def test_a_script_elsewhere_is_refused_and_one_that_hangs_is_skipped() -> None:
    first = (
        f'<script src="http://{OUTSIDE}/a.js"></script><script src="/slow.js"></script>'
        '<script src="/none.js"></script><script>fetch("/api/ok")</script>'
    )
    taken, _ = hunted({"/": first, "/slow.js": silent}, seconds=0.5)
    assert found(taken) == {("endpoint", "/api/ok")}
    assert any(OUTSIDE in where for where, _ in taken.said("refused"))
    assert any("/slow.js" in where for where, _ in taken.said("skipped"))


def test_a_site_whose_scripts_hang_is_left_alone_and_that_is_told() -> None:
    asked = []

    async def hang(get: Get, writer: asyncio.StreamWriter) -> None:
        asked.append(get.path)
        await silent(get, writer)

    said: dict[str, str | Site] = {f"/{n}.js": hang for n in range(3 * MOST_LOST)}
    first = "".join(f'<script src="{path}"></script>' for path in said)
    taken, _ = hunted({"/": first, **said}, seconds=0.1)
    assert len(asked) == MOST_LOST
    assert [why for _, why in taken.said("skipped") if "not all of its scripts" in why] == [
        f"not all of its scripts are looked through: {MOST_LOST} were not reached"
    ]


@pytest.mark.parametrize(("number", "told"), [(MOST_SCRIPTS, 0), (MOST_SCRIPTS + 1, 1)])
def test_that_there_are_more_scripts_is_told(number: int, told: int) -> None:
    scripts: dict[str, str | Site] = {f"/{n}.js": f'fetch("/api/{n}")' for n in range(number)}
    taken, _ = hunted({"/": "".join(f'<script src="{path}"></script>' for path in scripts), **scripts})
    assert len(found(taken)) == MOST_SCRIPTS
    assert len(taken.said("skipped")) == told


@pytest.mark.parametrize(
    "text",
    ['"/' * 1_000_000, "1.1.1." * 300_000, "apiKey = '" * 200_000, "a.corp.example." * 130_000, '"/' + "a" * 2_000_000],
    ids=lambda text: text[:12],
)
def test_hostile_scripts_are_read_in_time(text: str) -> None:
    began = time.monotonic()
    hunted({"/": '<script src="/app.js"></script>', "/app.js": text})
    assert time.monotonic() - began < 15, "some seconds, on a busy machine"


def test_a_script_without_end_and_one_with_too_much_are_bounded() -> None:
    many = ";".join(f'fetch("/api/{n}")' for n in range(3 * MOST_OF_A_SORT))
    taken, _ = hunted(
        {
            "/": '<script src="/app.js"></script><script src="/endless.js"></script>',
            "/app.js": many,
            "/endless.js": endless,
        }
    )
    assert len(found(taken)) == MOST_OF_A_SORT
