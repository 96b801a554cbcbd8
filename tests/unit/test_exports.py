"""The public names, pinned: adding one is a decision, losing one breaks somebody."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import aiomemdb

PUBLIC = [
    "AiomemdbError",
    "AmbiguousEntity",
    "CommitOutcomeUnknown",
    "Database",
    "DatabaseClosed",
    "DatabaseReplaced",
    "EmbedderError",
    "EmptyStatement",
    "Entity",
    "Episode",
    "EpisodeExists",
    "Event",
    "Evidence",
    "Fact",
    "ForbiddenStatement",
    "Forgotten",
    "ForkedError",
    "Hit",
    "LockTimeout",
    "Memory",
    "ModelChanged",
    "Name",
    "Normaliser",
    "NormaliserChanged",
    "NotAQuery",
    "NotFound",
    "Page",
    "QueueFull",
    "ReadTimeout",
    "Recall",
    "ReentrancyError",
    "Remembered",
    "Result",
    "Row",
    "SQLiteDatabase",
    "SQLiteSnapshot",
    "SQLiteStatistics",
    "SQLiteTransaction",
    "SchemaTooNew",
    "Snapshot",
    "SnapshotEnded",
    "Statement",
    "Statistics",
    "Subgraph",
    "Transaction",
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
    visible = {
        name for name, value in vars(aiomemdb).items() if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert visible == set(PUBLIC) - {"__version__"}


def test_every_module_says_what_it_exports() -> None:
    root = Path(aiomemdb.__file__).parent
    for file in root.rglob("*.py"):
        if file.name == "__init__.py":
            continue
        name = ".".join(["aiomemdb", *file.relative_to(root).with_suffix("").parts])
        module = importlib.import_module(name)
        assert module.__all__, name
        for exported in module.__all__:
            assert hasattr(module, exported), (name, exported)


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
            {"write_fn", "read_fn", "backup", "checkpoint", "optimize", "vacuum"},
        ),
        (aiomemdb.SQLiteTransaction, aiomemdb.Transaction, {"write_fn", "read_fn"}),
        (aiomemdb.SQLiteSnapshot, aiomemdb.Snapshot, {"read_fn"}),
    ],
)
def test_sqlite_has_what_every_engine_gives_and_its_own(of_sqlite: type, protocol: type, added: set[str]) -> None:
    assert verbs_of(of_sqlite) == verbs_of(protocol) | added
    for name in verbs_of(protocol):
        assert getattr(of_sqlite, name) is not getattr(protocol, name), f"{name} is only described"
