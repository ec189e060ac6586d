"""What sites are made with: known by what they show, with its version where that is told, and by nothing else."""

from __future__ import annotations

import time
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tag_tasks.assets.guard import Page
from tag_tasks.assets.probes.fingerprints import fingerprints
from tag_tasks.assets.probes.html import Html, read

SLOW = 1.0  # seconds


def page(*headers: tuple[str, str], body: str = "") -> Page:
    kind = ("Content-Type", "text/html")
    at = ip_address("127.1.0.1")
    return Page(
        url="http://www.corp.example/", address=at, status=200, headers=(kind, *headers), body=body.encode(), cut=False
    )


def known(*headers: tuple[str, str], body: str = "") -> dict[str, str]:
    one = page(*headers, body=body)
    return {found.name: found.version for found in fingerprints(one, read(one))}


@pytest.mark.parametrize(
    ("header", "value", "technologies"),
    [
        ("Server", "nginx", {"nginx": ""}),
        ("server", "nginx/1.24.0", {"nginx": "1.24.0"}),
        ("Server", "openresty/1.21.4.1", {"OpenResty": "1.21.4.1"}),
        ("Server", "Tengine/2.3.3", {"Tengine": "2.3.3"}),
        (
            "Server",
            "Apache/2.4.57 (Debian) OpenSSL/3.0.2 PHP/8.2.1",
            {"Apache": "2.4.57", "OpenSSL": "3.0.2", "PHP": "8.2.1"},
        ),
        ("Server", "Apache-Coyote/1.1", {"Apache Tomcat": ""}),
        ("Server", "Microsoft-IIS/10.0", {"Microsoft IIS": "10.0"}),
        ("Server", "Jetty(9.4.43.v20210629)", {"Jetty": "9.4.43"}),
        ("Server", "Werkzeug/2.3.7 Python/3.11.4", {"Werkzeug": "2.3.7", "Python": "3.11.4"}),
        ("Server", "gunicorn", {"Gunicorn": ""}),
        ("X-Powered-By", "PHP/7.4.33", {"PHP": "7.4.33"}),
        ("X-Powered-By", "Express", {"Express": ""}),
        ("X-Powered-By", "ASP.NET", {"ASP.NET": ""}),
        ("X-AspNet-Version", "4.0.30319", {"ASP.NET": "4.0.30319"}),
        ("X-Jenkins", "2.401.3", {"Jenkins": "2.401.3"}),
        ("X-Drupal-Cache", "HIT", {"Drupal": ""}),
        ("X-Generator", "Drupal 10 (https://www.drupal.org)", {"Drupal": "10"}),
        ("Link", '<https://x/wp-json/>; rel="https://api.w.org/"', {"WordPress": ""}),
        ("kbn-name", "kibana", {"Kibana": ""}),
        ("Set-Cookie", "PHPSESSID=x; path=/", {"PHP": ""}),
        ("Set-Cookie", "JSESSIONID=x", {"Java": ""}),
        ("Set-Cookie", "laravel_session=x", {"Laravel": ""}),
        ("Set-Cookie", "csrftoken=x", {"Django": ""}),
        ("Set-Cookie", "grafana_session=x", {"Grafana": ""}),
        ("Set-Cookie", "_gitlab_session=x", {"GitLab": "", "Rails": ""}),
        ("Set-Cookie", "rememberMe=deleteMe", {"Shiro": ""}),
        ("Server", "something of our own", {}),
        ("X-Comment", "we left nginx/1.2.3 and PHP/5.4", {}),
        ("Set-Cookie", "x=PHPSESSID", {}),
    ],
)
def test_by_a_header(header: str, value: str, technologies: dict[str, str]) -> None:
    assert known((header, value)) == technologies


@pytest.mark.parametrize(
    ("body", "technologies"),
    [
        ("<meta name=generator content='WordPress 6.4.2'>", {"WordPress": "6.4.2"}),
        ("<meta name=generator content='Joomla! - Open Source Content Management'>", {"Joomla": ""}),
        ("<meta name=generator content='Discuz! X3.4'>", {"Discuz!": "3.4"}),
        ("<script src=/js/jquery-3.6.0.min.js></script>", {"jQuery": "3.6.0"}),
        ("<script src=/js/jquery.js?ver=1></script>", {"jQuery": ""}),
        ("<script src=/jquery/1.12.4/jquery.min.js></script>", {"jQuery": "1.12.4"}),
        ("<script src=/npm/vue@3.2.1/dist/vue.global.prod.js></script>", {"Vue.js": "3.2.1"}),
        ("<script src=/react-dom.production.min.js></script>", {"React": ""}),
        ("<link rel=stylesheet href=/wp-content/themes/x.css>", {"WordPress": ""}),
        ("<script src=/_next/static/chunks/main.js></script>", {"Next.js": ""}),
        ("<title>Grafana</title>", {"Grafana": ""}),
        ("<title>Apache Tomcat/9.0.65</title>", {"Apache Tomcat": "9.0.65"}),
        ("<title>Welcome to nginx!</title>", {"nginx": ""}),
        ("<h1>Whitelabel Error Page</h1>", {"Spring Boot": ""}),
        ("<input name=\"csrfmiddlewaretoken\">", {"Django": ""}),
        ("<title>How we moved from Grafana to Kibana</title>", {}),
        ("<p>jquery-3.6.0.min.js, nginx/1.24.0, WordPress 6.4</p>", {}),
        ("<!-- <script src=/js/jquery-3.6.0.min.js></script> -->", {}),
        ("<script src=/my-reactions.js></script><script src=/avue.js></script>", {}),
    ],
)  # fmt: skip
def test_by_the_page(body: str, technologies: dict[str, str]) -> None:
    assert known(body=body) == technologies


def test_a_version_is_kept_wherever_it_is_told() -> None:
    headers = [("Set-Cookie", "PHPSESSID=x"), ("X-Powered-By", "PHP/8.1.2"), ("Server", "nginx")]
    assert known(*headers) == {"PHP": "8.1.2", "nginx": ""}


@pytest.mark.parametrize("piece", ["a", "/react-", "link: ", "1.", "nginx ", "/jquery.min", "phusion passenger", "- "])
def test_whatever_is_shown_is_looked_at_soon(piece: str) -> None:
    names = ("Server", "X-Powered-By", "Link", "Set-Cookie", "Via")
    hostile = page(*[(name, piece * 1000) for name in names for _ in range(100)], body="<a" * 1_000_000)
    urls = tuple(f"http://x/{n}{piece * 500}" for n in range(500))
    began = time.process_time()
    fingerprints(hostile, Html(title=piece * 100, generator=piece * 100, scripts=urls, resources=urls))
    assert time.process_time() - began < SLOW


@given(
    st.lists(st.tuples(st.sampled_from(["Server", "X-Powered-By", "Set-Cookie", "X-Jenkins"]), st.text())), st.text()
)
def test_nothing_that_is_shown_is_an_error(headers: list[tuple[str, str]], body: str) -> None:
    one = page(*headers, body=body.encode("utf-8", "replace").decode())
    assert all(len(found.version) <= 60 for found in fingerprints(one, read(one)))
