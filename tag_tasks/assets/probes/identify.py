"""What the sites are: title, server, icon, and what they are made with."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from tag_tasks.assets.guard.joining import joined
from tag_tasks.assets.guard.pages import Page
from tag_tasks.assets.probes import shown
from tag_tasks.assets.probes.favicon import MOST_ICON, hash_of
from tag_tasks.assets.probes.fingerprints import fingerprints
from tag_tasks.assets.probes.html import Html, is_html, parsed, same_site
from tag_tasks.assets.probes.sites import Site, tell
from tag_tasks.assets.refused import NotReached, Refused
from tag_tasks.assets.scan import Scan

USUAL_ICON = "favicon.ico"
ICON_REDIRECTS = 2


async def identify(scan: Scan, sites: Sequence[Site]) -> list[Site]:
    """A row for each with all that it shows; answers with the same sites. The only further request is for the icon."""

    async def look(site: Site) -> None:
        html = await parsed(site.page)
        facts: dict[str, Any] = {
            "title": shown.word(html.title),
            "server": shown.word(site.page.header("Server")),
            "content_type": shown.word(site.page.header("Content-Type")),
            "favicon": None if site.redirects_to else await _favicon(scan, site, html),
            "fingerprints": [
                {"name": one.name, "version": one.version or None} for one in fingerprints(site.page, html)
            ],
        }
        tell(scan, [site], **facts)

    await scan.each(sites, look, total=len(sites))
    return list(sites)


async def _favicon(scan: Scan, site: Site, html: Html) -> int | None:
    """The hash of the site's icon; None where it has none of its own."""
    named = next((one for one in html.icons if same_site(one, site.url)), None)
    for where in dict.fromkeys(filter(None, (named, joined(site.url, USUAL_ICON)))):
        try:
            icon = await scan.guard.fetch(where, ICON_REDIRECTS)
        except Refused:
            continue
        except NotReached as error:
            scan.skipped(where, str(error.facts["reason"]))
            return None
        if _is_icon(icon, site):
            return await asyncio.to_thread(hash_of, icon.body)
    return None


def _is_icon(page: Page, site: Site) -> bool:
    """Whether it is one, and not the page that says that there is none."""
    whole = page.status == 200 and not page.cut and 0 < len(page.body) <= MOST_ICON
    return whole and same_site(page.url, site.url) and not _is_page(page)


def _is_page(page: Page) -> bool:
    drawing = b"<svg" in page.body[:1024]
    return not drawing and (is_html(page) or page.body.lstrip()[:1] == b"<")
