"""Which names there are: every one that is, none that only a wildcard answers, and nothing asked outside."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address, ip_network
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tag_tasks.assets import found
from tag_tasks.assets.found import Kind
from tag_tasks.assets.guard.names import Names
from tag_tasks.assets.options import Options
from tag_tasks.assets.probes.names import (
    MOST_IN_TEXT,
    MOST_VARIATIONS,
    WORDS,
    Name,
    candidates,
    names_in,
    resolve,
    variations,
)
from tag_tasks.assets.scan import AT_ONCE, Scan
from tag_tasks.assets.scope import Scope
from tag_tasks.assets.spelling import domain
from tests.internet.names import Turns, Zone
from tests.internet.net import Internet
from tests.unit.scanning import Taken, scan

CORP = Scope(
    id="corp",
    name="corp",
    domains=("corp.example", "wild.example", "dead.example"),
    networks=(ip_network("127.1.0.0/16"),),
    exclude_domains=("legacy.corp.example",),
)
BRUTE = Options(domain_brute=True, domain_brute_type="test")


def look(
    zone: Zone, names: Callable[[], Any], known: set[str] | None = None, **guard: Any
) -> tuple[list[Name], Taken, Internet]:
    """What resolving leads to, what was found, and the internet after it."""
    net = Internet(zone, {}, addresses=())
    there: list[Name] = []

    async def scene(scan: Scan) -> None:
        there.extend(await resolve(scan, names(), set() if known is None else known))

    return there, scan(net, [CORP], scene, **guard), net


def told(taken: Taken) -> dict[str, tuple[list[str], str]]:
    return {row["name"]: (row["addresses"], row["source"]) for row in taken.of(Kind.DOMAINS)}


# -- resolving -----------------------------------------------------------------------------


def test_every_name_that_there_is_is_found_and_nothing_else() -> None:
    zone: Zone = {
        "corp.example": {"A": ["127.1.0.1"]},
        "www.corp.example": {"CNAME": ["cdn.elsewhere.test."]},
        "cdn.elsewhere.test": {"A": ["127.1.0.2"], "AAAA": ["2001:db8::1"]},
        "api.corp.example": {"A": ["127.1.0.3"]},
        "mail.corp.example": {"MX": ["10 api.corp.example."]},
        "unlisted.corp.example": {"A": ["127.1.0.4"]},
    }
    there, taken, _ = look(zone, lambda: candidates(["corp.example"], BRUTE))
    assert told(taken) == {
        "corp.example": (["127.1.0.1"], "given"),
        "www.corp.example": (["127.1.0.2", "2001:db8::1"], "brute"),
        "api.corp.example": (["127.1.0.3"], "brute"),
    }
    (www,) = [one for one in there if one.name == "www.corp.example"]
    where = (ip_address("127.1.0.2"), ip_address("2001:db8::1"))
    assert www == Name("www.corp.example", where, ("cdn.elsewhere.test",), "brute")
    assert not taken.said(found.REFUSED) and not taken.said(found.SKIPPED)


def test_a_wildcard_explains_what_was_guessed_and_nothing_else() -> None:
    zone: Zone = {
        "*.wild.example": {"A": ["127.1.0.1", "127.1.0.2"]},
        "www.wild.example": {"A": ["127.1.0.9"]},
        "api.wild.example": {"A": ["127.1.0.1"]},
        "*.www.wild.example": {"CNAME": ["shop.wild.example."]},
        "dev.www.wild.example": {"A": ["127.1.0.8"]},
    }
    guesses = ["www", "api", "nothing", "dev.www", "other.www", "a.nothing", "a.b.c.nothing"]
    names = [("given.wild.example", "given"), *((f"{one}.wild.example", "brute") for one in guesses)]
    _, taken, _ = look(zone, lambda: names)
    assert told(taken) == {
        "given.wild.example": (["127.1.0.1", "127.1.0.2"], "given"),
        "www.wild.example": (["127.1.0.9"], "brute"),
        "dev.www.wild.example": (["127.1.0.8"], "brute"),
    }


def test_a_wildcard_is_asked_for_once_below_each_parent() -> None:
    zone: Zone = {"*.wild.example": {"A": ["127.1.0.1"]}}
    _, taken, net = look(zone, lambda: candidates(["wild.example"], Options(domain_brute=True)))
    assert told(taken) == {}
    made_up = {name for name, _ in net.names.asked if name.startswith("x") and len(name.partition(".")[0]) == 17}
    assert len(made_up) == 3 and len({name for name, _ in net.names.asked}) == 1 + WORDS["small"] + 3


def test_a_wildcard_that_leads_to_many_machines_in_turn_is_seen_through() -> None:
    turning = Turns(*[[f"127.1.0.{n}"] for n in (1, 2, 3, 4, 5, 6)], ["127.1.0.1", "127.1.0.2", "127.1.0.6"])
    zone: Zone = {"*.wild.example": {"A": turning}, "real.wild.example": {"A": ["127.1.1.1"]}}
    names = [("a.wild.example", "brute"), ("real.wild.example", "brute"), ("b.wild.example", "alt")]
    assert told(look(zone, lambda: names)[1]) == {"real.wild.example": (["127.1.1.1"], "brute")}


def test_what_is_outside_or_excluded_is_refused_and_the_others_go_on() -> None:
    zone: Zone = {
        "evil.test": {"A": ["127.1.0.1"]},
        "legacy.corp.example": {"A": ["127.1.0.1"]},
        "www.corp.example": {"A": ["127.1.0.1"]},
    }
    names = [(one, "certificate") for one in ("evil.test", "legacy.corp.example", "not a name", "www.corp.example")]
    _, taken, net = look(zone, lambda: names)
    assert told(taken) == {"www.corp.example": (["127.1.0.1"], "certificate")}
    assert taken.said(found.REFUSED) == [
        ("evil.test", "outside"),
        ("legacy.corp.example", "excluded"),
        ("not a name", "spelling"),
    ]
    assert {name for name, _ in net.names.asked} == {"www.corp.example"}


def test_a_name_is_told_once_and_known_ones_are_not_asked_for() -> None:
    zone: Zone = {"a.corp.example": {"A": ["127.1.0.1"]}, "b.corp.example": {"A": ["127.1.0.1"]}}
    known = {"b.corp.example"}
    names = [("a.corp.example", "given"), ("b.corp.example", "given"), ("a.corp.example", "page")]
    there, _, net = look(zone, lambda: names, known)
    assert [one.name for one in there] == ["a.corp.example"] and known == {"a.corp.example", "b.corp.example"}
    assert "b.corp.example" not in {name for name, _ in net.names.asked}


def test_name_servers_that_say_nothing_are_given_up_and_keep_nobody_from_theirs() -> None:
    zone: Zone = {"www.corp.example": {"A": ["127.1.0.1"]}}
    net = Internet(zone, {}, addresses=())
    options = Options(domain_brute=True, domain_brute_type="small")

    async def scene(scan: Scan) -> None:
        scan.guard._names = Names(net.servers, seconds=2.0)
        words = [name for name, _ in candidates(["dead.example"], options)]
        net.names.silent.update(words)
        await resolve(scan, candidates(["dead.example", "corp.example"], options), set())

    taken = scan(net, [CORP], scene)
    assert set(told(taken)) == {"www.corp.example"}
    said = dict(taken.said(found.SKIPPED))
    count, _, rest = said.pop("*.dead.example").partition(" ")
    assert rest == "guesses had no answer, the rest was not asked" and 50 <= int(count) <= 50 + AT_ONCE
    assert said.pop("corp.example") == "the name has no address"
    assert set(said) == {"dead.example"}


def test_a_name_that_was_given_and_is_none_is_told() -> None:
    zone: Zone = {"www.corp.example": {"A": ["127.1.0.1"]}}
    _, taken, _ = look(zone, lambda: candidates(["www.corp.example", "nope.corp.example"], BRUTE))
    assert taken.said(found.SKIPPED) == [("nope.corp.example", "the name has no address")]


def test_names_are_drawn_as_there_is_room_for_them() -> None:
    drawn = most = 0

    async def scene(scan: Scan) -> None:
        def many() -> Iterator[tuple[str, str]]:
            nonlocal drawn, most
            for n in range(1000):
                drawn += 1
                most = max(most, drawn - len({name for name, _ in net.names.asked}))
                yield f"n{n}.corp.example", "brute"

        assert await resolve(scan, many(), set()) == []

    net = Internet({}, {}, addresses=())
    scan(net, [CORP], scene)
    assert drawn == 1000 and most <= AT_ONCE + 1


# -- guesses -------------------------------------------------------------------------------


def test_the_word_lists_are_as_long_as_they_say_and_good_names() -> None:
    def words(kind: str) -> list[tuple[str, str]]:
        return list(candidates(["corp.example"], Options(domain_brute=True, domain_brute_type=kind)))

    for kind, size in WORDS.items():
        (given_one, *brute) = words(kind)
        assert given_one == ("corp.example", "given") and {source for _, source in brute} == {"brute"}
        assert len(brute) == len(set(brute)) == size
        assert all(domain(name) == name and name.endswith(".corp.example") for name, _ in brute)
    assert list(candidates(["corp.example"], Options())) == [("corp.example", "given")]


def test_candidates_are_drawn_lazily_and_none_is_too_long() -> None:
    many = [f"d{n}.example" for n in range(100_000)]
    began = time.process_time()
    assert len(list(islice(candidates(many, BRUTE), 1000))) == 1000
    assert time.process_time() - began < 1
    long = ".".join(["a" * 60] * 4)  # 243 characters
    names = [name for name, _ in candidates([long], Options(domain_brute=True, domain_brute_type="big"))]
    assert len(names) > 1 and max(map(len, names)) == 253


def test_variations_are_like_known_names_and_never_known() -> None:
    known = [
        "corp.example",
        "www.corp.example",
        "api-dev.corp.example",
        "web07.eu.corp.example",
        "dev-www.corp.example",
    ]
    made = list(variations(known, ["corp.example", "other.example"]))
    names = {name for name, source in made if source == "alt"}
    assert len(made) == len(names) and not names & set(known)
    assert names >= {
        *("www-dev.corp.example", "staging-www.corp.example", "www2.corp.example", "dev.www.corp.example"),
        *("api-staging.corp.example", "api.corp.example", "web08.eu.corp.example", "web06.eu.corp.example"),
        *("eu.web07.corp.example", "web07-eu.corp.example", "www.dev.corp.example"),
    }
    assert all(name.endswith(".corp.example") and domain(name) == name for name in names)


def test_variations_are_bounded_for_each_domain_and_each_name_has_its_share() -> None:
    many = [f"host{n}.{over}" for over in ("corp.example", "wild.example") for n in range(1500)]
    made = [name for name, _ in variations(many, ["corp.example", "wild.example"])]
    assert len(made) == len(set(made)) == 2 * MOST_VARIATIONS
    assert sum("host1499" in name or "host1500" in name for name in made) >= 1


# -- names in texts ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('<a href="https://WWW.Corp.example/a.b">', {"www.corp.example"}),
        ("corp.example, a.corp.example.", {"corp.example", "a.corp.example"}),
        ("https%3A%2F%2Fa.corp.example%2Fx", {"a.corp.example"}),
        (r"\u002f\u002fa.corp.example\nb.corp.example\x2fc.corp.example", {f"{n}.corp.example" for n in "abc"}),
        ("*.corp.example ..x.corp.example.. <!--y.corp.example-->", {f"{n}corp.example" for n in ("", "x.", "y.")}),
        ("notcorp.example corp.example.evil.test corp.examples xcorp.example", set()),
        ("a..corp.example", {"corp.example"}),
        ("xn--invalid-.corp.example -a.b-.corp.example", set()),
        ("user@mail.corp.example:25", {"mail.corp.example"}),
        ("日本corp.example日本", {"corp.example"}),
        (".".join(["a" * 60] * 5) + ".corp.example", set()),
        ("", set()),
    ],
)
def test_names_in_a_text_are_those_below_the_domains(text: str, names: set[str]) -> None:
    assert names_in(text, ["corp.example"]) == names


@given(st.lists(st.from_regex(r"[a-z0-9]{1,8}(\.[a-z0-9]{1,8}){0,3}", fullmatch=True)), st.text(max_size=3), st.data())
def test_each_planted_name_is_found_between_whatever_ends_a_name(
    labels: Sequence[str], noise: str, data: st.DataObject
) -> None:
    between = data.draw(st.sampled_from(['"', " ", "/", "\n", "<", "(", "@", "'", ",", "="]))
    text = between.join([f"{one}.corp.example" for one in labels] + [noise.replace("\\", "").replace("%", "")])
    assert names_in(text, ["corp.example"]) >= {f"{one}.corp.example" for one in labels}


@given(st.text(alphabet="ab.-_%\\u0 xX*corp.example", max_size=200))
def test_whatever_is_found_is_a_name_below_a_domain_and_stands_in_the_text(text: str) -> None:
    for name in names_in(text, ["a.b", "corp.example"]):
        assert domain(name) == name and name in text.lower()
        assert name in {"a.b", "corp.example"} or name.endswith((".a.b", ".corp.example"))


@pytest.mark.parametrize(
    "piece", ["a", "a.", "a ", "-", ".", "a.example ", "corp.example", "x.corp.example ", "%41", "\\u0041", "a-", "é"]
)
def test_a_hostile_text_takes_no_time(piece: str) -> None:
    text = piece * (2 * 1024 * 1024 // len(piece))
    began = time.process_time()
    names_in(text, ["corp.example", *(f"d{n}.example" for n in range(1000))])
    assert time.process_time() - began < 1.5  # it takes a tenth of that, on a machine that is not busy


def test_a_text_has_so_many_names_at_most() -> None:
    text = " ".join(f"n{n}.corp.example" for n in range(2 * MOST_IN_TEXT))
    assert len(names_in(text, ["corp.example"])) == MOST_IN_TEXT
