"""Names and options that people know from other libraries are errors that say what serves instead."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

import aiomemdb
from aiomemdb.familiar import _OPTIONS, DATABASE, HOLD, MEMORY, SNAPSHOT, TRANSACTION, Familiar
from aiomemdb.memory.memory import Memory
from aiomemdb.sqlite.common.options import PRAGMAS
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from aiomemdb.sqlite.engine.transaction import SQLiteHold, SQLiteTransaction
from aiomemdb.sqlite.reading.snapshot import SQLiteSnapshot

TABLES: dict[type, Mapping[str, str]] = {
    SQLiteDatabase: DATABASE,
    SQLiteTransaction: TRANSACTION,
    SQLiteHold: HOLD,
    SQLiteSnapshot: SNAPSHOT,
    Memory: MEMORY,
}
NAMES = [(kind, name) for kind, table in TABLES.items() for name in table]

# What an advice may call: on the object itself, or where it says so on another.
_CALL = re.compile(r"(?:(db|tx|memory|memory\.db)\.)?\b([a-z_]+)\(")
_OTHERS = {"db": SQLiteDatabase, "tx": SQLiteTransaction, "memory": Memory, "memory.db": SQLiteDatabase}
_NO_VERBS = {"fn", "dict", "connect"}


@pytest.mark.parametrize(("kind", "name"), NAMES, ids=lambda value: getattr(value, "__name__", value))
def test_what_serves_elsewhere_names_what_serves_here(kind: type, name: str) -> None:
    made = kind.__new__(kind)
    with pytest.raises(AttributeError) as caught:
        getattr(made, name)
    assert str(caught.value) == f"{kind.__name__!r} object has no attribute {name!r}: {TABLES[kind][name]}"


@pytest.mark.parametrize(("kind", "name"), NAMES, ids=lambda value: getattr(value, "__name__", value))
def test_the_verb_that_is_named_exists(kind: type, name: str) -> None:
    for on, verb in _CALL.findall(TABLES[kind][name]):
        if verb not in _NO_VERBS:
            assert hasattr(_OTHERS.get(on, kind), verb), verb


@pytest.mark.parametrize("kind", TABLES)
def test_no_advice_stands_where_there_is_a_verb(kind: type) -> None:
    assert not TABLES[kind].keys() & set(dir(kind))


@pytest.mark.parametrize("kind", TABLES)
def test_any_other_name_is_missing_as_usual(kind: type) -> None:
    made = kind.__new__(kind)
    for name in ("nothing", "__len__", "_repr_html_", "__setstate__x"):
        assert not hasattr(made, name)
    with pytest.raises(AttributeError, match=f"^{kind.__name__!r} object has no attribute 'nothing'$") as caught:
        getattr(made, "nothing")  # noqa: B009
    assert (caught.value.name, caught.value.obj) == ("nothing", made)  # from which Python makes its "Did you mean"
    assert not set(dir(made)) & TABLES[kind].keys()


class Known(Familiar):
    _familiar: ClassVar[Mapping[str, str]] = {"spam": "use eggs"}

    def __init__(self) -> None:
        self.eggs = 3


def test_a_familiar_object_is_copied_and_pickled_as_any_other() -> None:
    for other in (copy.copy(Known()), copy.deepcopy(Known()), pickle.loads(pickle.dumps(Known()))):
        assert other.eggs == 3
        assert not hasattr(other, "spam")


# -- opening ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("open_it", [aiomemdb.connect, Memory.open])
@pytest.mark.parametrize("target", ["~", "~/x.db", "~root/x.db", Path("~/x.db")])
def test_a_path_from_home_names_expanduser(open_it: Any, target: Any) -> None:
    with pytest.raises(ValueError, match="expanduser"):
        open_it(target)


async def test_a_backup_to_home_names_expanduser(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        with pytest.raises(ValueError, match="expanduser"):
            await db.backup("~/copy.db")


@pytest.mark.parametrize("target", [b"copy.db", None, 3])
async def test_a_backup_to_what_is_no_path_says_so(db_path: Path, target: Any) -> None:
    async with aiomemdb.connect(db_path) as db:
        with pytest.raises(TypeError, match=r"backup\(.*\): a path"):
            await db.backup(target)


def test_a_file_with_a_name_that_begins_so_may_be_opened() -> None:
    aiomemdb.connect("~x.db")


@pytest.mark.parametrize(
    ("option", "advice"),
    [
        ("reader", "did you mean 'readers'"),
        ("max_pendings", "did you mean 'max_pending'"),
        ("lock_timout", "did you mean 'lock_timeout'"),
        ("timeout", "lock_timeout="),
        ("isolation_level", r"db.transaction\(\)"),
        ("check_same_thread", "threads of its own"),
        ("pool_size", "readers="),
        ("detect_types", r'datetime.fromisoformat\(row\["at"\]\), json.loads\(row\["data"\]\)'),
        ("detect_type", "the library's own too"),
        ("cached_statement", "statements are cached"),
        ("cache_size", r'pragmas=\{"cache_size": ...\}'),
        ("foreign_keys", r'pragmas=\{"foreign_keys": ...\}'),
        ("wal", "write-ahead log"),
        ("zzz", "there are readers, durability"),
    ],
)
def test_a_misspelt_option_says_which_is_meant(option: str, advice: str) -> None:
    with pytest.raises(TypeError, match=rf"connect\(\) has no option '{option}': .*{advice}"):
        aiomemdb.connect("x.db", **{option: 1})


def test_a_pragma_that_is_named_for_an_option_can_be_set() -> None:
    named = {name for name, advice in _OPTIONS.items() if "pragmas=" in advice}
    assert named
    assert named <= PRAGMAS


def test_a_misspelt_option_of_a_memory_says_which_is_meant() -> None:
    with pytest.raises(TypeError, match=r"open\(\) has no option 'namespaces': did you mean 'namespace'\?"):
        Memory.open("x.db", namespaces="a")  # type: ignore[call-arg]


@pytest.mark.parametrize("open_it", [aiomemdb.connect, Memory.open])
def test_a_plain_with_block_names_async_with(open_it: Any) -> None:
    with pytest.raises(TypeError, match=r"async with.*blocking"), open_it("x.db"):
        pass


@pytest.mark.parametrize("arguments", [(), ("x.db",), ("x.db", "a")])
def test_a_memory_made_by_its_class_names_open(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match=r"Memory\.open\(path\)"):
        Memory(*arguments)


@pytest.mark.parametrize("open_it", [aiomemdb.connect, Memory.open])
async def test_a_block_of_what_was_awaited_closes_it(db_path: Path, open_it: Any) -> None:
    async with await open_it(db_path) as opened:
        if open_it is aiomemdb.connect:
            assert await opened.read_value("SELECT 1") == 1
        else:
            assert await opened.entities() == []
    with pytest.raises(aiomemdb.DatabaseClosed):
        await (opened.read("SELECT 1") if open_it is aiomemdb.connect else opened.entities())


@pytest.mark.parametrize("open_it", [aiomemdb.connect, Memory.open])
async def test_a_second_block_is_an_error(db_path: Path, open_it: Any) -> None:
    async with await open_it(db_path) as opened:
        with pytest.raises(aiomemdb.AiomemdbError, match="opened before"):
            async with opened:
                pass
        with pytest.raises(aiomemdb.AiomemdbError, match="opened before"):
            await opened


async def test_a_block_of_what_was_closed_meanwhile_says_so(db_path: Path) -> None:
    db = await aiomemdb.connect(db_path)
    await db.close()
    with pytest.raises(aiomemdb.DatabaseClosed):
        async with db:
            pass
