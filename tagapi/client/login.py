"""Which service, and with which token: as said, of the environment, or as `tagapi login` stored it."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import click

from tagapi.client.errors import LoginUnusable

URL, TOKEN = "TAGAPI_URL", "TAGAPI_TOKEN"
OWN_MACHINE = "http://127.0.0.1:5000"


@dataclass(frozen=True, slots=True)
class Login:
    """Where, and as whom."""

    url: str
    token: str | None = field(repr=False)


def path() -> Path:
    """In the user's own folder for settings."""
    return Path(click.get_app_dir("tagapi")) / "login.json"


def chosen(url: str | None = None, token: str | None = None) -> Login:
    """A stored token goes to the address that it was stored for, and to no other; an empty one is none.

    Raises LoginUnusable.
    """
    url = url or os.environ.get(URL)
    token = os.environ.get(TOKEN) if token is None else token
    if url is not None and token is not None:
        return Login(url, token.strip() or None)
    stored = read()
    url = url or (stored.url if stored else OWN_MACHINE)
    if token is None and stored is not None and stored.url.rstrip("/") == url.rstrip("/"):
        token = stored.token
    return Login(url, (token or "").strip() or None)


def read() -> Login | None:
    """What is stored. Raises LoginUnusable for what others could have read, or is no login."""
    try:
        with path().open(encoding="utf-8") as file:
            if os.name == "posix" and os.fstat(file.fileno()).st_mode & 0o077:
                raise LoginUnusable(f"others may read {path()}: `chmod 600` it, or `tagapi login` again")
            stored = json.load(file)
        token = stored["token"]
        return Login(str(stored["url"]), None if token is None else str(token))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise LoginUnusable(f"{path()} cannot be read: `tagapi login` again") from None


def write(login: Login) -> None:
    """For its owner alone from the first byte on, and whole or not at all."""
    place = path()
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=place.parent, prefix=".login")  # which makes it with mode 600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"url": login.url, "token": login.token}, file)
        Path(aside).replace(place)
    except BaseException:
        with suppress(OSError):
            Path(aside).unlink()
        raise


def forget() -> None:
    path().unlink(missing_ok=True)
