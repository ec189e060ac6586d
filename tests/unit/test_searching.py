"""A search in steps finds what one over the whole text finds, and lets others have their turn."""

from __future__ import annotations

import asyncio
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tag_tasks.assets import searching, secrets
from tag_tasks.assets.probes import html, scripts
from tag_tasks.assets.searching import matches
from tests.unit.test_probe_html import page

PATTERNS = [
    *(secrets.KNOWN, secrets.PRIVATE_KEY, secrets.LOGIN, secrets.HEADER, secrets.ASSIGNED, secrets.RUN),
    *(scripts.PATH, scripts.ADDRESS, scripts.ADDRESS6, html.TAG, html.ENDS["script"]),
]
PIECES = [
    *(
        "\n",
        " ",
        "x",
        '"',
        "'",
        "`",
        "\\",
        "=",
        ": ",
        "/",
        "/api/v1",
        "<a ",
        "</script>",
        "<!--",
        "10.0.0.1",
        "fd00:1::2",
        "a",
        "c",
    ),
    *("password", "apiKey", "token('", "AKIAIOSFODNN7EXAMPLE", "eyJhbGciOiJIUzI1NiJ9", "http://me:pass@", "Bearer "),
    *("-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----", "f3Zq81LmPw02KdXy" * 3, '"""', "密码"),
]


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.pattern[:20])
@settings(max_examples=150, deadline=None)
@given(step=st.integers(1, 60), pieces=st.lists(st.sampled_from(PIECES), max_size=60))
def test_the_same_is_found_as_at_once(pattern: re.Pattern[str], step: int, pieces: list[str]) -> None:
    text = "".join(pieces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searching, "STEP", step)
        assert [one.span() for one in matches(pattern, text)] == [one.span() for one in pattern.finditer(text)]


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_match_longer_than_a_step_is_whole(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "STEP", step)
    text = f"x {'a' * 50_000}b {'a' * 3000}c"
    assert [one.span() for one in matches(re.compile("a+"), text)] == [(2, 50_002), (50_004, 53_004)]
    assert [one.span() for one in matches(re.compile(r"[ab]+"), text)] == [(2, 50_003), (50_004, 53_004)]


@pytest.mark.parametrize("text", ["secret", "1", "<a"])
def test_the_loop_is_not_held_up_by_a_hostile_text(text: str) -> None:
    async def longest_pause() -> float:
        """As a part of the whole time."""
        loop = asyncio.get_running_loop()
        long = text * (2**21 // len(text))
        reading = asyncio.ensure_future(
            asyncio.to_thread(lambda: (secrets.masked(long), html.read(page(long.encode()))))
        )
        began = last = loop.time()
        pauses = []
        while not reading.done():
            await asyncio.sleep(0)
            pauses.append(loop.time() - last)
            last = loop.time()
        return max(pauses) / (last - began)

    assert asyncio.run(longest_pause()) < 0.25
