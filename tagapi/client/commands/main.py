"""`tagapi`: all commands, and what its exit code says."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

import click

import tagapi.client
from tagapi.client.commands.access import login, logout
from tagapi.client.commands.collector import collector
from tagapi.client.commands.files import export, report
from tagapi.client.commands.following import Left
from tagapi.client.commands.jobs import jobs
from tagapi.client.commands.scan import assets, found, scan
from tagapi.client.commands.schedule import schedule
from tagapi.client.commands.screen import clean
from tagapi.client.commands.session import Session, json_option, session_of
from tagapi.client.commands.tags import tags
from tagapi.client.errors import JobError, JobFailed, NotAllowed, Refused, TagapiError, Unaskable, Unreachable

FAILED, USAGE, REFUSED, UNREACHABLE, BROKEN, INTERRUPTED, UNREAD = 1, 2, 3, 4, 5, 130, 141
CODES: Mapping[type[Exception], int] = {
    JobError: FAILED,
    Unaskable: USAGE,
    Refused: REFUSED,
    Unreachable: UNREACHABLE,
    TagapiError: BROKEN,
    OSError: BROKEN,
    Left: INTERRUPTED,
}
"""Of what went wrong, or of what that is a kind of."""


class Tool(click.Group):
    """The command line, which tells in words and by its exit code what went wrong."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (TagapiError, OSError, Left) as error:
            if isinstance(error, BrokenPipeError):  # whoever read has seen enough
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python would write at its end
                ctx.exit(UNREAD)
            _tell(session_of(ctx), error)
            ctx.exit(next(CODES[kind] for kind in type(error).__mro__ if kind in CODES))
        except (KeyboardInterrupt, click.Abort):
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)


def _tell(session: Session, error: Exception) -> None:
    if session.json:
        facts = {name: getattr(error, name, None) for name in ("status", "code", "field", "request_id", "job_id")}
        if isinstance(error, JobError):
            facts["status"] = error.status.status
        known = {name: value for name, value in facts.items() if value is not None}
        click.echo(json.dumps({"error": type(error).__name__, "message": str(error), **known}), err=True)
        return
    hint = ""
    if isinstance(error, NotAllowed) and error.status == 401 and error.code != "token_not_needed":
        hint = " (tagapi login, or TAGAPI_TOKEN)"
    if isinstance(error, Refused) and error.field and error.field not in error.message:
        hint = f" ({clean(error.field)})"
    before = "failed: " if isinstance(error, JobFailed) else "refused: " if isinstance(error, Refused) else ""
    click.echo(f"{before}{clean(error)}{hint}", err=True)


@click.group(cls=Tool, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(tagapi.client.__version__, prog_name="tagapi")
@click.option("--url", metavar="URL", help="Of the service, instead of TAGAPI_URL and of tagapi login.")
@click.pass_context
def main(context: click.Context, url: str | None) -> None:
    """Jobs of tagapi: begin them, follow them, fetch what they made.

    \b
    tagapi login
    tagapi tags run 1 2 3 --follow
    tagapi jobs ls --active
    tagapi export bookings --format xlsx --out bookings.xlsx

    Without a login, the service is the one of TAGAPI_URL, or http://127.0.0.1:5000, with the token of TAGAPI_TOKEN.
    Answers go to standard output, what goes on meanwhile to standard error.

    \b
    Exit codes:
      0    done
      1    the job failed, or was cancelled
      2    the command was not understood
      3    the service refused
      4    the service cannot be reached
      5    a file or a download is not what it should be
      130  interrupted: a job that had begun goes on
      141  whoever read the answer has seen enough

    \b
    Completion, in the file that your shell reads at its start:
      bash  eval "$(_TAGAPI_COMPLETE=bash_source tagapi)"
      zsh   autoload -U compinit; compinit; eval "$(_TAGAPI_COMPLETE=zsh_source tagapi)"
      fish  _TAGAPI_COMPLETE=fish_source tagapi | source
    """
    session_of(context).url = url


main.params.append(json_option())
for command in (tags, jobs, export, report, collector, scan, found, assets, schedule, login, logout):
    main.add_command(command)
