"""The tree of errors, and what each says of the caller's write."""

from __future__ import annotations

import copy
import pickle
import re

import pytest

import aiomemdb
from aiomemdb import errors

CLASSES = [getattr(errors, name) for name in errors.__all__]

EXPECTED_PARENTS = {
    "AiomemdbError": {Exception},
    "DatabaseClosed": {errors.AiomemdbError},
    "QueueFull": {errors.AiomemdbError},
    "LockTimeout": {errors.AiomemdbError, TimeoutError},
    "WriteTimeout": {errors.AiomemdbError, TimeoutError},
    "ReadTimeout": {errors.AiomemdbError, TimeoutError},
    "TransactionTimeout": {errors.AiomemdbError, TimeoutError},
    "CommitOutcomeUnknown": {errors.AiomemdbError},
    "ServerLost": {errors.AiomemdbError},
    "WriterCrashed": {errors.AiomemdbError},
    "DatabaseReplaced": {errors.AiomemdbError},
    "ForkedError": {errors.AiomemdbError},
    "WrongLoop": {errors.AiomemdbError},
    "ReentrancyError": {errors.AiomemdbError},
    "TransactionEnded": {errors.AiomemdbError},
    "TransactionLost": {errors.AiomemdbError},
    "TransactionConflict": {errors.AiomemdbError},
    "SnapshotEnded": {errors.AiomemdbError},
    "ForbiddenStatement": {errors.AiomemdbError},
    "NotAQuery": {errors.AiomemdbError},
    "EmptyStatement": {errors.AiomemdbError},
    "NotFound": {errors.AiomemdbError, LookupError},
    "AmbiguousEntity": {errors.AiomemdbError, LookupError},
    "EpisodeExists": {errors.AiomemdbError},
    "FormatError": {errors.AiomemdbError, ValueError},
    "EmbedderError": {errors.AiomemdbError},
    "ModelChanged": {errors.AiomemdbError},
    "NormaliserChanged": {errors.AiomemdbError},
    "SchemaTooNew": {errors.AiomemdbError},
}


def make(kind: type[errors.AiomemdbError]) -> errors.AiomemdbError:
    if kind in (errors.WriteTimeout, errors.ReadTimeout):
        return kind("message", started=True, applied=None)  # type: ignore[call-arg]
    return kind("message")


def test_the_tree_is_that_of_the_contract() -> None:
    assert {kind.__name__ for kind in CLASSES} == set(EXPECTED_PARENTS)
    for kind in CLASSES:
        for parent in EXPECTED_PARENTS[kind.__name__]:
            assert issubclass(kind, parent)
        assert issubclass(kind, TimeoutError) == (TimeoutError in EXPECTED_PARENTS[kind.__name__])


def test_the_drawing_names_every_class_and_no_other() -> None:
    assert errors.__doc__ is not None
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__)
    assert sorted([*drawn, "AiomemdbError"]) == sorted(errors.__all__)


def test_the_drawing_marks_the_timeouts() -> None:
    assert errors.__doc__ is not None
    marked = re.findall(r"── (\w+) .*\(TimeoutError\)", errors.__doc__)
    assert sorted(marked) == sorted(name for name, parents in EXPECTED_PARENTS.items() if TimeoutError in parents)


@pytest.mark.parametrize("kind", CLASSES)
def test_every_class_is_documented_and_every_error_says_what_to_do(kind: type[errors.AiomemdbError]) -> None:
    assert kind.__doc__
    if kind not in (errors.AiomemdbError, errors.ReadTimeout):
        assert "What to do" in kind.__doc__


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_carries_whether_the_job_was_applied(kind: type[errors.AiomemdbError]) -> None:
    error = make(kind)
    assert error.applied is (
        None if kind in (errors.CommitOutcomeUnknown, errors.WriteTimeout, errors.ReadTimeout) else False
    )
    assert str(error) == "message"


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize(
    "duplicate", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))], ids=["copy", "pickle"]
)
def test_an_error_can_be_copied_and_sent_to_another_process(
    kind: type[errors.AiomemdbError], duplicate: object
) -> None:
    error = make(kind)
    same = duplicate(error)  # type: ignore[operator]
    assert type(same) is kind
    assert str(same) == "message"
    assert vars(same) == vars(error)


def test_all_of_them_can_be_had_from_the_package() -> None:
    for kind in CLASSES:
        assert getattr(aiomemdb, kind.__name__) is kind
