"""Serves the page: one document that names a release, and the files of that release.

A file's address has the release in it, a hash of all of them, so that browsers keep it for good; the document is
asked for each time and names the new release at once. Nothing inline, nothing foreign: the policy says so, and
browsers hold the page to it.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from flask import Flask, Response, abort, request

STATIC = Path(__file__).parent / "static"
DOCUMENT = "index.html"
SERVED = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
"""What is served, and as what; whatever else lies there is not."""
RELEASE = "RELEASE"
"""Where the document has it."""
ASKS = " data-tokens"
PRELOADED = "<!-- MODULES -->"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "frame-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types lit-html tagapi-report",
    )
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
OF_THE_DOCUMENT = {
    **HEADERS,
    "Content-Security-Policy": POLICY,
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-cache",
    "Vary": "Accept, Accept-Encoding",
}
OF_A_FILE = {**HEADERS, "Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}


@dataclass(frozen=True, slots=True)
class File:
    """One that is served, as it is and compressed."""

    content: bytes
    compressed: bytes
    kind: str
    etag: str

    @classmethod
    def of(cls, content: bytes, kind: str) -> File:
        etag = hashlib.sha256(content).hexdigest()[:32]
        return cls(content, gzip.compress(content, 9, mtime=0), kind, etag)


class Site:
    """Everything that is served, read once."""

    def __init__(self, folder: Path = STATIC, *, asks: bool = False) -> None:
        paths = sorted(path for path in folder.rglob("*") if path.suffix in SERVED)
        self.files = {
            path.relative_to(folder).as_posix(): File.of(path.read_bytes(), SERVED[path.suffix]) for path in paths
        }
        self.release = _release(file.etag + name for name, file in self.files.items())
        self.document = File.of(self._document(folder, asks), "text/html")

    def _document(self, folder: Path, asks: bool) -> bytes:
        """With the modules named in it, so that none waits for another one to be read."""
        modules = [name for name in self.files if name.endswith(".js")]
        links = "\n".join(f'<link rel="modulepreload" href="/page/{RELEASE}/{name}">' for name in modules)
        text = (folder / DOCUMENT).read_text("utf-8").replace(PRELOADED, links)
        return text.replace(RELEASE, self.release).replace(ASKS, " data-asks" if asks else "").encode()

    def first(self) -> Response:
        """The document."""
        return _answer(self.document, OF_THE_DOCUMENT)

    def file(self, release: str, name: str) -> Response:
        """A file of this release; another one's is not here any more."""
        if release != self.release or name not in self.files:
            abort(404)
        return _answer(self.files[name], OF_A_FILE)


def _release(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _answer(file: File, headers: dict[str, str]) -> Response:
    packed = request.accept_encodings.quality("gzip") > 0
    response = Response(file.compressed if packed else file.content, content_type=f"{file.kind}; charset=utf-8")
    response.headers.extend(headers)
    if packed:
        response.content_encoding = "gzip"
    response.set_etag(f"{file.etag}-gz" if packed else file.etag)
    response.make_conditional(request)
    return response


def serve_page(app: Flask, *, asks: bool) -> Site:
    """Serve the page's files; the document itself is for whoever knows who asks for it.

    `asks` says whether the service asks for tokens: the page then asks its user first.
    """
    site = Site(asks=asks)
    app.add_url_rule("/page/<release>/<path:name>", "page", site.file)
    return site
