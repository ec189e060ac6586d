"""What there is, for those who ask a path above the routes: the page for browsers, the routes for programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, Response, redirect, request

from tagapi.namespaces.answers import respond
from tagapi.pages.site import serve_page

DOCS, SPECIFICATION = "/docs", "/swagger.json"
PLACES = (
    *("/", "/api", "/api/", "/api/v1", "/api/v1/", "/api/v1/tags", "/api/v1/users"),
    *("/api/tasks/publish", "/api/tasks/publish/"),
)


def serve_index(app: Flask, specified: Callable[[], Mapping[str, Any]], version: str, *, asks: bool) -> None:
    """Answer at PLACES with the routes below, and show people who look with a browser the page.

    `specified` answers with the specification, `asks` says whether tokens are asked for. To be called before
    Flask-RESTX takes `/` for itself.
    """

    page = serve_page(app, asks=asks)

    def tell() -> Response:
        place = request.path.rstrip("/")
        if not place and _is_browser():
            return page.first()
        routes = {
            f"{method.upper()} {path}": said["summary"]
            for path, methods in specified()["paths"].items()
            for method, said in methods.items()
            if path.startswith(f"{place}/") and method != "parameters"
        }
        told = {"service": "tagapi", "version": version, "documentation": DOCS, "specification": SPECIFICATION}
        return respond({**told, "routes": routes}, headers={"Vary": "Accept"})

    for place in PLACES:
        app.add_url_rule(place, "index", tell)
    app.add_url_rule(f"{DOCS}/", "docs_with_slash", lambda: redirect(DOCS))


def _is_browser() -> bool:
    return request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"
