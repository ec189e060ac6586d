"""The certificates that are shown: each of them as it is, the broken ones too."""

from __future__ import annotations

import hashlib
import random
from ipaddress import ip_network
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tag_tasks.assets import found
from tag_tasks.assets.found import Kind
from tag_tasks.assets.probes.certificates import BROKEN, Endpoint, certificates
from tag_tasks.assets.probes.names import names_in
from tag_tasks.assets.probes.reading import MOST_NAMES, certificate_of
from tag_tasks.assets.scan import Scan
from tag_tasks.assets.scope import Scope
from tests.internet.certificates import Key, broken, certificate, server
from tests.internet.net import Internet
from tests.internet.services import Where, services, silent
from tests.unit.scanning import Taken, scan

CORP = Scope(id="corp", name="corp", domains=("corp.example",), networks=(ip_network("127.1.0.0/16"),))
MANY = certificate("www.corp.example", ["www.corp.example", "*.API.corp.example", "other.test"], ["127.1.0.1", "::1"])
INNER = certificate("inner.corp.example", issuer="Corp CA")


def sha256(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest()


def play(scene: Any, **guard: Any) -> Taken:
    return scan(Internet({}, {}, addresses=()), [CORP], scene, **guard)


def at(where: Where, host: str | None = None) -> Endpoint:
    return Endpoint(host or where[0], *where)


def test_each_certificate_is_told_as_it_is() -> None:
    where: list[Where] = []
    names: set[str] = set()

    async def scene(scan: Scan) -> None:
        async with services() as there:
            shown = server(("www.corp.example", MANY), ("inner.corp.example", INNER))
            where.append(await there.listen("127.1.0.1", tls=shown))
            asked = [at(where[0], "www.corp.example"), at(where[0], "inner.corp.example"), at(where[0])]
            read = await certificates(scan, asked, total=3)
            assert sorted(one.sha256 for one in read) == sorted([sha256(MANY), sha256(INNER)])  # each of them once
            names.update(names_in("\n".join(name for one in read for name in one.names), ["corp.example"]))

    taken = play(scene)
    told = {row["where"]: row for row in taken.of(Kind.CERTIFICATES)}
    port = where[0][1]
    assert set(told) == {f"{host}:{port}" for host in ("www.corp.example", "inner.corp.example", "127.1.0.1")}
    assert told[f"www.corp.example:{port}"] == {
        "where": f"www.corp.example:{port}",
        "address": "127.1.0.1",
        "sha256": sha256(MANY),
        "subject": "CN=www.corp.example",
        "issuer": "CN=www.corp.example",
        "serial": "abcdef",
        "names": ["www.corp.example", "*.api.corp.example", "other.test", "127.1.0.1", "::1"],
        "not_before": "2026-01-01T00:00:00Z",
        "not_after": "2036-01-01T00:00:00Z",
        "signature": "ecdsaWithSHA256",
        "key_type": "EC",
        "bits": 256,
        "self_signed": True,
        "tls": "TLSv1.3",
        "broken": [],
    }
    inner = told[f"inner.corp.example:{port}"]
    assert (inner["issuer"], inner["self_signed"], inner["names"]) == ("CN=Corp CA", False, ["inner.corp.example"])
    assert names == {"www.corp.example", "api.corp.example", "inner.corp.example"}
    assert not taken.of(Kind.FINDINGS) and not taken.said(found.SKIPPED)


def test_who_speaks_no_tls_shows_nothing_and_who_is_silent_is_skipped() -> None:
    async def scene(scan: Scan) -> None:
        async with services() as there:
            with silent("127.1.0.9") as dead:
                plain = await there.listen("127.1.0.1", b"SSH-2.0-x_1\r\n" * 10)
                tls = await there.listen("127.1.0.2", tls=server(("a", INNER)))
                assert len(await certificates(scan, [at(dead), at(plain), at(tls)])) == 1
                skipped.append((f"127.1.0.9:{dead[1]}", "it took too long"))

    skipped: list[tuple[str, str]] = []
    assert play(scene, seconds=0.5).said(found.SKIPPED) == skipped


def test_what_is_outside_is_refused() -> None:
    async def scene(scan: Scan) -> None:
        async with services() as there:
            out = await there.listen("127.2.0.1", tls=server(("a", INNER)))
            inside = await there.listen("127.1.0.1", tls=server(("a", INNER)))
            asked = [at(out), at(out, "www.corp.example"), at(inside, "evil.test"), at(inside)]
            assert len(await certificates(scan, asked)) == 1
            assert there.accepted == [inside]

    whys = [why.partition(" ")[0] for _, why in play(scene).said(found.REFUSED)]
    assert sorted(whys) == ["not_global", "outside", "outside"]


def test_a_broken_certificate_is_a_finding() -> None:
    rubbish = broken(MANY)
    where: list[Where] = []

    async def scene(scan: Scan) -> None:
        async with services() as there:
            where.append(await there.listen("127.1.0.1", tls=server(("a", rubbish))))
            await certificates(scan, [at(where[0])])

    taken = play(scene)
    (row,) = taken.of(Kind.CERTIFICATES)
    assert (row["sha256"], row["broken"], row["names"]) == (sha256(rubbish), ["everything"], [])
    (finding,) = taken.of(Kind.FINDINGS)
    assert (finding["check"], finding["where"]) == (BROKEN, f"127.1.0.1:{where[0][1]}")


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")  # it reads, and says so
def test_a_certificate_is_read_whatever_its_bytes_are() -> None:
    rng = random.Random(7)
    assert certificate_of(b"").broken == certificate_of(b"no certificate").broken == ("everything",)
    kinds = set()
    for _ in range(5000):
        der = bytearray(MANY)
        for _ in range(rng.choice([1, 1, 2, 8])):
            der[rng.randrange(len(der))] = rng.randrange(256)
        read = certificate_of(bytes(der[: rng.choice([len(der), rng.randrange(len(der))])]))
        kinds.add(read.broken)
        assert all(one.isprintable() for one in (read.subject or "", read.issuer or "", *read.names))
    assert () in kinds and ("everything",) in kinds and len(kinds) > 3


def test_a_certificate_has_so_many_names_at_most_and_its_text_is_cut() -> None:
    many = certificate("x", [f"n{n}.corp.example" for n in range(2 * MOST_NAMES)])
    assert len(certificate_of(many).names) == MOST_NAMES


@pytest.mark.parametrize(
    ("key", "told"),
    [
        (rsa.generate_private_key(65537, 2048), ("RSA", 2048, "sha256WithRSA")),
        (ec.generate_private_key(ec.SECP384R1()), ("EC", 384, "ecdsaWithSHA256")),
        (ed25519.Ed25519PrivateKey.generate(), ("Ed25519", 256, "Ed25519")),
    ],
    ids=["rsa", "ec", "ed25519"],
)
def test_its_key_and_its_signature_are_told(key: Key, told: tuple[str, int, str]) -> None:
    read = certificate_of(certificate("x", key=key))
    assert (read.key_type, read.bits, read.signature) == told and not read.broken
