"""The memory in plain functions."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb import blocking


def ours() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("aiomemdb")]


def test_a_blocking_memory_remembers_and_recalls(db_path: Path) -> None:
    with blocking.Memory.open(db_path, agent="script") as memory:
        ada = memory.find_or_create_entity("Ada", "person")
        memory.remember("Ada likes tea", [(ada, "likes", "tea")], mentions=iter(["Charles"]))
        [fact] = memory.facts("ada")
        assert fact.text == "Ada likes tea" and fact.agent == "script"
        assert memory.recall("who likes tea?").hits
        assert memory.scoped(namespace="other").counts().facts == 0
        assert memory.db.read_value("SELECT 1") == 1
        assert memory.forget(fact).facts == 1
    assert ours() == []


def test_many_threads_find_or_create_one_entity(db_path: Path) -> None:
    with blocking.Memory.open(db_path) as memory, ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda name: memory.find_or_create_entity(name).id, ["Acme Corp", "ACME corp"] * 20)
        assert len(set(found)) == 1


def test_a_memory_on_an_open_database_leaves_it_open(db_path: Path) -> None:
    with blocking.connect(db_path) as db:
        with blocking.Memory.open(db) as memory:
            memory.add_fact("Ada", "likes", "tea")
        assert db.read_value("SELECT count(*) FROM fact") == 1
        with pytest.raises(aiomemdb.DatabaseClosed):
            memory.counts()


def test_a_view_keeps_the_thread_that_all_views_share(db_path: Path) -> None:
    view = blocking.Memory.open(db_path).scoped(agent="a")
    view.add_fact("Ada", "likes", "tea")
    view.close()
    view.close()
    assert ours() == []


@pytest.mark.parametrize("target", [None, 3, aiomemdb.connect("never-made.db")])
def test_a_memory_is_opened_on_a_path_or_on_a_blocking_database(target: object) -> None:
    with pytest.raises(TypeError, match="blocking"):
        blocking.Memory.open(target)  # type: ignore[arg-type]
    assert ours() == []


def test_an_error_of_opening_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        blocking.Memory.open(tmp_path / "no such folder" / "a.db")
    with blocking.connect(tmp_path / "a.db") as db:
        pass
    with pytest.raises(aiomemdb.DatabaseClosed):
        blocking.Memory.open(db)
    assert ours() == []


def test_a_verb_of_another_library_says_what_serves_instead(db_path: Path) -> None:
    with (
        blocking.Memory.open(db_path) as memory,
        pytest.raises(AttributeError, match=r"recall\(question\)"),
    ):
        memory.search  # type: ignore[attr-defined]  # noqa: B018
