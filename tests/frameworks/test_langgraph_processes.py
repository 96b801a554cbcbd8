"""Many processes at one file, and processes that are killed."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import aiomemdb
from aiomemdb.integrations.langgraph import AiomemdbCache, AiomemdbSaver, AiomemdbStore
from tests.frameworks.examples import run_example, run_guide
from tests.frameworks.langgraph_values import at, checkpoint
from tests.support.fleet import Fleet
from tests.support.nursery import Worker
from tests.support.plain import assert_healthy, plain

PROCESSES, STEPS = 4, 25


async def work(worker: Worker, path: str) -> None:
    """All make the tables at once; each puts into a thread of its own, and all into one."""
    worker.meet()
    async with aiomemdb.connect(path) as db:
        saver, store, cache = AiomemdbSaver(db), AiomemdbStore(db), AiomemdbCache[int](db)
        for step in range(STEPS):
            for thread in (f"own {worker.number}", "shared"):
                config = await saver.aput(at(thread), checkpoint(f"{step:03} {worker.number}"), {"step": step}, {})
                await saver.aput_writes(config, [("a", step), ("b", step)], "task")
            await store.aput(("all",), f"{worker.number} {step}", {"n": step})
            await cache.aset({(("all",), f"{worker.number} {step}"): (step, None)})


async def test_processes_at_one_new_file_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with Fleet(limit=120) as fleet:
        for _ in range(PROCESSES):
            fleet.start(work, path=str(path))
        fleet.finish()
    async with aiomemdb.connect(path) as db:
        saver, store = AiomemdbSaver(db), AiomemdbStore(db)
        shared = [one async for one in saver.alist(at("shared"))]
        assert len(shared) == PROCESSES * STEPS and all(len(one.pending_writes or []) == 2 for one in shared)
        for number in range(PROCESSES):
            assert len([one async for one in saver.alist(at(f"own {number}"))]) == STEPS
        assert len(await store.asearch(("all",), limit=1000)) == PROCESSES * STEPS
    assert plain(path, "SELECT count(*) FROM cache") == [(PROCESSES * STEPS,)]
    assert_healthy(path)


async def put_until_killed(worker: Worker, path: str) -> None:
    async with aiomemdb.connect(path) as db:
        saver, store = AiomemdbSaver(db), AiomemdbStore(db)
        for step in count():
            config = await saver.aput(at(f"t{worker.number}"), checkpoint(f"{step:06}"), {}, {})
            await saver.aput_writes(config, [("a", step), ("b", step)], "task")
            await store.aput(("all",), f"{worker.number} {step}", {"n": step})
            worker.report(step=step)


async def test_what_was_acknowledged_outlives_a_kill_and_no_step_is_half_there(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with Fleet(limit=120) as fleet:
        for _ in range(3):
            fleet.start(put_until_killed, path=str(path))
        for number, record in fleet.messages():
            if record["step"] == 20 + 10 * number:
                fleet.kill(number)
    last = [records[-1]["step"] for records in fleet.records]
    async with aiomemdb.connect(path) as db:
        saver, store = AiomemdbSaver(db), AiomemdbStore(db)
        for number, acknowledged in enumerate(last):
            found = {one.checkpoint["id"]: one.pending_writes async for one in saver.alist(at(f"t{number}"))}
            for step in range(acknowledged + 1):
                assert found[f"{step:06}"] == [("task", "a", step), ("task", "b", step)]
                assert await store.aget(("all",), f"{number} {step}") is not None
            assert all(len(writes or []) in (0, 2) for writes in found.values())
        await saver.aput(at("next"), checkpoint("1"), {}, {})  # the file is free
    assert_healthy(path)


def test_64_agents_at_once_lose_nothing(tmp_path: Path) -> None:
    printed = run_example("langgraph_agents", tmp_path / "a.db")
    assert "64 agents; the last answers: I was sent 9 messages\n960 checkpoints\n64 answers" in printed


def test_the_blocks_of_its_guide_run(tmp_path: Path) -> None:
    run_guide(
        "guides/langgraph.md",
        tmp_path,
        """
        from langgraph.graph import START, StateGraph
        from langgraph_agents import State, model
        builder = StateGraph(State).add_node("model", model).add_edge(START, "model")
        inputs = {"messages": ["Hello"]}
    """,
    )
    assert list(tmp_path.glob("*.db"))
