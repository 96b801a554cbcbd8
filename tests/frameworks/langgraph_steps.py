"""Random steps of a checkpointer and of a store, as JSON, so that another process can take one too.

``python -m tests.frameworks.langgraph_steps FILE`` is that process: a step a line, an answer a line.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, TypeAlias

import hypothesis.strategies as st
from langgraph.checkpoint.base import ERROR
from langgraph.store.base import PutOp

import aiomemdb
from aiomemdb.integrations.langgraph import AiomemdbSaver, AiomemdbStore
from tests.frameworks.langgraph_values import at, checkpoint, known

__all__ = ["saver_steps", "state_of_saver", "state_of_store", "store_steps", "take"]

Step: TypeAlias = list[Any]

THREADS, NAMESPACES, IDS, CHANNELS, TASKS = ["t", "u", "7"], ["", "child:1"], list("1234"), ["a", "b"], ["x", "y"]
_values = st.dictionaries(st.sampled_from(CHANNELS), st.integers(0, 3) | st.text(max_size=3), max_size=2)
_metadata = st.fixed_dictionaries(
    {}, optional={"step": st.integers(-1, 2), "source": st.sampled_from(["loop", "ü"]), "ok": st.booleans()}
)
_place = st.tuples(st.sampled_from(THREADS), st.sampled_from(NAMESPACES))
_writes = st.lists(st.tuples(st.sampled_from([*CHANNELS, ERROR]), st.integers(0, 9)), min_size=1, max_size=3)


@st.composite
def _puts(draw: st.DrawFn) -> Step:
    thread, namespace = draw(_place)
    name = draw(st.sampled_from(IDS))
    # A parent is older, as the framework's own class never ends where a chain closes into a ring.
    parent = draw(st.sampled_from([None, *(one for one in IDS if one < name)]))
    return ["put", thread, namespace, name, parent, draw(_values), draw(_metadata)]


_named = st.sampled_from([None, *IDS])
saver_steps = st.lists(
    st.one_of(
        _puts(),
        _puts(),
        st.builds(
            lambda place, name, task, path, writes: ["writes", *place, name, task, path, writes],
            _place,
            st.sampled_from(IDS),
            st.sampled_from(TASKS),
            st.sampled_from(["", "~pull"]),
            _writes,
        ),
        st.builds(lambda place, name: ["get", *place, name], _place, _named),
        st.builds(
            lambda place, filter, before, limit: ["list", *place, filter, before, limit],
            _place,
            _metadata,
            _named,
            st.none() | st.integers(0, 3),
        ),
        st.builds(lambda place, name: ["history", *place, name], _place, _named),
        st.builds(lambda thread: ["delete", thread], st.sampled_from(THREADS)),
    ),
    min_size=1,
    max_size=14,
)

_labels = st.sampled_from(["a", "b", "a_", "a%"])
_namespaces = st.lists(_labels, min_size=1, max_size=3)
_items = st.fixed_dictionaries({"n": st.integers(0, 4)}, optional={"tag": st.sampled_from(["x", "ü"])})
_put_ops = st.tuples(_namespaces, st.sampled_from(["k", "l"]), st.none() | _items)
_filters = st.fixed_dictionaries(
    {},
    optional={
        "n": st.integers(0, 4)
        | st.dictionaries(st.sampled_from(["$gt", "$gte", "$lt", "$lte", "$ne", "$eq"]), st.integers(0, 4), min_size=1),
        "tag": st.sampled_from(["x", "ü"]) | st.none(),
    },
)
store_steps = st.lists(
    st.one_of(
        st.builds(lambda ops: ["batch", ops], st.lists(_put_ops, min_size=1, max_size=4)),
        st.builds(lambda op: ["batch", [op]], _put_ops),
        st.builds(lambda namespace, key: ["get", namespace, key], _namespaces, st.sampled_from(["k", "l"])),
        st.builds(lambda prefix, filter: ["search", prefix, filter], st.just([]) | _namespaces, _filters),
    ),
    min_size=1,
    max_size=14,
)


async def take(target: Any, step: Step) -> Any:
    """Takes a step of a checkpointer or a store, the framework's or ours; returns its answer, as JSON has it."""
    return json.loads(json.dumps(await (_ask_store if hasattr(target, "abatch") else _ask_saver)(target, step)))


async def _ask_saver(saver: Any, step: Step) -> Any:
    match step:
        case ["put", thread, namespace, name, parent, values, metadata]:
            made = checkpoint(name, values)
            config = await saver.aput(at(thread, namespace, parent), made, metadata, made["channel_versions"])
            return config["configurable"]
        case ["writes", thread, namespace, name, task, path, writes]:
            return await saver.aput_writes(at(thread, namespace, name), writes, task, path)
        case ["get", thread, namespace, name]:
            return known(await saver.aget_tuple(at(thread, namespace, name)))
        case ["list", thread, namespace, filter, before, limit]:
            before = before and at(thread, namespace, before)
            found = saver.alist(at(thread, namespace), filter=filter, before=before, limit=limit)
            return [known(one) async for one in found]
        case ["history", thread, namespace, name]:
            return await saver.aget_delta_channel_history(config=at(thread, namespace, name), channels=CHANNELS)
        case ["delete", thread]:
            return await saver.adelete_thread(thread)
    raise AssertionError(step)


async def _ask_store(store: Any, step: Step) -> Any:
    match step:
        case ["batch", ops]:
            return await store.abatch([PutOp(tuple(namespace), key, value) for namespace, key, value in ops])
        case ["get", namespace, key]:
            item = await store.aget(tuple(namespace), key)
            return item and item.value
        case ["search", prefix, filter]:
            found = await store.asearch(tuple(prefix), filter=filter, limit=1000)
            return sorted([item.namespace, item.key, item.value] for item in found)
    raise AssertionError(step)


async def state_of_saver(saver: Any) -> Any:
    """All checkpoints, and what was written to them."""
    return json.loads(json.dumps(sorted([known(one) async for one in saver.alist(None)], key=lambda one: one[0])))


async def state_of_store(store: Any) -> Any:
    return await take(store, ["search", [], {}])


async def _answer(path: str) -> None:
    loop = asyncio.get_running_loop()
    async with aiomemdb.connect(path) as db:
        targets = {"saver": AiomemdbSaver(db), "store": AiomemdbStore(db)}
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            kind, step = json.loads(line)
            print(json.dumps(await take(targets[kind], step)), flush=True)


if __name__ == "__main__":
    aiomemdb.run(_answer(sys.argv[1]))
