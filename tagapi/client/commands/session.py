"""What all commands share: the client, the screen, and an option for programs."""

from __future__ import annotations

import io
import sys
from functools import cached_property
from typing import Any

import click

from tagapi.client.client import Client
from tagapi.client.commands.screen import Screen


class Session:
    """One call of the command line."""

    def __init__(self) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # as standard error: not all that is told can be shown
        self.url: str | None = None
        self.json = False

    @cached_property
    def client(self) -> Client:
        return Client(self.url)

    @cached_property
    def screen(self) -> Screen:
        return Screen(as_json=self.json)


pass_session = click.make_pass_decorator(Session)


def session_of(context: click.Context) -> Session:
    return context.ensure_object(Session)


def _for_programs(context: click.Context, _: click.Parameter, value: bool) -> None:
    session = session_of(context)
    session.json = session.json or value


def json_option() -> click.Option:
    return click.Option(
        ["--json"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_for_programs,
        help="For programs: JSON, a list as a line for each.",
    )


class Command(click.Command):
    """A command that can answer in JSON."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.params.append(json_option())


class Group(click.Group):
    """Commands that belong together."""

    command_class = Command
    group_class = type

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        if self.invoke_without_command:
            self.params.append(json_option())
