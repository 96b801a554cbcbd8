"""A room imports only rooms above it: a write's whole way goes in one direction, and no room is entered twice."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import aiomemdb

ROOT = Path(aiomemdb.__file__).parent

# From the top down. Those that exist may not yet be all that are drawn: a room that is planned has its place.
# fmt: off
ROOMS = [
    "errors", "values", "runner", "familiar",
    "config", "database",
    "concurrency.job", "concurrency.queue", "concurrency.failing", "concurrency.pool", "concurrency.bell",
    "sqlite.codes",
    "sqlite.file.holders", "sqlite.file.busy", "sqlite.file.hazards", "sqlite.file.files", "sqlite.file.turnstile",
    "sqlite.connection.arguments", "sqlite.connection.script", "sqlite.connection.notes",
    "sqlite.connection.guard", "sqlite.connection.preparing", "sqlite.connection.immutable",
    "sqlite.connection.connection", "sqlite.connection.configuring",
    "sqlite.reading.queries", "sqlite.reading.verbs", "sqlite.reading.readers", "sqlite.reading.snapshot",
    "sqlite.reading.stream", "sqlite.reading.backup",
    "sqlite.writing.sequence", "sqlite.writing.rowids", "sqlite.writing.slow", "sqlite.writing.session",
    "sqlite.writing.verbs", "sqlite.writing.batch", "sqlite.writing.checkpoints", "sqlite.writing.lease",
    "sqlite.writing.writer",
    "sqlite.transaction", "sqlite.database",
    "connect",
    "embedders.protocol", "embedders.common",
    "embedders.wordllama", "embedders.sentence_transformers", "embedders.openai",
    "memory.prompt", "memory.values", "memory.times", "memory.names", "memory.pages", "memory.searching",
    "memory.store", "memory.vectors", "memory.drafts", "memory.deciding.merging",
    "memory.sqlite_store.schema", "memory.sqlite_store.rows", "memory.sqlite_store.setwise", "memory.sqlite_store.work",
    "memory.sqlite_store.identity", "memory.sqlite_store.facts", "memory.sqlite_store.documents",
    "memory.sqlite_store.merging", "memory.sqlite_store.normalising", "memory.sqlite_store.migrating",
    "memory.sqlite_store.jobs", "memory.sqlite_store.forgetting", "memory.sqlite_store.erasing",
    "memory.sqlite_store.reading",
    "memory.sqlite_store.embeddings", "memory.sqlite_store.search", "memory.sqlite_store.store",
    "memory.together", "memory.identity", "memory.rank", "memory.core",
    "memory.asking", "memory.recall", "memory.naming", "memory.memory",
    "cli",
]
# fmt: on

# These know nothing of what is ours.
ALONE = {"errors", "values", "runner", "familiar", "concurrency.pool"}

# The memory graph talks to the verbs of Database alone.
HIDDEN_FROM_MEMORY = "sqlite."


def room_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts)


FILES = {room_of(file): file for file in sorted(ROOT.rglob("*.py")) if file.name not in ("__init__.py", "__main__.py")}


def imports(file: Path) -> Iterator[str]:
    """The modules that a file imports, anywhere in it; ours are named as in ROOMS."""
    package = ["aiomemdb", *file.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            modules = [module] if node.module else [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        for module in modules:
            yield module.removeprefix("aiomemdb.")


def test_every_room_has_its_place_in_the_order() -> None:
    places = {room for room in FILES if not room.startswith("cli.")}
    assert places <= set(ROOMS)
    assert len(ROOMS) == len(set(ROOMS))


@pytest.mark.parametrize("room", FILES)
def test_a_room_imports_only_rooms_that_stand_above_it(room: str) -> None:
    ours = [module for module in imports(FILES[room]) if module in FILES or module.startswith("aiomemdb")]
    assert "aiomemdb" not in ours  # only the package itself sees all
    above = ROOMS[: ROOMS.index(room)]
    assert set(ours) <= set(above), f"{room} imports what stands below it"
    if room in ALONE:
        assert not ours
    if room.startswith("memory."):
        assert not [module for module in ours if module.startswith(HIDDEN_FROM_MEMORY)]


def test_one_room_alone_imports_aiosqlite() -> None:
    users = {room for room, file in FILES.items() if any(m.split(".")[0] == "aiosqlite" for m in imports(file))}
    assert users == {"sqlite.connection.connection"}


def test_packages_hold_nothing_but_the_public_names() -> None:
    for file in ROOT.rglob("__init__.py"):
        statements = ast.parse(file.read_text()).body
        if file.parent in (ROOT, ROOT / "embedders"):
            kinds: tuple[type[ast.stmt], ...] = (ast.Expr, ast.ImportFrom, ast.Assign)
        else:
            kinds = (ast.Expr,)
        assert all(isinstance(statement, kinds) for statement in statements), file


@pytest.mark.parametrize("room", FILES)
def test_no_room_grows_into_a_hall(room: str) -> None:
    assert len(FILES[room].read_text().splitlines()) <= 600
