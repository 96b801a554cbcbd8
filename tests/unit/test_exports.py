"""The public names, pinned: adding one is a decision, losing one breaks programs."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import inspect
import pickle
import subprocess
import sys
import textwrap
import types
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

import aiomemdb

PUBLIC = [
    "AddedEntity",
    "AddedFact",
    "AgentAnswer",
    "AgentLimits",
    "AiomemdbError",
    "AmbiguousEntity",
    "Change",
    "CommitOutcomeUnknown",
    "Database",
    "DatabaseClosed",
    "DatabaseReplaced",
    "Document",
    "EmbedderError",
    "EmptyStatement",
    "Entity",
    "Episode",
    "EpisodeExists",
    "Event",
    "Evidence",
    "Exported",
    "ExportedPages",
    "Fact",
    "ForbiddenStatement",
    "Forgotten",
    "ForkedError",
    "FormatError",
    "Graph",
    "Hit",
    "Hold",
    "Imported",
    "Loaded",
    "LockTimeout",
    "Memory",
    "ModelChanged",
    "Name",
    "Normaliser",
    "NormaliserChanged",
    "NotAQuery",
    "NotFound",
    "NotLoaded",
    "Page",
    "PostgresDatabase",
    "PostgresHold",
    "PostgresSnapshot",
    "PostgresStatistics",
    "PostgresTransaction",
    "QueueFull",
    "ReadTimeout",
    "Recall",
    "ReentrancyError",
    "Remembered",
    "Result",
    "Row",
    "SQLiteDatabase",
    "SQLiteHold",
    "SQLiteSnapshot",
    "SQLiteStatistics",
    "SQLiteTransaction",
    "SchemaTooNew",
    "ServerLost",
    "Snapshot",
    "SnapshotEnded",
    "Statement",
    "Statistics",
    "Subgraph",
    "Transaction",
    "TransactionConflict",
    "TransactionEnded",
    "TransactionLost",
    "TransactionTimeout",
    "WriteTimeout",
    "WriterCrashed",
    "WrongLoop",
    "__version__",
    "connect",
    "run",
]


def test_the_package_exports_these_names() -> None:
    assert sorted(aiomemdb.__all__) == PUBLIC
    for name in PUBLIC:
        assert hasattr(aiomemdb, name)


def test_nothing_else_is_visible_but_modules() -> None:
    visible = {name for name in dir(aiomemdb) if not name.startswith("_")}
    assert {name for name in visible if not inspect.ismodule(getattr(aiomemdb, name))} == set(PUBLIC) - {"__version__"}


def in_a_new_process(text: str) -> None:
    root = Path(aiomemdb.__file__).parents[1]
    subprocess.run([sys.executable, "-W", "error", "-c", textwrap.dedent(text)], check=True, cwd=root)


def test_importing_it_loads_no_engine_and_no_memory() -> None:
    in_a_new_process("""
        import sys
        before = set(sys.modules)
        import aiomemdb
        loaded = set(sys.modules) - before
        ours = {name for name in loaded if name.startswith("aiomemdb")}
        assert ours == {"aiomemdb", "aiomemdb.descriptors", "aiomemdb.errors"}, ours
        assert not loaded & {"sqlite3", "aiosqlite", "asyncio", "numpy", "anyio"}, loaded
    """)


def test_what_every_engine_has_is_there_where_there_is_no_sqlite() -> None:
    in_a_new_process("""
        import sys
        sys.modules["sqlite3"] = sys.modules["aiosqlite"] = None
        import aiomemdb
        from aiomemdb import Database, NotAQuery, Row, Snapshot, Statistics, Transaction, connect, run
        from tests.support.fake_database import FakeDatabase, as_every_engine_is_used
        assert not [name for name in sys.modules if name.startswith(("aiomemdb.sqlite", "aiomemdb.memory"))]
        try:
            connect("a.db")
        except ImportError as error:
            assert "sqlite" in str(error)
        else:
            raise AssertionError("SQLite was not missed")
    """)


def test_an_engine_is_loaded_without_the_memory() -> None:
    in_a_new_process("""
        import sys, aiomemdb
        aiomemdb.connect("never-made.db")
        assert "aiomemdb.sqlite.engine.database" in sys.modules
        assert not [name for name in sys.modules if name.startswith("aiomemdb.memory")]
    """)


def test_the_names_are_there_before_they_are_used() -> None:
    in_a_new_process("""
        import aiomemdb
        assert set(aiomemdb.__all__) <= set(dir(aiomemdb)) and "__name__" in dir(aiomemdb)
        from aiomemdb import *
        assert Memory is aiomemdb.Memory and connect is aiomemdb.connect
        assert all(name in globals() for name in aiomemdb.__all__)
    """)


def test_a_room_that_was_imported_first_hides_no_name() -> None:
    in_a_new_process("""
        import importlib, pkgutil, aiomemdb
        for room in pkgutil.walk_packages(aiomemdb.__path__, "aiomemdb."):
            try:
                importlib.import_module(room.name)
            except ImportError:  # the adapter's framework is not installed, or not that version
                assert room.name.startswith(("aiomemdb.integrations.", "aiomemdb.mcp.")), room.name
        assert not [n for n in aiomemdb.__all__ if type(getattr(aiomemdb, n)).__name__ == "module"]
    """)


def test_a_room_can_be_had_as_an_attribute() -> None:
    in_a_new_process("""
        import aiomemdb
        assert aiomemdb.embedders.packaged and aiomemdb.errors.NotFound is aiomemdb.NotFound
    """)


def test_what_programs_use_as_an_attribute_is_visible_before_and_loaded_then() -> None:
    in_a_new_process("""
        import sys, aiomemdb
        assert {"blocking", "embedders", "errors"} <= set(dir(aiomemdb))
        assert not [name for name in sys.modules if name.startswith(("aiomemdb.blocking", "aiomemdb.sqlite"))]
        with aiomemdb.blocking.connect(":memory:") as db:
            assert db.read_value("SELECT 1") == 1
    """)


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'aiomemdb' has no attribute 'conect'$") as caught:
        aiomemdb.conect  # type: ignore[attr-defined]  # noqa: B018
    assert caught.value.obj is aiomemdb and caught.value.name == "conect"
    assert not hasattr(aiomemdb, "__wrapped__") and not hasattr(aiomemdb, "a.b") and not hasattr(aiomemdb, "")


def test_a_room_that_can_not_be_imported_says_why() -> None:
    in_a_new_process("""
        import sys, aiomemdb
        sys.modules["aiomemdb.embedders.protocol"] = None
        try:
            aiomemdb.embedders
        except ModuleNotFoundError as error:
            assert error.name == "aiomemdb.embedders.protocol"
        else:
            raise AssertionError("it was not missed")
    """)


def test_type_checkers_and_programs_import_each_name_from_the_same_room() -> None:
    tree = ast.parse(Path(aiomemdb.__file__).read_text())
    [checking] = [
        each for each in tree.body if isinstance(each, ast.If) and ast.unparse(each.test) == "typing.TYPE_CHECKING"
    ]
    typed = {
        each.module: [alias.name for alias in each.names] for each in checking.body if isinstance(each, ast.ImportFrom)
    }
    assert typed == aiomemdb._ROOMS


@pytest.mark.parametrize("name", sorted(set(PUBLIC) - {"__version__"}))
def test_what_can_be_pickled_is_found_again(name: str) -> None:
    value = getattr(aiomemdb, name)
    assert pickle.loads(pickle.dumps(value)) is value


def test_every_module_says_what_it_exports() -> None:
    root = Path(aiomemdb.__file__).parent
    for file in root.rglob("*.py"):
        if file.name == "__init__.py":
            continue
        name = ".".join(["aiomemdb", *file.relative_to(root).with_suffix("").parts])
        try:
            module = importlib.import_module(name)
        except ImportError:  # the adapter's framework is not installed, or not that version
            assert name.startswith(("aiomemdb.integrations.", "aiomemdb.mcp.")), name
            continue
        assert module.__all__, name
        for exported in module.__all__:
            assert hasattr(module, exported), (name, exported)


def functions_of(value: object) -> Iterator[types.FunctionType]:
    """A function, or what a class defines or inherits from a class of ours."""
    if isinstance(value, types.FunctionType):
        yield value
    elif isinstance(value, type):
        for each in (inspect.getattr_static(value, name) for name in dir(value)):
            function = each.fget if isinstance(each, property) else getattr(each, "__func__", each)
            if isinstance(function, types.FunctionType) and function.__module__.startswith("aiomemdb"):
                yield function


@pytest.mark.parametrize(
    "value",
    [
        *(getattr(aiomemdb, name) for name in PUBLIC if name != "__version__"),
        *(getattr(aiomemdb.embedders, name) for name in aiomemdb.embedders.__all__),
        aiomemdb.config.Config,
        aiomemdb.sqlite.common.options.SQLiteConfig,
    ],
    ids=lambda value: value.__name__,
)
def test_annotations_name_what_programs_can_find(value: object) -> None:
    for each in (value, *functions_of(value)):
        typing.get_type_hints(each)


def test_the_annotations_of_connect_load_the_engine_when_they_are_asked() -> None:
    in_a_new_process("""
        import sys, typing, aiomemdb
        connect = aiomemdb.connect
        assert not {"sqlite3", "aiomemdb.sqlite"} & set(sys.modules)
        hints = typing.get_type_hints(connect)
        import sqlite3
        assert hints["return"] is aiomemdb.SQLiteDatabase
        assert hints["prepare"] == typing.Optional[typing.Callable[[sqlite3.Connection], object]] or \
            "sqlite3.Connection" in str(hints["prepare"])
    """)


def test_the_version_is_that_of_the_distribution() -> None:
    assert aiomemdb.__version__ == importlib.metadata.version("aiomemdb")


def test_the_package_is_typed() -> None:
    assert (Path(aiomemdb.__file__).parent / "py.typed").is_file()


def test_importing_it_opens_nothing_and_starts_nothing() -> None:
    text = "import threading, aiomemdb, asyncio; assert threading.active_count() == 1; asyncio.run(asyncio.sleep(0))"
    subprocess.run([sys.executable, "-W", "error", "-c", text], check=True, cwd=Path(aiomemdb.__file__).parents[1])


def test_a_bare_execute_does_not_exist() -> None:
    for protocol in (aiomemdb.Database, aiomemdb.Transaction, aiomemdb.Snapshot, aiomemdb.SQLiteDatabase):
        assert not {"execute", "executemany", "executescript", "commit", "rollback", "cursor"} & set(dir(protocol))


PROTOCOLS = (aiomemdb.Database, aiomemdb.Transaction, aiomemdb.Snapshot)
OF_SQLITE = (aiomemdb.SQLiteDatabase, aiomemdb.SQLiteTransaction, aiomemdb.SQLiteSnapshot)


def verbs_of(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))}


@pytest.mark.parametrize("kind", [*PROTOCOLS, *OF_SQLITE])
def test_every_public_verb_is_documented(kind: type) -> None:
    for name in verbs_of(kind):
        assert inspect.getdoc(getattr(kind, name)), name


@pytest.mark.parametrize(
    ("of_sqlite", "protocol", "added"),
    [
        (
            aiomemdb.SQLiteDatabase,
            aiomemdb.Database,
            {
                "write_fn",
                "read_fn",
                "agent_read",
                "changes",
                "wait_for_change",
                "backup",
                "checkpoint",
                "optimize",
                "vacuum",
            },
        ),
        (aiomemdb.SQLiteTransaction, aiomemdb.Transaction, {"write_fn", "read_fn"}),
        (aiomemdb.SQLiteSnapshot, aiomemdb.Snapshot, {"read_fn"}),
    ],
)
def test_sqlite_has_what_every_engine_has_and_its_own(of_sqlite: type, protocol: type, added: set[str]) -> None:
    assert verbs_of(of_sqlite) == verbs_of(protocol) | added
    for name in verbs_of(protocol):
        assert getattr(of_sqlite, name) is not getattr(protocol, name), f"{name} is only described"
