"""A dozen agents read Python source at the same time and write one graph of it into one SQLite file.

The unit of work is a file, as an agent's unit is a task: many steps that must hold together. For each file an
agent finds or creates its modules, classes, functions and bases, then the links between them: imports,
defines, subclasses, decorates. All agents meet the same names all the time, so "look whether it is there,
else insert it" has to be one step. Here it is: `await db.write_fn(write_file, facts)` runs a plain function
on the writer's thread, wholly or not at all. Meanwhile other agents ask: who imports asyncio, who subclasses
Exception?

Afterwards one thread does the same with plain dicts, and the database must hold exactly that. Then the same
files are written in the ways usual today, for some seconds each, and every result is held against the truth.

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
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from pathlib import Path

from _multi_agent import todays_ways
from _multi_agent.graph import (
    ADD_ENTITY,
    ADD_LINK,
    FIND_ENTITY,
    FIND_LINK,
    POINTS_AT,
    QUESTIONS,
    SCHEMA,
    GaveUp,
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

# --- The agents: the part to copy --------------------------------------------------------------------------


def write_file(conn: sqlite3.Connection, facts: FileFacts, give_up_halfway: bool) -> None:
    """One file, all of it or nothing; what is found missing is still missing when it is inserted."""

    def find_or_add(find: str, add: str, values: tuple[object, ...]) -> int:
        found = conn.execute(find, values).fetchone()
        return found[0] if found else conn.execute(add, values).lastrowid  # type: ignore[return-value]

    ids: dict[Entity, int] = {}
    for entity in facts.entities:
        ids[entity] = find_or_add(FIND_ENTITY, ADD_ENTITY, entity)
    if give_up_halfway:
        raise GaveUp
    for kind, source, target in facts.links:
        find_or_add(FIND_LINK, ADD_LINK, (kind, ids[source], ids[target]))


async def remember(db: aiomemdb.Database, facts: FileFacts, outcome: Outcome) -> None:
    """Write one file's facts; the agent that gave up halfway takes the file again."""
    try:
        try:
            await db.write_fn(write_file, facts, gives_up_first(facts))
        except GaveUp:
            await db.write_fn(write_file, facts, False)
    except (aiomemdb.AiomemdbError, sqlite3.Error) as error:
        outcome.errors[f"{type(error).__name__}: {error}"] += 1
    else:
        outcome.done.append(facts)
        outcome.met += len(facts.entities) + len(facts.links)


async def explore(
    db: aiomemdb.Database, parsers: Executor, work: Iterator[SourceFile], me: AgentLine, board: Board
) -> None:
    """An agent: take the next file, have it parsed in another process, write what it says."""
    loop = asyncio.get_running_loop()
    for file in work:
        me.module = file.module
        facts = await loop.run_in_executor(parsers, read_facts, file)
        if isinstance(facts, Skipped):
            board.skipped.append(facts)
        else:
            await remember(db, facts, board.outcome)
        me.done += 1
    me.module = "done"


async def ask(db: aiomemdb.Database, board: Board) -> None:
    """Another agent: it asks one question after the other, as long as the others write."""
    for question in itertools.cycle(QUESTIONS):
        started = time.perf_counter()
        try:
            rows = await db.read(POINTS_AT, QUESTIONS[question])
        except (aiomemdb.AiomemdbError, sqlite3.Error) as error:
            board.outcome.errors[f"{type(error).__name__}: {error}"] += 1
        else:
            board.latencies.append(time.perf_counter() - started)
            board.answer = answer(question, [row["name"] for row in rows])
        board.most_pending = max(board.most_pending, db.statistics().pending)
        await asyncio.sleep(0.005)


def answer(question: str, names: list[str]) -> str:
    shown = names if len(names) <= 3 else [*names[:3], "…"]
    return f"{question} {len(names):,}: {', '.join(shown)}"


async def write_parsed(path: str, units: Iterable[FileFacts], agents: int, outcome: Outcome) -> None:
    """The same agents with the files parsed before, to stand beside today's ways of writing."""

    async def agent() -> None:
        for facts in units:
            await remember(db, facts, outcome)

    async with aiomemdb.connect(path) as db:
        await db.write_script(SCHEMA)
        async with asyncio.TaskGroup() as team:
            for _ in range(agents):
                team.create_task(agent())


# --- The demo around them ----------------------------------------------------------------------------------

ASKING_AGENTS = 4
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
        verdict = await asyncio.to_thread(compare, path, truth)
        say_verdict(screen, truth, verdict)

        results: list[Result] = [("aiomemdb at work", outcome, verdict)]
        for number, name in enumerate(WAYS):
            path = os.path.join(folder, f"way{number}.db")
            results.append(await write_in_a_way(screen, name, path, units, options))
    say_results(screen, results, len(units), options.seconds)
    if options.keep:
        screen.say(f"The graph is kept in {options.keep}")
    if verdict.perfect and not outcome.errors:
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
        async with aiomemdb.connect(path) as db:
            await db.write_script(SCHEMA)
            started = time.perf_counter()
            async with screen.watching(board, db.statistics):
                asking = [asyncio.create_task(ask(db, board)) for _ in range(ASKING_AGENTS)]
                try:
                    async with asyncio.TaskGroup() as team:
                        for me in board.agents:
                            team.create_task(explore(db, parsers, work, me, board))
                finally:
                    for task in asking:
                        task.cancel()
                    await asyncio.wait(asking)
            outcome.seconds = time.perf_counter() - started
            statistics = db.statistics()
            answers = [
                answer(question, [row["name"] for row in await db.read(POINTS_AT, asked)])
                for question, asked in QUESTIONS.items()
            ]
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
        verdict = await asyncio.to_thread(compare, path, graph_of(outcome.done))
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
