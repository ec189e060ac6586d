"""Passive checks of sites: what a visitor sees, and somebody should look at. Nothing is tried out.

What is checked follows what browsers and the OWASP Secure Headers Project ask for, RFC 8996 (old TLS) and RFC 9116
(security.txt).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tag_tasks.assets import found
from tag_tasks.assets.found import Found
from tag_tasks.assets.guard.joining import joined
from tag_tasks.assets.probes import shown
from tag_tasks.assets.probes.certificates import Endpoint
from tag_tasks.assets.probes.html import Html, parsed, text_of
from tag_tasks.assets.probes.reading import Certificate, certificate_of
from tag_tasks.assets.probes.sites import Site
from tag_tasks.assets.refused import NotReached, Refused
from tag_tasks.assets.scan import Scan
from tag_tasks.assets.scope import Asked, Use

NEAR = timedelta(days=30)  # of a certificate's end
SECURITY_TXT = "/.well-known/security.txt"
OLD = ("TLSv1.1", "TLSv1", "SSLv3")
NUMBER = re.compile(r"[0-9]+\.[0-9]")
LISTING = re.compile(r"^(?:Index of /|Directory listing for /|Directory: /)", re.IGNORECASE)
EXPIRES = re.compile(r"^expires:[ \t]{0,20}([0-9TZtz:.+-]{10,40})", re.IGNORECASE | re.MULTILINE)
CONTACT = re.compile(r"^contact:[ \t]{0,20}\S", re.IGNORECASE | re.MULTILINE)
MOST_COOKIES = 50
MOST_TOLD = 5  # URLs of mixed content


@dataclass(frozen=True, slots=True)
class _Check:
    """What is wrong, how bad that is, and what to do."""

    check: str
    severity: str
    advice: str

    def at(self, where: str, evidence: str) -> Found:
        return found.finding(self.check, where, self.severity, shown.word(evidence) or "", self.advice)


EXPIRED = _Check("certificate_expired", "high", "Renew the certificate, and have that done by itself.")
ENDS_SOON = _Check("certificate_ends_soon", "medium", "Renew the certificate before it ends.")
SELF_SIGNED = _Check("certificate_self_signed", "medium", "Use a certificate of an authority that clients trust.")
OTHER_NAME = _Check("certificate_other_name", "medium", "Use a certificate that names this host.")
OLD_TLS = _Check("tls_old", "medium", "Allow TLS 1.2 and 1.3 alone.")
NO_HSTS = _Check("header_hsts_missing", "low", "Send Strict-Transport-Security with a max-age of a year.")
NO_CSP = _Check("header_csp_missing", "low", "Send a Content-Security-Policy that names what the page may load.")
NO_SNIFF = _Check("header_nosniff_missing", "low", "Send X-Content-Type-Options: nosniff.")
FRAMES = _Check("header_frames_missing", "low", "Send a frame-ancestors policy, or X-Frame-Options.")
NO_REFERRER = _Check("header_referrer_missing", "info", "Send a Referrer-Policy, such as same-origin.")
NOT_SECURE = _Check("cookie_not_secure", "medium", "Set Secure, so that the cookie is never sent in plain text.")
NOT_HTTP_ONLY = _Check("cookie_not_httponly", "low", "Set HttpOnly, unless scripts need the cookie.")
NO_SAME_SITE = _Check("cookie_no_samesite", "low", "Set SameSite=Lax or Strict.")
MIXED = _Check("mixed_content", "medium", "Load everything over https.")
VERSION = _Check("version_told", "info", "Do not tell the version of what serves the page.")
LISTED = _Check("directory_listing", "medium", "Switch the listing of directories off.")
NO_CONTACT = _Check("security_txt_missing", "info", f"Say at {SECURITY_TXT} whom to tell of a weakness (RFC 9116).")
OLD_CONTACT = _Check("security_txt_expired", "info", f"Renew {SECURITY_TXT}: its Expires is past.")
PLAIN = _Check("http_not_redirected", "medium", "Redirect http to https.")


async def check(scan: Scan, sites: Sequence[Site], now: datetime) -> None:
    """A finding for everything that is wrong with each of the sites."""

    async def look(site: Site) -> None:
        html = await parsed(site.page)
        scan.found(*_of_page(site, html), *_of_cookies(site))
        if site.url.startswith("https:"):
            await _of_tls(scan, site, now)
        elif not _leads_to_https(site):
            scan.found(PLAIN.at(site.url, f"status {site.page.status}, over http"))
        await _of_contact(scan, site, now)

    await scan.each(sites, look, total=len(sites))


# -- the page ------------------------------------------------------------------------------


def _of_page(site: Site, html: Html) -> Iterator[Found]:
    page, where = site.page, site.url
    secure, policy = where.startswith("https:"), (page.header("Content-Security-Policy") or "").lower()
    missing: list[tuple[_Check, bool]] = [
        (NO_HSTS, secure and not page.header("Strict-Transport-Security")),
        (NO_CSP, not policy),
        (NO_SNIFF, (page.header("X-Content-Type-Options") or "").strip().lower() != "nosniff"),
        (FRAMES, not page.header("X-Frame-Options") and "frame-ancestors" not in policy),
        (NO_REFERRER, not page.header("Referrer-Policy")),
    ]
    if site.redirects_to is None:  # a page that only leads elsewhere shows nothing
        yield from (one.at(where, "the header is not there") for one, lacks in missing if lacks)
    for name in ("Server", "X-Powered-By", "X-AspNet-Version", "X-Generator"):
        value = page.header(name)
        if value and NUMBER.search(value[: found.MOST_TEXT]):
            yield VERSION.at(where, f"{name}: {value}")
    if html.title and LISTING.match(html.title):
        yield LISTED.at(where, html.title)
    if secure and (plain := [one for one in (*html.scripts, *html.resources) if one.startswith("http:")]):
        yield MIXED.at(where, ", ".join(shown.link(one) for one in sorted(set(plain))[:MOST_TOLD]))


def _of_cookies(site: Site) -> Iterator[Found]:
    cookies = [value for name, value in site.page.headers if name.lower() == "set-cookie"]
    for cookie in cookies[:MOST_COOKIES]:
        pair, *attributes = cookie[: found.MOST_TEXT].split(";")
        name = pair.partition("=")[0].strip()
        said = {one.partition("=")[0].strip().lower() for one in attributes}
        lacks = ((NOT_SECURE, "secure"), (NOT_HTTP_ONLY, "httponly"), (NO_SAME_SITE, "samesite"))
        yield from (one.at(site.url, f"cookie {name}") for one, attribute in lacks if attribute not in said)


def _leads_to_https(site: Site) -> bool:
    return any((where or "").startswith("https:") for where in (site.redirects_to, site.page.url, site.page.leads_to))


# -- TLS -----------------------------------------------------------------------------------


async def _of_tls(scan: Scan, site: Site, now: datetime) -> None:
    name = site.host if isinstance(site.host, str) else None
    asked = Asked(address=site.address, port=site.port, use=Use.VISIT, name=name)
    where = str(Endpoint(site.host, site.address, site.port))
    async with scan.guard.connection(asked, tls=True) as made:
        der = made.certificate
    if der is not None:
        scan.found(*_of_certificate(where, certificate_of(der), str(site.host), now))
    try:
        async with scan.guard.connection(asked, tls=True, old=True) as made:
            if made.tls in OLD:
                scan.found(OLD_TLS.at(where, made.tls or ""))
    except NotReached:
        pass  # as it should be: servers have many ways to say no


def _of_certificate(where: str, read: Certificate, host: str, now: datetime) -> Iterator[Found]:
    if read.not_after is not None:
        ends = datetime.fromisoformat(read.not_after)
        if ends <= now:
            yield EXPIRED.at(where, f"ended {read.not_after}")
        elif ends - now < NEAR:
            yield ENDS_SOON.at(where, f"ends {read.not_after}")
    if read.self_signed:
        yield SELF_SIGNED.at(where, read.issuer or "")
    unread = frozenset({"names", "everything"}) & frozenset(read.broken)
    if not unread and not any(_fits(one.lower(), host) for one in read.names):
        yield OTHER_NAME.at(where, f"it is for {', '.join(read.names[:MOST_TOLD]) or 'nobody'}")


def _fits(pattern: str, host: str) -> bool:
    """As RFC 6125 has it: a star is one label, the first."""
    if not pattern.startswith("*."):
        return pattern == host
    return host.partition(".")[2] == pattern[2:]


# -- security.txt --------------------------------------------------------------------------


async def _of_contact(scan: Scan, site: Site, now: datetime) -> None:
    where = joined(site.url, SECURITY_TXT)
    if where is None or site.redirects_to is not None:
        return
    try:
        page = await scan.guard.fetch(where)
    except Refused:
        return  # which is recorded
    except NotReached as error:
        scan.skipped(where, str(error.facts["reason"]))
        return
    text = text_of(page)[: found.MOST_TEXT * 16]
    if page.status != 200 or not CONTACT.search(text):
        scan.found(NO_CONTACT.at(site.url, f"status {page.status}, no Contact"))
    elif (said := EXPIRES.search(text)) and (_moment(said[1]) or now) < now:
        scan.found(OLD_CONTACT.at(site.url, said[1]))


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
