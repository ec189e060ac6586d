"""What may be asked of the export API."""

from __future__ import annotations

import pytest
from marshmallow import ValidationError

from tag_tasks.documents.conditions import moment
from tagapi.namespaces.export.asked import LATEST, CountRequest


def test_the_latest_moment_that_may_be_asked_for_is_one() -> None:
    asked = CountRequest().load({"start": 0, "stop": LATEST, "query": "a"})
    assert moment(asked["stop"]).year == 9999
    with pytest.raises(ValidationError):
        CountRequest().load({"start": 0, "stop": LATEST + 1, "query": "a"})
