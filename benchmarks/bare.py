"""A bare Flask app under the same gunicorn, to measure against: `python -m benchmarks.bare PORT THREADS`."""

from __future__ import annotations

import sys
from typing import Any

from flask import Flask, jsonify, request
from gunicorn.app.base import BaseApplication


def create() -> Flask:
    app = Flask("bare")

    @app.get("/status")
    def status() -> Any:
        return jsonify(success=True, task_id="550e8400-e29b-41d4-a716-446655440000", status={"status": "submitted"})

    @app.post("/trigger")
    def trigger() -> Any:
        return jsonify(success=True, data=request.get_json()), 202

    return app


class Bare(BaseApplication):  # type: ignore[misc]
    def load_config(self) -> None:
        options = {
            "bind": f"127.0.0.1:{sys.argv[1]}",
            "worker_class": "gthread",
            "threads": int(sys.argv[2]),
            "keepalive": 30,
            "control_socket_disable": True,
            "loglevel": "warning",
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return create()


if __name__ == "__main__":
    Bare().run()
