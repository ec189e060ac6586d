"""A company's internet for those who want to see a scan: names, sites, services and what others know of them, all on
loopback addresses, and all of it known. The tests of the whole service scan the same one.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.internet import certificates
from tests.internet.names import Zone
from tests.internet.net import ANY, Internet
from tests.internet.sites import Get, Site, answer, dripping, endless, redirect
from tests.platforms import fofa, github
from tests.platforms.fofa import Fofa
from tests.platforms.github import GitHub
from tests.platforms.server import PlatformServer

HTTP, HTTPS, SSH, DNS = 8080, 8443, 2222, 5353
WWW, SHOP, OFFICE, OUTSIDE = "127.1.0.1", "127.1.0.2", "127.1.0.3", "127.2.0.1"
ZONE: Zone = {
    "corp.example": {"A": [WWW]},
    "www.corp.example": {"A": [WWW]},
    "shop.corp.example": {"A": [SHOP]},
    "api.corp.example": {"CNAME": ["shop.corp.example."]},
    "dev.corp.example": {"A": [OFFICE]},
    "hidden-9.corp.example": {"A": [SHOP]},
    "secret-api.corp.example": {"A": [SHOP]},
    "legacy.corp.example": {"A": [WWW]},
    "mail.corp.example": {"A": [OUTSIDE]},
}
"""`hidden-9` is in a certificate alone, `secret-api` in a script, `legacy` is excluded, `mail` is somebody else's."""
CERTIFICATE = certificates.certificate("corp.example", ["corp.example", "*.corp.example", "hidden-9.corp.example"])
KEY = "AKIAIOSFODNN7EXAMPLE"
"""A secret in a script: it must be told masked alone."""
SCOPE = """\
scopes:
  - id: corp
    name: The lab
    domains: [corp.example]
    networks: [127.1.0.0/24]
    exclude: [legacy.corp.example]
    ports: [{http}, {https}]
"""
SCRIPT = f"""
const api = "https://secret-api.corp.example/api/v1/orders";
fetch("/api/v2/users?page=1");
const accessKeyId = "{KEY}";
"""


def site(title: str, *links: str, script: str = "", **headers: str) -> Site:
    """A small site: its first page leads to others, and a script."""
    made = "".join(f'<a href="{one}">{one}</a>' for one in links)
    first = f'<html><head><title>{title}</title><script src="/app.js"></script></head><body>{made}</body></html>'
    pages = {"/": first, "/app.js": script or "var a = 1;", "/robots.txt": "User-agent: *\nDisallow: /private\n"}
    pages |= {one: f"<html><head><title>{one}</title></head></html>" for one in links if one.startswith("/")}

    async def say(get: Get, writer: asyncio.StreamWriter) -> None:
        text = pages.get(get.path.partition("?")[0])
        kind = "application/javascript" if get.path.endswith(".js") else "text/html; charset=utf-8"
        writer.write(
            answer(b"not here", 404)
            if text is None
            else answer(text.encode(), Content_Type=kind, Server="nginx/1.25.3", **headers)
        )

    return say


SITES: Mapping[str, Site] = {
    "corp.example": redirect("/home"),
    "www.corp.example": site("Corp &amp; Söhne", "/about", "/private/plans", "http://mail.corp.example/"),
    "shop.corp.example": site("The shop", "/cart", script=SCRIPT, Set_Cookie="session=1"),
    "api.corp.example": site("API"),
    "hidden-9.corp.example": site("Hidden"),
    "secret-api.corp.example": site("Secret API"),
    "dev.corp.example": dripping,
    OFFICE: endless,
    ANY: site("Nobody's"),
}


@dataclass
class Lab:
    """A context, on a thread of its own; the ports are those of the module, or any that are free."""

    fixed: bool = False
    sites: Mapping[str, Site] = field(default_factory=lambda: SITES)
    plain: Internet = field(init=False)
    secure: Internet = field(init=False)
    fofa: Fofa = field(default_factory=Fofa)
    github: GitHub = field(default_factory=GitHub)
    ssh: int = 0

    def __enter__(self) -> Self:
        self._platforms = ExitStack()
        self.fofa.found['domain="corp.example"'] = [
            [SHOP, "shop.corp.example", "443"],
            [OUTSIDE, "mail.corp.example", "25"],
        ]
        self.github.add("corp.example", "somebody/tools", "deploy.sh", f"export KEY={KEY} # corp.example")
        self.github.add("corp.example", "somebody/tools", "package-lock.json", "corp.example")
        self.fofa_server, self.github_server = PlatformServer(self.fofa, 0), PlatformServer(self.github, 0)
        for server in (self.fofa_server, self.github_server):
            self._platforms.enter_context(server)
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=[self._serve(ready)], daemon=True)
        self._thread.start()
        if not ready.wait(10):
            raise OSError("the lab did not come up: are its ports free?")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)
        self._loop.close()
        self._platforms.close()

    async def _serve(self, ready: threading.Event) -> None:
        addresses = (WWW, SHOP, OFFICE, OUTSIDE)
        tls = certificates.server(("corp.example", CERTIFICATE))
        http, https, dns, ssh = (HTTP, HTTPS, DNS, SSH) if self.fixed else (0, 0, 0, 0)
        async with AsyncExitStack() as stack:
            self.plain = await stack.enter_async_context(
                Internet(ZONE, self.sites, addresses=addresses, port=http, name_port=dns)
            )
            self.secure = await stack.enter_async_context(
                Internet(ZONE, self.sites, addresses=(WWW, SHOP), tls=tls, port=https)
            )
            server = await asyncio.start_server(_ssh, SHOP, ssh)
            self.ssh = server.sockets[0].getsockname()[1]
            stack.callback(server.close)
            ready.set()
            await self._over.wait()

    # -- what a service needs to scan it -----------------------------------------------------

    def scope(self) -> str:
        return SCOPE.format(http=self.plain.port, https=self.secure.port)

    def settings(self, scope_file: Path) -> dict[str, str]:
        """As environment variables; the scope file is written."""
        scope_file.parent.mkdir(parents=True, exist_ok=True)
        scope_file.write_text(self.scope())
        host, port = self.plain.name_server
        return {
            "TAGAPI_ASSETS__SCOPE_FILE": str(scope_file.absolute()),
            "TAGAPI_ASSETS__NAMESERVERS": f"{host}:{port}",
            "TAGAPI_FOFA__BASE_URL": self.fofa_server.url,
            "TAGAPI_FOFA__EMAIL": fofa.EMAIL,
            "TAGAPI_FOFA__KEY": fofa.KEY,
            "TAGAPI_GITHUB__BASE_URL": self.github_server.url,
            "TAGAPI_GITHUB__TOKEN": github.TOKEN,
        }

    @property
    def accepted(self) -> Sequence[tuple[str, int]]:
        """Every connection to a site, in order."""
        return [*self.plain.accepted, *self.secure.accepted]


async def _ssh(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.6p1 Debian-4\r\n")
    with suppress(OSError):  # who listened was killed
        await reader.read()
    writer.close()
