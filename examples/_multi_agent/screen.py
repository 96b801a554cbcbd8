"""What the demo shows: a live screen on a terminal, plain lines elsewhere."""

from __future__ import annotations

import asyncio
import math
import time
from array import array
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from _multi_agent.graph import Outcome
from _multi_agent.source import Skipped

REDRAW_SECONDS = 0.25
LINE_SECONDS = 2.0


class Gauges(Protocol):
    """The fields of `db.statistics()` that are shown."""

    @property
    def pending(self) -> int: ...
    @property
    def batches(self) -> int: ...
    @property
    def writes(self) -> int: ...
    @property
    def largest_batch(self) -> int: ...
    @property
    def mean_batch(self) -> float: ...


@dataclass
class AgentLine:
    """One agent's row on the screen."""

    share: int  # of the files, if all agents were equally fast
    done: int = 0
    module: str = "starting"


@dataclass
class Board:
    """What the agents put up for the screen to show."""

    files: int
    agents: list[AgentLine]
    outcome: Outcome = field(default_factory=Outcome)
    skipped: list[Skipped] = field(default_factory=list)
    answer: str = ""
    latencies: array[float] = field(default_factory=lambda: array("d"))  # of reads, in seconds
    most_pending: int = 0

    @property
    def done(self) -> int:
        return sum(agent.done for agent in self.agents)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that at least this share of them does not exceed; 0 for no values."""
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)] if values else 0.0


def latency(seconds: Sequence[float]) -> str:
    return f"p50 {percentile(seconds, 0.5) * 1000:.1f} ms, p99 {percentile(seconds, 0.99) * 1000:.1f} ms"


class Screen:
    """Where the demo prints; it redraws only while something is under way, in the event loop itself."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)

    def say(self, text: str) -> None:
        """Print as it is; lines are folded on a terminal only."""
        self.console.print(text, markup=False, soft_wrap=not self.console.is_terminal)

    @asynccontextmanager
    async def watching(self, board: Board, gauges: Callable[[], Gauges]) -> AsyncIterator[None]:
        """Show the board while the block runs."""
        rates = _Rates(board, gauges)
        if self.console.is_terminal:
            with Live(rates.picture(), console=self.console, auto_refresh=False, transient=True) as live:
                async with _every(REDRAW_SECONDS, lambda: live.update(rates.picture(), refresh=True)):
                    yield
        else:
            async with _every(LINE_SECONDS, lambda: self.say(rates.line())):
                yield

    @asynccontextmanager
    async def step(self, title: str, describe: Callable[[], str]) -> AsyncIterator[None]:
        """Show that one thing is under way, and how far it is."""
        if self.console.is_terminal:
            with self.console.status(title) as status:
                async with _every(REDRAW_SECONDS, lambda: status.update(f"{title}: {describe()}")):
                    yield
        else:
            yield


@asynccontextmanager
async def _every(seconds: float, act: Callable[[], None]) -> AsyncIterator[None]:
    async def repeat() -> None:
        while True:
            await asyncio.sleep(seconds)
            act()

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
    act()  # the last state, too


class _Rates:
    """Turns the board and the gauges into a picture or a line, with rates over the last two seconds."""

    def __init__(self, board: Board, gauges: Callable[[], Gauges]) -> None:
        self.board = board
        self.gauges = gauges
        self.started = time.perf_counter()
        self.samples: deque[tuple[float, int, int, int]] = deque([(self.started, 0, 0, 0)])

    def _figures(self) -> dict[str, str]:
        now, board, gauges = time.perf_counter(), self.board, self.gauges()
        self.samples.append((now, gauges.writes, board.outcome.met, len(board.latencies)))
        while len(self.samples) > 2 and self.samples[1][0] < now - 2.0:
            self.samples.popleft()
        then, writes, rows, reads = self.samples[0]
        span = max(now - then, 1e-9)
        return {
            "files a second": f"{(gauges.writes - writes) / span:,.0f}",
            "entities and links a second": f"{(board.outcome.met - rows) / span:,.0f}",
            "batch": f"{gauges.mean_batch:.1f} on average, {gauges.largest_batch} at most",
            "queue": f"{gauges.pending} waiting, {board.most_pending} at most",
            "questions a second": f"{(len(board.latencies) - reads) / span:,.0f}",
            "their latency": latency(board.latencies[-2000:]),
        }

    def line(self) -> str:
        figures = self._figures()
        seconds = time.perf_counter() - self.started
        return f"{seconds:5.1f} s  {self.board.done:,} of {self.board.files:,} files; " + "; ".join(
            f"{name}: {value}" for name, value in figures.items()
        )

    def picture(self) -> Group:
        bars = Table.grid(padding=(0, 1))
        for number, agent in enumerate(self.board.agents, 1):
            total = max(agent.share, agent.done, 1)
            bars.add_row(
                f"agent {number}",
                ProgressBar(total=total, completed=agent.done, width=30),
                Text(f"{agent.done:,}", justify="right"),
                Text(agent.module, style="dim", no_wrap=True, overflow="ellipsis"),
            )
        bars.add_section()
        bars.add_row(
            "all",
            ProgressBar(total=max(self.board.files, 1), completed=self.board.done, width=30),
            Text(f"{self.board.done:,}", justify="right"),
            Text(f"of {self.board.files:,} files, {time.perf_counter() - self.started:.0f} s", no_wrap=True),
        )
        figures = Table.grid(padding=(0, 2))
        for name, value in self._figures().items():
            figures.add_row(Text(name, style="cyan"), Text(value, no_wrap=True))
        last_answer = Text(self.board.answer, style="green", no_wrap=True, overflow="ellipsis")
        return Group(bars, Text(), figures, last_answer)
