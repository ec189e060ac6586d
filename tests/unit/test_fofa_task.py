"""What Fofa knows is told as carefully as what a site says."""

from __future__ import annotations

from typing import Any

import pytest

from tag_tasks.assets.addresses_tasks import FofaTask
from tag_tasks.assets.scan import Scan
from tag_tasks.platforms.fofa import FofaRow
from tests.internet.net import Internet
from tests.unit.scanning import scan
from tests.unit.test_probe_sites import corp


@pytest.mark.parametrize("ip", ["192.0.2.1", "none"])
def test_what_is_left_alone_is_told_without_secrets(ip: str) -> None:
    rows = [FofaRow(ip, "http://ann:hunter2hunter2@a.example/?token=abcdefabcdef", "80")]
    no_tools: Any = None

    async def scene(given: Scan) -> None:
        await FofaTask(no_tools, None).scan(given, {"rows": rows})

    ((where, _),) = scan(Internet({}, {}, addresses=()), [corp()], scene).said("refused")
    assert "ann:" in where and "@a.example" in where
    assert "hunter2hunter2" not in where and "abcdefabcdef" not in where
