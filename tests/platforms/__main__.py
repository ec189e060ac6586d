"""`python -m tests.platforms meta|google --port N`: a platform's stand-in in a process of its own."""

from __future__ import annotations

import click

from tests.platforms.accounts import settings_for
from tests.platforms.google import Google
from tests.platforms.meta import Meta
from tests.platforms.server import PlatformServer


@click.command()
@click.argument("platform", type=click.Choice(["meta", "google"]))
@click.option("--port", type=int, default=0)
def main(platform: str, port: int) -> None:
    server = PlatformServer(Meta() if platform == "meta" else Google(), port)
    click.echo(server.url)
    for name, value in settings_for(platform, server.url).items():
        click.echo(f"export {name}={value}")
    server.serve_forever()


main()
