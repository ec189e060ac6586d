"""`python -m tests.platforms meta|google|fofa|github --port N`: a platform's stand-in in a process of its own."""

from __future__ import annotations

import click

from tests.platforms.accounts import settings_for
from tests.platforms.fofa import Fofa
from tests.platforms.github import GitHub
from tests.platforms.google import Google
from tests.platforms.meta import Meta
from tests.platforms.server import PlatformServer

PLATFORMS = {"meta": Meta, "google": Google, "fofa": Fofa, "github": GitHub}


@click.command()
@click.argument("platform", type=click.Choice([*PLATFORMS]))
@click.option("--port", type=int, default=0)
def main(platform: str, port: int) -> None:
    server = PlatformServer(PLATFORMS[platform](), port)
    click.echo(server.url)
    for name, value in settings_for(platform, server.url).items():
        click.echo(f"export {name}={value}")
    server.serve_forever()


main()
