"""URLs of sites: read strictly, so that what is checked is what is contacted."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tag_tasks.assets.spelling import Host, Misspelt, host, written

PORTS = {"http": 80, "https": 443}
"""The schemes that there are, and their ports."""

WHOLE = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<where>[^/?#]*)(?P<rest>[^#]*)(#.*)?")
WHERE = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]+)(:(?P<port>[0-9]{0,5}))?")
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
MOST_URL = 8000  # characters


@dataclass(frozen=True, slots=True)
class Url:
    """Where a page is. Of a URL's parts nothing else is contacted, so there is no userinfo and no fragment."""

    scheme: str
    host: Host
    port: int
    rest: str
    """The path and the query; it begins with a slash."""

    @property
    def name(self) -> str | None:
        """The host's name; None where it is an address."""
        return self.host if isinstance(self.host, str) else None

    def __str__(self) -> str:
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{written(self.host)}{port}{self.rest}"


class OtherScheme(Misspelt):
    """Neither http nor https."""


def url(text: str) -> Url:
    """The URL that the text means. Raises Misspelt."""
    if len(text) > MOST_URL:
        raise Misspelt(f"has more than {MOST_URL} characters")
    if CONTROLS.search(text) or not (found := WHOLE.fullmatch(text)):
        raise Misspelt("is no URL")
    scheme = found["scheme"].lower()
    if scheme not in PORTS:
        raise OtherScheme("is neither http nor https")
    if "@" in found["where"]:
        raise Misspelt("has a user or a password before its host")
    if not (where := WHERE.fullmatch(found["where"])):
        raise Misspelt("is no URL")
    rest = found["rest"]
    return Url(
        scheme, host(where["host"]), _port(where["port"], PORTS[scheme]), rest if rest[:1] == "/" else f"/{rest}"
    )


def _port(text: str | None, default: int) -> int:
    found = int(text) if text else default
    if not 1 <= found <= 65535:
        raise Misspelt("has a port that is none")
    return found
