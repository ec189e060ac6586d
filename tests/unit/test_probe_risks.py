"""Each risk is found on the site that has it, by looking alone, and on no other."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tag_tasks.assets.found import Kind
from tag_tasks.assets.probes.risks import check
from tag_tasks.assets.probes.sites import find_sites
from tag_tasks.assets.scan import Scan
from tests.internet import certificates
from tests.internet.net import Internet
from tests.internet.sites import Get, answer
from tests.unit.scanning import Taken, scan
from tests.unit.test_guard import CORP, SITE

WWW = "www.corp.example"
NOW = datetime(2030, 1, 1, tzinfo=UTC)
GOOD = {
    "Strict_Transport_Security": "max-age=31536000",
    "Content_Security_Policy": "default-src 'self'; frame-ancestors 'none'",
    "X_Content_Type_Options": "nosniff",
    "Referrer_Policy": "same-origin",
    "Server": "nginx",
}
CONTACT = "Contact: mailto:security@corp.example\nExpires: 2031-01-01T00:00:00Z\n"
OTHER = certificates.certificate("x", ["shop.corp.example"], issuer="y")
RIGHT = certificates.certificate(WWW, [WWW], issuer="An authority")


@dataclass
class Shown:
    """A site as a test wants it; else it is as it should be."""

    body: str = "<html><head><title>Fine</title></head></html>"
    headers: dict[str, str] = field(default_factory=lambda: dict(GOOD))
    cookies: tuple[str, ...] = ()
    contact: str | None = CONTACT
    certificate: bytes | None = RIGHT
    old: bool = False

    def tls(self) -> ssl.SSLContext | None:
        if self.certificate is None:
            return None
        context = certificates.server((WWW, self.certificate))
        if self.old:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = ssl.TLSVersion.TLSv1_1
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
        return context

    async def say(self, get: Get, writer: asyncio.StreamWriter) -> None:
        if get.path == "/.well-known/security.txt":
            writer.write(answer(b"", 404) if self.contact is None else answer(self.contact.encode()))
            return
        told = answer(self.body.encode(), Content_Type="text/html", **self.headers)
        head, _, body = told.partition(b"\r\n\r\n")
        cookies = "".join(f"\r\nSet-Cookie: {one}" for one in self.cookies).encode()
        writer.write(head + cookies + b"\r\n\r\n" + body)


def looked(shown: Shown, now: datetime = NOW) -> tuple[Taken, dict[str, dict[str, Any]]]:
    """What was found, by check."""
    net = Internet({WWW: {"A": [SITE]}}, {WWW: shown.say}, addresses=[SITE], tls=shown.tls())

    async def scene(here: Scan) -> None:
        await check(here, await find_sites(here, [(WWW, [net.port])]), now)

    taken = scan(net, [CORP], scene)
    rows = taken.of(Kind.FINDINGS)
    return taken, {row["check"]: row for row in rows}


def without(header: str) -> dict[str, str]:
    return {name: value for name, value in GOOD.items() if name != header}


def test_a_site_as_it_should_be_has_no_finding() -> None:
    taken, found = looked(Shown())
    assert found == {} and not taken.said("skipped")


CASES: list[tuple[str, Shown, datetime]] = [
    ("certificate_expired", Shown(), datetime(2036, 1, 2, tzinfo=UTC)),
    ("certificate_ends_soon", Shown(), datetime(2036, 1, 1, tzinfo=UTC) - timedelta(days=29)),
    ("certificate_self_signed", Shown(certificate=certificates.certificate(WWW, [WWW])), NOW),
    (
        "certificate_other_name",
        Shown(certificate=certificates.certificate("x", ["shop.corp.example"], issuer="y")),
        NOW,
    ),
    ("tls_old", Shown(old=True), NOW),
    ("header_hsts_missing", Shown(headers=without("Strict_Transport_Security")), NOW),
    ("header_csp_missing", Shown(headers={**without("Content_Security_Policy"), "X_Frame_Options": "DENY"}), NOW),
    ("header_nosniff_missing", Shown(headers=without("X_Content_Type_Options")), NOW),
    ("header_frames_missing", Shown(headers={**GOOD, "Content_Security_Policy": "default-src 'self'"}), NOW),
    ("header_referrer_missing", Shown(headers=without("Referrer_Policy")), NOW),
    ("cookie_not_secure", Shown(cookies=("a=b; HttpOnly; SameSite=Lax",)), NOW),
    ("cookie_not_httponly", Shown(cookies=("a=b; Secure; SameSite=Lax",)), NOW),
    ("cookie_no_samesite", Shown(cookies=("a=b; Secure; httponly",)), NOW),
    ("mixed_content", Shown(body='<img src="http://www.corp.example/a.png">'), NOW),
    ("version_told", Shown(headers={**GOOD, "Server": "Apache/2.4.1"}), NOW),
    ("directory_listing", Shown(body="<title>Index of /files</title>"), NOW),
    ("security_txt_missing", Shown(contact=None), NOW),
    ("security_txt_expired", Shown(contact=CONTACT.replace("2031", "2029")), NOW),
]


@pytest.mark.parametrize(("risk", "shown", "now"), CASES, ids=[name for name, _, _ in CASES])
def test_each_risk_is_found_and_no_other(risk: str, shown: Shown, now: datetime) -> None:
    _, found = looked(Shown(**{**vars(shown), "contact": shown.contact and shown.contact.replace("2031", "2099")}), now)
    assert set(found) == {risk}
    row = found[risk]
    assert row["severity"] in ("info", "low", "medium", "high") and row["evidence"] and row["advice"]


def test_a_plain_site_is_to_be_redirected() -> None:
    _, found = looked(Shown(certificate=None, headers=without("Strict_Transport_Security")))
    assert set(found) == {"http_not_redirected"}


@pytest.mark.parametrize("name", ["*.corp.example", WWW.upper()])
def test_names_of_certificates_are_understood(name: str) -> None:
    _, found = looked(Shown(certificate=certificates.certificate("x", [name.replace("CORP", "corp")], issuer="y")))
    assert "certificate_other_name" not in found


def test_a_certificate_that_names_nobody_is_for_another_name() -> None:
    _, found = looked(Shown(certificate=certificates.certificate("", issuer="y")))
    assert set(found) == {"certificate_other_name"} and "nobody" in found["certificate_other_name"]["evidence"]


def test_hostile_headers_are_bounded() -> None:
    wild = {**GOOD, "Server": "1.1" * 2000}
    _, found = looked(
        Shown(headers=wild, cookies=tuple(f"c{n}=1" for n in range(60)), contact="Contact: x\nExpires: 9")
    )
    assert len(str(found)) < 20_000
