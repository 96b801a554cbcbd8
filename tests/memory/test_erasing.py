"""No byte of what was forgotten is left: the files are searched for it as they lie on the disk."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb import Forgotten, Memory, Statement
from aiomemdb.memory.stores.sqlite import erasing, forgetting
from tests.memory.conftest import assert_sound
from tests.memory.support import SpellingEmbedder

pytestmark = pytest.mark.sqlite_only


def files_with(path: Path, secret: str) -> list[str]:
    """Files beside the database, and itself, in which a text is. (Read when no connection is open in this process.)"""
    return sorted(file.name for file in path.parent.glob(f"{path.name}*") if secret.encode() in file.read_bytes())


def secret(number: int) -> str:
    return f"zq{number:05d}qz"


async def fill(memory: Memory, count: int, seed: int) -> None:
    """Each secret is in a text, in a fact's words, value and quote, in names, keys and sessions; sizes vary, so that
    pages split and overflow.
    """
    chance = random.Random(seed)
    for number in range(count):
        mine = secret(number)
        noise = " ".join(f"w{chance.randint(0, 4000)}" for _ in range(chance.choice([3, 30, 300, 3000])))
        facts = [
            Statement(subject=f"Hub {number % 7}", predicate="met", object=mine, quote=f"met {mine}"),
            Statement(subject=mine, predicate="said", value=f"{noise[:500]} {mine}"),
        ]
        await memory.remember(f"{noise} {mine} {noise}", facts, key=f"k {mine}", session=f"{chance.random()} {mine}")


async def forget(memory: Memory, number: int) -> None:
    episode = await memory.episode(key=f"k {secret(number)}")
    entity = await memory.entity(secret(number))
    assert episode is not None and entity is not None
    await memory.update_entity(entity, description=f"about {secret(number)}")
    [fact] = await memory.facts(entity)
    await memory.retract(fact, f"no longer {secret(number)}")
    await memory.forget(episode)
    await memory.forget(entity)


@pytest.mark.parametrize("secure_delete", [0, 1])
async def test_no_byte_of_what_was_forgotten_is_left_in_file_or_log(db_path: Path, secure_delete: int) -> None:
    count = 60
    embedder = SpellingEmbedder(dim=8)
    async with (
        aiomemdb.connect(db_path, pragmas={"secure_delete": secure_delete}) as db,
        Memory.open(db, embedder=embedder) as memory,
    ):
        await fill(memory, count, 1)
        for number in range(0, count, 2):
            await forget(memory, number)
        assert await memory.erase()
        assert len(await memory.recall(secret(1))) > 0
    for number in range(count):
        assert bool(files_with(db_path, secret(number))) == bool(number % 2), secret(number)
    assert_sound(db_path)


async def test_words_of_a_forgotten_namespace_go_too(db_path: Path) -> None:
    async with Memory.open(db_path, namespace="team") as memory:
        await fill(memory, 5, 1)
        await memory.forget_namespace()
        assert await memory.erase()
    for number in range(5):
        assert files_with(db_path, secret(number)) == []


async def test_what_still_waits_to_be_deleted_goes_too(db_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def dies(*_: object) -> Forgotten:
        return Forgotten()

    async with Memory.open(db_path) as memory:
        await fill(memory, 2, 1)
        with monkeypatch.context() as patched:
            patched.setattr(forgetting, "_SLICE", 0)
            patched.setattr(memory._core.store, "delete", dies)
            await forget(memory, 0)
        assert await memory.erase()
    assert files_with(db_path, secret(0)) == []
    assert files_with(db_path, secret(1)) != []
    assert_sound(db_path)


async def test_what_was_forgotten_since_a_merge_was_cut_short_goes_too(
    db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The marks of what is forgotten then are in a segment that the merge which is under way does not take."""
    async with Memory.open(db_path) as memory:
        await fill(memory, 20, 1)
        whole = await memory.remember(f"the words of {secret(99)}")
        monkeypatch.setattr(erasing, "_PAGES", 1)
        assert await memory.db.write_fn(erasing.merge_slice, "episode", True)  # begun, as by an erase() cut short
        await memory.forget(whole.episode)
        assert await memory.erase()
    assert files_with(db_path, secret(99)) == []


async def test_a_reader_that_keeps_the_log_is_reported(db_path: Path) -> None:
    async with Memory.open(db_path) as memory:
        await fill(memory, 2, 1)
        async with memory.db.snapshot() as snapshot:
            assert await snapshot.read_value("SELECT count(*) FROM episode") == 2
            await forget(memory, 0)
            assert not await memory.erase()
        assert await memory.db.checkpoint()
    assert files_with(db_path, secret(0)) == []


async def test_others_get_their_turns_while_words_are_merged(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(memory, 20, 1)
    monkeypatch.setattr(erasing, "_PAGES", 1)
    writes = memory.db.statistics().writes
    await memory.erase()
    assert memory.db.statistics().writes - writes > 10
