"""Where a link leads, as browsers understand it. Here, since the standard library has that among what opens sockets."""

from __future__ import annotations

import re
from urllib.parse import urljoin

from tag_tasks.assets.urls import url

MOST_LINK = 2000  # characters
DROPPED = str.maketrans("", "", "\t\r\n")
EDGES = "".join(map(chr, range(0x21)))
"""What is left out at both ends: spaces and control characters."""
SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*+):")


def joined(base: str, link: str) -> str | None:
    """The URL that a link on the page `base` leads to, without its fragment; None where it is none of http or https, is
    spelt in different ways, or is too long."""
    if len(link) > 2 * MOST_LINK:
        return None
    text = link.strip(EDGES).translate(DROPPED).partition("#")[0]
    found = SCHEME.match(text)
    if found is not None and found["scheme"].lower() not in ("http", "https"):
        return None
    path, query, rest = text.partition("?")
    try:
        whole = str(url(urljoin(base, path.replace("\\", "/") + query + rest)))
    except ValueError:  # of which Misspelt is one
        return None
    return whole if len(whole) <= MOST_LINK else None
