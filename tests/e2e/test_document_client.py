"""The sample client of the tags document, as it is written there, works unchanged but for the address."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.e2e.server import Server

CLIENT = Path(__file__).with_name("document_client.py.txt")
ADDRESS = 'API_BASE_URL = "http://localhost:5000"'


def test_the_documents_client_sees_both_of_its_tasks_completed(server: Server, tmp_path: Path) -> None:
    written = CLIENT.read_text(encoding="utf-8")
    assert written.count(ADDRESS) == 1
    client = tmp_path / "client.py"
    client.write_text(written.replace(ADDRESS, f'API_BASE_URL = "{server.url}"'), encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-X", "utf8", client], capture_output=True, encoding="utf-8", timeout=90, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("任务提交成功: ") == 2, done.stdout
    assert done.stdout.count("任务完成: ") == 2, done.stdout
    assert "失败" not in done.stdout
