"""remember_many: as remember, many at once, in jobs of a size, ahead of the writer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest

from aiomemdb import Document, EpisodeExists, Memory, Statement
from aiomemdb.memory import loading
from aiomemdb.memory.loading import Pace, ahead
from tests.memory.conftest import Target
from tests.memory.killed import kill_again_and_again
from tests.memory.support import AnsweringEmbedder, GatedEmbedder, SpellingEmbedder, day
from tests.support.plain import plain


def documents(count: int, start: int = 0) -> list[Document]:
    return [
        Document(
            content=f"document {n}",
            key=f"k{n}",
            session=f"s{n % 3}",
            occurred_at=day(n % 50),
            metadata={"n": n},
            facts=[Statement(subject=f"N {n}", predicate="is in", object=f"S {n % 3}", quote="so")],
            mentions=["everybody"],
        )
        for n in range(start, start + count)
    ]


async def test_remember_many_stores_what_remember_does_one_by_one(memory: Memory) -> None:
    loaded = await memory.remember_many(documents(150))
    assert (loaded.stored, loaded.known, loaded.failed) == (150, 0, ())
    other = memory.scoped(namespace="one by one")
    for each in documents(150):
        await other.remember(
            each.content,
            each.facts,
            key=each.key,
            session=each.session,
            occurred_at=each.occurred_at,
            metadata=each.metadata,
            mentions=each.mentions,
        )
    assert await memory.counts() == await other.counts()
    for session in ("s0", "s1", "s2"):
        ours, theirs = [await of.episodes(session=session, limit=200) for of in (memory, other)]
        assert len(ours) == 50
        assert [(each.content, each.seq, each.occurred_at, each.metadata) for each in ours] == [
            (each.content, each.seq, each.occurred_at, each.metadata) for each in theirs
        ]


@pytest.mark.sqlite_only
async def test_what_is_there_costs_a_read_and_no_job(memory: Memory) -> None:
    await memory.remember_many(documents(250))
    writes = memory._core.db.statistics().writes
    loaded = await memory.remember_many(documents(250))
    assert (loaded.stored, loaded.known) == (0, 250)
    assert memory._core.db.statistics().writes == writes


async def test_loading_goes_on_where_it_stopped(memory: Memory) -> None:
    await memory.remember_many(documents(130))
    loaded = await memory.remember_many(documents(260))
    assert (loaded.stored, loaded.known) == (130, 130)
    assert (await memory.counts()).episodes == 260


async def test_a_text_that_is_there_gets_the_facts_and_mentions_that_it_had_not(memory: Memory) -> None:
    await memory.remember_many([Document(content="x", key="k")])
    for more in ({"facts": [("Ann", "knows", "Bob")]}, {"mentions": ["Carl"]}):
        loaded = await memory.remember_many([Document(content="x", key="k", **more)])  # type: ignore[arg-type]
        assert (loaded.stored, loaded.known) == (0, 1)
    assert (await memory.counts()).facts == 1
    assert (await memory.counts()).mentions == 3


async def test_the_first_error_stops_it_and_names_its_document(memory: Memory) -> None:
    await memory.remember("another text", key="k200")
    with pytest.raises(EpisodeExists) as caught:
        await memory.remember_many(documents(1000))
    assert caught.value.__notes__[-1] == "document 201, key 'k200'"
    stored = {each.key for each in await memory.episodes(limit=2000)}
    assert stored >= {f"k{n}" for n in range(200)}
    assert "k999" not in stored


async def test_a_document_that_can_not_be_stops_it_and_those_before_it_are_stored(memory: Memory) -> None:
    with pytest.raises(ValueError, match="content is empty") as caught:
        await memory.remember_many([*documents(3), Document(content=" "), *documents(1, 3)])
    assert caught.value.__notes__ == ["document 4"]
    assert (await memory.counts()).episodes == 3


async def test_collected_errors_come_at_the_end_and_all_others_are_stored(memory: Memory) -> None:
    await memory.remember("another text", key="k1")
    wrong = Document(content="x", facts=[("Ann", "", "Bob")], key="wrong")
    loaded = await memory.remember_many([*documents(2), wrong, *documents(200, 2)], on_error="collect")
    assert (loaded.stored, loaded.known) == (201, 0)
    assert [(each.place, each.document.key, type(each.error)) for each in loaded.failed] == [
        (2, "k1", EpisodeExists),
        (3, "wrong", ValueError),
    ]


async def test_all_that_fails_is_collected_however_much_it_is(memory: Memory) -> None:
    done: list[int] = []
    loaded = await memory.remember_many(
        [Document(content="")] * 500, on_error="collect", progress=lambda now, _: done.append(now)
    )
    assert [each.place for each in loaded.failed] == list(range(1, 501))
    assert len(done) > 1


async def test_progress_is_reported_with_the_total_where_it_is_known(memory: Memory) -> None:
    seen: list[tuple[int, int | None]] = []
    await memory.remember_many(documents(300), progress=lambda *now: seen.append(now))
    assert seen[-1] == (300, 300)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    seen.clear()
    await memory.remember_many(iter(documents(300, 300)), progress=lambda *now: seen.append(now))
    assert seen[-1] == (300, None)


async def test_what_an_async_iterable_raises_comes_after_what_it_brought_is_stored(memory: Memory) -> None:
    closed = []

    async def some() -> AsyncIterator[Document]:
        try:
            for each in documents(150):
                yield each
            raise ZeroDivisionError
        finally:
            closed.append(True)

    with pytest.raises(ZeroDivisionError):
        await memory.remember_many(some())
    assert (await memory.counts()).episodes == 150
    assert closed == [True]


@pytest.mark.parametrize(
    ("given", "error"),
    [(7, TypeError), ("text", TypeError), (["text"], TypeError), ([None], TypeError), ([("a", "b", "c")], TypeError)],
)
async def test_what_is_no_document_is_an_error(memory: Memory, given: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="ocument"):
        await memory.remember_many(given)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'stop' or 'collect'"):
        await memory.remember_many([], on_error="ignore")  # type: ignore[arg-type]


async def test_inside_a_transaction_it_is_undone_with_it(memory: Memory) -> None:
    with pytest.raises(ZeroDivisionError):
        async with memory.db.transaction() as tx:
            within = memory.within(tx)
            assert (await within.remember_many(documents(300))).stored == 300
            assert (await within.remember_many(documents(300))).known == 300
            raise ZeroDivisionError
    assert (await memory.counts()).episodes == 0


async def test_cancelled_it_leaves_whole_documents_and_goes_on_when_run_again(memory: Memory) -> None:
    stop = asyncio.Event()
    task = asyncio.create_task(
        memory.remember_many(documents(600), progress=lambda done, _: stop.set() if done > 150 else None)
    )
    await stop.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    counts = await memory.counts()
    assert 150 <= counts.episodes < 600
    assert counts.facts == counts.episodes
    assert counts.mentions == 3 * counts.episodes
    loaded = await memory.remember_many(documents(600))  # the job that ran then was finished since
    assert loaded.stored + loaded.known == 600
    assert (await memory.counts()).episodes == 600


# -- ahead of the writer -----------------------------------------------------------------------------------------------


async def test_texts_are_embedded_together_ahead_of_the_writer(target: Target) -> None:
    embedder = SpellingEmbedder()
    async with Memory.open(target, embedder=embedder) as memory:
        await memory.remember_many(documents(400))
        assert len(embedder.calls) < 100  # a slower writer takes fewer at a time
        assert max(embedder.texts.values()) <= len(embedder.calls)  # a name of many documents once a call
        counts = await memory.counts()
        assert counts.vectors == counts.entities + counts.facts + counts.episodes


async def test_no_more_is_taken_than_the_next_jobs_need(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_MOST", 100)
    taken = 0

    def some() -> Iterator[Document]:
        nonlocal taken
        for each in documents(5000):
            taken += 1
            yield each

    embedder = GatedEmbedder()
    async with Memory.open(target, embedder=embedder) as memory:
        task = asyncio.create_task(memory.remember_many(some()))
        await embedder.entered.wait()
        assert taken <= 60
        embedder.let_go.set()
        task.cancel()
        await asyncio.wait([task])


async def test_a_text_that_the_embedder_refuses_is_an_error_of_its_document_alone(target: Target) -> None:
    class Picky(AnsweringEmbedder):
        async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
            if "document 7" in texts:
                raise RuntimeError("too rude")
            return await super().embed(texts)

    async with Memory.open(target, embedder=Picky(lambda answer: answer)) as memory:
        loaded = await memory.remember_many(documents(20), on_error="collect")
        assert [(each.place, str(each.error)) for each in loaded.failed] == [(8, "too rude")]
        assert loaded.stored == 19
        with pytest.raises(RuntimeError, match="too rude") as caught:
            await memory.remember_many(documents(20))
        assert caught.value.__notes__ == ["document 8, key 'k7'"]


async def test_ahead_makes_one_more_than_is_used_and_closes_its_source() -> None:
    made: list[int] = []
    closed = asyncio.Event()

    async def numbers() -> AsyncIterator[int]:
        try:
            for number in range(10):
                made.append(number)
                yield number
        finally:
            closed.set()

    coming = ahead(numbers())  # type: ignore[arg-type]
    assert await anext(coming) == 0
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert made == [0, 1]
    await coming.aclose()
    assert closed.is_set()


# -- the size of jobs --------------------------------------------------------------------------------------------------


def paced(monkeypatch: pytest.MonkeyPatch, seconds_a_row: float, jobs: int = 30) -> float:
    """The size at which jobs arrive when each row takes so long."""
    now = 0.0
    monkeypatch.setattr("aiomemdb.memory.loading.time.monotonic", lambda: now)
    pace = Pace()
    for _ in range(jobs):
        with pace:
            now += 0.001 + pace.size * seconds_a_row
        now += 0.2  # its COMMIT, and a loop that is busy
        pace.end(pace.size)
    return pace.size


@pytest.mark.parametrize(("seconds_a_row", "size"), [(1e-3, 11), (1e-4, 110), (1e-5, 1100), (1e-9, 2000), (1.0, 10)])
def test_jobs_have_the_size_that_keeps_the_writer_for_twelve_milliseconds(
    monkeypatch: pytest.MonkeyPatch, seconds_a_row: float, size: int
) -> None:
    assert paced(monkeypatch, seconds_a_row) == pytest.approx(size, rel=0.15)


def test_a_job_that_runs_again_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("aiomemdb.memory.loading.time.monotonic", lambda: now)
    pace = Pace()
    with pace:
        now = 50.0
    with pace:
        now += 0.012
    pace.end(pace.size)
    assert pace.size == pytest.approx(100)


@pytest.mark.sqlite_only
async def test_a_write_of_another_waits_for_one_job_of_a_load(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, runs, ended = asyncio.get_running_loop(), asyncio.Event(), 0
    enter, leave = Pace.__enter__, Pace.__exit__

    def entered(self: Pace) -> None:
        enter(self)
        loop.call_soon_threadsafe(runs.set)

    def left(self: Pace, *error: object) -> None:
        nonlocal ended
        leave(self, *error)
        ended += 1

    monkeypatch.setattr(loading, "_MOST", 50)
    monkeypatch.setattr(Pace, "__enter__", entered)
    monkeypatch.setattr(Pace, "__exit__", left)
    task = asyncio.create_task(memory.remember_many(documents(300)))
    met = []
    while not task.done():
        waiting = asyncio.create_task(runs.wait())
        await asyncio.wait((waiting, task), return_when="FIRST_COMPLETED")
        waiting.cancel()
        runs.clear()
        before = ended
        await memory.db.write("UPDATE memory_meta SET value = value WHERE key = 'none'")
        met.append(ended - before)
    await task
    assert len(met) > 2
    assert max(met) == 1


@pytest.mark.sqlite_only
async def test_a_long_document_is_a_job_of_its_own(memory: Memory) -> None:
    long = [Document(content="word " * 100_000, key=f"k{n}") for n in range(4)]
    writes = memory._core.db.statistics().writes
    await memory.remember_many(long)
    assert memory._core.db.statistics().writes == writes + 4


# -- killed ------------------------------------------------------------------------------------------------------------

LOADER = """
    import asyncio, sys, aiomemdb

    def documents():
        for n in range(int(sys.argv[2])):
            facts = [(f"N {n} {f}", "belongs to", f"document {n}") for f in range(9)]
            yield aiomemdb.Document(content=f"document {n}", key=f"k {n}", facts=facts, mentions=["everybody"])

    async def main():
        async with aiomemdb.Memory.open(sys.argv[1]) as memory:
            print("0", flush=True)
            await memory.remember_many(documents(), progress=lambda done, total: print(done, flush=True))

    aiomemdb.run(main())
"""


@pytest.mark.parametrize("kills", [1, pytest.param(50, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])])
async def test_a_killed_load_leaves_whole_documents_and_goes_on_when_run_again(db_path: Path, kills: int) -> None:
    count = 300 + 30 * kills
    met = kill_again_and_again(LOADER, db_path, count, kills=kills, below=count)
    assert met >= kills // 3
    assert plain(db_path, "SELECT count(*), count(DISTINCT key) FROM episode") == [(count, count)]
    assert plain(db_path, "SELECT count(*) FROM fact") == [(9 * count,)]
