"""The service, but for the numbers of requests: what these cost is the difference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from api_server import Server
from tagapi.logs import configure_logs
from tagapi.serving.records import OBSERVER
from tagapi.settings import load_settings


class Unmeasured(Server):
    """Nobody hears of its requests."""

    def load(self) -> Any:
        app = super().load()
        del app.extensions[OBSERVER]
        return app


@click.command()
@click.option("--host", required=True)
@click.option("--port", type=int, required=True)
def main(host: str, port: int) -> None:
    settings = load_settings("local")
    configure_logs(Path(settings.logs.dir), settings.logs.level, settings.logs.max_bytes)
    Unmeasured(settings, host, port).run()


if __name__ == "__main__":
    main()
