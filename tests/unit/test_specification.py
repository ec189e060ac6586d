"""The specification without a server: valid by a validator that knows Swagger 2.0 and is not ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV2SpecValidator

from tagapi.auth import OpenGate
from tests.unit.fronts import client_of

FILE = "file"  # a type that Swagger 2.0 knows in answers, and the validator does not


@pytest.fixture(scope="module")
def specification() -> dict[str, Any]:
    told = client_of(OpenGate()).get("/swagger.json").json
    assert told is not None
    return told


def test_a_strict_validator_finds_nothing_wrong(specification: dict[str, Any]) -> None:
    wrong = [error for error in OpenAPIV2SpecValidator(specification).iter_errors() if error.instance != FILE]
    assert [f"{list(error.path)}: {error.message}" for error in wrong] == []


def test_what_may_be_left_out_has_no_default_of_null(specification: dict[str, Any]) -> None:
    """The page would say `Default value: null`, and offer to send it."""
    told = json.dumps(specification)
    assert '"default": null' not in told
    assert '"default": 100' in told, "other defaults are told"
