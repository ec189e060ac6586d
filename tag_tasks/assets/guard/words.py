"""What went wrong on a connection, in words for people who know networks, and not this program."""

from __future__ import annotations

import os
import ssl

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

MOST = 200  # characters: some have the target's own text in them


def words(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        reason = getattr(error, "reason", None) or getattr(getattr(error, "os_error", None), "reason", None)
        return "no TLS handshake" + (f": {reason.lower().replace('_', ' ')}" if reason else "")
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it hung up without an answer"
    if isinstance(error, ConnectionResetError):
        return "connection reset by peer"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "its answer broke off"
    if isinstance(error, aiohttp.ClientResponseError | HttpProcessingError):
        return f"its answer is no HTTP that is understood: {error.message[:MOST]}"
    return f"{type(error).__name__}: {error}"[:MOST]
