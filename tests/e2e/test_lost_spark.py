"""Spark is killed under the service: whoever asks meanwhile is answered soon, and every task ends well."""

from __future__ import annotations

import time

from tests.e2e.conftest import StartServer


def test_a_spark_that_is_killed_is_missed_for_a_moment_only(start_server: StartServer) -> None:
    server = start_server()
    tasks = []
    for first in (1, 4, 7):
        tasks += [server.trigger([1, 3], user_ids=[f"user_{first + more:06d}"]) for more in range(3)]
        server.spark().kill()
        tasks.append(server.trigger([2, 8]))
        for _ in range(20):
            began = time.monotonic()
            answer = server.get("/api/v1/users/user_000001/tags")
            assert time.monotonic() - began < 10
            assert answer.status_code in (200, 503), answer.text
            assert answer.status_code == 200 or int(answer.headers["Retry-After"]) >= 1
        server.wait_ready()
    ends = {task_id: server.wait(task_id, seconds=30)["status"] for task_id in tasks}
    assert ends == dict.fromkeys(tasks, "completed")
