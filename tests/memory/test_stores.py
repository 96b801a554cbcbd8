"""What holds for all stores: each answers all that rules ask, and runs the memory's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiomemdb.memory.deciding import parcels, requests
from aiomemdb.memory.deciding.steps import Request, Steps, follow
from aiomemdb.memory.stores.sqlite import running_rules
from tests.memory import dict_store
from tests.memory.dict_search import SearchingDictStore

ALL = {**vars(requests), **vars(parcels)}.values()
ASKED = [one for one in ALL if isinstance(one, type) and issubclass(one, Request)]


@pytest.mark.parametrize("asked", [one for one in ASKED if one is not Request])
def test_each_store_answers_each_request(asked: type[Request[object]]) -> None:
    assert asked in running_rules._ANSWERS
    assert hasattr(SearchingDictStore, asked.__name__)


def test_a_store_in_dicts_is_small() -> None:
    assert len(Path(dict_store.__file__).read_text().splitlines()) < 400


def test_most_of_the_memorys_tests_run_on_each_store(request: pytest.FixtureRequest) -> None:
    here = {path for path in Path(__file__).parent.glob("test_*.py")}
    collected = request.session.items
    if here <= {item.path for item in collected}:  # all of them, not some files alone
        params = [item.callspec.params for item in collected if hasattr(item, "callspec")]
        assert sum("dict" in (each.get("kept_by"), each.get("store")) for each in params) >= 250


class Word(Request[str]):
    def __init__(self, number: int) -> None:
        self.number = number


def rule(count: int) -> Steps[list[str]]:
    said = []
    for number in range(count):
        said += [(yield from Word(number))]
    if count > 3:
        raise ValueError("too many")
    return said


def test_a_rule_gets_each_answer_and_its_caller_what_it_returns() -> None:
    assert follow(rule(3), {Word: lambda said, word: f"{said} {word.number}"}, "word") == ["word 0", "word 1", "word 2"]
    assert follow(rule(0), {}, None) == []


def test_what_a_rule_raises_reaches_its_caller() -> None:
    with pytest.raises(ValueError, match="too many"):
        follow(rule(4), {Word: lambda _, word: ""}, None)


def test_what_a_store_raises_ends_the_rule() -> None:
    with pytest.raises(ZeroDivisionError):
        follow(rule(2), {Word: lambda _, word: 1 / word.number}, None)
