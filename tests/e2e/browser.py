"""A real browser without a window, led by its DevTools protocol: https://chromedevtools.github.io/devtools-protocol/."""

from __future__ import annotations

import base64
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

from tests.e2e.server import Late, until

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


WATCHED = ("Page", "Runtime", "Network", "Log")
"""What a page that is watched tells of itself."""


class Page:
    """A page that is open, and, once it is watched, what it asked for and complained of."""

    def __init__(self, connection: ClientConnection, port: int) -> None:
        self._connection = connection
        self._port = port
        self._ids = itertools.count(1)
        self.requests: list[str] = []
        """The addresses that were asked for."""
        self.complaints: list[str] = []
        """Errors in the console, exceptions, and what the policy kept from happening."""
        self.dialogs: list[str] = []

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._ids)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (answer := json.loads(self._connection.recv(timeout=60))).get("id") != number:
            self._heard(answer)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def _heard(self, message: dict[str, Any]) -> None:
        told = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])
            case "Network.webSocketCreated":
                self.requests.append(told["url"])
            case "Runtime.exceptionThrown":
                self.complaints.append(str(told["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if told["type"] in ("error", "warning", "assert"):
                self.complaints.append(str(told["args"]))
            case "Log.entryAdded" if told["entry"]["level"] == "error":
                self.complaints.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")
            case "Page.javascriptDialogOpening":
                self.dialogs.append(told["message"])

    @contextmanager
    def another(self) -> Iterator[Page]:
        """A page of the same browser that knows nothing of this one's session."""
        address = _devtools(self._port, "PUT", "new?about:blank")["webSocketDebuggerUrl"]
        with connect(address, proxy=None, max_size=None, ping_interval=None) as connection:  # pings draw lots
            yield Page(connection, self._port)

    def close(self) -> None:
        self._call("Page.close")

    def watch(self) -> None:
        """From now on keep what it asks for and complains of."""
        for domain in WATCHED:
            self._call(f"{domain}.enable")

    def looks(self, *, width: int = 1280, height: int = 860, dark: bool = False, still: bool = True) -> None:
        """How wide the window is, and what its user likes: dark colours, and nothing that moves."""
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self._call("Emulation.setFocusEmulationEnabled", enabled=True)  # drawn also behind other pages
        liked = {"prefers-color-scheme": "dark" if dark else "light"}
        liked["prefers-reduced-motion"] = "reduce" if still else "no-preference"
        features = [{"name": name, "value": value} for name, value in liked.items()]
        self._call("Emulation.setEmulatedMedia", features=features)

    def picture(self) -> bytes:
        """What is seen, as PNG."""
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])

    def press(self, key: str, code: int, text: str = "") -> None:
        """A key, pressed and let go."""
        for kind in ("keyDown", "keyUp"):
            said = {"text": text} if text and kind == "keyDown" else {}
            self._call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **said)

    def type(self, text: str) -> None:
        """Into what has the focus."""
        self._call("Input.insertText", text=text)

    def sees(self, text: str, seconds: float = 15.0) -> None:
        """Wait until this is to be read on the page."""
        shown = "(document.body?.innerText ?? '')"
        try:
            until(lambda: self.run(f"{shown}.includes({json.dumps(text)})"), f"{text!r} is seen", seconds)
        except Late as late:
            raise Late(f"{late}; seen is: {self.run(shown)!r}; complaints: {self.complaints}") from None

    def click(self, text: str, kind: str = "a, button, label, summary") -> None:
        """What is called so, once it is there."""
        wanted = json.dumps(text)
        found = f"""[...document.querySelectorAll({json.dumps(kind)})].find((one) => !one.disabled
            && one.checkVisibility() && one.textContent.trim().replace(/\\s+/g, " ") === {wanted})"""
        until(
            lambda: self.run(f"(() => {{ const one = {found}; one?.click(); return !!one; }})()"), f"{text!r} is there"
        )

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
        port = int(known.read_text("utf-8").split()[0])
        pages = _devtools(port, "GET", "list")
        address = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        with connect(address, proxy=None, max_size=None, ping_interval=None) as connection:  # pings draw lots
            yield Page(connection, port)
    finally:
        process.terminate()
        process.wait(30)


def _devtools(port: int, method: str, what: str) -> Any:
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, f"http://127.0.0.1:{port}/json/{what}", timeout=30).json()
