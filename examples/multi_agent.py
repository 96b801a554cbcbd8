"""Many agents write one SQLite file at once: today's ways beside aiomemdb's, and then what a shared memory is good for.

First the storm: 64 agents state facts from real Python source in one file, "json.decoder imports re", each found or
created as a transaction of its own; in five of today's ways and in ours, for some seconds each, and every file is held
against plain sets afterwards. Then agents read the same source and write notes into one `Memory`, a module's or a
class's docstrings and facts at a time, while others ask it questions; the memory must hold exactly what plain sets and
dicts hold. At last one question, one path from a name to another, and a page that shows what the agents learnt.

    python examples/multi_agent.py                 the standard library and what is installed beside it
    python examples/multi_agent.py src tests       any folders
    python examples/multi_agent.py --quick         a few seconds
    python examples/multi_agent.py --full          some minutes
    python examples/multi_agent.py --serve         the page is live while they write, until Ctrl-C
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import platform
import signal
import sqlite3
import sys
import tempfile
import time
import zlib
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from _multi_agent.graph import MEMORY_TABLES, compare, truth_of_notes
from _multi_agent.screen import STORM_HEADINGS, WIDTH, AgentLine, Board, Screen, latency, storm_row
from _multi_agent.source import (
    Entity,
    Note,
    SourceFile,
    find_files,
    in_reading_order,
    installed_folders,
    parsing_processes,
    read_notes,
)
from _multi_agent.storm import GIVEN_UP, LOCK_TIMEOUT, OURS, WAYS, Tally, storm
from rich.console import Group
from rich.text import Text

import aiomemdb
from aiomemdb import Entity as MemoryEntity
from aiomemdb import Episode, Fact, Memory, Name
from aiomemdb.pageserver.server import serve_page

# --- The agents: the part to copy --------------------------------------------------------------------------

# In source code Path and path are two names; the memory's default takes them for one.
AS_WRITTEN = aiomemdb.Normaliser("as written", str)

# (in words, for recall) or (two names, for path)
QUESTIONS: tuple[str | tuple[str, str], ...] = (
    "what reads configuration files?",
    ("json", "re"),
    "what parses the command line?",
    ("asyncio", "socket"),
    "which module imports dataclasses?",
)


async def remember(memory: Memory, note: Note) -> None:
    """Writes a text, the entities that it mentions and the facts drawn from it, in one job: all of it or nothing."""
    await memory.remember(
        note.text,
        [(named(source), kind, named(target)) for kind, source, target in note.links],
        mentions=[named(note.about)],
        key=note.key,
    )


def named(entity: Entity) -> Name:
    """A name and what it is the name of: the module `enum` and a function `enum` are two."""
    kind, name = entity
    return Name(name, kind)


async def write_notes(memory: Memory, work: Iterator[Note], me: AgentLine, board: Board) -> None:
    """An agent: take the next note, write it. One in forty is cut off in the middle, and takes its note again."""
    for note in work:
        me.reading = note.about[1]
        try:
            if zlib.crc32(note.key.encode()) % GIVEN_UP == 0:
                await cut_off(remember(memory, note))
            await remember(memory, note)
        except (aiomemdb.AiomemdbError, sqlite3.Error, ValueError) as error:
            board.errors[f"{type(error).__name__}: {error}"] += 1
        else:
            board.written.append(note)
            board.facts += len(note.links)
            me.notes += 1
    me.reading = "done"


async def cut_off(call: Coroutine[object, object, None]) -> None:
    task = asyncio.create_task(call)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])


async def ask(memory: Memory, board: Board) -> None:
    """Another agent: it asks one question after the other, and thinks about each answer."""
    for question in itertools.cycle(QUESTIONS):
        started = time.perf_counter()
        try:
            answer = await answers(memory, question)
        except (aiomemdb.AiomemdbError, sqlite3.Error) as error:
            board.errors[f"{type(error).__name__}: {error}"] += 1
        else:
            board.latencies.append(time.perf_counter() - started)
            board.question, board.answer = in_words(question), "; ".join(answer)
        await asyncio.sleep(THINKING_SECONDS)


async def answers(memory: Memory, question: str | tuple[str, str]) -> list[str]:
    """A question in words is for `recall`, one about two names for `path`."""
    if isinstance(question, str):
        found = await memory.recall(question, limit=2, kinds=("episode",))
        return [said(hit.item) for hit in found] or ["nothing is known yet"]
    source, target = question
    try:
        chain = await memory.path(source, target)
    except aiomemdb.NotFound:
        chain = None
    return [fact.text for fact in chain] if chain else ["nothing that is known yet"]


def in_words(question: str | tuple[str, str]) -> str:
    return question if isinstance(question, str) else "how is {} connected to {}?".format(*question)


def said(item: Fact | Episode | MemoryEntity) -> str:
    text = item.text if isinstance(item, Fact) else item.content if isinstance(item, Episode) else item.name
    line = text.partition("\n")[0]
    return line if len(line) <= WIDTH - 10 else line[: WIDTH - 11] + "…"


# --- The demo around them ----------------------------------------------------------------------------------

STORMING_AGENTS = 64
WRITING_AGENTS = 12
ASKING_AGENTS = 4
THINKING_SECONDS = 0.2
LEAST_FILES = 30  # are read, however long that takes


class Times(NamedTuple):
    """Seconds. The parts of the demo end by the clock, so that it takes as long on a slow machine."""

    reading: float
    storm: float  # each way
    agents: float

    @property
    def all(self) -> float:
        return self.reading + len(WAYS) * (self.storm + 1) + self.agents + 5


QUICK, USUAL, FULL = Times(0.5, 0.3, 1.5), Times(6, 3, 14), Times(30, 15, 90)


async def demo(options: argparse.Namespace, folder: str) -> int:
    """All of it, in order; returns the exit code."""
    screen, times = Screen(), options.times
    screen.say(
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} cores. "
        f"This takes about {round(times.all, -1):.0f} seconds; Ctrl-C ends it at any time."
    )
    notes = await read_source(screen, options.files, times.reading)
    failures = await show_storm(screen, folder, notes, times.storm)
    path = options.keep or os.path.join(folder, "memory.db")
    failures += await show_agents(screen, path, notes, times.agents, serve=options.serve)
    await show_answers(screen, path)
    screen.say(f"See what they learnt, in a browser: {await write_page(path)}")
    screen.say()
    for failure in failures:
        screen.say(f"FAILED: {failure}", style="bold red")
    say_what_next(screen, options.keep)
    return 1 if failures else 0


async def read_source(screen: Screen, files: list[SourceFile], seconds: float) -> list[Note]:
    """What is read within the time is what all agents write."""
    notes: list[Note] = []
    read = 0
    started = time.perf_counter()

    def reading() -> str:
        facts = sum(len(note.links) for note in notes)
        return f"Read {read:,} of {len(files):,} Python files: {len(notes):,} notes with {facts:,} facts."

    with parsing_processes(min(os.cpu_count() or 1, 8)) as parsers:
        loop, work = asyncio.get_running_loop(), iter(files)

        async def reader() -> None:
            nonlocal read
            for file in work:
                notes.extend(await loop.run_in_executor(parsers, read_notes, file))
                read += 1
                if read >= LEAST_FILES and time.perf_counter() - started > seconds:
                    return

        async with screen.watching(lambda: Text(reading())), asyncio.TaskGroup() as team:
            for _ in range(16):
                team.create_task(reader())
    screen.say(reading())
    return notes


async def show_storm(screen: Screen, folder: str, notes: list[Note], seconds: float) -> list[str]:
    """All ways of writing, one after the other, in a row each; returns what went wrong in ours."""
    screen.title(f"(a) The storm: {STORMING_AGENTS} agents state facts in one file, for {seconds:g} s each way")
    facts = [fact for note in notes for fact in note.links]
    tallies: list[Tally] = []

    def picture() -> Group:
        rows = [storm_row(tally) for tally in tallies[:-1]]
        return Group(*rows, storm_row(tallies[-1], finished=False) if tallies else Text())

    screen.say(STORM_HEADINGS, style="cyan")
    async with screen.watching(picture):
        for number, way in enumerate(WAYS):
            tallies.append(tally := Tally(way.name))
            await storm(way, os.path.join(folder, f"storm{number}.db"), facts, STORMING_AGENTS, seconds, tally)
            if not screen.is_live:
                screen.say(storm_row(tally))
    if screen.is_live:
        for tally in tallies:
            screen.say(storm_row(tally))
    ours = tallies[-1]
    screen.say(
        'A fact, "json.decoder imports re", is one transaction: find or create two names, then the fact. All use the '
        f"same tables and statements, WAL, synchronous=NORMAL and a lock timeout of {LOCK_TIMEOUT:g} s. One fact in "
        f"{GIVEN_UP} is given up halfway, rolled back and stated again. A fact that fails is not stated again."
    )
    screen.say("Lost: reported as written, but not in the file. Doubled: rows that repeat another.")
    screen.say(
        f"aiomemdb put {len(ours.done) / max(1, ours.commits):.0f} facts into a commit, as those that wait at the same "
        "time share one. In the other ways each agent commits for itself."
    )
    if errors := [(tally.name, *tally.errors.most_common(1)[0]) for tally in tallies if tally.errors]:
        screen.say("Errors: " + "; ".join(f"{name}: {count:,} × {message}" for name, message, count in errors))
    return [] if ours.perfect else [f"{OURS.name}: {storm_row(ours)} stray: {ours.stray}"]


async def show_agents(
    screen: Screen, path: str, notes: list[Note], seconds: float, *, serve: bool = False
) -> list[str]:
    """The agents at work: some write, some ask, and the screen shows them; returns what the memory holds wrongly."""
    screen.title(
        f"(b) One memory: {WRITING_AGENTS} agents write notes for {seconds:g} s, {ASKING_AGENTS} more ask meanwhile"
    )
    async with (
        aiomemdb.connect(path) as db,
        Memory.open(db, agent="reader", normaliser=AS_WRITTEN) as memory,
        live_page(screen, memory, serve),
    ):
        before = db.statistics().batches
        agents = [AgentLine() for _ in range(WRITING_AGENTS)]
        board = Board(agents, seconds, lambda: db.statistics().batches - before)
        work = until(time.perf_counter() + seconds, notes)  # shared: a free agent takes the next note
        async with screen.watching(board.picture, board.line, every=seconds / 1.5):
            asking = [asyncio.create_task(ask(memory, board)) for _ in range(ASKING_AGENTS)]
            try:
                async with asyncio.TaskGroup() as team:
                    for number, me in enumerate(agents, 1):
                        view = memory.scoped(agent=f"reader {number}")
                        team.create_task(write_notes(view, work, me, board))
            finally:
                for task in asking:
                    task.cancel()
                await asyncio.wait(asking)
        took = time.perf_counter() - board.started
    screen.say(
        f"{len(board.written):,} notes with {board.facts:,} facts in {took:.1f} s, {len(board.written) / took:,.0f} "
        f"notes a second; {board.notes_a_commit:.1f} notes a commit: {board.why_so_many}."
    )
    screen.say(f"{len(board.latencies):,} questions were answered meanwhile: {latency(board.latencies)}.")
    truth = await asyncio.to_thread(truth_of_notes, board.written)
    verdict = await asyncio.to_thread(compare, path, truth, MEMORY_TABLES)
    screen.say(
        f"Plain sets and dicts of the same notes hold {len(truth.names):,} names, {len(truth.facts):,} facts and "
        f"{len(truth.texts):,} texts. The file holds {'exactly these' if verdict.perfect else 'SOMETHING ELSE'}: "
        f"{verdict.lost:,} lost, {verdict.doubled:,} doubled, {verdict.stray:,} that no agent wrote.",
        style="green" if verdict.perfect else "bold red",
    )
    wrong = [f"the memory had errors: {message} ({count:,} ×)" for message, count in board.errors.most_common(3)]
    if not verdict.perfect:
        wrong.append(f"the memory does not hold the truth: {'; '.join(verdict.examples) or verdict.integrity}")
    return wrong


@asynccontextmanager
async def live_page(screen: Screen, memory: Memory, serve: bool) -> AsyncIterator[None]:
    """With --serve: the page of the memory, live, until Ctrl-C."""
    if not serve:
        yield
        return
    async with serve_page(memory, title="what the agents learn") as address:
        screen.say(f"Open this page now: {address}", style="green")
        await asyncio.sleep(5)  # for the reader to do so
        yield
        screen.say("The page stays until Ctrl-C.", style="green")
        loop, enough = asyncio.get_running_loop(), asyncio.Event()
        loop.add_signal_handler(signal.SIGINT, enough.set)
        await enough.wait()
        loop.remove_signal_handler(signal.SIGINT)


def until(deadline: float, notes: Iterable[Note]) -> Iterator[Note]:
    return itertools.takewhile(lambda _: time.perf_counter() < deadline, notes)


async def show_answers(screen: Screen, path: str) -> None:
    """Opens the file anew, as the next program would, and asks it."""
    screen.title("(c) What it learnt: the file opened anew, one question and one path")
    async with Memory.open(path, normaliser=AS_WRITTEN) as memory:
        for question in QUESTIONS[:2]:
            screen.say(in_words(question), style="green")
            answer = await answers(memory, question)
            for line in answer if isinstance(question, str) else [", ".join(answer)]:
                screen.say(f"  {line}")


async def write_page(path: str) -> Path:
    """The page that shows the memory; it replaces the demo's last one."""
    page = Path(__file__).parents[1] / "build" / "demo.html"
    page.parent.mkdir(exist_ok=True)
    async with Memory.open(path, normaliser=AS_WRITTEN) as memory:
        await memory.export_html(page, overwrite=True)
    return page


def say_what_next(screen: Screen, kept: str | None) -> None:
    screen.say("What next?", style="bold")
    screen.say("  Copy examples/quickstart.py (storage) or examples/shared_memory.py (memory); read README.md.")
    keep = "" if kept else ' Keep it: ARGS="--keep memory.db".'
    screen.say(f'  Let the agents read your own code: make demo ARGS="FOLDER".{keep}')


def main() -> int:
    parser = argparse.ArgumentParser(description="Many agents write one SQLite file at once, and ask it questions.")
    add = parser.add_argument
    add("folders", nargs="*", type=Path, help="default: the standard library and what is installed beside it")
    length = parser.add_mutually_exclusive_group()
    for times, option, what in ((QUICK, "--quick", "a few seconds"), (FULL, "--full", "some minutes")):
        length.add_argument(option, dest="times", action="store_const", const=times, default=USUAL, help=what)
    add("--serve", action="store_true", help="show the memory in a browser while the agents write, until Ctrl-C")
    add("--keep", metavar="PATH", help="keep the memory there")
    options = parser.parse_args()
    if options.keep and os.path.exists(options.keep):
        parser.error(f"{options.keep} exists already")
    for folder in options.folders:
        if not folder.is_dir():
            parser.error(f"{folder} is no folder")
    options.files = in_reading_order(find_files(options.folders or installed_folders()))
    if not options.files:
        parser.error("no Python file there")
    with tempfile.TemporaryDirectory(prefix="aiomemdb-demo-") as folder:
        return aiomemdb.run(demo(options, folder))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
