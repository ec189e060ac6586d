"""What targets say, made fit for rows: printable, masked, and cut."""

from __future__ import annotations

from tag_tasks.assets.found import cut
from tag_tasks.assets.probes.text import line
from tag_tasks.assets.secrets import masked, masked_url

MOST_WORD = 300  # characters of a header


def word(text: str | None) -> str | None:
    """A header's value, or a title; None where there is nothing."""
    plain = masked(line((text or "").strip()[:MOST_WORD]))
    return plain or None


def link(url: str) -> str:
    """A URL, of which nothing is asked any more."""
    return cut(masked_url(line(url)))
