"""What nothing that runs here may connect to."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from tagapi.own import own_sockets

LISTENING = (("0.0.0.0", 5000), ("::1", 5001))  # noqa: S104


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("redis://ann:secret@127.0.0.1:6390/0", 6390),
        ("rediss://localhost", 6379),
        ("sc://127.0.0.1:50051/;token=abc", 50051),
        ("sc://localhost", 15002),
    ],
)
def test_what_it_is_reached_at_and_what_it_reaches_are_its_own(url: str, port: int) -> None:
    own = own_sockets(LISTENING, "sqlite:///data/jobs.db", url)
    here = ip_address("127.0.0.1")
    for where in (5000, port):
        assert any(one.meets(here, where, here=True) for one in own)
    assert any(one.meets(ip_address("::1"), 5001, here=True) for one in own)
    assert not any(one.meets(here, 5001, here=True) or one.meets(ip_address("127.0.0.2"), port, True) for one in own)


@pytest.mark.parametrize(
    "url", ["", "memory://", "sqlite:///jobs.db", "unix:///run/redis.sock", "sc://no.such.invalid"]
)
def test_where_no_socket_is_reached_nothing_is_added(url: str) -> None:
    assert len(own_sockets(LISTENING, url)) == len(LISTENING)
