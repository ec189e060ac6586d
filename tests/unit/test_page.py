"""The page as it is served: to browsers alone, whole, small, kept for good by its release, and by a strict policy."""

from __future__ import annotations

import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tagapi.auth import OpenGate
from tagapi.pages.site import STATIC, Site
from tests.e2e.server import ROOT
from tests.unit.fronts import client_of

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
MOST = 75_000  # bytes of the first view, as they are sent: half of what was promised, since they grow
OURS = [path for path in STATIC.rglob("*") if path.is_file() and "vendor" not in path.parts]


class Links(HTMLParser):
    """What a document asks for, and what stands in it that should not."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.asked: set[str] = set()
        self.inline: list[str] = []
        self._in: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._in = tag
        self.asked |= {value for name in ("href", "src") if (value := given.get(name)) is not None}
        self.inline += [name for name in given if name.startswith("on") or name == "style"]

    def handle_data(self, data: str) -> None:
        if self._in in ("script", "style") and data.strip():
            self.inline.append(data)


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    return client_of(OpenGate())


@pytest.fixture(scope="module")
def document(client: FlaskClient) -> Links:
    return Links(client.get("/", headers=BROWSER).text)


def test_browsers_see_the_page_and_programs_what_there_is(client: FlaskClient) -> None:
    page, told, asked = (client.get("/", headers=headers) for headers in (BROWSER, {}, {"Accept": "application/json"}))
    assert (page.mimetype, told.mimetype, asked.mimetype) == ("text/html", *["application/json"] * 2)
    assert all("Accept" in answer.headers["Vary"] for answer in (page, told, asked))
    assert told.json == asked.json


def test_the_policy_allows_nothing_inline_and_nothing_foreign(client: FlaskClient, document: Links) -> None:
    headers = client.get("/", headers=BROWSER).headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert "unsafe" not in policy and "http" not in policy and "*" not in policy and "data:" not in policy
    assert "frame-ancestors 'none'" in policy and "require-trusted-types-for 'script'" in policy
    assert (headers["X-Content-Type-Options"], headers["Referrer-Policy"]) == ("nosniff", "no-referrer")
    assert document.inline == []
    assert all(link.startswith("/page/") for link in document.asked)


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_no_file_of_ours_names_another_host_or_makes_markup_of_text(path: Path) -> None:
    text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"(?:https?:)?//[a-z0-9]", text.replace("// ", ""), re.IGNORECASE)
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|unsafeHTML|\beval\(|new Function", text
    )
    assert len(text.splitlines()) <= 250


def test_the_first_view_is_whole_and_small(client: FlaskClient, document: Links) -> None:
    packing = {"Accept-Encoding": "gzip"}  # as every browser says
    answers = [client.get(link, headers=packing) for link in document.asked]
    answers.append(client.get("/", headers={**BROWSER, **packing}))
    assert all(answer.status_code == 200 for answer in answers)
    assert sum(len(answer.data) for answer in answers) < MOST
    asked = {link.split("/", 3)[3] for link in document.asked}
    for name in (name for name in asked if name.endswith(".js")):
        imported = re.findall(r'(?:from|import) ?"(\.[^"]+)"', (STATIC / name).read_text("utf-8"))
        for other in imported:
            assert (STATIC / name).parent.joinpath(other).resolve().relative_to(STATIC).as_posix() in asked, name


def test_a_file_is_kept_and_the_document_asked_for_each_time(client: FlaskClient, document: Links) -> None:
    page = client.get("/", headers=BROWSER)
    assert page.headers["Cache-Control"] == "no-cache"
    again = client.get("/", headers={**BROWSER, "If-None-Match": page.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    script = next(link for link in document.asked if link.endswith("/main.js"))
    answer = client.get(script)
    assert (answer.mimetype, answer.headers["X-Content-Type-Options"]) == ("text/javascript", "nosniff")
    assert "immutable" in answer.headers["Cache-Control"]
    packed = client.get(script, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip" and len(packed.data) < len(answer.data)
    assert packed.headers["ETag"] != answer.headers["ETag"]


@pytest.mark.parametrize(
    "path", ["/page/0123456789abcdef/main.js", "/page/RELEASE/index.html", "/page/RELEASE/../site.py", "/page/RELEASE"]
)
def test_nothing_else_is_served(client: FlaskClient, path: str) -> None:
    answer = client.get(path.replace("RELEASE", Site().release))
    assert answer.status_code == 404
    assert answer.mimetype == "application/json"


def test_a_changed_file_is_another_release(tmp_path: Path) -> None:
    for name in ("index.html", "app.css", "main.js"):
        (tmp_path / name).write_bytes((STATIC / name).read_bytes())
    before = Site(tmp_path)
    assert Site(tmp_path).release == before.release
    (tmp_path / "app.css").write_text("p { color: red }", "utf-8")
    after = Site(tmp_path)
    assert after.release != before.release
    assert after.document.etag != before.document.etag and after.release.encode() in after.document.content


def test_the_document_says_whether_a_token_is_asked_for() -> None:
    assert b"data-asks" in Site(asks=True).document.content
    assert b"data-" not in Site(asks=False).document.content


# -- libraries -----------------------------------------------------------------------------


def test_every_library_is_what_its_checksum_says_and_none_is_there_beside() -> None:
    packages = json.loads((ROOT / "requirements" / "vendor.json").read_text("utf-8"))
    named = {file["path"]: file["sha256"] for package in packages for file in package["files"].values()}
    for path, digest in named.items():
        assert hashlib.sha256((ROOT / path).read_bytes()).hexdigest() == digest, path
    there = {path for place in (STATIC / "vendor", ROOT / "tests" / "e2e" / "vendor") for path in place.rglob("*")}
    assert {path.relative_to(ROOT).as_posix() for path in there if path.is_file()} == set(named)
    assert all(package["licence"] and package["why"] and package["integrity"] for package in packages)
