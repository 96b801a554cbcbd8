"""A dozen agents read Python source at the same time and write what they learn into one memory.

The unit of work is a file, as an agent's unit is a task: many steps that must hold together. From each file an
agent learns its modules, classes, functions and bases, what imports, defines, subclasses and decorates what, and what
its docstrings say: one `await memory.remember(...)`, wholly or not at all. All agents meet the same names all the time,
and all of them mean the same entities. Meanwhile other agents ask: what reads configuration files, how is json
connected to re?

Afterwards one thread does the same with plain dicts, and the memory must hold exactly that. Then all agents ask for the
same names at once, of an embedder that counts. Then the same files are written in the ways usual today, for some
seconds each, and every result is held against the truth.

    python examples/multi_agent.py                 the standard library and what is installed beside it
    python examples/multi_agent.py src tests       any folders
    python examples/multi_agent.py --quick         a few seconds
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path

from _multi_agent import todays_ways
from _multi_agent.graph import (
    MEMORY_TABLES,
    PLAIN_TABLES,
    Graph,
    Outcome,
    compare,
    gives_up_first,
    graph_of,
)
from _multi_agent.report import Result, say_results, say_skipped, say_verdict
from _multi_agent.screen import AgentLine, Board, Screen, latency
from _multi_agent.source import (
    Entity,
    FileFacts,
    Skipped,
    SourceFile,
    find_files,
    installed_folders,
    parsing_processes,
    read_facts,
    spread,
)

import aiomemdb
from aiomemdb import Entity as MemoryEntity
from aiomemdb import Episode, Fact, Memory, Name
from aiomemdb.embedders import Embedder, packaged

# --- The agents: the part to copy --------------------------------------------------------------------------

# In source code Path and path are two names; the memory's default takes them for one.
AS_WRITTEN = aiomemdb.Normaliser("as written", str)


def open_memory(target: str | aiomemdb.Database, embedder: Embedder | None = None) -> Memory:
    return Memory.open(target, agent="reader", normaliser=AS_WRITTEN, embedder=embedder)


async def remember(memory: Memory, facts: FileFacts, outcome: Outcome) -> None:
    """One file: its docstrings as a text, whom it mentions, and the facts drawn from it, in one job.

    One agent in forty is cut off in the middle and takes its file again: all of it was written or nothing, and
    what its key names is not written twice.
    """

    async def write() -> None:
        await memory.remember(
            facts.text,
            [(named(source), kind, named(target)) for kind, source, target in facts.links],
            mentions=[named(entity) for entity in facts.entities],
            key=facts.path,
        )

    try:
        if gives_up_first(facts):
            cut_off = asyncio.create_task(write())
            await asyncio.sleep(0)
            cut_off.cancel()
            await asyncio.wait([cut_off])
        await write()
    except (aiomemdb.AiomemdbError, sqlite3.Error, ValueError) as error:
        outcome.errors[f"{type(error).__name__}: {error}"] += 1
    else:
        outcome.done.append(facts)
        outcome.met += len(facts.entities) + len(facts.links)


def named(entity: Entity) -> Name:
    """A name and what it is the name of: the module `enum` and a function `enum` are two."""
    kind, name = entity
    return Name(name, kind)


async def explore(memory: Memory, parsers: Executor, work: Iterator[SourceFile], me: AgentLine, board: Board) -> None:
    """An agent: take the next file, have it parsed in another process, write what it says."""
    loop = asyncio.get_running_loop()
    for file in work:
        me.module = file.module
        facts = await loop.run_in_executor(parsers, read_facts, file)
        if isinstance(facts, Skipped):
            board.skipped.append(facts)
        else:
            await remember(memory, facts, board.outcome)
        me.done += 1
    me.module = "done"


async def ask(db: aiomemdb.Database, memory: Memory, board: Board) -> None:
    """Another agent: it asks one question after the other, as long as the others write."""
    for question in itertools.cycle(QUESTIONS):
        started = time.perf_counter()
        try:
            board.answer = await answer(memory, question)
        except (aiomemdb.AiomemdbError, sqlite3.Error) as error:
            board.outcome.errors[f"{type(error).__name__}: {error}"] += 1
        else:
            board.latencies.append(time.perf_counter() - started)
        board.most_pending = max(board.most_pending, db.statistics().pending)
        await asyncio.sleep(0.005)


QUESTIONS: tuple[str | tuple[str, str], ...] = (
    "what reads configuration files?",
    ("json", "re"),
    "what parses the command line?",
    ("asyncio", "socket"),
    "which module imports dataclasses?",
)


async def answer(memory: Memory, question: str | tuple[str, str]) -> str:
    """A question in words is for `recall`, one about two names for `path`."""
    if isinstance(question, str):
        found = await memory.recall(question, limit=3)
        words = [hit.item.text if isinstance(hit.item, Fact) else first_line(hit.item) for hit in found]
        return f"{question} {'; '.join(words) or 'nothing is known yet'}"
    source, target = question
    try:
        chain = await memory.path(source, target)
    except aiomemdb.NotFound:
        chain = None
    how = "; ".join(fact.text for fact in chain) if chain else "nothing that is known yet"
    return f"how is {source} connected to {target}? {how}"


def first_line(item: Episode | MemoryEntity) -> str:
    line = item.content.partition("\n")[0] if isinstance(item, Episode) else item.name
    return line if len(line) <= 80 else line[:79] + "…"


async def write_parsed(path: str, units: Iterable[FileFacts], agents: int, outcome: Outcome) -> None:
    """The same agents with the files parsed before, to stand beside today's ways of writing."""

    async def agent() -> None:
        for facts in units:
            await remember(memory, facts, outcome)

    async with open_memory(path) as memory, asyncio.TaskGroup() as team:
        for _ in range(agents):
            team.create_task(agent())


# --- The demo around them ----------------------------------------------------------------------------------

ASKING_AGENTS = 4
NAMES = 300
WAYS: dict[str, todays_ways.Way] = {
    "aiomemdb": write_parsed,
    "aiosqlite": todays_ways.a_connection_each,
    "aiosqlite BEGIN": todays_ways.a_connection_each_begin,
    "aiosqlite IMMEDIATE": todays_ways.a_connection_each_immediate,
    "aiosqlite shared": todays_ways.one_shared_connection,
}


async def demo(options: argparse.Namespace, files: list[SourceFile]) -> int:
    """All of it, in order; returns the exit code."""
    screen = Screen()
    with tempfile.TemporaryDirectory(prefix="aiomemdb-demo-") as folder:
        path = options.keep or os.path.join(folder, "graph.db")
        outcome = await write_with_agents(screen, path, files, options)
        units = await read_alone(screen, files)
        truth = graph_of(units)
        verdict = await asyncio.to_thread(compare, path, truth, MEMORY_TABLES)
        say_verdict(screen, truth, verdict)
        names_agree = await name_at_once(screen, os.path.join(folder, "names.db"), truth, options.agents)

        results: list[Result] = [("aiomemdb at work", outcome, verdict)]
        for number, name in enumerate(WAYS):
            path = os.path.join(folder, f"way{number}.db")
            results.append(await write_in_a_way(screen, name, path, units, options))
    say_results(screen, results, len(units), options.seconds)
    if options.keep:
        screen.say(f"The graph is kept in {options.keep}")
    if verdict.perfect and not outcome.errors and names_agree:
        return 0
    screen.say(
        f"FAILED: aiomemdb had {outcome.errors.total()} errors; against the truth its file has "
        f"{verdict.lost} lost, {verdict.duplicates} duplicates, {verdict.stray} stray; "
        f"integrity_check: {verdict.integrity}",
    )
    return 1


async def write_with_agents(screen: Screen, path: str, files: list[SourceFile], options: argparse.Namespace) -> Outcome:
    """The agents at work: some write, some ask, and the screen shows them."""
    work = iter(files)  # shared: whoever is free takes the next file
    board = Board(len(files), [AgentLine(-(-len(files) // options.agents)) for _ in range(options.agents)])
    outcome = board.outcome
    with parsing_processes(options.parsers) as parsers:
        async with aiomemdb.connect(path) as db, open_memory(db) as memory:
            started = time.perf_counter()
            async with screen.watching(board, db.statistics):
                asking = [asyncio.create_task(ask(db, memory, board)) for _ in range(ASKING_AGENTS)]
                try:
                    async with asyncio.TaskGroup() as team:
                        for me in board.agents:
                            team.create_task(explore(memory, parsers, work, me, board))
                finally:
                    for task in asking:
                        task.cancel()
                    await asyncio.wait(asking)
            outcome.seconds = time.perf_counter() - started
            statistics = db.statistics()
            answers = [await answer(memory, question) for question in QUESTIONS]
    screen.say(
        f"{options.agents} agents wrote {len(outcome.done):,} files in {outcome.seconds:.1f} s: "
        f"{outcome.met:,} times an entity or a link was found or created, "
        f"in {statistics.batches:,} batches of {statistics.mean_batch:.1f} on average, "
        f"{statistics.largest_batch} at most.",
    )
    screen.say(
        f"{ASKING_AGENTS} more agents asked {len(board.latencies):,} questions meanwhile: {latency(board.latencies)}.",
    )
    say_skipped(screen, board.skipped)
    for line in answers:
        screen.say(f"  {line}")
    return outcome


async def name_at_once(screen: Screen, path: str, truth: Graph, agents: int) -> bool:
    """All agents ask for the same names at once; whether each was embedded once and is one entity."""
    try:
        embedder = CountingEmbedder(packaged())
    except ImportError:
        screen.say("No embedder is installed (aiomemdb[embeddings]): names are not embedded here.")
        return True
    names = [name for name in truth.entities if name[0] == "class"][:NAMES]
    async with open_memory(path, embedder) as memory:
        found = await asyncio.gather(
            *(memory.find_or_create_entity(name, kind) for _ in range(agents) for kind, name in names)
        )
        kept = (await memory.counts()).entities
    ids, texts = {entity.id for entity in found}, {name for _, name in names}
    screen.say(
        f"{agents} agents asked for the same {len(names):,} names at once: {kept:,} entities, "
        f"{kept - len(ids)} duplicates; embeddings a name: {embedder.texts.total() / max(1, len(texts)):g}."
    )
    return kept == len(ids) == len(names) and set(embedder.texts.values()) <= {1}


class CountingEmbedder:
    """An embedder that remembers how often it embedded each text."""

    def __init__(self, embedder: Embedder) -> None:
        self.model, self.dim = embedder.model, embedder.dim
        self.texts: Counter[str] = Counter()
        self._embedder = embedder

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        self.texts.update(texts)
        return await self._embedder.embed(texts)


async def read_alone(screen: Screen, files: list[SourceFile]) -> list[FileFacts]:
    """One thread, one file after the other."""
    units: list[FileFacts] = []
    async with screen.step("one thread reads the same files", lambda: f"{len(units):,} of {len(files):,}"):
        for file in files:
            facts = read_facts(file)
            if isinstance(facts, FileFacts):
                units.append(facts)
            await asyncio.sleep(0)  # lets the screen be drawn, and Ctrl-C come through
    return units


async def write_in_a_way(
    screen: Screen, name: str, path: str, units: list[FileFacts], options: argparse.Namespace
) -> Result:
    """One of the ways of writing, within its time, held against what it says it wrote."""
    outcome = Outcome()
    async with screen.step(name, lambda: f"{len(outcome.done):,} files"):
        way = WAYS[name]
        await todays_ways.time_boxed(way, path, units, options.agents, outcome, options.seconds)
        tables = MEMORY_TABLES if way is write_parsed else PLAIN_TABLES
        verdict = await asyncio.to_thread(compare, path, graph_of(outcome.done), tables)
    return name, outcome, verdict


def main() -> int:
    parser = argparse.ArgumentParser(description="A dozen agents write one graph of Python source into SQLite.")
    add = parser.add_argument
    add("folders", nargs="*", type=Path, help="default: the standard library and what is installed beside it")
    add("--quick", action="store_true", help="fewer files, and less time for each of today's ways")
    add("--agents", type=int, default=12, help="how many agents write (default: 12)")
    add("--files", type=int, help="at most so many, evenly from all (default: 4000; 500 with --quick)")
    add("--keep", metavar="PATH", help="keep the database there")
    options = parser.parse_args()
    options.files = options.files if options.files is not None else 500 if options.quick else 4000
    options.seconds = 2.0 if options.quick else 10.0
    options.parsers = min(os.cpu_count() or 1, 8)
    if options.agents < 1 or options.files < 1:
        parser.error("--agents and --files must be at least 1")
    if options.keep and os.path.exists(options.keep):
        parser.error(f"{options.keep} exists already")
    for folder in options.folders:
        if not folder.is_dir():
            parser.error(f"{folder} is no folder")
    found = find_files(options.folders or installed_folders())
    if not found:
        parser.error("no Python file there")
    files = spread(found, options.files)
    print(
        f"{len(files):,} of {len(found):,} Python files; agents: {options.agents}, "
        f"processes that parse: {options.parsers}",
        flush=True,
    )
    return aiomemdb.run(demo(options, files))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
