"""What listens at open ports: every service that says what it is, and nothing is ever said to one."""

from __future__ import annotations

import asyncio
import time
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tag_tasks.assets import found
from tag_tasks.assets.found import MOST_TEXT, Kind
from tag_tasks.assets.probes.banners import Known, known, text_of, whole
from tag_tasks.assets.probes.services import MOST_BANNER, services
from tag_tasks.assets.scan import Scan
from tag_tasks.assets.scope import Scope
from tests.internet.certificates import certificate, server
from tests.internet.net import Internet
from tests.internet.services import Where, silent
from tests.internet.services import services as listening
from tests.unit.scanning import Taken, scan

CORP = Scope(id="corp", name="corp", networks=(ip_network("127.1.0.0/16"),))
SOON = 0.1  # seconds for a banner, and for a target that uses them up
MYSQL = b"J\x00\x00\x00\x0a8.0.36-0ubuntu0.22.04.1\x00" + bytes(range(1, 60))
TLS = 0x16  # the first byte of a handshake


def net() -> Internet:
    return Internet({}, {}, addresses=())


def rows(taken: Taken) -> dict[str, dict[str, Any]]:
    return {f"{row['address']}:{row['port']}": row for row in taken.of(Kind.ADDRESSES)}


def row(at: Where, **facts: Any) -> dict[str, Any]:
    return {"address": str(at[0]), "port": at[1], **facts}


def test_each_service_is_known_by_what_it_says_first_and_nothing_is_said_to_it() -> None:
    planted: dict[str, dict[str, Any]] = {}
    said = [
        (b"SSH-2.0-OpenSSH_9.6p1 Ubuntu-3\r\n", {"service": "ssh", "product": "OpenSSH", "version": "9.6p1"}),
        (b"220 mail.corp.example ESMTP Postfix (Debian)\r\n", {"service": "smtp", "product": "Postfix"}),
        (b"220 (vsFTPd 3.0.5)\r\n", {"service": "ftp", "product": "vsFTPd", "version": "3.0.5"}),
        (MYSQL, {"service": "mysql", "product": "MySQL", "version": "8.0.36-0ubuntu0.22.04.1"}),
        (b"RFB 003.008\n", {"service": "vnc", "version": "003.008"}),
        (b"something of our own 1.0\n", {}),
    ]

    async def scene(scan: Scan) -> None:
        async with listening() as there:
            where = {await there.listen(f"127.1.0.{n}", says): facts for n, (says, facts) in enumerate(said, 1)}
            planted.update({f"{at}:{port}": row((at, port), **facts) for (at, port), facts in where.items()})
            answered = await services(scan, where, total=len(where))
            assert {(one.address, one.port) for one in answered} == set(where)
            await there.all_gone()
            assert there.heard == {one: [b""] for one in where}  # one connection each

    taken = scan(net(), [CORP], scene)
    told = rows(taken)
    assert {at: {**facts, "banner": told[at]["banner"]} for at, facts in planted.items()} == told
    assert told[next(iter(planted))]["banner"] == "SSH-2.0-OpenSSH_9.6p1 Ubuntu-3"
    assert not taken.said(found.SKIPPED) and not taken.said(found.REFUSED)


def test_inside_of_tls_it_is_listened_to_as_well() -> None:
    tls = server(("a", certificate("a")))
    where: list[Where] = []

    async def scene(scan: Scan) -> None:
        async with listening() as there:
            where.append(await there.listen("127.1.0.1", b"* OK [CAPABILITY IMAP4rev1] Dovecot ready.\r\n", tls))
            where.append(await there.listen("127.1.0.2", b"", tls))
            await services(scan, where, seconds=SOON)
            await there.all_gone()
            assert {said for one in there.heard.values() for said in one} == {b""}

    first, second = rows(scan(net(), [CORP], scene)).values()
    banner = "* OK [CAPABILITY IMAP4rev1] Dovecot ready."
    assert first == row(where[0], service="imap", product="Dovecot", banner=banner, tls="TLSv1.3")
    assert second == row(where[1], tls="TLSv1.3")


def test_who_says_nothing_is_guessed_by_the_port_and_marked_so() -> None:
    async def scene(scan: Scan) -> None:
        async with listening() as there:
            where = await there.listen("127.1.0.1")
            await services(scan, [where, (ip_address("127.1.0.2"), 6379)], seconds=SOON)
            await there.all_gone()
            plain, handshake = there.heard[where]
            assert (plain, handshake[0]) == (b"", TLS)

    taken = scan(net(), [CORP], scene, seconds=3 * SOON)
    silent_one, gone = rows(taken).values()
    assert set(silent_one) == {"address", "port"}
    assert (gone["service"], gone["guessed"]) == ("redis", True)
    assert [what for what, _ in taken.said(found.SKIPPED)] == ["127.1.0.2:6379"]


def test_a_tarpit_delays_nothing_but_itself() -> None:
    async def scene(scan: Scan) -> None:
        async with listening() as there:
            slow = [await there.listen(f"127.1.1.{n}", b"a line that never ends") for n in range(1, 10)]
            quick = [await there.listen(f"127.1.2.{n}", b"SSH-2.0-x_1\r\n") for n in range(1, 100)]
            with silent("127.1.3.1") as dead:
                working = asyncio.create_task(services(scan, [*slow, dead, *quick], seconds=60))
                while not there.heard.keys() >= set(quick):
                    await asyncio.sleep(0)
                assert there.heard.keys() == set(quick) and not working.done()
                working.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await working

    taken = scan(net(), [CORP], scene)
    assert len([one for one in taken.of(Kind.ADDRESSES) if one.get("service") == "ssh"]) == 99


def test_a_banner_that_comes_byte_by_byte_is_read_to_its_end() -> None:
    async def scene(scan: Scan) -> None:
        async with listening() as there:
            where = await there.listen("127.1.0.1", b"SSH-2.0-OpenSSH_9.6p1\r\n", drips=True)
            (one,) = await services(scan, [where])
            assert (one.version, one.banner) == ("9.6p1", "SSH-2.0-OpenSSH_9.6p1")

    scan(net(), [CORP], scene)


def test_a_hostile_banner_is_cut_and_made_printable() -> None:
    async def scene(scan: Scan) -> None:
        async with listening() as there:
            where = [
                await there.listen("127.1.0.1", b"\x1b[2J\x1b]0;owned\x07" + b"A" * 5_000_000),
                await there.listen("127.1.0.2", b"\xff\xfe\x00" * 400 + "‮".encode() * 400),
                await there.listen("127.1.0.3", b"\x00"),
            ]
            await services(scan, where, seconds=SOON)

    for told in rows(scan(net(), [CORP], scene)).values():
        banner = told.get("banner", "")
        assert len(banner) <= min(MOST_BANNER, MOST_TEXT)
        assert all(one.isprintable() or one in "\n\t" for one in banner)


def test_an_address_outside_is_refused_and_told_nothing_of() -> None:
    async def scene(scan: Scan) -> None:
        async with listening() as there:
            where = await there.listen("127.2.0.1", b"SSH-2.0-x_1\r\n")
            assert await services(scan, [where]) == []
            assert not there.accepted

    taken = scan(net(), [CORP], scene)
    assert not rows(taken) and len(taken.said(found.REFUSED)) == 1


# -- banners -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "one"),
    [
        (b"SSH-2.0-dropbear_2022.83\r\n", Known("ssh", "dropbear", "2022.83")),
        (b"SSH-1.99-Cisco-1.25\n", Known("ssh", "Cisco", "1.25")),
        (b"SSH-2.0-\n", Known("ssh")),
        (b"220 ProFTPD 1.3.8 Server (corp)\r\n", Known("ftp", "ProFTPD", "1.3.8")),
        (b"220-FileZilla Server 1.8.0\r\n", Known("ftp", "FileZilla Server", "1.8.0")),
        (b"220 corp FTP server ready\r\n", Known("ftp")),
        (b"220 mx.corp.example ESMTP Exim 4.97 Mon\r\n", Known("smtp", "Exim", "4.97")),
        (b"220 mx.corp.example ESMTP\r\n", Known("smtp")),
        (b"554 no SMTP service here\r\n", Known("smtp")),
        (b"220 hello\r\n", None),
        (b"+OK Dovecot ready.\r\n", Known("pop3", "Dovecot")),
        (b"+OK\r\n", Known("pop3")),
        (b"* OK Courier-IMAP ready\r\n", Known("imap", "Courier")),
        (b"* BYE not now\r\n", Known("imap")),
        (b"-DENIED Redis is running in protected mode\r\n", Known("redis")),
        (b"N\x00\x00\x00\x0a5.5.5-10.11.6-MariaDB\x00....", Known("mysql", "MariaDB", "5.5.5-10.11.6-MariaDB")),
        (b"E\x00\x00\x00\xffj\x04Host '10.0.0.1' is not allowed to connect", Known("mysql")),
        (b"\xff\xfd\x18\xff\xfd\x20login: ", Known("telnet")),
        (b"Welcome\r\n", None),
        (b"corp login: ", Known("telnet")),
        (b"@RSYNCD: 31.0\n", Known("rsync", None, "31.0")),
        (b"AMQP\x00\x00\x09\x01", Known("amqp")),
        (b":irc.corp.example NOTICE AUTH :*** Looking up\r\n", Known("irc")),
        (b"HTTP/1.1 400 Bad Request\r\n", Known("http")),
        (b"", None),
        (b"\x00" * 20, None),
    ],
)
def test_services_say_what_they_are(said: bytes, one: Known | None) -> None:
    assert known(said) == one


@given(st.one_of(st.binary(max_size=MOST_BANNER), st.text(max_size=MOST_BANNER // 4).map(str.encode)))
def test_whatever_is_said_is_read_and_shown(said: bytes) -> None:
    known(said), whole(said)
    assert all(one.isprintable() or one in "\n\t" for one in text_of(said))


@pytest.mark.parametrize(
    "start", [b"220 ", b"+OK ", b"* OK ", b"SSH-2.0-", b":", b"<?xml", b"\xff\xfd\x18", b"a\0\0\0\xff..", b""]
)
@pytest.mark.parametrize("piece", [b"a", b" ", b"Dovecot", b"1.", b"\xff\xfd", b"ftp1", b"-"])
def test_a_hostile_banner_takes_no_time(start: bytes, piece: bytes) -> None:
    said = (start + piece * MOST_BANNER)[:MOST_BANNER]
    began = time.process_time()
    for _ in range(10):
        known(said), whole(said), text_of(said)
    assert time.process_time() - began < 0.5
