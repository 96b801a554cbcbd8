"""Every option of connect: its default, what it takes, and an error at once that says so."""

from __future__ import annotations

import dataclasses
import inspect
import math
from typing import Any

import pytest

import aiomemdb
from aiomemdb.config import Config, checked_timeout
from aiomemdb.engines import ENGINES, Engine
from aiomemdb.postgres.options import PostgresConfig
from aiomemdb.sqlite.common.options import SQLiteConfig


def test_the_defaults_are_those_of_the_contract() -> None:
    config = SQLiteConfig()
    assert (config.readers, config.durability, config.max_pending) == (4, "normal", 10_000)
    assert config.max_value_bytes == 16 * 1024 * 1024
    assert (config.lock_timeout, config.max_hold) == (30.0, 10.0)
    assert (config.prepare, dict(config.pragmas), config.read_only) == (None, {}, False)


def test_connect_takes_every_option_with_the_same_default() -> None:
    options = dict(inspect.signature(aiomemdb.connect).parameters)
    del options["target"]
    configs = [*dataclasses.fields(SQLiteConfig), *dataclasses.fields(PostgresConfig)]
    assert set(options) == {field.name for field in configs}
    for field in dataclasses.fields(SQLiteConfig):
        if field.default is not dataclasses.MISSING and field.name != "label":  # its default is the file's name
            assert options[field.name].default == field.default


def test_a_config_can_not_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        SQLiteConfig().readers = 2  # type: ignore[misc]
    with pytest.raises(TypeError):
        SQLiteConfig(pragmas={"cache_size": 1}).pragmas["cache_size"] = 2  # type: ignore[index]


def test_the_callers_own_mapping_of_pragmas_may_change_afterwards() -> None:
    pragmas = {"cache_size": 1}
    config = SQLiteConfig(pragmas=pragmas)
    pragmas["cache_size"] = 2
    assert config.pragmas == {"cache_size": 1}


WRONG_TYPES: list[tuple[str, Any]] = [
    ("readers", "4"),
    ("readers", 4.0),
    ("readers", True),
    ("readers", None),
    ("max_pending", 1e4),
    ("max_pending", None),
    ("max_value_bytes", "16 MiB"),
    ("lock_timeout", "30"),
    ("lock_timeout", None),
    ("lock_timeout", True),
    ("max_hold", []),
    ("prepare", "SELECT 1"),
    ("pragmas", [("cache_size", 1)]),
    ("pragmas", "cache_size=1"),
    ("label", 3),
    ("label", b"db"),
    ("read_only", 1),
    ("read_only", "yes"),
]

OUT_OF_RANGE: list[tuple[str, Any]] = [
    ("readers", 0),
    ("readers", -1),
    ("readers", 65),
    ("max_pending", 0),
    ("max_pending", -5),
    ("max_value_bytes", 1023),
    ("max_value_bytes", 2**31),
    ("lock_timeout", 0),
    ("lock_timeout", -1),
    ("lock_timeout", math.nan),
    ("lock_timeout", math.inf),
    ("max_hold", -0.5),
    ("max_hold", math.nan),
    ("durability", "FULL"),
    ("durability", "off"),
    ("durability", None),
    ("durability", ["full"]),
]


@pytest.mark.parametrize(("option", "value"), WRONG_TYPES)
def test_an_option_of_the_wrong_type_is_a_type_error_that_names_it(option: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"^{option}=") as caught:
        aiomemdb.connect("never-made.db", **{option: value})
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize(("option", "value"), OUT_OF_RANGE)
def test_an_option_out_of_range_is_a_value_error_that_names_it_and_its_range(option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{option}=") as caught:
        aiomemdb.connect("never-made.db", **{option: value})
    assert str(value) in str(caught.value)


def test_an_option_that_does_not_exist_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="timeout"):
        aiomemdb.connect("never-made.db", timeout=3)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "name",
    [
        "journal_mode",
        "synchronous",
        "locking_mode",
        "wal_autocheckpoint",
        "busy_timeout",
        "query_only",
        "writable_schema",
        "read_uncommitted",
        "user_version",
        "hard_heap_limit",
        "no_such_pragma",
        "cache_size; DROP TABLE t",
        "",
        7,
    ],
)
def test_a_pragma_that_could_break_a_promise_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match=r"can't be set; these can: .*cache_size"):
        SQLiteConfig(pragmas={name: 1})


@pytest.mark.parametrize("value", [1.5, None, "", "a b", "1; DROP TABLE t", "'", "ä", b"x", math.nan, [1]])
def test_a_pragmas_value_is_a_whole_number_a_bool_or_one_plain_word(value: Any) -> None:
    with pytest.raises(ValueError, match="cache_size="):
        SQLiteConfig(pragmas={"cache_size": value})


def test_names_of_pragmas_ignore_case() -> None:
    assert SQLiteConfig(pragmas={"Cache_SIZE": -2000}).pragmas == {"cache_size": -2000}


@pytest.mark.parametrize("value", [0, 0.5, 3, math.inf, None])
def test_a_callers_timeout_is_none_or_seconds(value: float | None) -> None:
    assert checked_timeout(value) == value


@pytest.mark.parametrize(
    ("value", "error"), [(-1, ValueError), (math.nan, ValueError), ("1", TypeError), (True, TypeError)]
)
def test_a_callers_timeout_that_is_none_of_these_is_an_error(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^timeout="):
        checked_timeout(value)


@pytest.mark.parametrize(
    ("target", "label"), [("/some/folder/agent.db", "agent.db"), (":memory:", ":memory:"), ("agent.db", "agent.db")]
)
def test_the_label_is_the_files_name_unless_it_is_given(target: str, label: str) -> None:
    assert aiomemdb.connect(target)._config.label == label
    assert aiomemdb.connect(target, label="mine")._config.label == "mine"


# -- engines -------------------------------------------------------------------------------------------------


@pytest.fixture
def other_engine(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, Any]]:
    """Another engine than SQLite, and what it was asked for."""
    asked: list[tuple[Any, Any]] = []

    def make(target: Any, options: Any) -> Any:
        asked.append((target, options))
        return "a database"

    monkeypatch.setitem(ENGINES, "other", Engine("Other", make, frozenset({"schema"})))
    return asked


def test_a_scheme_chooses_the_engine(other_engine: list[tuple[Any, Any]]) -> None:
    assert aiomemdb.connect("other://host/agents", readers=3) == "a database"  # type: ignore[comparison-overlap]
    [(target, options)] = other_engine
    assert target == "other://host/agents"
    assert set(options) == {field.name for field in dataclasses.fields(Config)}
    assert options["readers"] == 3 and options["label"] == "agents"


@pytest.mark.parametrize(("option", "value"), [("pragmas", {}), ("prepare", lambda conn: None)])
def test_an_option_of_another_engine_says_which(other_engine: list[tuple[Any, Any]], option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{option}= is an option of SQLite, and 'other://x' is of Other$"):
        aiomemdb.connect("other://x", **{option: value})
    assert not other_engine


@pytest.mark.parametrize(("scheme", "config"), [(None, SQLiteConfig), ("postgresql", PostgresConfig)])
def test_the_options_of_an_engine_are_those_of_its_config(scheme: str | None, config: Any) -> None:
    own = {field.name for field in dataclasses.fields(config)} - {f.name for f in dataclasses.fields(Config)}
    assert ENGINES[scheme].options == own


@pytest.mark.parametrize("option", sorted(ENGINES["postgresql"].options))
def test_an_option_of_postgresql_is_refused_for_a_file(option: str) -> None:
    with pytest.raises(ValueError, match=f"^{option}= is an option of PostgreSQL, and 'a.db' is of SQLite$"):
        aiomemdb.connect("a.db", **{option: 1})  # type: ignore[arg-type]


def test_no_error_of_connect_shows_a_password() -> None:
    for target, options in [("mysql://me:secret@host/db", {}), ("other://me:secret@h/d", {"pragmas": {}})]:
        with pytest.raises(ValueError) as caught:
            aiomemdb.connect(target, **options)  # type: ignore[arg-type]
        assert "secret" not in str(caught.value)
