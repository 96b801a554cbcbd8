"""Four processes of agents write one memory on a PostgreSQL server, which is killed in the middle of it.

A primary and a standby are started in temporary folders; each COMMIT waits for the standby. Agents in four processes
read Python source and write notes into one `Memory`, as those of multi_agent.py do, and one in each process asks
questions. Then the primary is killed and the standby promoted. The agents notice nothing but that it takes a while: at
the end the new primary must hold exactly what plain sets and dicts of the acknowledged notes hold.

    python examples/multi_agent_postgres.py                 the standard library and what is installed beside it
    python examples/multi_agent_postgres.py src tests       any folders
    python examples/multi_agent_postgres.py --quick         a few seconds
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import signal
import sys
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from _multi_agent.graph import MEMORY_TABLES, held_against, truth_of_notes
from _multi_agent.screen import Screen
from _multi_agent.source import Note, SourceFile, find_files, in_reading_order, installed_folders
from _multi_agent.storm import GIVEN_UP
from multi_agent import AS_WRITTEN, QUESTIONS, answers, cut_off, in_words, read_source, remember

import aiomemdb
from aiomemdb import Memory
from aiomemdb.postgres.database import PostgresDatabase

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.support.postgres import Server, execute

PROCESSES, AGENTS = 4, 6  # agents of each
STATISTICS = ("outcomes_asked", "outcomes_applied")


# --- A process of agents ----------------------------------------------------------------------------------


async def work(url: str, notes: list[Note], pipe: Connection) -> None:
    """Until the parent says that it is enough. Reports each note that is acknowledged, each error and each answer."""
    db: PostgresDatabase
    async with (
        aiomemdb.connect(url, reconnect=120.0) as db,  # type: ignore[assignment]
        Memory.open(db, normaliser=AS_WRITTEN) as memory,
    ):
        left = until_told(pipe, notes)
        asking = asyncio.create_task(ask(memory, pipe))
        async with asyncio.TaskGroup() as team:
            for number in range(1, AGENTS + 1):
                team.create_task(write(memory.scoped(agent=f"{os.getpid()}.{number}"), left, pipe))
        asking.cancel()
        await asyncio.wait([asking])
        pipe.send(("statistics", {name: getattr(db.statistics(), name) for name in STATISTICS}))


def until_told(pipe: Connection, notes: list[Note]) -> Iterator[Note]:
    for note in notes:
        if pipe.poll():
            return
        yield note


async def write(memory: Memory, work: Iterator[Note], pipe: Connection) -> None:
    """An agent: take the next note, write it. One in forty is cut off in the middle, and taken again."""
    for note in work:
        try:
            if zlib.crc32(note.key.encode()) % GIVEN_UP == 0:
                await cut_off(remember(memory, note))
            await remember(memory, note)
        except Exception as error:
            pipe.send(("error", f"{type(error).__name__}: {error}"))
        else:
            pipe.send(("written", note.key))


async def ask(memory: Memory, pipe: Connection) -> None:
    while True:
        for question in QUESTIONS:
            try:
                await answers(memory, question)
            except Exception as error:
                pipe.send(("error", f"{in_words(question)} {type(error).__name__}: {error}"))
            else:
                pipe.send(("answered", in_words(question)))
            await asyncio.sleep(0.5)


def process(url: str, notes: list[Note], pipe: Connection) -> None:
    with contextlib.suppress(BrokenPipeError):  # the parent is gone
        aiomemdb.run(work(url, notes, pipe))


# --- What they report -------------------------------------------------------------------------------------


@dataclass
class Reports:
    """Of one process."""

    pipe: Connection
    written: list[str] = field(default_factory=list)
    answered: int = 0
    errors: list[str] = field(default_factory=list)
    statistics: dict[str, int] | None = None
    has_news: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self) -> None:
        """All that has come."""
        try:
            while self.pipe.poll():
                match self.pipe.recv():
                    case ("written", str(key)):
                        self.written.append(key)
                    case ("answered", _):
                        self.answered += 1
                    case ("statistics", dict(statistics)):
                        self.statistics = statistics
                    case (_, str(error)):
                        self.errors.append(error)
        except (EOFError, OSError):
            if self.statistics is None:
                self.statistics = dict.fromkeys(STATISTICS, 0)
                self.errors.append("a process has ended early")
            asyncio.get_running_loop().remove_reader(self.pipe.fileno())
        self.has_news.set()

    async def more(self, count: int) -> None:
        """Until so many more notes were acknowledged, or it has ended."""
        goal = len(self.written) + count
        while len(self.written) < goal and self.statistics is None:
            self.has_news.clear()
            await self.has_news.wait()

    async def end(self) -> None:
        self.pipe.send("enough")
        while self.statistics is None:
            self.has_news.clear()
            await self.has_news.wait()


@asynccontextmanager
async def started(url: str, notes: list[Note]) -> AsyncIterator[list[Reports]]:
    """The processes, each with its share of the notes; none is left behind the block."""
    spawn, loop = multiprocessing.get_context("spawn"), asyncio.get_running_loop()
    processes, all_reports = [], []
    try:
        for number in range(PROCESSES):
            ours, theirs = spawn.Pipe()
            each = spawn.Process(target=process, args=(url, notes[number::PROCESSES], theirs), daemon=True)
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Ctrl-C is the parent's, which ends them
            each.start()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            theirs.close()
            processes.append(each)
            all_reports.append(reports := Reports(ours))
            loop.add_reader(ours.fileno(), reports.take)
        yield all_reports
    finally:
        for each in processes:
            each.kill()
            each.join()
        for reports in all_reports:
            loop.remove_reader(reports.pipe.fileno())
            reports.pipe.close()


# --- The demo ---------------------------------------------------------------------------------------------


async def demo(primary: Server, standby: Server, files: list[SourceFile], seconds: float) -> int:
    screen = Screen()
    [(version,)] = execute(primary.url, "SHOW server_version")
    screen.say(f"PostgreSQL {version}: a primary on port {primary.port}, its standby on port {standby.port}.")
    notes = await read_source(screen, files, seconds / 2)
    url = f"postgresql://tester@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/postgres"
    async with Memory.open(url, normaliser=AS_WRITTEN):
        pass  # the tables are there
    async with started(url, notes) as processes:
        begun = time.perf_counter()

        def say(text: str, style: str = "") -> None:
            count = sum(len(each.written) for each in processes)
            screen.say(f"{time.perf_counter() - begun:6.1f} s  {count:7,} notes acknowledged  {text}", style)

        say(f"{PROCESSES} processes of {AGENTS} agents begin to write one memory")
        await half_done(processes, seconds / 2, at_most=len(notes) // PROCESSES // 3)
        say("the primary is killed", "bold red")
        killed = time.perf_counter()
        await asyncio.to_thread(primary.stop, "immediate")  # its processes end where they are, as in a crash
        await asyncio.to_thread(standby.promote)
        say("the standby is promoted", "bold green")
        await asyncio.wait([asyncio.ensure_future(each.more(1)) for each in processes], return_when="FIRST_COMPLETED")
        say(f"the first note after it: its caller waited {time.perf_counter() - killed:.1f} s and heard of nothing")
        await half_done(processes, seconds / 2)
        await asyncio.gather(*(each.end() for each in processes))
        say("they end")
    failures = [error for each in processes for error in each.errors]
    sums = {name: sum((each.statistics or {}).get(name, 0) for each in processes) for name in STATISTICS}
    screen.say(
        f"After lost connections they asked {sums['outcomes_asked']} times what had become of a COMMIT: "
        f"{sums['outcomes_applied']} had come through. {sum(each.answered for each in processes)} questions were "
        f"answered, and {len(failures)} calls failed."
    )
    keys = {key for each in processes for key in each.written}
    failures += check(screen, standby, [note for note in notes if note.key in keys])
    async with Memory.open(standby.url, normaliser=AS_WRITTEN) as memory:
        screen.say(in_words(QUESTIONS[0]), style="green")
        for line in await answers(memory, QUESTIONS[0]):
            screen.say(f"  {line}")
    for failure in failures[:5]:
        screen.say(f"FAILED: {failure}", style="bold red")
    return 1 if failures else 0


async def half_done(processes: list[Reports], seconds: float, at_most: int | None = None) -> None:
    """Some seconds, in which each has written; or until one of them has written so many."""

    async def usual() -> None:
        await asyncio.gather(asyncio.sleep(seconds), *(each.more(1) for each in processes))

    tasks = [asyncio.create_task(usual())]
    if at_most is not None:
        tasks += [asyncio.create_task(each.more(at_most)) for each in processes]
    await asyncio.wait(tasks, return_when="FIRST_COMPLETED")
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def check(screen: Screen, server: Server, acknowledged: list[Note]) -> list[str]:
    """Holds what is on the server against plain sets and dicts of what was acknowledged."""
    truth = truth_of_notes(acknowledged)
    rows = [execute(server.url, sql.replace("FROM ", "FROM aiomemdb.")) for sql in MEMORY_TABLES]
    verdict = held_against(truth, *rows)  # type: ignore[arg-type]
    screen.say(
        f"{len(acknowledged):,} notes were acknowledged: {len(truth.names):,} names, {len(truth.facts):,} facts and "
        f"{len(truth.texts):,} texts. The promoted standby holds "
        f"{'exactly these' if verdict.perfect else 'SOMETHING ELSE'}: {verdict.lost:,} lost, {verdict.doubled:,} "
        f"doubled, {verdict.stray:,} that no agent wrote.",
        style="green" if verdict.perfect else "bold red",
    )
    return [] if verdict.perfect else [f"the memory does not hold the truth: {'; '.join(verdict.examples)}"]


def main() -> int:
    parser = argparse.ArgumentParser(description="Agents in four processes write to a server that is killed meanwhile.")
    parser.add_argument("folders", nargs="*", type=Path, help="default: the standard library and what is beside it")
    parser.add_argument("--quick", dest="seconds", action="store_const", const=4.0, default=20.0, help="a few seconds")
    options = parser.parse_args()
    files = in_reading_order(find_files(options.folders or installed_folders()))
    if not files:
        parser.error("no Python file there")
    with Server.started() as primary, primary.replica() as standby:
        primary.commit_with_standby()
        return aiomemdb.run(demo(primary, standby, files, options.seconds))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
