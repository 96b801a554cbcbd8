"""What the demo shows: a live screen on a terminal, few plain lines elsewhere."""

from __future__ import annotations

import asyncio
import math
import time
from array import array
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from _multi_agent.source import Note
from _multi_agent.storm import Tally

REDRAW_SECONDS = 0.25
WIDTH = 100


class Screen:
    """Where the demo prints; it redraws only while something is under way, in the event loop itself."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self.is_live = self.console.is_terminal

    def say(self, text: str | Text = "", style: str = "") -> None:
        """Print a line as it is, folded on a terminal only; empty ones are for terminals."""
        if self.is_live or text:
            self.console.print(text, markup=False, style=style, soft_wrap=not self.is_live)

    def title(self, text: str) -> None:
        self.say()
        self.say(text, style="bold")

    @asynccontextmanager
    async def watching(
        self, picture: Callable[[], RenderableType], line: Callable[[], str] | None = None, *, every: float = 5.0
    ) -> AsyncIterator[None]:
        """While the block runs: redraw the picture on a terminal; elsewhere print the line, if any, in seconds."""
        if self.is_live:
            with Live(picture(), console=self.console, auto_refresh=False, transient=True) as live:
                async with _every(REDRAW_SECONDS, lambda: live.update(picture(), refresh=True)):
                    yield
        elif line is not None:
            async with _every(every, lambda: self.say(line())):
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


# --- The storm ---------------------------------------------------------------------------------------------

STORM_HEADINGS = f"{'':38}{'written a second':>17}{'longest wait':>14}{'errors':>9}{'lost':>9}{'doubled':>9}"


def storm_row(tally: Tally, *, finished: bool = True) -> Text:
    """A way's name and figures; what went wrong is red."""
    row = Text(f"{tally.name:38}")
    row.append(f"{tally.rate:17,.0f}")
    row.append(f"{_duration(tally.longest):>14}")
    wrong = (tally.errors.total(), tally.lost, tally.doubled)
    for count in wrong if finished else wrong[:1]:
        row.append(f"{count:9,}", style="bold red" if count else "")
    if finished and not any(wrong):
        row.stylize("green")
    return row


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


# --- The agents at work ------------------------------------------------------------------------------------


@dataclass
class AgentLine:
    """One agent's row on the screen."""

    notes: int = 0
    reading: str = "starting"


@dataclass
class Board:
    """What the agents put up for the screen to show."""

    agents: list[AgentLine]
    seconds: float
    commits: Callable[[], int]
    written: list[Note] = field(default_factory=list)
    facts: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    question: str = ""
    answer: str = ""
    latencies: array[float] = field(default_factory=lambda: array("d"))  # of answers, in seconds
    started: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self._samples = deque([(self.started, 0, 0, 0)])

    def figures(self) -> list[tuple[str, str, str]]:
        """(what, how much, how fast in the last two seconds)"""
        now = time.perf_counter()
        counts = (len(self.written), self.facts, len(self.latencies))
        self._samples.append((now, *counts))
        while len(self._samples) > 2 and self._samples[1][0] < now - 2.0:
            self._samples.popleft()
        then, *before = self._samples[0]
        span = max(now - then, REDRAW_SECONDS)
        notes, facts, answers = (
            f"{(count - was) / span:,.0f} a second" for count, was in zip(counts, before, strict=True)
        )
        return [
            ("notes written", f"{counts[0]:,}", notes),
            ("facts in them", f"{counts[1]:,}", facts),
            ("notes a commit", f"{self.notes_a_commit:.1f}", self.why_so_many),
            ("questions answered", f"{counts[2]:,}", f"{answers}, {latency(self.latencies[-500:])}"),
            ("errors", f"{self.errors.total():,}", ""),
        ]

    @property
    def notes_a_commit(self) -> float:
        return len(self.written) / max(1, self.commits())

    @property
    def why_so_many(self) -> str:
        if self.notes_a_commit >= 1.5:
            return "those that wait at the same time share one"
        return "few wait at the same time: the writer is faster than the agents"

    def line(self) -> str:
        return f"{time.perf_counter() - self.started:4.0f} s: " + "; ".join(
            f"{name} {amount}" + (f" ({more})" if more.endswith("a second") else "")
            for name, amount, more in self.figures()
        )

    def picture(self) -> Group:
        passed = time.perf_counter() - self.started
        clock = Table.grid(padding=(0, 1))
        clock.add_row(
            ProgressBar(total=self.seconds, completed=min(passed, self.seconds), width=40),
            f"{passed:.0f} of {self.seconds:.0f} s",
        )
        agents = Table.grid(padding=(0, 1))
        most = max(1, *(agent.notes for agent in self.agents))
        for number, agent in enumerate(self.agents, 1):
            agents.add_row(
                f"agent {number}",
                ProgressBar(total=most, completed=agent.notes, width=24),
                Text(f"{agent.notes:,} notes", justify="right"),
                Text(agent.reading, style="dim", no_wrap=True, overflow="ellipsis"),
            )
        figures = Table.grid(padding=(0, 2))
        for name, amount, more in self.figures():
            figures.add_row(Text(name, style="cyan"), Text(amount, justify="right"), Text(more, no_wrap=True))
        return Group(
            clock,
            Text(),
            agents,
            Text(),
            figures,
            Text(),
            Text(self.question, style="green", no_wrap=True, overflow="ellipsis"),
            Text(f"  {self.answer}", no_wrap=True, overflow="ellipsis"),
        )


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that at least this share of them does not exceed; 0 for no values."""
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)] if values else 0.0


def latency(seconds: Sequence[float]) -> str:
    half, most = (f"{percentile(seconds, share) * 1000:.0f} ms" for share in (0.5, 0.99))
    return f"half within {half}, 99 in 100 within {most}"
