"""A real browser without a window, led by its DevTools protocol: https://chromedevtools.github.io/devtools-protocol/."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from websockets.sync.client import ClientConnection, connect

from tests.e2e.server import until

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # it is here for this service alone
    "--remote-debugging-port=0",
)
START_SECONDS = 60.0


def found() -> str | None:
    """The path of a browser on this machine, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """A page that is open."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._ids = itertools.count(1)

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._ids)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (answer := json.loads(self._connection.recv(timeout=60))).get("id") != number:
            pass
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def go(self, url: str) -> None:
        """Open a page, and wait until it is read."""
        assert "errorText" not in self._call("Page.navigate", url=url)
        until(lambda: self.run("[location.href, document.readyState]") == [url, "complete"], f"{url} is read")

    def run(self, script: str) -> Any:
        """What an expression, or the promise that it is, comes to."""
        told = self._call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")


@contextmanager
def browser(path: str, folder: Path) -> Iterator[Page]:
    """A browser of its own, its profile in `folder`, with one empty page."""
    command = [path, *OPTIONS, f"--user-data-dir={folder}", "about:blank"]
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        known = folder / "DevToolsActivePort"
        until(lambda: known.is_file() and known.read_text("utf-8"), "the browser is there", START_SECONDS)
        port = known.read_text("utf-8").split()[0]
        with requests.Session() as session:
            session.trust_env = False
            pages = session.get(f"http://127.0.0.1:{port}/json/list", timeout=30).json()
        address = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        with connect(address, proxy=None, max_size=None) as connection:
            yield Page(connection)
    finally:
        process.terminate()
        process.wait(30)
