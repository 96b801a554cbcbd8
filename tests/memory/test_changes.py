"""The feed of a memory: each event once, in the order of commits, with no gap."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from aiomemdb import AiomemdbError, Change, Entity, Fact, Memory
from aiomemdb.memory.changes import _AT_ONCE
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from tests.memory.conftest import Target

pytestmark = pytest.mark.engines_only

PATIENCE = 60.0


@pytest.fixture
async def memory(target: Target) -> AsyncIterator[Memory]:
    async with Memory.open(target, namespace="mine") as memory:
        yield memory


async def read(memory: Memory, count: int, after: str | None = "start", **options: list[str]) -> list[Change]:
    found: list[Change] = []
    async with asyncio.timeout(PATIENCE), aclosing(memory.changes(after, **options)) as changes:
        async for change in changes:
            found.append(change)
            if len(found) == count:
                break
    return found


def told(changes: list[Change]) -> list[tuple[str, str, int]]:
    return [(change.event.operation, change.event.kind, change.event.ref) for change in changes]


async def audit(memory: Memory, of: str = "id", where: str = "TRUE") -> list[tuple[int, ...]]:
    table = "memory_event" if isinstance(memory.db, SQLiteDatabase) else "aiomemdb.memory_event"
    return [tuple(row) for row in await memory.db.read(f"SELECT {of} FROM {table} WHERE {where} ORDER BY id")]


def ids_of(changes: list[Change]) -> list[tuple[int, ...]]:
    return [(change.event.id,) for change in changes]


async def test_all_that_was_done_is_told_with_what_it_is_about(memory: Memory) -> None:
    fact = await memory.add_fact("Ada", "lives in", "London")
    found = await read(memory, len(await audit(memory)))
    assert ids_of(found) == await audit(memory)
    assert {type(change.item) for change in found} == {Entity, Fact}
    assert fact in [change.item for change in found]


async def test_a_reader_goes_on_from_each_position(memory: Memory) -> None:
    for number in range(3):
        await memory.add_fact("Ada", "counts", value=number)
    whole = await read(memory, len(await audit(memory)))
    for place in range(len(whole) - 1):
        rest = await read(memory, len(whole) - place - 1, whole[place].position)
        assert told(rest) == told(whole[place + 1 :])


async def test_more_than_is_read_at_once_is_told_whole_and_goes_on_from_each_end(memory: Memory) -> None:
    await memory.remember("many", mentions=[f"name {number}" for number in range(2 * _AT_ONCE + 50)])
    ids = await audit(memory)
    assert len(ids) > 2 * _AT_ONCE
    whole = await read(memory, len(ids))
    assert ids_of(whole) == ids
    for place in (_AT_ONCE - 1, _AT_ONCE, 2 * _AT_ONCE - 1):
        rest = await read(memory, len(ids) - place - 1, whole[place].position)
        assert ids_of(rest) == ids[place + 1 :]


async def test_kinds_are_chosen(memory: Memory) -> None:
    await memory.remember("Ada lives in London", [("Ada", "lives in", "London")])
    assert {change.event.kind for change in await read(memory, 1, kinds=["episode"])} == {"episode"}


@pytest.mark.sqlite_only
async def test_a_feed_without_a_position_begins_now_and_waits(memory: Memory) -> None:
    await memory.add_fact("Ada", "lives in", "London")
    async with aclosing(memory.changes(kinds=["fact"])) as changes:
        waiting = asyncio.ensure_future(anext(changes))
        while not memory.db._assembly.watcher._waiting:  # type: ignore[attr-defined]  # noqa: ASYNC110
            await asyncio.sleep(0)
        fact = await memory.add_fact("Ada", "writes", "Notes")
        async with asyncio.timeout(PATIENCE):
            assert (await waiting).item == fact


async def test_other_namespaces_are_not_told_unless_they_are_read(memory: Memory) -> None:
    theirs = memory.scoped(namespace="theirs")
    await theirs.add_fact("Zebra", "hides", "Here")
    mine = await memory.add_fact("Ada", "lives in", "London")
    assert [change.item for change in await read(memory, 1, kinds=["fact"])] == [mine]
    both = await read(memory.scoped(also_read=["theirs"]), 2, kinds=["fact"])
    assert [change.event.id for change in both] == sorted(change.event.id for change in both)


async def test_what_was_forgotten_has_no_item(memory: Memory) -> None:
    fact = await memory.add_fact("Ada", "lives in", "London")
    await memory.forget(fact)
    found = await read(memory, 2, kinds=["fact"])
    assert [(change.event.operation, change.item) for change in found][-1] == ("forget", None)
    assert found[0].item is None


async def test_a_namespace_that_was_forgotten_in_between_is_one_change(memory: Memory) -> None:
    await memory.add_fact("Ada", "lives in", "London")
    [first] = await read(memory, 1)
    await memory.add_fact("Ada", "writes", "Notes")
    await memory.forget_namespace()
    await memory.add_fact("Bob", "lives in", "Paris")
    found = await read(memory, 4, first.position)
    assert told(found)[0][:2] == ("forget", "namespace")
    assert [change.event.kind for change in found].count("namespace") == 1
    assert all(change.item is not None for change in found[1:])
    rest = await read(memory, 3, found[0].position)
    assert told(rest) == told(found[1:])
    await memory.forget_namespace()
    for change in found:  # the second one of that name
        [gone] = await read(memory, 1, change.position)
        assert told([gone])[0][:2] == ("forget", "namespace")


async def test_a_merged_entity_is_the_one_that_stays(memory: Memory) -> None:
    keep, duplicate = await memory.find_or_create_entity("Ada"), await memory.find_or_create_entity("Ada L")
    await memory.merge(keep, duplicate)
    items = {change.event.ref: change.item for change in await read(memory, 2)}
    assert items[keep.id] is not None and items[duplicate.id] is None


@pytest.mark.parametrize("after", ["x", "", "WyJjaGFuZ2VzIl0", 7])
async def test_a_position_is_one_of_the_feeds(memory: Memory, after: str) -> None:
    with pytest.raises((ValueError, TypeError), match="position"):
        memory.changes(after)


async def test_kinds_are_checked(memory: Memory) -> None:
    for wrong in ("fact", ["facts"]):
        with pytest.raises(ValueError, match="kinds"):
            memory.changes(kinds=wrong)


async def test_a_feed_is_followed_outside_of_transactions(memory: Memory) -> None:
    async with memory.db.transaction() as tx:
        with pytest.raises(AiomemdbError, match="outside of transactions"):
            await anext(memory.within(tx).changes())


_WRITE = """
import asyncio, sys
from aiomemdb import Memory

async def main():
    path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    async with Memory.open(path, namespace="mine") as memory:
        for number in range(count):
            await memory.add_fact(name, "counts", value=number)

asyncio.run(main())
"""
_READ = """
import asyncio, sys
from aiomemdb import Memory

async def main():
    path, after = sys.argv[1], sys.argv[2]
    async with Memory.open(path, namespace="mine") as memory:
        async for change in memory.changes(after, kinds=["fact"]):
            print(change.event.id, change.event.ref, change.position, flush=True)

asyncio.run(main())
"""


@pytest.mark.sqlite_only
@pytest.mark.parametrize("written_since", [0, 1, 5])
async def test_behind_a_backup_that_was_put_back_a_later_position_is_refused(
    tmp_path: Path, written_since: int
) -> None:
    path, backup = tmp_path / "memory.db", tmp_path / "backup.db"
    async with Memory.open(path, namespace="mine") as memory:
        early = await memory.position()
        await memory.add_fact("Ada", "counts", value=0)
        at_backup = await memory.position()
        await memory.db.backup(backup)
        await memory.add_fact("Ada", "counts", value=1)
        later = await memory.position()
    async with Memory.open(backup, namespace="mine") as memory:
        for number in range(written_since):
            await memory.add_fact("Bob", "counts", value=number)
        with pytest.raises(ValueError, match="a backup was put in its place"):
            await anext(memory.changes(later))
        assert await read(memory, 1, early)  # of the past that both have
        if written_since:
            assert await read(memory, 1, at_backup)


@pytest.mark.parametrize(
    ("writers", "count"), [(3, 60), pytest.param(8, 500, marks=[pytest.mark.soak, pytest.mark.timeout(600)])]
)
async def test_readers_that_are_killed_and_writers_of_many_processes(target: Target, writers: int, count: int) -> None:
    async with Memory.open(target, namespace="mine") as memory:
        processes = [
            subprocess.Popen([sys.executable, "-c", _WRITE, str(target), f"W{number}", str(count)])
            for number in range(writers)
        ]
        seen: list[tuple[int, int]] = []
        after, total = "start", writers * count
        while len(seen) < total:
            reader = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _READ, str(target), after, stdout=asyncio.subprocess.PIPE
            )
            assert reader.stdout is not None
            for _ in range(max(1, total // 4)):
                if len(seen) == total:
                    break
                line = (await reader.stdout.readline()).split()
                seen.append((int(line[0]), int(line[1])))
                after = line[2].decode()
            reader.kill()
            await reader.wait()
            reader.stdout._transport.close()  # type: ignore[attr-defined]
        assert [process.wait() for process in processes] == [0] * writers
        assert seen == await audit(memory, "id, ref", "kind = 'fact'")
