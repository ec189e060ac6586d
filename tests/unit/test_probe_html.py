"""What pages of HTML say: read as browsers do, and in the same time whatever they say."""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from html.parser import HTMLParser
from ipaddress import ip_address
from itertools import pairwise
from urllib.parse import urldefrag, urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tag_tasks.assets.guard import Page
from tag_tasks.assets.guard.pages import MOST_BODY
from tag_tasks.assets.probes.html import (
    MOST_INLINE,
    MOST_LINKS,
    MOST_RESOURCES,
    MOST_SCRIPTS,
    MOST_TITLE,
    Html,
    joined,
    read,
    same_site,
    text_of,
)

AT = "http://www.corp.example:8080/a/b?c"
SITE = "http://www.corp.example:8080"
SLOW = 2.0  # seconds in which any page is read, on a machine that has other things to do


def page(body: bytes, kind: str | None = "text/html", *, cut: bool = False) -> Page:
    headers = () if kind is None else (("Content-Type", kind),)
    return Page(url=AT, address=ip_address("127.1.0.1"), status=200, headers=headers, body=body, cut=cut)


def html(text: str) -> Html:
    return read(page(text.encode()))


def title(body: bytes, kind: str | None = "text/html") -> str | None:
    return read(page(body, kind)).title


def test_all_that_is_needed_of_a_page_is_read() -> None:
    said = html("""<!doctype html><html><head>
        <title>Work &amp;
          play &#x4e2d;</title>
        <META NAME=Generator CONTENT='WordPress &amp;lt; 6.4'>
        <meta http-equiv="Refresh" content="5; URL='/later'">
        <link rel="shortcut icon" href="/icon.png"><link rel=stylesheet href=style.css><link rel=next href=no>
        <script src="/app.js?v=1&amp;w=2"></script><script type=module>import "x"</script></head>
        <body background=bg.gif><a href="one#part">1</a> <a href='?two'>2</a> <A HREF=//other.example/three>3</A>
        <map><area href=four></map><form action="/search"><form action="one"><input type=image src=go.png></form>
        <iframe src=frame.html></iframe><img src="data:image/png;base64,xx"><img src=a.png><video src=v.mp4></video>
        <a name=nowhere>x</a><a href="javascript:void(0)">x</a><a href=mailto:a@b>x</a><a href="one">again</a>
        <svg><title>a picture</title><a href=five /></svg>""")
    assert (said.title, said.generator) == ("Work & play 中", "WordPress &lt; 6.4")
    assert said.links == (
        f"{SITE}/later",
        f"{SITE}/a/one",
        f"{SITE}/a/b?two",
        "http://other.example/three",
        f"{SITE}/a/four",
        f"{SITE}/search",
        f"{SITE}/a/frame.html",
        f"{SITE}/a/five",
    )
    assert said.forms == (f"{SITE}/search",)
    assert said.scripts == (f"{SITE}/app.js?v=1&w=2",)
    assert said.inline == ('import "x"',)
    assert said.icons == (f"{SITE}/icon.png",)
    loaded = ("/icon.png", "/a/style.css", "/app.js?v=1&w=2", "/a/bg.gif", "/a/go.png", "/a/frame.html", "/a/a.png")
    assert said.resources == tuple(f"{SITE}{one}" for one in (*loaded, "/a/v.mp4"))


@pytest.mark.parametrize(
    "text",
    [
        "<!-- <a href=x> -->",
        "<!-- > <a href=x> --->",
        "<script>'<a href=x>'</script>",
        "<style><a href=x></style>",
        "<textarea><a href=x></textarea>",
        "<title><a href=x></title>",
        "<img alt='<a href=x>'>",
        "<iframe><a href=x></iframe>",
        "<xmp><a href=x></xmp>",
        "<script>if (a</b) '<a href=x>'</SCRIPT >",
        "< a href=x>",
        "<ahref=x>",
        "<abbr href=x>",
        '<a title="href=x">',
        '<a href="x',
        "<a href=x ",
    ],
)
def test_what_is_no_link_is_none(text: str) -> None:
    assert html(f"<a href=y>{text}").links == (f"{SITE}/a/y",)


def test_a_comment_ends_where_browsers_end_it() -> None:
    assert html("<!--><a href=x><!---><a href=y><!-- -- > --><a href=z>").links == tuple(f"{SITE}/a/{n}" for n in "xyz")


def test_the_title_of_a_picture_is_not_that_of_the_page() -> None:
    assert html("<svg><title>a picture</title></svg><title>The page</title>").title == "The page"


def test_a_base_counts_from_there_on_and_the_first_of_them() -> None:
    said = html("<a href=x><base href='/other/'><a href=x><base href=/third/><a href=y><img src=z>")
    assert said.links == (f"{SITE}/a/x", f"{SITE}/other/x", f"{SITE}/other/y")
    assert said.resources == (f"{SITE}/other/z",)


@pytest.mark.parametrize(
    ("link", "where"),
    [
        ("c", f"{SITE}/a/c"),
        ("../../../c", f"{SITE}/c"),
        ("", AT),
        ("#x", AT),
        (" \n//Other.Example./x\t", "http://other.example/x"),
        ("ht\ntp://other.example", "http://other.example/"),
        ("\\\\other.example\\x", "http://other.example/x"),
        ("HTTPS://other.example:443/x?y#z", "https://other.example/x?y"),
        ("http://[::1", None),
        ("http://user@other.example/", None),
        ("ftp://other.example/", None),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("http://0177.1/", None),
        ("http://\udcff/", None),
        ("/" + "x" * 2000, None),
        ("x" * 2**21, None),
    ],
)
def test_where_a_link_leads(link: str, where: str | None) -> None:
    assert joined(AT, link) == where


def test_which_pages_are_of_one_site() -> None:
    assert same_site("http://www.CORP.example:80/x", "http://www.corp.example/")
    for other in ("https://www.corp.example/", "http://corp.example/", "http://www.corp.example:81/", "http://[", ""):
        assert not same_site(other, "http://www.corp.example/")


@pytest.mark.parametrize(
    ("codec", "label", "text"),
    [
        ("utf-8", "UTF-8", "资产管理平台 – Größe"),
        ("gbk", "gb2312", "资产管理平台"),
        ("gb18030", "GBK", "资产管理平台"),
        ("big5", "big5", "資產管理"),
        ("cp932", "Shift_JIS", "資産の管理"),
        ("euc_jp", "euc-jp", "資産の管理"),
        ("iso2022_jp", "iso-2022-jp", "資産の管理"),
        ("cp949", "euc-kr", "자산 관리"),
        ("cp1251", "windows-1251", "Учёт"),
        ("koi8_r", "koi8-r", "Учёт"),
        ("iso8859_2", "iso-8859-2", "Łódź"),
        ("cp1252", "iso-8859-1", "Größe – 5 €"),  # as browsers read that label
    ],
)
def test_a_charset_is_taken_from_the_header_or_the_page(codec: str, label: str, text: str) -> None:
    body = f"<title>{text}</title>".encode(codec)
    assert title(body, f'text/html; Charset="{label}"') == text
    assert title(f"<meta charset={label}>".encode() + body) == text
    whole = f"<meta http-equiv=Content-Type content='text/html; charset={label}'>"
    assert title(whole.encode() + body) == text
    assert title(f"<meta charset={label}>".encode() + body, "text/html; charset=none-such") == text


def test_a_charset_is_known_without_a_word_where_it_can_be() -> None:
    assert title("<title>Größe 中</title>".encode()) == "Größe 中"
    assert title("<title>Größe</title>".encode("cp1252")) == "Größe"
    assert title(b"\xff\xfe" + "<title>中</title>".encode("utf-16-le"), "text/html; charset=gbk") == "中"
    assert title(b"\xfe\xff" + "<title>中</title>".encode("utf-16-be"), None) is None  # it does not look like HTML
    assert title(b"\xef\xbb\xbf" + "<title>中</title>".encode(), None) == "中"
    assert text_of(page("中".encode()[:-1], cut=True)) == "�"


@pytest.mark.parametrize(
    "label", ["zlib_codec", "rot13", "idna", "punycode", "unicode_escape", "utf-7", "\0", "x" * 99]
)
def test_a_charset_that_is_none_is_not_taken(label: str) -> None:
    body = b"<title>+AGEAYg- \\x41 n4bQ</title>"
    assert title(body, f"text/html; charset={label}") == "+AGEAYg- \\x41 n4bQ"


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "image/png", ""])
def test_what_is_no_html_is_not_read(kind: str) -> None:
    assert read(page(b"<title>x</title><a href=x>", kind)) == Html()
    assert read(page(b"{}", None)) == Html() != read(page(b" <title>x</title>", None))


def test_a_title_is_a_line_that_can_be_shown() -> None:
    assert html("<title>a\x1b[31m\u202eb\x00</title>").title == "a�[31m�b�"
    assert html("<title></title><title>second</title>").title == ""
    assert html("<title>&#99999999999;&#x0;&nosuch;&#55296;</title>").title == "��&nosuch;�"
    assert html("<title>" + "x" * MOST_BODY).title == "x" * (MOST_TITLE - 1) + "…"
    assert html("<p>").title is None


def test_all_that_is_kept_has_a_bound() -> None:
    many = "".join(f"<a href=/{n}><img src=/{n}><script src=/{n}></script><script>{n}</script>" for n in range(3000))
    said = html(many)
    assert (len(said.links), len(said.scripts), len(said.inline)) == (MOST_LINKS, MOST_SCRIPTS, MOST_SCRIPTS)
    assert len(said.resources) == MOST_RESOURCES
    assert sum(map(len, html(f"<script>{'x' * MOST_BODY}</script>" * 2).inline)) == MOST_INLINE


PIECES = [
    b"<", b"<a ", b"<a href=x ", b'<a href="', b"<a b='", b"<a b='>", b"<!--", b"<!-- -->", b"<!", b"<script>",
    b"<script ", b"<script></script>", b"<script><!--", b"<title>", b"<title></titl", b"<title></title", b"</script",
    b"<svg>", b"<title>&#9", b"<a href=&#", b"&amp;", b"a=b ", b"<a a=b c=d e>", b"<a" + b" " * 999,
    b"<a" + b"/" * 999, b"<base href=/x/>", b'<a href="../">', b"<meta http-equiv=refresh content='0;url=",
    b"<a href=//[>", b"<a href=\\\\>", b"\x00", b"\xff\xfe", b"\xe4\xb8", b"<textarea>",
    b"<img src=" + b"x" * 5000 + b">", b"<meta charset=", b"\n",
]  # fmt: skip


@pytest.mark.parametrize("piece", PIECES, ids=[base64.b32encode(one[:12]).decode() for one in PIECES])
def test_two_mebibytes_of_anything_are_read_soon(piece: bytes) -> None:
    body = (piece * (MOST_BODY // len(piece) + 1))[:MOST_BODY]
    began = time.process_time()
    read(page(body))
    assert time.process_time() - began < SLOW


def test_time_grows_with_the_page_and_not_with_its_square() -> None:
    def seconds(piece: bytes, size: int) -> float:
        began = time.process_time()
        read(page((piece * (size // len(piece) + 1))[:size]))
        return time.process_time() - began

    for piece in (b"<", b'<a href="', b"<!--", b"<title></titl", b"<a b='>", b"</script"):
        times = [min(seconds(piece, size) for _ in range(3)) for size in (MOST_BODY // 4, MOST_BODY)]
        assert all(after < 12 * before + 0.02 for before, after in pairwise(times)), piece


@given(st.lists(st.sampled_from([one.decode("latin-1") for one in PIECES]) | st.text(max_size=9), max_size=60))
def test_nothing_that_a_page_says_is_an_error(pieces: Sequence[str]) -> None:
    said = html("".join(pieces).encode("utf-8", "replace").decode())
    assert all(joined(AT, one) == one for one in (*said.links, *said.resources))


@given(st.binary(max_size=200), st.none() | st.text(max_size=60))
def test_nor_are_any_bytes(body: bytes, kind: str | None) -> None:
    read(page(b"<" + body, kind))


class Second(HTMLParser):
    """The same question to another parser."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.scripts: list[str] = []
        self.titles: list[str] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in reversed(attrs)}
        self.inside = tag
        if tag == "a" and "href" in values:
            self.links.append(urldefrag(urljoin(AT, values["href"]))[0])
        if tag == "title":
            self.titles.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            self.scripts.append(data)
        if self.inside == "title":
            self.titles[-1] += data


WELL = st.lists(
    st.sampled_from(
        [
            "<a href=one>", "<a class='x y' href='two?a=1&amp;b=2#c'>", '<A HREF="/three" title="a > b">', "<a>",
            "</a>", "<p>text &lt;a href=no&gt;</p>", "<!-- <a href=no> -->", "<script>var a = '<a href=no>';</script>",
            "<style>a > b {}</style>", "<title>One &amp; two</title>", "<img alt='<a href=no>' src=x.png>", "<br/>",
            "<a\nhref\n=\n'four'\n>", "<a href=five/>", "a < b and c > d", "<a href=six href=seven>",
            "<div data-a='\"'>",
        ]
    ),
    max_size=30,
)  # fmt: skip


@given(WELL)
def test_another_parser_reads_the_same(pieces: Sequence[str]) -> None:
    text = "\n".join(pieces)
    second = Second()
    second.feed(text)
    second.close()
    said = html(text)
    assert said.links == tuple(dict.fromkeys(second.links))
    assert list(said.inline) == second.scripts
    assert said.title == (second.titles[0] if second.titles else None)
