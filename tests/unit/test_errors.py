"""What the core says when it refuses: the same text however the interpreter was started, and wherever it is carried."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

import tagapi.auth  # its errors belong to the tree
from tagapi.jobs.errors import JobError

ROOT = Path(__file__).parents[2]
assert tagapi.auth.AuthenticationRequired in JobError.__subclasses__()


def tree(root: type[JobError] = JobError) -> Iterator[type[JobError]]:
    yield root
    for kind in root.__subclasses__():
        yield from tree(kind)


def made(kind: type[JobError]) -> JobError:
    names = [name for _, name, _, _ in Formatter().parse(kind.message) if name]
    return kind(**{name: f"the {name}" for name in names})


@pytest.mark.parametrize("kind", list(tree()), ids=lambda kind: kind.__name__)
def test_an_error_survives_the_way_to_another_process(kind: type[JobError]) -> None:
    error = made(kind)
    carried = pickle.loads(pickle.dumps(error))  # noqa: S301 (our own)
    assert (type(carried), str(carried), carried.facts) == (kind, str(error), error.facts)


@pytest.mark.parametrize("kind", list(tree()), ids=lambda kind: kind.__name__)
def test_an_error_has_words_and_a_code_of_its_own(kind: type[JobError]) -> None:
    assert str(made(kind))
    others = [other for other in tree() if other is not kind]
    assert kind.code not in {other.code for other in others}


def test_messages_are_there_without_docstrings() -> None:
    code = "from tagapi.jobs.errors import JobNotFound; print(JobNotFound(job_id='j1'))"
    told = subprocess.run([sys.executable, "-OO", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "There is no job j1."
