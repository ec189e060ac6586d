"""Two hundred clients at once: nobody is turned away, no task is lost."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.e2e.server import Client, Server

CLIENTS = 200


def test_two_hundred_clients_each_see_their_task_completed(server: Server) -> None:
    before = server.total()
    together = threading.Barrier(CLIENTS, timeout=30)

    def follow(number: int) -> tuple[int, dict[str, Any]]:
        users = [f"user_{2 * number + 1:06d}", f"user_{2 * number + 2:06d}"]
        with Client(server.url) as client:
            together.wait()
            response = client.ask(tag_ids=[1 + number % 8], user_ids=users)
            if response.status_code != 202:
                return response.status_code, {}
            return 202, client.wait(response.json()["task_id"], seconds=90, every=0.5)

    with ThreadPoolExecutor(CLIENTS) as pool:
        ends = list(pool.map(follow, range(CLIENTS)))

    assert [status for status, _ in ends] == [202] * CLIENTS
    assert [end["status"] for _, end in ends] == ["completed"] * CLIENTS
    assert [end["result"]["total_users"] for _, end in ends] == [2] * CLIENTS
    assert [end["user_ids"][0] for _, end in ends] == [f"user_{2 * number + 1:06d}" for number in range(CLIENTS)]
    ids = {end["task_id"] for _, end in ends}
    assert len(ids) == CLIENTS
    assert server.total() == before + CLIENTS
    newest = [task for page in (1, 2) for task in server.read("/api/v1/tasks", page=page, page_size=100)["tasks"]]
    assert {task["task_id"] for task in newest} == ids
    versions = [end["result"]["table_version"] for _, end in ends]
    assert len(set(versions)) == CLIENTS, "every task has a commit of its own"
