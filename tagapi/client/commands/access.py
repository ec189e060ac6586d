"""`tagapi login` and `tagapi logout`."""

from __future__ import annotations

import sys
from urllib.parse import urlsplit

import click

from tagapi.client import login as stored
from tagapi.client.client import Client
from tagapi.client.commands.session import Command, Session, pass_session

LOOPBACK = ("localhost", "127.0.0.1", "::1")


@click.command(cls=Command)
@pass_session
def login(session: Session, /) -> None:
    """Ask for the address and the token, try them, and keep them in your own folder of settings, for you alone.

    A token is asked for, or read from standard input. It is never an argument: others see those, and shells keep them.

    \b
    tagapi login
    pass show tagapi | tagapi --url https://tagapi.example.org login
    """
    people = sys.stdin is not None and sys.stdin.isatty()
    url, token = (_asked if people else _piped)(session.url)
    client = Client(url, token)
    if urlsplit(url).scheme == "http" and token and urlsplit(url).hostname not in LOOPBACK:
        session.screen.note("the token will travel in plain text: an https address would protect it")
    next(client.jobs.list(), None)
    stored.write(stored.Login(url, token or None))
    session.screen.facts({"url": url, "token": "kept" if token else "none", "in": str(stored.path())})


def _asked(url: str | None) -> tuple[str, str]:
    known = url or stored.chosen(token="").url  # only to offer it
    url = click.prompt("Address of the service", default=known, err=True)
    told = "Token (none: just Enter)"
    token = click.prompt(told, default="", hide_input=True, show_default=False, err=True)
    return str(url), str(token).strip()


def _piped(url: str | None) -> tuple[str, str]:
    given = "" if sys.stdin is None else sys.stdin.readline().strip()
    return url or stored.chosen(token="").url, given


@click.command(cls=Command)
@pass_session
def logout(session: Session, /) -> None:
    """Forget the address and the token.

    \b
    tagapi logout
    """
    stored.forget()
    session.screen.facts({"forgotten": str(stored.path())})
