"""Sending a file: whole, in part or not at all, as HTTP's conditions and ranges ask."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import BinaryIO

from flask import Response, redirect, request, send_file
from werkzeug.exceptions import RequestedRangeNotSatisfiable

RANGE = re.compile(r"bytes=(?:[0-9]{1,18}-[0-9]{0,18}|-(?P<last>[0-9]{1,18}))")


@dataclass(frozen=True, slots=True)
class Download:
    """A finished file, which does not change any more."""

    file: BinaryIO
    """Open, and to be closed by whoever sends it."""

    name: str
    """What it is called where it is saved."""

    content_type: str
    size: int
    sha256: str


def send(download: Download) -> Response:
    """The answer to a GET or HEAD of the file.

    What is no single range of bytes is answered with the whole file, as RFC 9110 allows; a range
    that lies outside raises RequestedRangeNotSatisfiable.
    """
    _tidy_range(download.size)
    response = send_file(
        download.file,
        mimetype="application/octet-stream",
        as_attachment=True,
        download_name=download.name,
        conditional=False,  # it would not know the size
        etag=download.sha256,
        max_age=0,
    )
    response.content_length = download.size
    try:
        response.make_conditional(request.environ, accept_ranges=True, complete_length=download.size)
    except RequestedRangeNotSatisfiable:
        download.file.close()
        raise
    response.cache_control.private = True  # it is its owner's
    response.cache_control.public = False
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Type"] = download.content_type
    return response


def lead_to(url: str) -> Response:
    """The answer that sends on to where the file lies. The URL lets whoever has it in, so nobody may keep it."""
    response: Response = redirect(url, 307, Response=Response)  # type: ignore[assignment]
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _tidy_range(size: int) -> None:
    """Leave a range that Werkzeug takes, or none: it refuses what need not be refused."""
    asked = RANGE.fullmatch(request.headers.get("Range", "").replace(" ", ""))
    if asked is None:
        request.environ.pop("HTTP_RANGE", None)
    elif asked["last"] and int(asked["last"]) > size:  # the last 100 bytes of 10 are all of them
        request.environ["HTTP_RANGE"] = "bytes=0-"
