"""How hosts are named that belong together: `www`, `www2`, `dev-www`, `www.staging`."""

from __future__ import annotations

import re
from collections.abc import Iterator

STAGES = ("dev", "test", "staging", "stage", "uat", "qa", "prod", "preprod", "demo", "beta", "old", "new")
PARTS = ("api", "admin", "internal", "app", "web", "v2", "backup")
NUMBERS = ("1", "2", "3", "01", "02")
NUMBER = re.compile(r"[0-9]{1,4}")
MOST_LABEL = 63  # characters


def variants(prefix: str) -> Iterator[str]:
    """Variations of what stands before the domain, the likely ones first; some of them may be alike."""
    labels = prefix.split(".")
    for first in _labels(labels[0]):
        if len(first) <= MOST_LABEL:
            yield ".".join([first, *labels[1:]])
    if len(labels) > 1:
        yield ".".join([labels[1], labels[0], *labels[2:]])
        yield "-".join(labels)[:MOST_LABEL].strip("-")
    for word in (*STAGES, *PARTS):
        yield f"{word}.{prefix}"
        yield ".".join([labels[0], word, *labels[1:]])


def _labels(label: str) -> Iterator[str]:
    """One label, varied."""
    yield from _stages(label)
    yield from _numbers(label)
    for word in STAGES:
        yield f"{label}-{word}"
        yield f"{word}-{label}"
    if not NUMBER.search(label):
        for number in NUMBERS:
            yield f"{label}{number}"
            yield f"{label}-{number}"
    for word in PARTS:
        yield f"{label}-{word}"
        yield f"{word}-{label}"
    for word in STAGES[:3]:
        yield f"{label}{word}"
        yield f"{word}{label}"


def _stages(label: str) -> Iterator[str]:
    """With another stage instead of its own, and without one."""
    parts = label.split("-")
    for place, part in enumerate(parts):
        if part in STAGES:
            for word in STAGES:
                yield "-".join([*parts[:place], word, *parts[place + 1 :]])
            if rest := [*parts[:place], *parts[place + 1 :]]:
                yield "-".join(rest)


def _numbers(label: str) -> Iterator[str]:
    """With the numbers beside its own, as wide as that."""
    for found in NUMBER.finditer(label):
        digits = found[0]
        for number in range(max(0, int(digits) - 1), int(digits) + 4):
            yield f"{label[: found.start()]}{number:0{len(digits)}d}{label[found.end() :]}"
