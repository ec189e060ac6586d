"""A file that is fetched in as many parts as it takes, checked against its SHA-256, and appears whole or not at all.

What has come of it lies beside its place, under a name that holds the hash: so it is gone on with by whoever
comes next, and never mixed with another file's.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import BinaryIO

import requests

from tagapi.client.errors import DownloadBroken, Stranger, Unreachable
from tagapi.client.transport import Pauses, Transport

HASH = re.compile(r'"([0-9a-f]{64})"')
PIECE = 16 * 1024  # bytes: what came of one is lost where the connection breaks off in it
ROUNDS = 2  # wholes that may turn out wrong
PLAIN = {"Accept-Encoding": "identity"}  # bytes of the file are counted, not those of a compressed one

Tell = Callable[[int, int], object]
"""Called with how many bytes are there, and of how many."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A file that does not change any more."""

    path: str
    name: str
    size: int
    sha256: str


def download(transport: Transport, path: str, to: Path, progress: Tell | None = None) -> Path:
    """Where the file is then. Raises Refused, Unreachable, DownloadBroken or OSError."""
    remote = _look(transport, path)
    target = to / remote.name if to.is_dir() else to
    if target.exists() and not target.is_file():  # a device or a pipe would be replaced, a folder could not be
        raise FileExistsError(f"{target} is there, and is no file")
    target = target.resolve() if target.is_symlink() else target
    part = target.with_name(f".{target.name}.{remote.sha256[:16]}.part")
    for _ in range(ROUNDS):
        _fetch(transport, remote, part, progress or (lambda done, of: None))
        if _sha256(part) == remote.sha256:
            part.replace(target)
            return target
        part.unlink()
    raise DownloadBroken(f"{remote.name} arrived {ROUNDS} times with another SHA-256 than {remote.sha256}")


def _look(transport: Transport, path: str) -> Remote:
    # By a GET whose body is left: a HEAD that is refused could not say why.
    for _ in range(ROUNDS):
        with transport.send("GET", path, headers=PLAIN, stream=True) as answer:
            found = _hash_of(answer)
            size = answer.headers.get("Content-Length", "")
            if found is not None and size.isdigit():
                return Remote(path, _name(answer.headers.get("Content-Disposition", "")), int(size), found)
    raise Stranger(f"what answers at {transport.url} does not tell the file's SHA-256 and size")


def _hash_of(answer: requests.Response) -> str | None:
    """None also where the answer broke off in its head."""
    found = HASH.fullmatch(answer.headers.get("ETag", ""))
    return None if found is None else found[1]


def _name(disposition: str) -> str:
    """As the service calls the file: a name, and no way to another folder."""
    header = Message()
    header["Content-Disposition"] = disposition
    name = header.get_filename() or ""
    plain = "".join(letter if letter.isprintable() and letter not in "/\\:" else "_" for letter in name)
    return plain.lstrip(".") or "result"


def _fetch(transport: Transport, remote: Remote, part: Path, progress: Tell) -> None:
    """Until all bytes are there. Patience is measured from the last one that came."""
    pauses, before = Pauses(transport.patience), -1
    with part.open("ab") as file:
        while (have := file.tell()) != remote.size:
            if have > remote.size:
                file.truncate(0)
                file.seek(0)
                continue
            if have > before:
                pauses, before = Pauses(transport.patience), have
            else:
                pauses.wait(Unreachable(f"the download of {remote.name} breaks off again and again"))
            _fetch_some(transport, remote, file, progress)
        file.flush()
        os.fsync(file.fileno())


def _fetch_some(transport: Transport, remote: Remote, file: BinaryIO, progress: Tell) -> None:
    """As much as comes over one connection."""
    have = file.tell()
    headers = {**PLAIN, **({"Range": f"bytes={have}-", "If-Range": f'"{remote.sha256}"'} if have else {})}
    with transport.send("GET", remote.path, headers=headers, stream=True) as answer:
        if (found := _hash_of(answer)) is None:
            return
        if found != remote.sha256:
            raise DownloadBroken(f"{remote.name} became another file while it was fetched")
        if answer.status_code != requests.codes.partial_content:
            file.truncate(0)
            file.seek(0)
        try:
            for piece in answer.iter_content(PIECE):
                file.write(piece)
                progress(file.tell(), remote.size)
        except requests.RequestException:
            file.flush()  # what came is kept, and the rest is asked for


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
