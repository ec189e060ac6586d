"""The scope file: read strictly, watched for changes, shut when it cannot be used; and what a scope allows."""

from __future__ import annotations

import logging
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from tag_tasks.assets.addresses import is_global, judged, never
from tag_tasks.assets.guard.gate import scopes_of
from tag_tasks.assets.scope import Asked, Own, Scope, Use, Why, name_refusal, refusal
from tag_tasks.assets.scope_file import LOOK_SECONDS, MOST_BYTES, ScopeError, ScopeFile, parse
from tests.clock import ManualClock

WHOLE = """
scopes:
  - id: corp
    name: Our own
    domains: [Corp.Example, бюро.example]
    networks: [198.51.100.0/24, "2001:db8:1::/48", 127.1.0.1]
    exclude: [legacy.corp.example, 198.51.100.7]
    ports: [80, 8000-8010]
    users: [ann]
"""

# -- reading -------------------------------------------------------------------------------


def test_a_scope_is_read_as_it_was_meant() -> None:
    (scope,) = parse(WHOLE.encode())
    assert scope.name == "Our own"
    assert scope.domains == ("corp.example", "xn--90a0af9c.example")
    assert scope.networks == tuple(map(ip_network, ("198.51.100.0/24", "2001:db8:1::/48", "127.1.0.1/32")))
    assert (scope.exclude_domains, scope.exclude_networks) == (
        ("legacy.corp.example",),
        (ip_network("198.51.100.7/32"),),
    )
    assert scope.ports == frozenset({80, *range(8000, 8011)})
    assert scope.open_to("ann") and not scope.open_to("bob")


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        ("domains: [a.example], port: [80]", "scopes[0]: unknown: port"),
        ("name: nothing", "scopes[0]: has neither"),
        ("domains: a.example", "scopes[0].domains: must be a list"),
        ("domains: ['*.a.example']", "scopes[0].domains[0]"),
        ("domains: ['https://a.example']", "scopes[0].domains[0]"),
        ("domains: [a.example, 'b.example/']", "scopes[0].domains[1]"),
        ("domains: [example]", "scopes[0].domains[0]"),
        ("domains: [co.uk]", "scopes[0].domains[0]"),
        ("domains: [github.io]", "scopes[0].domains[0]"),
        ("domains: [10.0.0.1]", "scopes[0].domains[0]"),
        ("domains: ['0x7f.1']", "scopes[0].domains[0]"),
        ("domains: [1.5]", "scopes[0].domains[0]"),
        ("domains: ['a b.example']", "scopes[0].domains[0]"),
        ("domains: ['xn--a.example']", "scopes[0].domains[0]"),
        ("networks: [10.0.0.1/8]", "scopes[0].networks[0]"),
        ("networks: [10.0.0.0/33]", "scopes[0].networks[0]"),
        ("networks: ['010.0.0.0/8']", "scopes[0].networks[0]"),
        ("networks: [10.0.0.0/255.0.0.0]", "scopes[0].networks[0]"),
        ("networks: [0.0.0.0/0]", "scopes[0].networks[0]"),
        ("networks: ['::/0']", "scopes[0].networks[0]"),
        ("networks: ['::ffff:10.0.0.0/104']", "scopes[0].networks[0]"),
        ("networks: ['2002:a00::/24']", "scopes[0].networks[0]"),
        ("networks: ['fe80::%eth0/64']", "scopes[0].networks[0]"),
        ("networks: [169.254.0.0/16]", "scopes[0].networks[0]"),
        ("networks: ['ff00::/16']", "scopes[0].networks[0]"),
        ("networks: [a.example]", "scopes[0].networks[0]"),
        ("networks: [10]", "scopes[0].networks[0]"),
        ("domains: [a.example], exclude: [10.0.0.0/7x]", "scopes[0].exclude[0]"),
        ("domains: [a.example], exclude: ['::ffff:10.0.0.1']", "scopes[0].exclude[0]"),
        ("domains: [a.example], exclude: ['*.a.example']", "scopes[0].exclude[0]"),
        ("domains: [a.example], exclude: ['0x7f000001']", "scopes[0].exclude[0]"),
        ("domains: [a.example], exclude: ['2130706433']", "scopes[0].exclude[0]"),
        ("domains: [a.example], ports: []", "scopes[0].ports"),
        ("domains: [a.example], ports: 80", "scopes[0].ports"),
        ("domains: [a.example], ports: [0]", "scopes[0].ports[0]"),
        ("domains: [a.example], ports: [80, 65536]", "scopes[0].ports[1]"),
        ("domains: [a.example], ports: [true]", "scopes[0].ports[0]"),
        ("domains: [a.example], ports: ['90-80']", "scopes[0].ports[0]"),
        ("domains: [a.example], ports: [22:22]", "scopes[0].ports[0]"),
        ("domains: [a.example], ports: [0120]", "scopes[0].ports[0]"),
        ("domains: [a.example], users: []", "scopes[0].users"),
        ("domains: [a.example], users: ann", "scopes[0].users"),
        ("domains: [a.example], domains: [b.example]", "domains is there twice"),
        ("domains: [a.example], name: 7", "scopes[0].name"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(entry: str, place: str) -> None:
    with pytest.raises(ScopeError) as caught:
        parse(f"scopes: [{{id: corp, {entry}}}]".encode())
    assert place in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "scopes:",
        "scopes: {}",
        "[]",
        "scopes: []\nmore: 1",
        "scopes: [1]",
        "scopes: [{}]",
        "scopes: [{id: '', domains: [a.example]}]",
        "scopes: [{id: 7, domains: [a.example]}]",
        "scopes: [{id: a, domains: [a.example]}, {id: a, domains: [b.example]}]",
        "scopes: [",
        "scopes: [2024-02-31]",
        "? [a]\n: b",
        "!!python/object/apply:os.system [ls]",
        "[" * 5000,
    ],
)
def test_what_is_no_scope_file_is_refused(content: str) -> None:
    with pytest.raises(ScopeError):
        parse(content.encode())


# -- watching ------------------------------------------------------------------------------


class Watched:
    """A scope file, and a service that reads it on a manual clock."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "scopes.yaml"
        self.path.write_text(WHOLE, encoding="utf-8")
        self.clock = ManualClock()
        self.file = ScopeFile(self.path, self.clock.monotonic)

    def later(self) -> ScopeFile:
        self.clock.advance(LOOK_SECONDS)
        return self.file


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_a_change_counts_within_five_seconds(watched: Watched) -> None:
    assert [one.id for one in watched.file.scopes()] == ["corp"]
    watched.path.write_text(WHOLE.replace("id: corp", "id: core"), encoding="utf-8")  # of the same size
    assert LOOK_SECONDS <= 5
    assert [one.id for one in watched.later().scopes()] == ["core"]


@pytest.mark.parametrize("how", ["gone", "broken", "folder", "large", "latin"])
def test_a_file_that_cannot_be_used_closes_every_scope(
    watched: Watched, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    watched.file.scopes()
    watched.path.unlink()
    if how == "broken":
        watched.path.write_text(WHOLE + "  - {}\n", encoding="utf-8")
    elif how == "folder":
        watched.path.mkdir()
    elif how == "large":
        watched.path.write_bytes(b"#" * (MOST_BYTES + 1))
    elif how == "latin":
        watched.path.write_bytes(WHOLE.encode() + b"# \xff\n")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            with pytest.raises(ScopeError):
                watched.later().scopes()
    assert [one.message for one in caplog.records] == ["scopes_unusable"]
    if how == "folder":
        watched.path.rmdir()
    watched.path.write_text(WHOLE, encoding="utf-8")
    assert len(watched.later().scopes()) == 1


def test_there_may_be_no_file_at_first(tmp_path: Path) -> None:
    for path in (None, tmp_path / "none.yaml"):
        with pytest.raises(ScopeError):
            ScopeFile(path).scopes()


def test_a_job_works_in_its_scopes_as_they_are_now_and_its_user_may_see_them(watched: Watched) -> None:
    anns, bobs, admins = (scopes_of(watched.file, ["corp"], user) for user in ("ann", "bob", None))
    assert len(anns()) == 1 and not bobs() and len(admins()) == 1
    assert not scopes_of(watched.file, ["other"], None)()
    watched.path.write_text(WHOLE.replace("[ann]", "[bob]"), encoding="utf-8")
    watched.later()
    assert not anns() and len(bobs()) == 1


# -- what is allowed -----------------------------------------------------------------------

CORP = Scope(
    id="corp",
    name="corp",
    domains=("corp.example",),
    networks=(ip_network("10.1.0.0/16"), ip_network("127.1.0.0/16"), ip_network("2001:db8:1::/48")),
    exclude_domains=("legacy.corp.example",),
    exclude_networks=(ip_network("10.1.9.0/24"), ip_network("8.8.8.0/24")),
)
WWW = "www.corp.example"


def why(address: str, port: int = 80, use: Use = Use.VISIT, name: str | None = None, *scopes: Scope) -> Why | None:
    return refusal(scopes or (CORP,), Asked(address=ip_address(address), port=port, use=use, name=name))


@pytest.mark.parametrize(
    ("address", "port", "use", "name", "expected"),
    [
        ("93.184.216.34", 80, Use.VISIT, WWW, None),
        ("93.184.216.34", 443, Use.VISIT, "corp.example", None),
        ("2606:2800::1", 443, Use.VISIT, WWW, None),
        ("93.184.216.34", 8080, Use.VISIT, WWW, Why.PORT),
        ("93.184.216.34", 80, Use.SCAN, WWW, Why.NETWORKS_ONLY),
        ("93.184.216.34", 80, Use.VISIT, None, Why.OUTSIDE),
        ("93.184.216.34", 80, Use.VISIT, "corp.example.org", Why.OUTSIDE),
        ("93.184.216.34", 80, Use.VISIT, "notcorp.example", Why.OUTSIDE),
        ("93.184.216.34", 80, Use.VISIT, "legacy.corp.example", Why.EXCLUDED),
        ("93.184.216.34", 80, Use.VISIT, "old.legacy.corp.example", Why.EXCLUDED),
        ("8.8.8.8", 80, Use.VISIT, WWW, Why.EXCLUDED),
        ("::ffff:8.8.8.8", 80, Use.VISIT, WWW, Why.EXCLUDED),
        ("10.2.0.1", 80, Use.VISIT, WWW, Why.NOT_GLOBAL),
        ("127.0.0.1", 80, Use.VISIT, WWW, Why.NOT_GLOBAL),
        ("::1", 80, Use.VISIT, WWW, Why.NOT_GLOBAL),
        ("100.64.0.1", 80, Use.VISIT, WWW, Why.NOT_GLOBAL),
        ("fec0::1", 80, Use.VISIT, WWW, Why.NOT_GLOBAL),
        ("::ffff:10.2.0.1", 80, Use.VISIT, WWW, Why.NOT_GLOBAL),
        ("64:ff9b::10.2.0.1", 80, Use.VISIT, WWW, Why.NOT_GLOBAL),
        ("2002:a02:1::", 80, Use.VISIT, WWW, Why.NOT_GLOBAL),
        ("10.1.0.1", 8080, Use.VISIT, WWW, None),
        ("10.1.0.1", 22, Use.SCAN, None, None),
        ("10.1.0.1", 22, Use.SCAN, "corp.example.org", Why.OUTSIDE),
        ("10.1.9.1", 80, Use.VISIT, None, Why.EXCLUDED),
        ("::ffff:10.1.0.1", 22, Use.SCAN, None, None),
        ("::ffff:10.1.9.1", 22, Use.SCAN, None, Why.EXCLUDED),
        ("127.1.0.1", 22, Use.SCAN, None, None),
        ("127.0.0.1", 22, Use.SCAN, None, Why.OUTSIDE),
        ("2001:db8:1::1", 22, Use.SCAN, None, None),
        ("169.254.169.254", 80, Use.VISIT, WWW, Why.NEVER),
        ("::ffff:169.254.169.254", 80, Use.VISIT, WWW, Why.NEVER),
        ("168.63.129.16", 80, Use.VISIT, WWW, Why.NEVER),
        ("0.0.0.0", 80, Use.VISIT, WWW, Why.NEVER),  # noqa: S104
        ("::", 80, Use.VISIT, WWW, Why.NEVER),
        ("fe80::1", 80, Use.VISIT, WWW, Why.NEVER),
        ("224.0.0.1", 80, Use.VISIT, WWW, Why.NEVER),
    ],
)
def test_what_a_scope_allows(address: str, port: int, use: Use, name: str | None, expected: Why | None) -> None:
    assert why(address, port, use, name) is expected


def test_no_network_can_allow_what_is_never_contacted() -> None:
    wide = Scope(id="wide", name="wide", networks=(ip_network("0.0.0.0/0"), ip_network("::/0")))
    for one in ("169.254.1.1", "0.0.0.1", "239.1.1.1", "255.255.255.255", "fe80::1", "ff02::1", "64:ff9b:1::a01:1"):
        assert why(one, 80, Use.SCAN, None, wide) is Why.NEVER


def test_what_one_scope_excludes_is_excluded_from_a_job_that_works_in_several() -> None:
    other = Scope(id="other", name="other", networks=(ip_network("10.1.9.0/24"),))
    assert why("10.1.9.1", 22, Use.SCAN, None, other) is None
    assert why("10.1.9.1", 22, Use.SCAN, None, CORP, other) is Why.EXCLUDED


def test_name_and_address_have_to_be_in_the_same_scope() -> None:
    other = Scope(id="other", name="other", networks=(ip_network("10.2.0.0/16"),))
    assert why("10.2.0.1", 80, Use.VISIT, WWW, CORP, other) is Why.NOT_GLOBAL


def test_without_a_scope_nothing_is_allowed() -> None:
    assert refusal((), Asked(address=ip_address("10.1.0.1"), port=80, use=Use.SCAN)) is Why.CLOSED
    assert name_refusal((), WWW) is Why.CLOSED


def test_names_are_asked_for_where_a_domain_has_them() -> None:
    assert name_refusal((CORP,), WWW) is None
    assert name_refusal((CORP,), "a.legacy.corp.example") is Why.EXCLUDED
    assert name_refusal((CORP,), "corp.example.org") is Why.OUTSIDE


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("::ffff:0:10.1.2.3", "10.1.2.3"),
        ("::10.1.2.3", "10.1.2.3"),
        ("64:ff9b::10.1.2.3", "10.1.2.3"),
        ("2002:a01:203::1", "10.1.2.3"),
        ("2001:0:1:2:3:4:f5fe:fdfc", "10.1.2.3"),
        ("2606:2800::5efe:10.1.2.3", "10.1.2.3"),
        ("2606:2800::200:5efe:10.1.2.3", "10.1.2.3"),
        ("::1", "::1"),
        ("::", "::"),
        ("2606:2800::1", "2606:2800::1"),
        ("10.1.2.3", "10.1.2.3"),
    ],
)
def test_an_address_is_judged_by_the_one_inside(address: str, inside: str) -> None:
    assert judged(ip_address(address)) == ip_address(inside)
    assert is_global(ip_address(address)) is is_global(ip_address(inside))
    assert never(ip_address(address)) is never(ip_address(inside))


def test_a_listener_everywhere_is_met_at_each_address_of_this_machine() -> None:
    everywhere, one = (Own(ip_address(at), 5000) for at in ("0.0.0.0", "127.0.0.1"))  # noqa: S104
    for address, here in (("127.9.9.9", False), ("10.1.0.1", True), ("::1", False), ("::ffff:127.0.0.1", False)):
        assert everywhere.meets(ip_address(address), 5000, here)
        assert not everywhere.meets(ip_address(address), 5001, here)
    assert not everywhere.meets(ip_address("10.1.0.1"), 5000, False)
    assert one.meets(ip_address("::ffff:127.0.0.1"), 5000, True)
    assert not one.meets(ip_address("127.0.0.2"), 5000, True)
