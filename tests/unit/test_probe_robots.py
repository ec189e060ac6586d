"""What a robots.txt asks for: by RFC 9309, as another reader understands it too, and soon."""

from __future__ import annotations

import time
from collections.abc import Sequence
from urllib.robotparser import RobotFileParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tag_tasks.assets.probes.robots import CLOSED, MOST_ROBOTS, MOST_WITH_STARS, Robots, robots_of

SLOW = 1.0  # seconds
MINE = "User-agent: tagapi\n"


def allows(text: str, path: str) -> bool:
    return robots_of(text.encode()).allows(path)


@pytest.mark.parametrize(
    ("rules", "path", "allowed"),
    [
        ("", "/", True),
        ("Disallow:", "/x", True),
        ("Disallow: /", "/x", False),
        ("Disallow: /", "/robots.txt", True),
        ("Disallow: /a", "/ab", False),
        ("Disallow: /a/", "/a", True),
        ("Disallow: /A", "/a", True),
        ("Disallow: /a\nAllow: /a/b", "/a/b/c", True),
        ("Allow: /a/b\nDisallow: /a", "/a/c", False),
        ("Disallow: /a\nAllow: /a", "/a", True),
        ("Disallow: /*.php", "/x/y.php?z", False),
        ("Disallow: /*.php$", "/x/y.php?z", True),
        ("Disallow: /*.php$", "/x/y.php", False),
        ("Disallow: /x$", "/x", False),
        ("Disallow: /x$", "/xy", True),
        ("Disallow: *$", "/any", False),
        ("Disallow: /a*b*c", "/a-b-b-c-d", False),
        ("Disallow: /a*b*c", "/a-c-b", True),
        ("Disallow: /ab*ab$", "/ab", True),
        ("Disallow: /a*\nAllow: /aa", "/aa", True),
        ("Allow: /page\nDisallow: /*.htm", "/page.htm", False),
        ("Disallow: /?", "/?x", False),
        ("Disallow: /é", "/%C3%A9", False),
        ("Disallow: /%c3%a9", "/é", False),
        ("Disallow: /%7Ejoe", "/~joe", False),
        ("Disallow: /a%2fb", "/a/b", True),
        ("Disallow: /a%2fb", "/a%2Fb", False),
        ("Disallow: /a b", "/a%20b", False),
        ("disallow :  /a  # not this", "/a", False),
        ("Disallow /a", "/a", True),
        ("Noindex: /a\nSitemap: /a\nCrawl-delay: 3", "/a", True),
    ],
)
def test_the_longest_rule_decides(rules: str, path: str, allowed: bool) -> None:
    assert allows(MINE + rules, path) is allowed
    assert allows((MINE + rules).replace("\n", "\r\n"), path) is allowed
    assert allows("User-agent: *\n" + rules, path) is allowed


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("Disallow: /", True),  # of nobody
        ("User-agent: other\nDisallow: /", True),
        ("User-agent: *\nDisallow: /\nUser-agent: TagAPI\nDisallow: /x", True),
        ("User-agent: tagapi/1.0\nDisallow: /\n\nUser-agent: *\nAllow: /", False),
        ("User-agent: other\nUser-agent: tagapi\nDisallow: /", False),
        ("User-agent: tagapi\nAllow: /x\nUser-agent: other\nDisallow: /a\nUser-agent: tagapi\nDisallow: /a", False),
        ("User-agent: tagapi\n\nUser-agent: *\nDisallow: /", False),  # no rule between: one group of two
        ("User-agent: tagapi\nSitemap: x\nUser-agent: other\nDisallow: /", False),
        ("User-agent: tagapi\nDisallow:\n\nUser-agent: *\nDisallow: /", True),
        ("User-agent: tagapibot\nDisallow: /", True),
        ("\ufeffUser-agent: *\nDisallow: /", False),
        ("<!doctype html><title>Not found</title>", True),
    ],
)
def test_the_groups_that_name_the_agent_count(text: str, allowed: bool) -> None:
    assert allows(text, "/a") is allowed


def test_without_rules_everything_is_allowed_and_with_none_that_can_be_read_nothing() -> None:
    assert Robots().allows("/x") and not CLOSED.allows("/x") and CLOSED.allows("/robots.txt")


RULES = st.lists(
    st.tuples(
        st.sampled_from(["Allow", "Disallow"]), st.sampled_from(["/", "/a", "/a/", "/a/b", "/b", "/b?c", "/%7Ed"])
    ),
    unique_by=lambda rule: rule[1],
    max_size=7,
)


@given(RULES, st.sampled_from(["/", "/a", "/a/b/c", "/ab", "/b", "/b?c=d", "/~d", "/e"]))
def test_another_reader_understands_the_same(rules: Sequence[tuple[str, str]], path: str) -> None:
    # The reader of the standard library takes the first rule that fits: so it gets the longest ones first.
    longest_first = sorted(rules, key=lambda rule: -len(rule[1].replace("%7E", "~")))
    lines = [MINE.strip(), *(f"{key}: {value}" for key, value in longest_first)]
    second = RobotFileParser()
    second.parse(lines)
    assert allows("\n".join(lines), path) is second.can_fetch("tagapi", path)


@pytest.mark.parametrize(
    "piece",
    [b"\n", b":\n", b"User-agent: *\n", b"User-agent: *\nDisallow: /a\n", b"a", b"Disallow: /*a*b*a\n", b"*a", b"%"],
)
def test_whatever_stands_there_is_read_soon(piece: bytes) -> None:
    head = b"User-agent: *\nDisallow: /x\nDisallow: /"
    began = time.process_time()
    robots = robots_of((head + piece * (MOST_ROBOTS // len(piece) + 1))[: MOST_ROBOTS * 2])
    for n in range(50):
        robots.allows("/" + "ab" * 900 + f"?{n}")
    assert time.process_time() - began < SLOW
    assert not robots.allows("/x")


def test_more_wildcards_than_can_be_looked_at_close_the_site() -> None:
    text = MINE + "".join(f"Disallow: /{n}*x\n" for n in range(MOST_WITH_STARS))
    assert allows(text, "/a")
    assert not allows(text + "Disallow: /more*", "/a")


@given(st.binary(max_size=300), st.text(max_size=50))
def test_nothing_that_stands_there_is_an_error(body: bytes, path: str) -> None:
    robots_of(b"User-agent: *\nDisallow: " + body).allows(f"/{path}")
