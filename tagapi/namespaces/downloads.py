"""Sending a file: whole, in part or not at all, as HTTP's conditions and ranges ask."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from flask import Response, request, send_file

RANGE = re.compile(r"bytes=(?:[0-9]{1,18}-[0-9]{0,18}|-(?P<last>[0-9]{1,18}))")


@dataclass(frozen=True, slots=True)
class Download:
    """A finished file, which does not change any more."""

    path: Path
    name: str
    """What it is called where it is saved."""

    content_type: str
    sha256: str


def send(download: Download) -> Response:
    """The answer to a GET or HEAD of the file. Raises FileNotFoundError where it is gone.

    What is no single range of bytes is answered with the whole file, as RFC 9110 allows; a range
    that lies outside raises RequestedRangeNotSatisfiable.
    """
    _tidy_range(download.path.stat().st_size)
    response = send_file(
        download.path,
        mimetype="application/octet-stream",
        as_attachment=True,
        download_name=download.name,
        conditional=True,
        etag=download.sha256,
        max_age=0,
    )
    response.cache_control.private = True  # it is its owner's
    response.cache_control.public = False
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Type"] = download.content_type
    return response


def _tidy_range(size: int) -> None:
    """Leave a range that Werkzeug takes, or none: it refuses what need not be refused."""
    asked = RANGE.fullmatch(request.headers.get("Range", "").replace(" ", ""))
    if asked is None:
        request.environ.pop("HTTP_RANGE", None)
    elif asked["last"] and int(asked["last"]) > size:  # the last 100 bytes of 10 are all of them
        request.environ["HTTP_RANGE"] = "bytes=0-"
