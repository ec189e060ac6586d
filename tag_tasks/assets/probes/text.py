"""Text of strangers, made fit to be shown and kept."""

from __future__ import annotations

SAFE = frozenset({" ", "\n", "\t"})
INSTEAD = "\N{REPLACEMENT CHARACTER}"


def printable(text: str) -> str:
    """The text with all that steers a terminal, or cannot be shown, replaced; line ends are kept."""
    if text.isprintable():
        return text
    plain = text.replace("\r\n", "\n")
    return "".join(one if one in SAFE or one.isprintable() else INSTEAD for one in plain)


def line(text: str) -> str:
    """The same, on one line."""
    return printable(text).replace("\n", INSTEAD).replace("\t", INSTEAD)
