"""What tests of the page share: a page on a service that is watched, and looked at by axe."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.browser import Page
from tests.e2e.server import Late, Server, until

AXE = Path(__file__).with_name("vendor") / "axe.min.js"
SERIOUS = """axe.run(document, {resultTypes: ["violations"]}).then(({violations}) => violations
    .filter((one) => ["serious", "critical"].includes(one.impact))
    .map((one) => [one.id, one.help, one.nodes.map((node) => node.html.slice(0, 200) + " " + node.failureSummary)]))"""
HOSTILE = "<img src=x onerror=window.pwned=1><script>window.pwned=1</script>\"'`${window.pwned=1}{{7*7}}"
"""What would run, were it markup."""


@contextmanager
def page_of(chromium: Page, server: Server, address: str = "#/jobs", token: str | None = None) -> Iterator[Page]:
    """A page of its own session; in the end it has asked nobody else, complained of nothing, and run nothing."""
    with chromium.another() as page:
        page.watch()
        page.looks()
        page.go(f"{server.url}/{address}")
        if token is not None:
            come_in(page, token)
        yield page
        page.run("1")  # what was told until now is heard
        assert foreign(page, server) == []
        assert page.complaints == []
        assert page.dialogs == []
        assert page.run("window.pwned") is None
        page.close()


def come_in(page: Page, token: str) -> None:
    page.sees("This service asks who you are")
    page.run("document.querySelector('#token').focus()")
    page.type(token)
    page.click("Come in")
    page.sees("live")


def open_at(page: Page, server: Server, address: str) -> None:
    """Another view of the same page."""
    page.run(f"location.hash = {json.dumps(address.removeprefix('#'))}")


def foreign(page: Page, server: Server) -> Sequence[str]:
    """The requests to anybody else."""
    ours = (f"{server.url}/", f"{server.url.replace('http', 'ws')}/", f"blob:{server.url}/", "about:")
    return [url for url in page.requests if not url.startswith(ours)]


def serious(page: Page) -> Any:
    """What axe finds that keeps people from using what is seen."""
    page.run(AXE.read_text("utf-8") + "; 1")
    return page.run(SERIOUS)


def text_of(page: Page, selector: str) -> str:
    return str(page.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))


def settled(page: Page) -> None:
    """Until nothing is being read."""
    try:
        until(lambda: page.run("document.querySelector('main') && !document.querySelector('.waiting')"), "all is read")
    except Late as late:
        raise Late(f"{late}; seen is {page.run('location.hash + document.body.innerText')!r}") from None
