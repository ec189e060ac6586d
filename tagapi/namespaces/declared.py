"""Who may call what is settled before anybody calls: a route that does not say so ends the start."""

from __future__ import annotations

from flask import Flask
from flask_restx import Resource

from tagapi.auth import Policy
from tagapi.namespaces.documentation import METHODS, Operation

PUBLIC_ENDPOINTS = frozenset({"index", "page", "doc", "docs_with_slash", "specs", "root", "restx_doc.static"})
"""What is not a front's: the page, the documentation and what leads there, which are everybody's."""


class UndeclaredRoute(Exception):
    """A route does not say who may call it."""


def check_declared(path: str, resource: type[Resource]) -> None:
    """Every view of a resource says who may call it. Raises UndeclaredRoute."""
    for name in METHODS:
        view = getattr(resource, name, None)
        said = getattr(view, "operation", None)
        if view is not None and not (isinstance(said, Operation) and isinstance(said.policy, Policy)):
            raise UndeclaredRoute(f"{name.upper()} {path}")


def check_guarded(app: Flask, guarded: type[Resource]) -> None:
    """Nothing but the documentation is served by anything but a `guarded` resource. Raises UndeclaredRoute."""
    for rule in app.url_map.iter_rules():
        resource = getattr(app.view_functions[rule.endpoint], "view_class", None)
        if rule.endpoint not in PUBLIC_ENDPOINTS and not (resource is not None and issubclass(resource, guarded)):
            raise UndeclaredRoute(rule.rule)
